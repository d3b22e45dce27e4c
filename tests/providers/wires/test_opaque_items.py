"""Opaque state on its way back to a vendor: a client may have forged it."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from models import Prompt, Reasoning, State, Text, ToolCall, ToolResult, Turn
from providers.wires import responses_body
from providers.wires.messages_body import to_body
from providers.wires.opaque_items import read_fields, read_item

THINKING = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}


def make_state(data: str) -> State:
    return State("claude", "haiku", data)


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"thinking","thinking":"","signature":"c2ln"}',
        '{"type" : "thinking", "thinking" : "a\\u00e9\\/", "signature" : "c2ln"}',
    ],
)
def test_item_of_the_type_goes_back_byte_for_byte(data: str) -> None:
    """A signature counts over the text as the vendor wrote it."""
    item = read_item(make_state(data), THINKING)
    assert item is not None
    expected = msgspec.json.decode(data, type=dict[str, Raw])
    assert {name: bytes(raw) for name, raw in item.items()} == {
        name: bytes(raw) for name, raw in expected.items()
    }


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"image","source":{"type":"url","url":"http://169.254.169.254/"}}',
        '{"type":"document","source":{"type":"file","file_id":"file_1"}}',
        '{"type":["thinking"]}',
        '{"thinking":"x"}',
        '{"type":"thinking","thinking":"without a signature"}',
        '"thinking"',
        "[]",
        "",
    ],
)
def test_forged_state_is_not_sent(data: str) -> None:
    """No client can have a vendor fetch a URL or read a file by way of an opaque field."""
    state = make_state(data)
    assert read_item(state, THINKING) is None
    call, result = ToolCall("call_1", "f", "{}"), ToolResult("call_1", ())
    turns = (
        Turn("user", (Text("Hi"),)),
        Turn("assistant", (Reasoning("", state), call)),
        Turn("user", (result,)),
    )
    sent = to_body(Prompt("", turns, is_plain=False), "haiku")["messages"]
    assert isinstance(sent, list)
    assert [block["type"] for block in sent[1]["content"]] == ["tool_use"]


def test_item_has_no_fields_but_those_of_its_type() -> None:
    """A vendor may read the first of two types, where the gateway reads the last."""
    source = '{"type":"url","url":"http://169.254.169.254/"}'
    known = '"type":"thinking","thinking":"","signature":"c2ln"'
    item = read_item(make_state(f'{{"type":"image","source":{source},{known}}}'), THINKING)
    assert msgspec.json.encode(item) == f"{{{known}}}".encode()


@pytest.mark.parametrize("content", ["", ',"encrypted_content":null', ',"encrypted_content":""'])
def test_reasoning_that_the_vendor_would_have_to_look_up_is_not_sent(content: str) -> None:
    """It may be of another client of the same account."""
    state = State("gpt", "luna", f'{{"type":"reasoning","id":"rs_1","summary":[]{content}}}')
    call, result = ToolCall("call_1", "f", "{}"), ToolResult("call_1", ())
    turns = (
        Turn("user", (Text("Hi"),)),
        Turn("assistant", (Reasoning("", state), call)),
        Turn("user", (result,)),
    )
    sent = responses_body.to_body(Prompt("", turns, is_plain=False), "luna")["input"]
    assert isinstance(sent, list)
    types = [item.get("type") for item in sent]
    assert types == [None, "function_call", "function_call_output"]


@pytest.mark.parametrize("data", ['"text"', "[1]", '{"role":"system"}', ""])
def test_fields_of_another_name_are_not_sent(data: str) -> None:
    """The message that they would become part of has fields of its own."""
    assert read_fields(make_state(data), ("reasoning_content",)) == {}


def test_fields_go_back_byte_for_byte() -> None:
    """In the order of their names."""
    fields = read_fields(make_state('{"b": [1,  2], "a": "x", "c": 1}'), ("a", "b"))
    assert {name: bytes(raw) for name, raw in fields.items()} == {"a": b'"x"', "b": b"[1,  2]"}
