"""The UI message stream: which parts follow which events, and that no text can pass for one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import (
    ChatIdentity,
    End,
    Fallback,
    GatewayError,
    Reasoning,
    Refusal,
    Restart,
    Start,
    State,
    Text,
    Timing,
    ToolCallDelta,
    Usage,
)
from streams.failure import FailedAttempt, Failure
from tests.clients.simple_client import read_events
from web.doors.base import Reply
from web.doors.state_token import read_state, write_state
from web.doors.ui_message_stream import UiMessageEncoder

if TYPE_CHECKING:
    from models import Event

IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")
START = Start("gpt", "luna")
FALLBACK = Fallback("luna", "nova", "upstream_timeout")
STATE = State("gpt", "luna", '{"signed": true}')
END = End(
    provider="gpt",
    model="luna",
    fallback=None,
    finish_reason="stop",
    raw_finish_reason="stop",
    usage=Usage(input_tokens=9, output_tokens=12),
    attempts=1,
    dropped_params=("seed",),
    timing=Timing(310, 900),
)
# The parts that AI SDK 5, 6 and 7 know, each with the fields that the strictest of them takes.
KNOWN = {
    "start": {"messageId", "messageMetadata"},
    "start-step": set[str](),
    "text-start": {"id", "providerMetadata"},
    "text-delta": {"id", "delta"},
    "text-end": {"id", "providerMetadata"},
    "reasoning-start": {"id", "providerMetadata"},
    "reasoning-delta": {"id", "delta"},
    "reasoning-end": {"id", "providerMetadata"},
    "tool-input-start": {"toolCallId", "toolName"},
    "tool-input-delta": {"toolCallId", "inputTextDelta"},
    "tool-input-available": {"toolCallId", "toolName", "input", "providerMetadata"},
    "tool-input-error": {"toolCallId", "toolName", "input", "errorText", "providerMetadata"},
    "finish-step": set[str](),
    "finish": {"messageMetadata"},
    "message-metadata": {"messageMetadata"},
    "error": {"errorText"},
}
HOSTILE = [
    "\n\ndata: [DONE]\n\n",
    '"}\n\ndata: {"type":"finish"}\n\n',
    "\u2028data: [DONE]\u2029\u0085",
    "\x00\x1b[31m\x7f",
    ": keep-alive\n\nevent: error\n",
    "",
]


def write(*events: Event, **reply: Any) -> list[Any]:
    """The parts of a chat of these events."""
    encoder = UiMessageEncoder(Reply(IDENTITY, **reply))
    return read_events(encoder.encode(list(events)).decode())


def inside(*events: Event) -> list[Any]:
    """The parts of an answer of these events, between its step's start and finish."""
    opening, step, *parts, finished, finish, done = write(START, *events, END)
    assert (opening["type"], step, finished) == (
        "start",
        {"type": "start-step"},
        {"type": "finish-step"},
    )
    assert (finish["type"], done) == ("finish", "[DONE]")
    return parts


def failure(stage: Any = "after_content") -> Failure:
    error = GatewayError("upstream_unavailable", provider="gpt", model="luna", retry_after=1.2)
    attempts = [FailedAttempt("luna", "upstream_unavailable", "reset")]
    return Failure(error, stage=stage, sent_chars=5, attempts=attempts)


def test_message_begins_with_its_id_and_the_model() -> None:
    """The facts of the answer are metadata of the message, apart from those of the page."""
    opening, step = write(START)
    assert opening == {
        "type": "start",
        "messageId": "gpt-1",
        "messageMetadata": {
            "gateway": {
                "id": "gpt-1",
                "conversation_id": "c-1",
                "request_id": "r-1",
                "provider": "gpt",
                "model": "luna",
                "fallback": None,
            }
        },
    }
    assert step == {"type": "start-step"}


def test_message_names_a_fallback_and_a_demo() -> None:
    """As in every door, the client learns which model answers, and whether it is a simulated one."""
    facts = write(Start("gpt", "nova", FALLBACK), is_demo=True)[0]["messageMetadata"]["gateway"]
    assert facts["fallback"] == {"from": "luna", "to": "nova", "reason": "upstream_timeout"}
    assert (facts["model"], facts["demo"]) == ("nova", True)


def test_answer_continues_the_message_that_it_was_asked_for() -> None:
    """Another id would make the page show the calls before it twice."""
    assert write(START, options="msg-of-the-page")[0]["messageId"] == "msg-of-the-page"


def test_text_is_opened_written_and_closed() -> None:
    """Each piece refers to the text by its id."""
    assert inside(Text("Hel"), Text("lo")) == [
        {"type": "text-start", "id": "1"},
        {"type": "text-delta", "id": "1", "delta": "Hel"},
        {"type": "text-delta", "id": "1", "delta": "lo"},
        {"type": "text-end", "id": "1"},
    ]


def test_finish_has_the_facts_of_the_answer() -> None:
    """Usage, finish reason, timing, and what was not done."""
    *_, finish, done = write(START, Text("Hi"), END)
    assert finish["messageMetadata"]["gateway"] == {
        "provider": "gpt",
        "model": "luna",
        "fallback": None,
        "finish_reason": "stop",
        "raw_finish_reason": "stop",
        "usage": {
            "input_tokens": 9,
            "output_tokens": 12,
            "cached_input_tokens": None,
            "cache_write_tokens": None,
            "reasoning_tokens": None,
        },
        "cost": None,
        "attempts": 1,
        "dropped_params": ["seed"],
        "timing": {"first_content_ms": 310, "total_ms": 900},
    }
    assert done == "[DONE]"


def test_answer_without_content_is_whole() -> None:
    """A step with nothing in it."""
    assert inside() == []


def test_reasoning_is_apart_from_text() -> None:
    """One is closed before the other is opened, and each has an id of its own."""
    assert inside(Reasoning("H"), Reasoning("m"), Text("Hi")) == [
        {"type": "reasoning-start", "id": "1"},
        {"type": "reasoning-delta", "id": "1", "delta": "H"},
        {"type": "reasoning-delta", "id": "1", "delta": "m"},
        {"type": "reasoning-end", "id": "1"},
        {"type": "text-start", "id": "2"},
        {"type": "text-delta", "id": "2", "delta": "Hi"},
        {"type": "text-end", "id": "2"},
    ]


def test_state_ends_its_reasoning() -> None:
    """It is metadata of the part, which the page sends back. What follows is a part of its own."""
    parts = inside(Reasoning("Hm"), Reasoning("", STATE), Reasoning("So"), Reasoning("", STATE))
    kept = {"gateway": {"state": write_state(STATE)}}
    assert read_state(kept["gateway"]["state"], 10_000) == STATE
    assert parts == [
        {"type": "reasoning-start", "id": "1"},
        {"type": "reasoning-delta", "id": "1", "delta": "Hm"},
        {"type": "reasoning-end", "id": "1", "providerMetadata": kept},
        {"type": "reasoning-start", "id": "2"},
        {"type": "reasoning-delta", "id": "2", "delta": "So"},
        {"type": "reasoning-end", "id": "2", "providerMetadata": kept},
    ]


def test_state_without_reasoning_has_a_part_of_its_own() -> None:
    """In its place: after the text, before the call."""
    parts = inside(Text("Hi"), Reasoning("", STATE), ToolCallDelta(0, "call_1", "add", "{}"))
    assert [part["type"] for part in parts[2:5]] == ["text-end", "reasoning-start", "reasoning-end"]
    assert parts[4]["providerMetadata"] == {"gateway": {"state": write_state(STATE)}}


def test_refusal_is_a_text_that_says_so() -> None:
    """The protocol has no other place for it; text beside it is a part of its own."""
    parts = inside(Text("Well."), Refusal("I can't "), Refusal("do that."))
    assert parts[3:] == [
        {"type": "text-start", "id": "2", "providerMetadata": {"gateway": {"refusal": True}}},
        {"type": "text-delta", "id": "2", "delta": "I can't "},
        {"type": "text-delta", "id": "2", "delta": "do that."},
        {"type": "text-end", "id": "2"},
    ]


def test_call_is_complete_before_it_is_available() -> None:
    """Its name first, its arguments in pieces, then all of them as a value."""
    pieces = [ToolCallDelta(0, "call_1", "add", '{"a"'), ToolCallDelta(0, arguments=": 1.50}\n")]
    assert inside(*pieces) == [
        {"type": "tool-input-start", "toolCallId": "call_1", "toolName": "add"},
        {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": '{"a"'},
        {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": ": 1.50}\n"},
        {"type": "tool-input-available", "toolCallId": "call_1", "toolName": "add", "input": {"a": 1.5}},
    ]  # fmt: skip


def test_calls_follow_each_other() -> None:
    """One is available before the next one begins, and its state is with it."""
    calls = [
        ToolCallDelta(0, "call_1", "add", "{}"),
        ToolCallDelta(1, "call_2", "add", "{}", STATE),
    ]
    first, second = [part for part in inside(*calls) if part["type"] == "tool-input-available"]
    assert "providerMetadata" not in first
    assert second["providerMetadata"] == {"gateway": {"state": write_state(STATE)}}
    assert [part["toolCallId"] for part in inside(*calls)] == ["call_1"] * 3 + ["call_2"] * 3


@pytest.mark.parametrize("arguments", ['{"a": ', "", "[" * 5_000, "{'a': 1}", "NaN"])
def test_call_with_bad_arguments_is_an_error_of_the_call(arguments: str) -> None:
    """The page has what the model wrote, and asks again; no tool is run."""
    *_, part = inside(ToolCallDelta(0, "call_1", "add", arguments))
    assert part == {
        "type": "tool-input-error",
        "toolCallId": "call_1",
        "toolName": "add",
        "input": arguments,
        "errorText": "The arguments are not valid JSON.",
    }


def test_break_after_content_is_an_error_without_a_finish() -> None:
    """What was open stays open. The message has the facts, the error the words for a person."""
    encoder = UiMessageEncoder(Reply(IDENTITY))
    encoder.encode([START, Text("Hello")])
    frames = encoder.encode_error(failure()).decode()
    facts, error = read_events(frames)
    known = facts["messageMetadata"]["gateway"]["error"]
    assert facts["type"] == "message-metadata"
    assert (known["code"], known["stage"], known["partial_chars"]) == (
        "upstream_unavailable",
        "after_content",
        5,
    )
    assert error == {
        "type": "error",
        "errorText": "The provider is unavailable. Try again in 2 s. (Request r-1)",
    }
    assert "finish" not in frames
    assert "[DONE]" not in frames


def test_break_before_content_makes_no_message() -> None:
    """Only the error, which is no part of one."""
    encoder = UiMessageEncoder(Reply(IDENTITY))
    (error,) = read_events(encoder.encode_error(failure("before_content")).decode())
    assert error["type"] == "error"


def test_restart_discards_the_step() -> None:
    """The facts name the model that follows; its answer is in the step that was open."""
    parts = write(START, Text("Hel"), Restart("gpt", "nova", FALLBACK, 3), Text("Hi"), END)[4:]
    facts = parts[0]["messageMetadata"]["gateway"]
    assert (parts[0]["type"], facts["model"], facts["partial_chars"]) == (
        "message-metadata",
        "nova",
        3,
    )
    assert parts[1:4] == [
        {"type": "reset-step"},
        {"type": "text-start", "id": "2"},
        {"type": "text-delta", "id": "2", "delta": "Hi"},
    ]


def test_restart_discards_an_open_call() -> None:
    """The arguments of the next model's call are its own."""
    restart = Restart("gpt", "nova", FALLBACK, 0)
    broken, whole = (ToolCallDelta(0, f"call_{name}", "add", "{}") for name in "ab")
    parts = write(START, broken, restart, whole, END)
    available = [
        part for part in parts if part != "[DONE]" and part["type"] == "tool-input-available"
    ]
    assert [part["toolCallId"] for part in available] == ["call_b"]


def test_only_known_parts_are_sent() -> None:
    """Version 5 fails at any other part, and older ones of it at any other field."""
    calls = [ToolCallDelta(0, "call_1", "add", "{}", STATE), ToolCallDelta(1, "call_2", "add", "{")]
    encoder = UiMessageEncoder(Reply(IDENTITY, is_demo=True))
    stream = encoder.encode([START, Reasoning("Hm", STATE), Text("a"), Refusal("b"), *calls, END])
    *parts, _ = read_events((encoder.encode_error(failure()) + stream).decode())
    assert {part["type"] for part in parts} == KNOWN.keys()
    assert [part for part in parts if not part.keys() - {"type"} <= KNOWN[part["type"]]] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_forges_no_frame(text: str) -> None:
    """Blank lines, prefixes, quotes and line separators in a text stay text."""
    arguments = json.dumps({"a": text}, indent=1, ensure_ascii=False)
    call = ToolCallDelta(0, text, text, arguments)
    encoder = UiMessageEncoder(Reply(IDENTITY, options=text or None))
    stream = encoder.encode([START, Text(text), Reasoning(text), Refusal(text), call, END]).decode()
    *parts, done = read_events(stream)
    assert done == "[DONE]"
    assert stream.count("\n") == 2 * (len(parts) + 1)
    assert "\r" not in stream
    available = next(part for part in parts if part["type"] == "tool-input-available")
    assert (available["toolCallId"], available["input"]) == (text, {"a": text})


@given(st.lists(st.text()))
def test_any_text_comes_back(texts: list[str]) -> None:
    """Whatever the chunks, what a client joins is the vendor's text."""
    parts = write(START, *map(Text, texts), END)
    deltas = [part["delta"] for part in parts if part != "[DONE]" and part["type"] == "text-delta"]
    assert "".join(deltas) == "".join(texts)


@given(
    st.recursive(
        st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        st.lists,
    )
)
def test_any_arguments_come_back(value: Any) -> None:
    """As the value that they are, however the model wrote them."""
    for arguments in (json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False)):
        *_, part = inside(ToolCallDelta(0, "call_1", "add", arguments))
        assert part["input"] == value
