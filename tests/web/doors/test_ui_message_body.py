"""The UI message body: what is read of the AI SDK's messages, and what is ignored or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from models import (
    NO_OPTIONS,
    Chat,
    GatewayError,
    Image,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from tests.clients.chat_bodies import DEFAULT_SETTINGS
from web.doors.base import DoorRequest
from web.doors.state_token import write_state
from web.doors.ui_message import UiMessageDoor

DATA_URL = "data:image/png;base64,aGk="
STATE = State("claude", "haiku", '{"signed": true}')
KEPT = {"gateway": {"state": write_state(STATE)}}
HELLO = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello?"}]}


def read(headers: dict[str, str] | None = None, **fields: Any) -> DoorRequest:
    """What is read of a body, with these fields beside the messages of a page."""
    body = {"id": "chat-1", "messages": [HELLO], "trigger": "submit-message", **fields}
    return UiMessageDoor().read(json.dumps(body).encode(), DEFAULT_SETTINGS, Headers(headers or {}))


def test_tools_that_clients_may_not_set_are_ignored() -> None:
    """Whatever they are."""
    chosen = DEFAULT_SETTINGS.model_copy(update={"client_parameters": ("seed",)})
    body = json.dumps({"messages": [HELLO], "tools": {"add": 7}}).encode()
    assert UiMessageDoor().read(body, chosen, Headers()).chat.options is NO_OPTIONS


def read_chat(*parts: Any, role: str = "assistant", **fields: Any) -> Chat:
    """The chat of one message of these parts."""
    return read(messages=[{"id": "m1", "role": role, "parts": list(parts)}], **fields).chat


def make_call(state: str, **fields: Any) -> dict[str, Any]:
    """A call as a page keeps it."""
    call = {"type": "tool-add", "toolCallId": "call_1", "state": state, "input": {"a": 1}}
    return call | fields


def test_chat_of_a_page_is_read() -> None:
    """The page's chat is the conversation; it streams, with the header that says so."""
    asked = read()
    assert asked.chat == Chat(turns=(Turn("user", (Text("Hello?"),)),), conversation_id="chat-1")
    assert asked.chat.options is NO_OPTIONS
    assert asked.chat.has_generic_prompt
    assert asked.is_stream
    assert asked.options is None
    assert asked.headers == {"x-vercel-ai-ui-message-stream": "v1"}


def test_system_prompt_is_a_field_or_a_message() -> None:
    """Both, in this order."""
    said = {"id": "m0", "role": "system", "parts": [{"type": "text", "text": "b"}]}
    assert read(system="a", messages=[said, HELLO]).chat.system == ("a", "b")


def test_system_message_after_others_stays_in_its_place() -> None:
    """As at the other doors: in the system prompt it would change the conversation's beginning."""
    said = {"id": "m1", "role": "system", "parts": [{"type": "text", "text": "b"}]}
    chat = read(messages=[HELLO, said, {"id": "m2", "role": "system", "parts": []}, HELLO]).chat
    assert chat.system == ()
    texts = ["Hello?", "<system-reminder>\nb\n</system-reminder>", "Hello?"]
    assert [turn.text for turn in chat.turns] == texts


@pytest.mark.parametrize("content", ["Hello?", [{"type": "text", "text": "Hello?"}]])
def test_content_in_place_of_parts_is_read(content: Any) -> None:
    """As versions before 5 send it, and people with curl."""
    assert read(messages=[{"role": "user", "content": content}]).chat.turns == read().chat.turns


def test_image_is_read() -> None:
    """A file of the user is a `data:` URL."""
    file = {"type": "file", "mediaType": "image/png", "filename": "a.png", "url": DATA_URL}
    chat = read_chat({"type": "text", "text": "This"}, file, role="user")
    assert chat.turns == (Turn("user", (Text("This"), Image("image/png", "aGk="))),)


@pytest.mark.parametrize(
    "url", ["https://example.test/a.png", "data:application/pdf;base64,aGk=", ""]
)
def test_other_file_is_refused(url: str) -> None:
    """No URL is ever fetched, and no model of all vendors takes another kind."""
    with pytest.raises(GatewayError, match=r"messages\.0\.parts\.0\.url: an image must be"):
        read_chat({"type": "file", "mediaType": "image/png", "url": url}, role="user")


IGNORED = [
    {"type": "source-url", "sourceId": "s", "url": "https://example.test"},
    {"type": "source-document", "sourceId": "s", "mediaType": "a/b", "title": "t"},
    {"type": "data-weather", "id": 7, "data": {"state": 1}},
    {"type": "reasoning", "text": "Hm", "state": "done"},
    {"type": "reasoning", "text": "Hm", "providerMetadata": {"openai": {"itemId": "rs_1"}}},
    {"type": "reasoning", "text": "Hm", "providerMetadata": {"gateway": {"state": "forged"}}},
    {"type": "file", "mediaType": "image/png", "url": "https://example.test/made.png"},
    {"type": "unheard-of", "text": 7},
    {"type": "tool-add", "state": "input-streaming", "toolCallId": "call_1"},
]


@pytest.mark.parametrize("part", IGNORED, ids=lambda part: part["type"])
def test_part_that_no_model_takes_back_is_ignored(part: Any) -> None:
    """A page keeps more of an answer than a model needs; a call that broke off is no call."""
    said = {"type": "text", "text": "Hi"}
    assert read_chat(part, said).turns == (Turn("assistant", (Text("Hi"),)),)


def test_state_comes_back_in_its_place() -> None:
    """Before the call that it belongs to, and with a call of its own."""
    reasoning = {"type": "reasoning", "text": "Hm", "providerMetadata": KEPT}
    call = make_call("input-available", callProviderMetadata=KEPT)
    assert read_chat({"type": "text", "text": "Hi"}, reasoning, call).turns == (
        Turn(
            "assistant",
            (Text("Hi"), Reasoning("", STATE), ToolCall("call_1", "add", '{"a": 1}', STATE)),
        ),
    )


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (make_call("output-available", output="Three"), ToolResult("call_1", (Text("Three"),))),
        (
            make_call("output-available", output={"sum": [3, None]}),
            ToolResult("call_1", (Text('{"sum": [3, null]}'),)),
        ),
        (make_call("output-available"), ToolResult("call_1", ())),
        (make_call("output-available", output=None), ToolResult("call_1", ())),
        (make_call("output-available", output=3, preliminary=True), ToolResult("call_1", (Text("3"),))),
        (make_call("output-error", errorText="No."), ToolResult("call_1", (Text("No."),), True)),
        (
            make_call("output-denied", approval={"id": "a", "approved": False, "reason": "Not now."}),
            ToolResult("call_1", (Text("Not now."),), True),
        ),
        (
            make_call("approval-responded", approval={"id": "a", "approved": False}),
            ToolResult("call_1", (Text("The user did not allow this call."),), True),
        ),
    ],
)  # fmt: skip
def test_call_and_its_result_are_two_turns(call: Any, result: ToolResult) -> None:
    """The model's, and the user's with what the tool returned."""
    assert read_chat(call).turns == (
        Turn("assistant", (ToolCall("call_1", "add", '{"a": 1}'),)),
        Turn("user", (result,)),
    )


@pytest.mark.parametrize(
    "call",
    [
        make_call("input-available"),
        make_call("approval-requested", approval={"id": "a"}),
        make_call("approval-responded", approval={"id": "a", "approved": True}),
        make_call("a-state-to-come"),
    ],
)
def test_call_without_a_result_is_a_call(call: Any) -> None:
    """Nothing is made up here; the prompt says that there is no result."""
    assert read_chat(call).turns == (Turn("assistant", (ToolCall("call_1", "add", '{"a": 1}'),)),)


@pytest.mark.parametrize(
    ("fields", "arguments"),
    [
        ({"input": None, "rawInput": '{"a": '}, '{"a": '),
        ({"input": '{"a": '}, '{"a": '),
        ({"input": None, "rawInput": {"a": 2}}, '{"a": 2}'),
        ({"input": None}, "{}"),
        ({"input": []}, "[]"),
    ],
)
def test_arguments_are_what_the_model_wrote(fields: dict[str, Any], arguments: str) -> None:
    """Also if they were no JSON; versions have different fields for them."""
    call = make_call("output-error", errorText="Bad.", **fields)
    assert read_chat(call).turns[0].parts == (ToolCall("call_1", "add", arguments),)


def test_dynamic_tool_has_its_name_in_a_field() -> None:
    """The name of a tool may begin as the type of a part does."""
    call = make_call("input-available", type="dynamic-tool", toolName="tool-add")
    assert read_chat(call).turns[0].parts == (ToolCall("call_1", "tool-add", '{"a": 1}'),)


def test_each_step_is_a_turn() -> None:
    """One message of a page may have many: calls, results, calls, results, text."""
    step = {"type": "step-start"}
    first = make_call("output-available", output="3")
    second = make_call("output-available", output="4", toolCallId="call_2")
    end = {"type": "text", "text": "Seven"}
    turns = read_chat(step, first, step, second, step, end).turns
    assert [(turn.role, len(turn.parts)) for turn in turns] == [
        *(("assistant", 1), ("user", 1), ("assistant", 1), ("user", 1), ("assistant", 1))
    ]
    assert turns[4].parts == (Text("Seven"),)


def test_results_of_a_step_are_one_turn() -> None:
    """In the order of the calls, wherever the text between them is."""
    calls = [make_call("output-available", output=name, toolCallId=name) for name in "ab"]
    said, answered = read_chat(calls[0], {"type": "text", "text": "And"}, calls[1]).turns
    assert [type(part) for part in said.parts] == [ToolCall, Text, ToolCall]
    assert [part.call_id for part in answered.parts if isinstance(part, ToolResult)] == ["a", "b"]


def test_answer_after_results_continues_the_message() -> None:
    """The page's last message is the assistant's then, and the answer goes on in it."""
    call = make_call("output-available", output="3")
    last = {"id": "m2", "role": "assistant", "parts": [call]}
    assert read(messages=[HELLO, last]).options == "m2"
    assert read(messages=[HELLO, last | {"id": ""}]).options is None
    assert read(messages=[HELLO, last, HELLO]).options is None


TOOL = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}


@pytest.mark.parametrize(
    "tools",
    [
        [TOOL],
        [{"type": "function", "function": TOOL}],
        {"add": {"description": None, "parameters": TOOL["parameters"], "providerOptions": {}}},
    ],
    ids=["native", "openai", "assistant-ui"],
)
def test_tools_are_read(tools: Any) -> None:
    """As in the native door, and by their names as assistant-ui sends them."""
    options = read(tools=tools, tool_choice="auto", max_tokens=100).chat.options
    (tool,) = options.tools
    assert (tool.name, json.loads(bytes(tool.schema))) == ("add", TOOL["parameters"])
    assert (options.tool_choice, options.max_tokens) == ("auto", 100)


def test_no_tools_are_no_options() -> None:
    """assistant-ui sends an object even if it is empty."""
    assert read(tools={}).chat.options.tools == ()


@pytest.mark.parametrize(
    ("gateway", "headers", "chosen"),
    [
        (None, {}, "error"),
        ({"on_break": "hold"}, {}, "hold"),
        (None, {"x-gateway-on-break": "hold"}, "hold"),
        ({"on_break": "restart", "ai_sdk": 7}, {}, "restart"),
        ({"ai_sdk": 8}, {"x-gateway-on-break": "restart"}, "restart"),
    ],
)
def test_client_chooses_what_follows_a_break(gateway: Any, headers: Any, chosen: str) -> None:
    """By the body or a header."""
    assert read(headers, gateway=gateway).chat.on_break == chosen


@pytest.mark.parametrize("gateway", [{"on_break": "restart"}, {"on_break": "restart", "ai_sdk": 6}])
def test_restart_is_for_clients_that_know_it(gateway: Any) -> None:
    """Versions 5 and 6 would fail at the part."""
    with pytest.raises(GatewayError, match=r"gateway\.on_break"):
        read(gateway=gateway)


def test_configured_restart_is_for_clients_that_know_it() -> None:
    """ON_BREAK is the operator's; other clients get an error then."""
    body = json.dumps({"messages": [HELLO]}).encode()
    chosen = DEFAULT_SETTINGS.model_copy(update={"on_break": "restart"})
    assert UiMessageDoor().read(body, chosen, Headers()).chat.on_break == "error"


def test_answer_that_is_no_stream_is_held() -> None:
    """It is one JSON object, without the header of a stream."""
    asked = read(stream=False)
    assert (asked.is_stream, asked.chat.on_break, asked.headers) == (False, "hold", {})


REFUSED: list[dict[str, Any]] = [
    {"messages": []},
    {"messages": None},
    {"messages": [{"role": "data", "parts": []}]},
    {"messages": [{"role": "user"}]},
    {"messages": [{"role": "user", "parts": "Hi"}]},
    {"messages": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    {"messages": [{"role": "user", "parts": [{"type": "text"}]}]},
    {"messages": [{"role": "assistant", "parts": [{"type": "tool-add", "state": "output-error"}]}]},
    {"messages": [{"role": "assistant", "parts": [make_call("output-error")]}]},
    {"messages": [{"role": "assistant", "parts": [{"type": "dynamic-tool", "toolCallId": "a"}]}]},
    {"messages": [{"role": "assistant", "parts": [make_call("input-available", type="tool-")]}]},
    {"messages": [{"role": "assistant", "parts": [make_call("x", type="tool-" + "x" * 2_001)]}]},
    {"id": "x" * 129},
    {"id": 7},
    {"system": 7},
    {"gateway": "hold"},
    {"tools": {"add": 7}},
    {"tools": {"no name": {}}},
    {"system": "x" * 200_001},
    {"messages": [{"role": "user", "parts": [{"type": "text", "text": "x" * 100_001}] * 2}]},
    {"messages": [HELLO] * 2_001},
]


@pytest.mark.parametrize("fields", REFUSED)
def test_other_body_is_refused(fields: dict[str, Any]) -> None:
    """With the place and the problem, in plain words."""
    with pytest.raises(GatewayError) as raised:
        read(**fields)
    assert raised.value.code == "invalid_request"


@pytest.mark.parametrize("field", ["input", "output"])
def test_values_of_a_call_have_a_limit(field: str) -> None:
    """That of a message, however they are written."""
    call = make_call("output-available", output="3") | {field: ["x" * 200_000]}
    with pytest.raises(GatewayError, match="MAX_MESSAGE_CHARS"):
        read_chat(call)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
FIELDS = "text url state toolCallId toolName input output errorText approval providerMetadata"
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "file", "reasoning", "tool-add", "dynamic-tool", "step-start"])},
    optional=dict.fromkeys(FIELDS.split(), JSON),
)  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(["system", "user", "assistant"]), st.lists(PARTS | JSON, max_size=4))
def test_any_parts_are_accepted_or_refused(role: str, parts: list[Any]) -> None:
    """No JSON raises another exception than GatewayError; calls and results are where they belong."""
    try:
        chat = read_chat(*parts, role=role)
    except GatewayError:
        return
    for turn in chat.turns:
        calls = any(isinstance(part, ToolCall | Reasoning) for part in turn.parts)
        results = any(isinstance(part, ToolResult) for part in turn.parts)
        assert not (calls and turn.role == "user")
        assert not (results and turn.role == "assistant")
