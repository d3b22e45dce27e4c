"""The body of the OpenAI door: what is read into a chat, what is left out, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from starlette.datastructures import Headers

from models import (
    GatewayError,
    Image,
    JsonObject,
    JsonSchema,
    NamedTool,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from tests.clients.chat_bodies import DEFAULT_SETTINGS
from web.doors import OPENAI_CHAT
from web.doors.base import DoorRequest
from web.doors.openai_chat_body import ChunkOptions
from web.doors.state_token import write_state

HELLO = {"role": "user", "content": "Hello?"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": None,
        "parameters": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"city": {"type": "string"}},
        },
        "strict": False,
    },
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
STATE = State("gemini", "flash", '{"thoughtSignature":"c2ln"}')


def read(
    headers: dict[str, str] | None = None, settings: Any = DEFAULT_SETTINGS, **fields: Any
) -> DoorRequest:
    body = {"model": "gpt", "messages": [HELLO]} | fields
    return OPENAI_CHAT.read(json.dumps(body).encode(), settings, Headers(headers))


def read_turns(*messages: dict[str, Any]) -> tuple[Turn, ...]:
    return read(messages=list(messages)).chat.turns


def refuse(**fields: Any) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        read(**fields)
    return raised.value


def test_smallest_request_is_one_whole_answer_of_the_named_model() -> None:
    """As with OpenAI, a stream must be asked for; no system prompt is added."""
    asked = read(model="gpt-6-luna")
    assert (asked.model, asked.is_stream, asked.options) == ("gpt-6-luna", False, ChunkOptions())
    assert asked.chat.turns == (Turn("user", (Text("Hello?"),)),)
    assert not asked.chat.has_generic_prompt


@pytest.mark.parametrize("model", [None, "", 7, "x" * 300])
def test_request_names_a_model(model: object) -> None:
    """Which none of the gateway's could be meant otherwise."""
    assert refuse(model=model).code == "invalid_request"


@pytest.mark.parametrize("stream", [None, False])
def test_whole_answer_is_held(stream: bool | None) -> None:
    """Nothing of it is sent before it is complete."""
    assert read(stream=stream, gateway={"on_break": "error"}).chat.on_break == "hold"


def test_stream_breaks_as_body_or_header_ask() -> None:
    """The body counts first; without either it is ON_BREAK."""
    header = {"x-gateway-on-break": "hold"}
    assert read(stream=True).chat.on_break == "error"
    assert read(stream=True, gateway={"on_break": "hold"}).chat.on_break == "hold"
    assert read(header, stream=True).chat.on_break == "hold"
    assert read(header, stream=True, gateway={"on_break": "error"}).chat.on_break == "error"


def test_restart_cannot_be_expressed() -> None:
    """OpenAI's chunks have no word for it."""
    assert refuse(stream=True, gateway={"on_break": "restart"}).code == "invalid_request"


@pytest.mark.parametrize(
    ("options", "include_usage"),
    [
        (None, False),
        ({}, False),
        ({"include_usage": None}, False),
        ({"include_usage": False}, False),
        ({"include_usage": True, "include_obfuscation": False}, True),
    ],
)
def test_usage_has_its_own_chunk_if_asked_for(options: object, include_usage: bool) -> None:
    asked = read(stream=True, stream_options=options)
    assert asked.options == ChunkOptions(include_usage)


def test_system_message_stays_in_its_place() -> None:
    """As at the other doors: in the system prompt it would change the conversation's beginning."""
    parts = [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]
    messages = [
        {"role": "developer", "content": "a"},
        {"role": "system", "content": "b"},
        HELLO,
        {"role": "system", "content": parts},
        {"role": "developer", "content": None},
        HELLO,
    ]
    chat = read(messages=messages).chat
    assert chat.system == ("a", "b")
    assert [turn.text for turn in chat.turns] == [
        "Hello?",
        "<system-reminder>\ncd\n</system-reminder>",
        "Hello?",
    ]


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
def test_content_may_be_null_or_absent(role: str) -> None:
    """Agents send such messages; they say nothing."""
    messages = [HELLO, {"role": role, "content": None}, {"role": role}]
    turns = read(messages=messages).chat.turns
    assert all(turn.parts == () for turn in turns[1:])


def test_images_are_data_urls() -> None:
    url = "data:image/png;base64,aGk="
    parts = [
        {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    (turn,) = read_turns({"role": "user", "content": parts, "name": "ann"})
    assert turn.parts == (Text("What is this?"), Image("image/png", "aGk="))


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "invalid_request"),
        ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}, "unsupported"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "invalid_request"),
        ({"type": "video"}, "invalid_request"),
    ],
)  # fmt: skip
def test_other_content_is_refused(part: dict[str, Any], code: str) -> None:
    """Without it the question would be another one."""
    error = refuse(messages=[{"role": "user", "content": [part]}])
    assert (error.code, error.safe_message.partition(":")[0][:20]) == (code, "messages.0.content.0")


def test_refusal_of_an_earlier_turn_is_what_the_assistant_said() -> None:
    """As a part, or as a field of the message."""
    part = {"type": "refusal", "refusal": "No."}
    for message in ({"content": [part]}, {"content": None, "refusal": "No."}):
        assert read_turns({"role": "assistant", **message})[0].parts == (Text("No."),)


def test_calls_and_their_results_are_read() -> None:
    """Without a name, and with the content null or in parts."""
    call = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    asked, answered = read_turns(
        {"role": "assistant", "content": None, "tool_calls": [call], "audio": None},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "noon"}]},
    )
    assert asked == Turn("assistant", (ToolCall("call_1", "now", "{}"),))
    assert answered == Turn("user", (ToolResult("call_1", (Text("noon"),)),))


def test_opaque_state_comes_back_where_it_was_sent() -> None:
    """State that the gateway did not write is no state."""
    token, foreign = write_state(STATE), "c2lnbmF0dXJl"
    calls = [
        {
            "id": f"call_{number}",
            "function": {"name": "now", "arguments": "{}"},
            "extra_content": extra,
        }
        for number, extra in enumerate(
            [
                {"google": {"thought_signature": token}},
                {"google": {"thought_signature": foreign}},
                {"other": 1},
                None,
            ]
        )
    ]
    details = [
        {"type": "reasoning.text", "text": "Hm", "index": 0},
        {"type": "reasoning.encrypted", "data": token, "index": 1},
        {"type": "reasoning.encrypted", "data": foreign, "index": 2},
    ]
    (turn,) = read_turns({"role": "assistant", "tool_calls": calls, "reasoning_details": details})
    reasoning, *called = turn.parts
    assert reasoning == Reasoning("", STATE)
    assert [call.state for call in called if isinstance(call, ToolCall)] == [STATE, None, None, None]  # fmt: skip


def test_tools_are_read_as_clients_send_them() -> None:
    """Without a description, with the name of their dialect, said not to be strict."""
    options = read(tools=[WEATHER], tool_choice="auto", parallel_tool_calls=False).chat.options
    (tool,) = options.tools
    assert (tool.name, tool.description, tool.strict) == ("get_weather", None, False)
    assert (options.tool_choice, options.parallel) == ("auto", False)


def test_one_tool_can_be_forced() -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    assert read(tools=[WEATHER], tool_choice=choice).chat.options.tool_choice == NamedTool(
        "get_weather"
    )


def test_no_tools_are_no_tools() -> None:
    """Agents without any send an empty list, and some a choice."""
    options = read(tools=[], tool_choice="auto").chat.options
    assert (options.tools, options.tool_choice) == ((), None)


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonObject()),
        (None, None),
    ],
)
def test_format_of_the_answer_is_read(sent: object, read_as: object) -> None:
    assert read(response_format=sent).chat.options.output == read_as


def test_schema_of_the_answer_is_read() -> None:
    """Without `strict`, as some clients send it."""
    sent = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
    output = read(response_format=sent).chat.options.output
    assert isinstance(output, JsonSchema)
    assert (output.name, msgspec.json.decode(output.schema), output.strict) == (
        "place",
        SCHEMA,
        None,
    )


def test_sampling_is_read_by_openais_names() -> None:
    """The newer name of the limit counts before the older one."""
    options = read(
        max_tokens=5,
        max_completion_tokens=32_000,
        temperature=0.5,
        top_p=1,
        seed=3,
        stop="END",
        reasoning_effort="low",
    ).chat.options
    assert (options.max_tokens, options.temperature, options.top_p) == (32_000, 0.5, 1)
    assert (options.seed, options.stop, options.effort) == (3, ("END",), "low")
    assert read(max_tokens=5).chat.options.max_tokens == 5


def test_operator_decides_which_parameters_count() -> None:
    """As on every door; those that do not count may be anything."""
    settings = DEFAULT_SETTINGS.model_copy(update={"client_parameters": ("seed",)})
    options = read(settings=settings, seed=3, max_completion_tokens="many", tools=7).chat.options
    assert (options.seed, options.max_tokens, options.tools) == (3, None, ())


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"n": 0},
        {"logprobs": True},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "alloy", "format": "mp3"}},
        {"web_search_options": {}},
        {"functions": [{"name": "now"}]},
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "custom", "custom": {"name": "run"}}]},
        {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
    ],
    ids=str,
)  # fmt: skip
def test_what_would_change_the_answers_shape_is_refused(fields: dict[str, Any]) -> None:
    """With the field's name."""
    error = refuse(**fields)
    assert error.code == "unsupported"
    assert next(reversed(fields)) in error.safe_message


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"n": None},
        {"logprobs": False, "top_logprobs": None},
        {"modalities": ["text"]},
        {"modalities": []},
        {"audio": None, "functions": None, "function_call": "auto"},
        {"user": "ann", "metadata": {"a": "b"}, "prompt_cache_key": "", "safety_identifier": "s"},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "store": False},
        {"service_tier": "auto", "verbosity": None, "prediction": None},
        {"top_k": 40, "chat_template_kwargs": {"a": 1}, "include": []},
    ],
    ids=str,
)
def test_what_asks_for_nothing_passes(fields: dict[str, Any]) -> None:
    """Fields that are not known, and values that change nothing."""
    asked = read(**fields)
    assert asked.options == ChunkOptions()
    assert asked.chat == read().chat


def test_hints_are_dropped_and_reported() -> None:
    """The answer is worth as much without them."""
    hints: dict[str, Any] = {
        "presence_penalty": 0.5,
        "frequency_penalty": -1,
        "logit_bias": {"5": 1},
        "prediction": {"type": "content", "content": "Hi"},
        "service_tier": "flex",
        "store": True,
        "verbosity": "low",
    }
    assert set(read(**hints).options.dropped_params) == set(hints)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "function", "name": "now", "content": "noon"}]}, "messages.0.role"),
        ({"messages": [{"role": "tool", "content": "noon"}]}, "messages.0.tool_call_id"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"n": "two"}, "n"),
        ({"max_completion_tokens": 0}, "max_tokens"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(fields: dict[str, Any], place: str) -> None:
    """Before any vendor is asked."""
    error = refuse(**fields)
    assert (error.code, error.safe_message.partition(":")[0]) == ("invalid_request", place)


def test_too_many_messages_are_refused() -> None:
    settings = DEFAULT_SETTINGS.model_copy(update={"max_messages": 1})
    assert "MAX_MESSAGES" in refuse(settings=settings, messages=[HELLO, HELLO]).safe_message


@pytest.mark.parametrize(
    ("key", "headers", "conversation_id"),
    [
        ("thread-1", {}, "thread-1"),
        ("thread-1", {"X-Session-Id": "ses_1"}, "thread-1"),
        (None, {"X-Session-Id": "ses_1"}, "ses_1"),
        ("a" * 129, {"X-Session-Id": "ses_1"}, "ses_1"),
        (7, {}, None),
        (None, {"X-Session-Id": "two words"}, None),
        (None, {}, None),
    ],
)
def test_key_of_the_cache_or_a_session_names_the_conversation(
    key: Any, headers: dict[str, str], conversation_id: str | None
) -> None:
    """What can be no id is ignored."""
    assert read(headers, prompt_cache_key=key).chat.conversation_id == conversation_id
