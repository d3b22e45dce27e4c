"""OpenAI's Responses, on the way in: what is read of a request, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.datastructures import Headers

from models import (
    NO_OPTIONS,
    AnswerOptions,
    Chat,
    GatewayError,
    Image,
    JsonObject,
    JsonSchema,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from prompt_engineering import build_prompt
from tests.clients.chat_bodies import DEFAULT_SETTINGS
from web.doors.base import DoorRequest
from web.doors.openai_responses import OpenAIResponsesDoor
from web.doors.responses_body import ResponseOptions
from web.doors.state_token import write_state

DOOR = OpenAIResponsesDoor()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
STATE = State("gpt", "luna", '{"type":"reasoning"}')
DATA_URL = "data:image/png;base64,aGk="
CALL = {"type": "function_call", "call_id": "call_1", "name": "search", "arguments": '{"q":1}'}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "found"}


def read(
    settings: Any = DEFAULT_SETTINGS, headers: dict[str, str] | None = None, /, **fields: Any
) -> DoorRequest:
    body = json.dumps({"model": "gpt", "input": "Hi"} | fields).encode()
    return DOOR.read(body, settings, Headers(headers or {}))


def read_chat(**fields: Any) -> Chat:
    return read(**fields).chat


def read_turns(*items: Any) -> list[Turn]:
    return list(read_chat(input=list(items)).turns)


def options_of(asked: DoorRequest) -> ResponseOptions:
    assert isinstance(asked.options, ResponseOptions)
    return asked.options


def refuse(**fields: Any) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        read(**fields)
    return raised.value


def said(role: str, *parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def text(words: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": words}


def reasoning(content: str | None) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content}


def test_text_is_the_users_turn() -> None:
    """A model and a text are enough; it does not stream, and gets no generic prompt."""
    asked = read()
    assert (asked.model, asked.is_stream) == ("gpt", False)
    assert asked.chat == Chat(
        turns=(Turn("user", (Text("Hi"),)),), on_break="hold", has_generic_prompt=False
    )
    assert asked.chat.options is NO_OPTIONS


def test_messages_are_turns() -> None:
    """With a type or without, of parts or a string."""
    turns = read_turns(
        said("user", text("a"), text("b")),
        said("assistant", text("c", "output_text"), {"type": "refusal", "refusal": "d"}),
        {"role": "user", "content": "e"},
    )
    assert turns == [
        Turn("user", (Text("a"), Text("b"))),
        Turn("assistant", (Text("c"), Text("d"))),
        Turn("user", (Text("e"),)),
    ]


def test_system_messages_before_all_others_follow_the_instructions() -> None:
    """Both roles of them."""
    items = [
        said("developer", text("b"), text("c")),
        {"role": "system", "content": "d"},
        {"role": "user", "content": "Hi"},
    ]
    chat = read_chat(instructions="a", input=items)
    assert chat.system == ("a", "bc", "d")
    assert chat.turns == (Turn("user", (Text("Hi"),)),)


def test_system_message_among_the_others_stays_there() -> None:
    """Agents send reminders like that. In the system prompt they would change the conversation's beginning."""
    chat = read_chat(
        input=[said("user", text("Hi")), CALL, said("developer", text("Late.")), RESULT]
    )
    prompt = build_prompt(chat, None)
    assert (prompt.system, len(prompt.turns)) == ("", 3)
    assert prompt.turns[2].parts == (
        ToolResult("call_1", (Text("found"),)),
        Text("<system-reminder>\nLate.\n</system-reminder>"),
    )


def test_state_of_a_call_that_is_not_there_is_of_no_other() -> None:
    """A client may have dropped the call."""
    user, state = said("user", text("Hi")), reasoning(write_state(STATE, of_call=True))
    turns = read_turns(user, state, user, CALL, RESULT)
    assert turns[2].parts == (ToolCall("call_1", "search", '{"q":1}'),)


def test_image_is_a_data_url() -> None:
    """In a message, and in what a tool returned."""
    part = {"type": "input_image", "image_url": DATA_URL, "detail": "auto"}
    image = Image("image/png", "aGk=")
    turns = read_turns(said("user", part), CALL, RESULT | {"output": [text("a"), part]})
    assert turns[0].parts == (image,)
    assert turns[2].parts == (ToolResult("call_1", (Text("a"), image)),)


def test_calls_and_their_outputs_are_a_step() -> None:
    """The assistant's items are one turn, so that they keep or lose their states together."""
    second = CALL | {"call_id": "call_2", "arguments": None, "status": "completed", "id": "fc_1"}
    items = [
        said("user", text("Hi")),
        reasoning(write_state(STATE)),
        said("assistant", text("I look.", "output_text")),
        CALL,
        second,
        RESULT,
        RESULT | {"call_id": "call_2", "output": None},
    ]
    calls = (ToolCall("call_1", "search", '{"q":1}'), ToolCall("call_2", "search", "{}"))
    assert read_turns(*items)[1:] == [
        Turn("assistant", (Reasoning("", STATE), Text("I look."), *calls)),
        Turn("user", (ToolResult("call_1", (Text("found"),)),)),
        Turn("user", (ToolResult("call_2", ()),)),
    ]


def test_adjacent_messages_of_the_assistant_are_joined() -> None:
    """By an empty line, as those of the user are later; state between them stays between them."""
    a, b = said("assistant", text("a")), said("assistant", text("b"))
    user = said("user", text("Hi"))
    assert read_turns(user, a, b)[1].text == "a\n\nb"
    parts = read_turns(user, a, reasoning(write_state(STATE)), b)[1].parts
    assert parts == (Text("a"), Reasoning("", STATE), Text("b"))


def test_state_of_a_call_goes_back_to_it() -> None:
    """The reasoning before it was made for it alone."""
    user = said("user", text("Hi"))
    turns = read_turns(user, reasoning(write_state(STATE, of_call=True)), CALL, RESULT)
    assert turns[1].parts == (ToolCall("call_1", "search", '{"q":1}', STATE),)


@pytest.mark.parametrize(
    "item",
    [
        reasoning("gAAAAABo"),
        reasoning(None),
        {"type": "item_reference", "id": "rs_1"},
        {"type": "mcp_list_tools", "tools": []},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    ],
    ids=lambda item: item["type"],
)
def test_items_of_the_vendor_alone_are_left_out(item: dict[str, Any]) -> None:
    """A conversation that began elsewhere can go on."""
    turns = read_turns(said("user", text("Hi")), item, said("assistant", text("Yes?")))
    assert turns[1].parts == (Text("Yes?"),)


def test_custom_tool_is_a_function_of_its_text() -> None:
    """Its calls and outputs are those of the function."""
    call = {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": 'a "b"'}
    result = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"}
    turns = read_turns(said("user", text("Hi")), call, result)
    assert turns[1].parts == (ToolCall("call_1", "patch", '{"input":"a \\"b\\""}'),)
    assert turns[2].parts == (ToolResult("call_1", (Text("done"),)),)


def test_call_of_a_namespace_has_the_name_of_its_function() -> None:
    """The same name in each request."""
    call = CALL | {"name": "read", "namespace": "files"}
    (_, turn) = read_turns(said("user", text("Hi")), call)
    assert turn.parts[0] == ToolCall("call_1", "files__read", '{"q":1}')


def test_tools_of_an_item_are_offered() -> None:
    """Codex sends them so."""
    tool = {"type": "function", "name": "search", "parameters": SCHEMA}
    item = {"type": "additional_tools", "role": "developer", "tools": [tool]}
    chat = read_chat(input=[item, said("user", text("Hi"))], tools=[tool | {"name": "add"}])
    assert [tool.name for tool in chat.options.tools] == ["add", "search"]
    broken = item | {"tools": [{"type": "function"}]}
    error = refuse(input=[said("user", text("Hi")), broken])
    assert error.safe_message.startswith("input.1.tools.0:")


@pytest.mark.parametrize(
    ("items", "code", "words"),
    [
        ([], "invalid_request", "input: is empty"),
        (None, "invalid_request", "input: expected a list"),
        ([{"role": "model", "content": "a"}], "invalid_request", "input.0.role"),
        ([{"type": "item_reference", "id": "msg_1"}], "unsupported", '{"store": false}'),
        ([{"type": "compaction", "encrypted_content": "a"}], "unsupported", "input.0: only"),
        ([said("user", {"type": "input_file", "file_id": "f"})], "invalid_request", "input.0.content.0.file_data"),
        ([said("user", {"type": "input_image", "file_id": "f"})], "invalid_request", "image_url"),
        (
            [said("user", {"type": "input_image", "image_url": "https://a.test/b.png"})],
            "invalid_request",
            "no URL is fetched",
        ),
        ([CALL | {"call_id": None}], "invalid_request", "input.0.call_id"),
        ([CALL | {"name": ""}], "invalid_request", "input.0.name"),
        ([RESULT | {"output": 1}], "invalid_request", "input.0.output"),
        ([{"role": "user", "content": "a" * 200_001}], "invalid_request", "MAX_MESSAGE_CHARS"),
        ([{"role": "user", "content": "a"}] * 2_001, "invalid_request", "MAX_MESSAGES"),
    ],
)  # fmt: skip
def test_item_that_cannot_be_read_is_refused(items: Any, code: str, words: str) -> None:
    """With its place."""
    error = refuse(input=items)
    assert error.code == code
    assert words in error.safe_message


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "conv_1"}},
        {"background": True},
        {"prompt": {"id": "pmpt_1"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_needs_stored_responses_is_unsupported(fields: dict[str, Any]) -> None:
    """The error names it, and says what to do."""
    error = refuse(**fields)
    assert (error.code, error.reason) == ("unsupported", next(iter(fields)))
    assert error.safe_message.startswith(f"{error.reason}: is not supported")


def test_what_asks_for_nothing_is_accepted() -> None:
    """Clients send empty, default and unknown fields; none is an option."""
    fields: dict[str, Any] = dict.fromkeys(
        ("previous_response_id", "conversation", "prompt", "metadata", "text", "reasoning"), None
    )
    asked = read(
        **fields,
        background=False,
        store=True,
        tools=[],
        tool_choice="auto",
        include=["reasoning.encrypted_content"],
        client_metadata={"x": "y"},
        truncation="disabled",
        service_tier="auto",
        unknown={"a": [1]},
    )
    assert asked.chat.options is NO_OPTIONS
    assert options_of(asked).dropped == ()


@pytest.mark.parametrize("model", [None, "", 1, "a" * 257])
def test_model_is_needed(model: Any) -> None:
    """It says which provider answers."""
    assert refuse(model=model).safe_message.startswith("model:")


def test_sampling_has_its_own_names() -> None:
    """Here and in the errors about it."""
    asked = read_chat(
        max_output_tokens=9,
        temperature=0.5,
        top_p=1,
        parallel_tool_calls=False,
        reasoning={"effort": "high", "summary": "auto"},
    )
    assert asked.options == AnswerOptions(
        max_tokens=9, temperature=0.5, top_p=1, parallel=False, effort="high"
    )
    assert refuse(max_output_tokens=0).safe_message.startswith("max_output_tokens: must be")
    assert refuse(reasoning={"effort": "huge"}).safe_message.startswith("reasoning.effort:")


def test_format_of_the_text_is_the_output() -> None:
    """Flat, as this protocol has it."""
    form = {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True}
    output = read_chat(text={"format": form, "verbosity": "medium"}).options.output
    assert isinstance(output, JsonSchema)
    assert (output.name, output.strict, json.loads(bytes(output.schema))) == ("city", True, SCHEMA)
    assert read_chat(text={"format": {"type": "json_object"}}).options.output == JsonObject()
    assert read_chat(text={"format": {"type": "text"}}).options.output is None
    error = refuse(text={"format": form | {"name": "a b"}})
    assert error.safe_message.startswith("text.format.name: must be")


def test_parameters_that_clients_may_not_set_are_ignored() -> None:
    """By the operator's names for them; the answer does not repeat them."""
    settings = DEFAULT_SETTINGS.model_copy(update={"client_parameters": ("temperature",)})
    tools = [{"type": "function", "name": "search", "parameters": SCHEMA}]
    asked = read(settings, max_output_tokens=9, temperature=1, tools=tools, tool_choice="required")
    assert asked.chat.options == AnswerOptions(temperature=1)
    assert list(options_of(asked).echo) == ["temperature"]
    assert read(settings, reasoning="much", tools="all").chat.options == AnswerOptions()


def test_hints_that_are_dropped_are_said() -> None:
    """The answer is the same without them."""
    asked = read(text={"verbosity": "low"}, truncation="auto", service_tier="flex", top_logprobs=3)
    assert options_of(asked).dropped == (
        "service_tier",
        "top_logprobs",
        "truncation",
        "text.verbosity",
    )


def test_answer_repeats_what_was_sent() -> None:
    """As it was sent, but for what is too long to repeat."""
    sent = {"metadata": {"a": "b"}, "top_p": 0.5, "user": "u", "text": {"verbosity": "low"}}
    echo = options_of(read(**sent, safety_identifier="a" * 20_000)).echo
    assert {name: json.loads(bytes(raw)) for name, raw in echo.items()} == sent


def test_what_is_repeated_is_one_line() -> None:
    """An event's data ends with its line, and people write bodies in many."""
    fields = {"model": "gpt", "input": "Hi", "metadata": {"a": "b\n", "c": "d"}, "top_p": 0.5}
    for end in ("\n", "\r\n"):
        body = json.dumps(fields, indent=2).replace("\n", end).encode()
        asked = DOOR.read(body, DEFAULT_SETTINGS, Headers())
        echo = {name: bytes(raw) for name, raw in options_of(asked).echo.items()}
        assert echo == {"metadata": b'{"a":"b\\n","c":"d"}', "top_p": b"0.5"}


@pytest.mark.parametrize(
    ("key", "conversation_id"),
    [("thread-1", "thread-1"), ("", None), (None, None), ("a" * 129, None), (7, None)],
)
def test_key_of_the_cache_names_the_conversation(key: Any, conversation_id: str | None) -> None:
    """Agents send one for each; what can be no id is a hint that is ignored."""
    assert read_chat(prompt_cache_key=key).conversation_id == conversation_id


@pytest.mark.parametrize(
    ("stream", "on_break", "expected"),
    [(True, None, "error"), (True, "hold", "hold"), (None, "error", "hold"), (False, None, "hold")],
)
def test_break_of_a_stream_is_the_clients_choice(stream: Any, on_break: Any, expected: str) -> None:
    """An answer that is no stream is held."""
    asked = read(stream=stream, gateway={"on_break": on_break})
    assert (asked.is_stream, asked.chat.on_break) == (stream is True, expected)
    headers = {"x-gateway-on-break": "hold"}
    assert read(DEFAULT_SETTINGS, headers, stream=True).chat.on_break == "hold"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"gpt","model":"gpt"}'])
def test_body_is_strict_json(body: bytes) -> None:
    """An object, with no key twice."""
    with pytest.raises(GatewayError, match="invalid_"):
        DOOR.read(body, DEFAULT_SETTINGS, Headers())
