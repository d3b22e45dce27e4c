"""The body of a request in Anthropic's protocol: what is read of it, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from starlette.datastructures import Headers

from models import (
    Chat,
    GatewayError,
    Image,
    JsonSchema,
    NamedTool,
    Part,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
)
from prompt_engineering import build_prompt
from tests.clients.chat_bodies import DEFAULT_SETTINGS
from web.doors.anthropic_body import decode_messages
from web.doors.anthropic_options import MessageOptions
from web.doors.base import DoorRequest
from web.doors.state_token import write_state

HELLO = [{"role": "user", "content": "Hello?"}]
PNG = "iVBORw0KGgo="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
STATE = State("claude", "haiku", '{"type":"thinking"}')
EPHEMERAL = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
SEARCH = {"name": "search", "description": "Searches", "input_schema": SCHEMA}


def read_request(
    fields: dict[str, Any], headers: dict[str, str] | None = None, **settings: Any
) -> DoorRequest:
    """What is read of a body with these fields."""
    body = json.dumps({"model": "gpt", "messages": HELLO, "max_tokens": 100, **fields}).encode()
    return decode_messages(
        body, DEFAULT_SETTINGS.model_copy(update=settings), Headers(headers or {})
    )


def read_chat(**fields: Any) -> Chat:
    return read_request(fields).chat


def read_parts(content: Any, role: str = "user") -> tuple[Part, ...]:
    """The parts of a message that is followed by another one."""
    return read_chat(messages=[{"role": role, "content": content}, *HELLO]).turns[0].parts


def fail(fields: dict[str, Any], **settings: Any) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        read_request(fields, **settings)
    return raised.value


# The request


def test_smallest_request_is_a_chat() -> None:
    """Not streaming, which is this protocol's default, and so held; without the gateway's generic prompt."""
    asked = read_request({})
    assert (asked.model, asked.is_stream, asked.options) == ("gpt", False, MessageOptions())
    chat = asked.chat
    assert (chat.on_break, chat.has_generic_prompt, chat.system) == ("hold", False, ())
    assert [turn.parts for turn in chat.turns] == [(Text("Hello?"),)]
    assert chat.options.max_tokens == 100


@pytest.mark.parametrize("stream", [False, None])
def test_streams_only_if_asked(stream: bool | None) -> None:
    """`true` alone asks for a stream, which may break."""
    assert read_request({"stream": stream}).is_stream is False
    asked = read_request({"stream": True})
    assert (asked.is_stream, asked.chat.on_break) == (True, "error")


def test_on_break_is_asked_by_the_body_or_a_header() -> None:
    """As at every door."""
    assert read_chat(stream=True, gateway={"on_break": "hold"}).on_break == "hold"
    held = read_request({"stream": True}, {"X-Gateway-On-Break": "hold"})
    assert held.chat.on_break == "hold"


def test_session_is_the_conversation() -> None:
    """Of the client that names one; any other id is made."""
    named = {"X-Claude-Code-Session-Id": "0b6f-42"}
    assert read_request({}, named).chat.conversation_id == "0b6f-42"
    assert read_request({}, {"X-Session-Id": "ses_1"}).chat.conversation_id == "ses_1"
    assert read_request({}, {"X-Claude-Code-Session-Id": "é" * 9}).chat.conversation_id is None
    assert read_request({}).chat.conversation_id is None


@pytest.mark.parametrize(
    ("metadata", "conversation_id"),
    [
        ({"user_id": "user_ab12_account__session_0b6f-42"}, "0b6f-42"),
        ({"user_id": '{"device_id":"d","account_uuid":"a","session_id":"0b6f-42"}'}, "0b6f-42"),
        ({"user_id": "user_ab12_account__session_" + "a" * 128}, "a" * 128),
        ({"user_id": "user_ab12_account__session_" + "a" * 129}, None),
        ({"user_id": '{"session_id":"' + "a" * 129 + '"}'}, None),
        ({"user_id": "ann"}, None),
        ({"user_id": None}, None),
        ({"user_id": 7}, None),
        ({}, None),
        ([], None),
        ("session_id", None),
        (None, None),
    ],
    ids=str,
)
def test_session_in_the_users_id_is_the_conversation(
    metadata: object, conversation_id: str | None
) -> None:
    """A user's own id is none, since it is of many conversations; a session in a header goes before."""
    assert read_request({"metadata": metadata}).chat.conversation_id == conversation_id
    named = read_request({"metadata": metadata}, {"X-Claude-Code-Session-Id": "9"})
    assert named.chat.conversation_id == "9"


@pytest.mark.parametrize(
    "system",
    [
        "Be brief.",
        [{"type": "text", "text": "Be brief."}],
        [{"type": "text", "text": "Be brief.", **EPHEMERAL}],
    ],
)
def test_system_is_a_text_or_blocks(system: Any) -> None:
    """Marks for the vendor's cache are left out."""
    assert read_chat(system=system).system == ("Be brief.",)


def test_system_message_before_the_others_is_part_of_the_system_prompt() -> None:
    """After what the field has."""
    first = {"role": "system", "content": [{"type": "text", "text": "Be kind."}]}
    chat = read_chat(system="Be brief.", messages=[first, *HELLO])
    assert (chat.system, len(chat.turns)) == (("Be brief.", "Be kind."), 1)


def test_system_message_among_the_others_stays_there() -> None:
    """Agents send reminders like that. In the system prompt they would change the conversation's beginning."""
    call = {"type": "tool_use", "id": "call_1", "name": "search", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "found"}
    chat = read_chat(
        system="Be brief.",
        messages=[
            *HELLO,
            {"role": "system", "content": "Be kind."},
            {"role": "assistant", "content": [call]},
            {"role": "system", "content": "It is late."},
            {"role": "user", "content": [result]},
        ],
    )
    prompt = build_prompt(chat, None)
    assert prompt.system == "Be brief."
    assert [turn.parts for turn in prompt.turns] == [
        (Text("Hello?\n\n<system-reminder>\nBe kind.\n</system-reminder>"),),
        (ToolCall("call_1", "search", "{}"),),
        (
            ToolResult("call_1", (Text("found"),)),
            Text("<system-reminder>\nIt is late.\n</system-reminder>"),
        ),
    ]


def test_unknown_fields_are_ignored() -> None:
    """Agents send all kinds of extras."""
    extras = {
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "betas": ["a"],
        "diagnostics": None,
    }
    blocks = [{"type": "text", "text": "Hi", "citations": None, **EPHEMERAL}]
    asked = read_request({**extras, "messages": [{"role": "user", "content": blocks}]})
    assert (asked.chat.turns[0].parts, asked.options) == ((Text("Hi"),), MessageOptions())


# The content of messages


def test_user_sends_texts_and_images() -> None:
    """As blocks, in their order."""
    text = {"type": "text", "text": "What is this?", **EPHEMERAL}
    assert read_parts([text, IMAGE]) == (Text("What is this?"), Image("image/png", PNG))


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (
            {"type": "document", "source": {"type": "text", "data": "Once."}, "title": "Tale"},
            (Text("Tale\n\n"), Text("Once.")),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [IMAGE]}},
            (Image("image/png", PNG),),
        ),
        (
            {
                "type": "search_result",
                "source": "https://example.org",
                "title": "Moon",
                "content": [{"type": "text", "text": "Far."}],
            },
            (Text("Moon\n\n"), Text("Far.")),
        ),
    ],
)
def test_documents_of_text_are_text(block: Any, parts: tuple[Part, ...]) -> None:
    """Their titles come before them."""
    assert read_parts([block]) == parts


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ()),
        ("21 degrees", (Text("21 degrees"),)),
        ([{"type": "text", "text": "21"}, IMAGE], (Text("21"), Image("image/png", PNG))),
        (
            [{"type": "tool_reference", "tool_name": "search"}],
            (Text("The tool search can be used."),),
        ),
    ],
)
def test_results_of_tools_are_texts_and_images(content: Any, parts: Any) -> None:
    """Or nothing."""
    block = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **EPHEMERAL}
    assert read_parts([block]) == (ToolResult("toolu_1", parts),)


def test_result_may_be_an_error() -> None:
    """The tool failed."""
    block = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "No.", "is_error": True}
    assert read_parts([block]) == (ToolResult("toolu_1", (Text("No."),), True),)


def test_calls_of_an_assistant_come_back_with_their_arguments() -> None:
    """The object as the client wrote it."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"q": ["é", 1.50]}}
    bare = {"type": "tool_use", "id": "toolu_2", "name": "now"}
    assert read_parts([{"type": "text", "text": "Let me see."}, call, bare], "assistant") == (
        Text("Let me see."),
        ToolCall("toolu_1", "search", json.dumps(call["input"])),
        ToolCall("toolu_2", "now", "{}"),
    )


def test_thinking_comes_back_with_its_state() -> None:
    """What the model needs is in the signature; the text is not sent to anyone."""
    blocks = [
        {"type": "thinking", "thinking": "Hm", "signature": write_state(STATE)},
        {"type": "text", "text": "Hi"},
        {"type": "thinking", "thinking": "", "signature": write_state(STATE, of_call=True)},
        {"type": "tool_use", "id": "call_1", "name": "search", "input": {}},
        {"type": "tool_use", "id": "call_2", "name": "search", "input": {}},
    ]
    assert read_parts(blocks, "assistant") == (
        Reasoning("", STATE),
        Text("Hi"),
        ToolCall("call_1", "search", "{}", STATE),
        ToolCall("call_2", "search", "{}"),
    )


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "Hm", "signature": "ErUBCkYIBxgCIkA="},
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "thinking", "thinking": "Hm"},
        {"type": "redacted_thinking", "data": "ErUBCkYIBxgCIkA="},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ],
    ids=lambda block: f"{block['type']} {len(block)}",
)
def test_what_the_vendor_itself_wrote_is_left_out(block: Any) -> None:
    """A client may have begun the conversation with it: no model of the gateway could read that."""
    assert read_parts([block, {"type": "text", "text": "Hi"}], "assistant") == (Text("Hi"),)


@pytest.mark.parametrize(
    ("block", "code", "place"),
    [
        (
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            "invalid_request",
            "messages.0.content.0.source.type",
        ),
        (
            {"type": "document", "source": {"type": "base64", "data": "JVBERg=="}},
            "invalid_request",
            "messages.0.content.0.source",
        ),
        ({"type": "container_upload", "file_id": "f"}, "unsupported", "messages.0.content.0"),
        (
            {"type": "tool_result", "tool_use_id": "", "content": "x"},
            "invalid_request",
            "messages.0.content.0.tool_use_id",
        ),
        ({"text": "x"}, "invalid_request", "messages.0.content"),
        ({"type": "text", "text": 7}, "invalid_request", "messages.0.content.0.text"),
    ],
)
def test_what_no_model_can_be_given_is_refused(block: Any, code: str, place: str) -> None:
    """With its place, and without what the client sent."""
    error = fail({"messages": [{"role": "user", "content": [block]}]})
    assert error.code == code
    assert error.safe_message.startswith(f"{place}")


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"thinking": "much"}, "thinking"),
        ({"output_config": {"effort": "enormous"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"tools": [SEARCH, SEARCH]}, "tools.1.name"),
        ({"tools": [SEARCH | {"name": "no name"}]}, "tools.0.name"),
        ({"tools": [SEARCH | {"input_schema": 7}]}, "tools.0.input_schema"),
        ({"tools": [SEARCH], "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice"),
        ({"tools": [], "tool_choice": {"type": "any"}}, "tool_choice"),
        ({"gateway": {"on_break": "restart"}}, "gateway.on_break"),
    ],
)
def test_what_is_not_valid_is_refused(fields: dict[str, Any], place: str) -> None:
    """The first value that is wrong, by its name."""
    error = fail(fields)
    assert (error.code, error.safe_message.partition(":")[0]) == ("invalid_request", place)


def test_limits_are_those_of_every_door() -> None:
    """The text of a message counts together, that of each result on its own."""
    text = {"type": "text", "text": "x" * 60}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [text]}
    assert read_request(
        {"messages": [{"role": "user", "content": [result, result, text]}]}, max_message_chars=100
    )
    for content in ([text, text], [{**result, "content": [text, text]}]):
        messages = {"messages": [{"role": "user", "content": content}]}
        assert "MAX_MESSAGE_CHARS" in fail(messages, max_message_chars=100).safe_message
    assert "MAX_MESSAGES" in fail({"messages": HELLO * 3}, max_messages=2).safe_message
    assert "MAX_TOOLS" in fail({"tools": [SEARCH]}, max_tools=0).safe_message


# The options


def test_tools_are_functions() -> None:
    """Whether their type is said or not; what tunes the vendor's own streaming and caching is left out."""
    extras = {
        "type": "custom",
        "eager_input_streaming": True,
        "defer_loading": True,
        "strict": True,
        **EPHEMERAL,
    }
    tools = read_chat(tools=[SEARCH, {"name": "now", **extras}]).options.tools
    assert [(tool.name, tool.description, tool.strict) for tool in tools] == [
        ("search", "Searches", None),
        ("now", None, True),
    ]
    assert msgspec.json.decode(tools[0].schema) == SCHEMA
    assert msgspec.json.decode(tools[1].schema) == {"type": "object", "properties": {}}


def test_tools_of_the_vendor_are_dropped_and_reported() -> None:
    """An answer without a search is an answer."""
    asked = read_request({"tools": [{"type": "web_search_20250305", "name": "web_search"}, SEARCH]})
    assert [tool.name for tool in asked.chat.options.tools] == ["search"]
    assert asked.options == MessageOptions(dropped=("tools.0",))


def test_tools_that_only_the_vendors_models_know_are_refused() -> None:
    """An agent would wait for their calls."""
    error = fail({"tools": [{"type": "bash_20250124", "name": "bash"}]})
    assert (error.code, error.reason) == ("unsupported", "tools")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, (None, None)),
        ({"type": "auto"}, ("auto", None)),
        ({"type": "none"}, ("none", None)),
        ({"type": "any"}, ("required", None)),
        ({"type": "tool", "name": "search"}, (NamedTool("search"), None)),
        ({"type": "auto", "disable_parallel_tool_use": True}, ("auto", False)),
        ({"type": "auto", "disable_parallel_tool_use": False}, ("auto", None)),
    ],
)
def test_choice_among_the_tools(choice: Any, expected: Any) -> None:
    """And whether several may be called at once."""
    options = read_chat(tools=[SEARCH], tool_choice=choice).options
    assert (options.tool_choice, options.parallel) == expected


def test_choice_without_tools_is_none() -> None:
    """Some clients always send it."""
    assert read_chat(tools=[], tool_choice={"type": "auto"}).options.tool_choice is None


@pytest.mark.parametrize(
    "fields",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
    ],
)
def test_format_is_a_strict_schema(fields: dict[str, Any]) -> None:
    """The protocol promises that the answer fits it."""
    output = read_chat(**fields).options.output
    assert output == JsonSchema("answer", Raw(json.dumps(SCHEMA).encode()), strict=True)


def test_sampling_is_asked_in_anthropics_names() -> None:
    """What no model is sent is reported."""
    asked = read_request(
        {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "stop_sequences": ["END"],
            "context_management": {"edits": []},
        }
    )
    options = asked.chat.options
    assert (options.temperature, options.top_p, options.stop) == (0.5, 0.9, ("END",))
    assert asked.options == MessageOptions(stops=("END",), dropped=("context_management", "top_k"))


@pytest.mark.parametrize(
    ("thinking", "config", "effort", "display"),
    [
        (None, None, None, "shown"),
        ({"type": "adaptive"}, None, None, "shown"),
        ({"type": "adaptive", "display": "omitted"}, {"effort": "high"}, "high", "omitted"),
        ({"type": "enabled", "budget_tokens": 1024}, None, "low", "shown"),
        ({"type": "enabled", "budget_tokens": 8000}, None, "medium", "shown"),
        ({"type": "enabled", "budget_tokens": 32000}, None, "high", "shown"),
        ({"type": "enabled", "budget_tokens": 32000}, {"effort": "low"}, "low", "shown"),
        ({"type": "disabled"}, {"effort": "high"}, "none", "disabled"),
        ({"type": "between_tools"}, {"effort": "max"}, "max", "shown"),
    ],
)
def test_thinking_is_an_effort_of_reasoning(
    thinking: Any, config: Any, effort: str | None, display: Any
) -> None:
    """By its word, else by its budget."""
    asked = read_request({"thinking": thinking, "output_config": config})
    assert asked.chat.options.effort == effort
    assert asked.options == MessageOptions(thinking=display)


def test_parameters_that_are_not_allowed_are_ignored() -> None:
    """CLIENT_PARAMETERS counts at every door."""
    fields = {
        "tools": [SEARCH],
        "tool_choice": {"type": "any"},
        "temperature": 7,
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
    }
    options = read_request(fields, client_parameters=("max_tokens",)).chat.options
    assert (options.tools, options.tool_choice, options.temperature) == ((), None, None)
    assert (options.output, options.effort, options.max_tokens) == (None, None, 100)
    odd = {
        "tools": 7,
        "tool_choice": "any",
        "stop_sequences": 7,
        "output_config": "high",
        "thinking": {"type": "enabled", "budget_tokens": "many"},
    }
    asked = read_request(odd, client_parameters=("max_tokens",))
    assert asked.chat.options == options
    assert asked.options == MessageOptions()


@pytest.mark.parametrize(
    ("allowed", "field"),
    [("response_format", "effort"), ("reasoning_effort", "format")],
)
def test_fields_of_one_object_are_parameters_of_their_own(allowed: str, field: str) -> None:
    """The one that may not be set may be anything."""
    read_request({"output_config": {field: 7}}, client_parameters=(allowed,))
    assert fail({"output_config": {field: 7}}).code == "invalid_request"


def test_state_has_the_limit_of_a_message() -> None:
    """It becomes part of a vendor's body."""
    state = State("claude", "haiku", f'"{"x" * 200_000}"')
    block = {"type": "thinking", "thinking": "", "signature": write_state(state)}
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [block]}]
    assert "MAX_MESSAGE_CHARS" in fail({"messages": messages}).safe_message
    foreign = block | {"signature": "x" * 200_001}
    read_request({"messages": [messages[0], {"role": "assistant", "content": [foreign]}]})
