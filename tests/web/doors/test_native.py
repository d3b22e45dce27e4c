"""The native wire: what each event looks like in bytes, and that no text can pass for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import (
    ChatIdentity,
    Delta,
    End,
    Fallback,
    GatewayError,
    Reasoning,
    Refusal,
    Restart,
    Start,
    Text,
    Timing,
    ToolCallDelta,
    Usage,
)
from streams.failure import FailedAttempt, Failure
from tests.clients.simple_client import join_text, read_events
from web.doors.base import Reply
from web.doors.native import NativeEncoder

if TYPE_CHECKING:
    from models import Event

IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")
START = Start("gpt", "luna")
FALLBACK = Fallback("luna", "nova", "upstream_timeout")
END = End(
    provider="gpt",
    model="luna",
    fallback=None,
    finish_reason="stop",
    raw_finish_reason="stop",
    usage=Usage(input_tokens=9, output_tokens=12),
    attempts=1,
    timing=Timing(310, 900),
)
HOSTILE = [
    "\n\ndata: [DONE]\n\n",
    "\r\n\r\ndata: {}\r\n\r\n",
    '"}}\n\ndata: {"type":"end"}\n\n',
    "\u2028data: [DONE]\u2029\u0085",
    "\\\"'`</script>",
    "emoji \U0001f600 and \u00e9",
    "\x00\x1b[31m\x7f",
    ": keep-alive\n\n",
    "event: error\nretry: 0\nid: 7",
    "",
]


def write(*events: Event, demo: bool = False) -> str:
    return NativeEncoder(Reply(IDENTITY, demo)).encode(list(events)).decode()


def failure() -> Failure:
    error = GatewayError("upstream_truncated", provider="gpt", model="luna")
    attempts = [FailedAttempt("luna", "upstream_truncated", "stalled")]
    return Failure(error, stage="after_content", sent_chars=5, attempts=attempts)


def test_start_names_the_answer_and_its_model() -> None:
    """The first event has all the ids, the provider, the model, and whether it is a fallback."""
    assert write(START) == (
        'data: {"type":"start","seq":0,"id":"gpt-1","conversation_id":"c-1","request_id":"r-1",'
        '"provider":"gpt","model":"luna","fallback":null,"delta":{"content":""}}\n\n'
    )


def test_start_has_the_fallback_and_its_reason() -> None:
    """The client learns which model was given up for which, and why."""
    (start,) = read_events(write(Start("gpt", "nova", FALLBACK)))
    assert start["fallback"] == {"from": "luna", "to": "nova", "reason": "upstream_timeout"}
    assert start["model"] == "nova"


def test_start_of_a_demo_says_so() -> None:
    """A simulated answer is never taken for a real one; a real one has no such field."""
    assert read_events(write(START, demo=True))[0]["demo"] is True
    assert "demo" not in read_events(write(START))[0]


def test_delta_carries_text_and_model() -> None:
    """A piece of text is one small frame of the shape that front ends read."""
    assert write(START, Text("Hel")).partition("\n\n")[2] == (
        'data: {"type":"delta","seq":1,"id":"gpt-1","delta":{"content":"Hel","model":"luna"}}\n\n'
    )


@pytest.mark.parametrize(
    ("delta", "fields"),
    [
        (Reasoning("Hm"), {"content": "", "reasoning": "Hm", "model": "luna"}),
        (Refusal("No."), {"content": "", "refusal": "No.", "model": "luna"}),
        (
            ToolCallDelta(1, "call_1", "search", '{"q"'),
            {
                "content": "",
                "tool_call": {"index": 1, "id": "call_1", "name": "search", "arguments": '{"q"'},
                "model": "luna",
            },
        ),
    ],
    ids=["reasoning", "refusal", "tool_call"],
)
def test_only_text_is_content(delta: Delta, fields: dict[str, object]) -> None:
    """Reasoning, refusals and tool calls have fields of their own beside an empty content."""
    assert read_events(write(START, delta))[1]["delta"] == fields


def test_end_is_followed_by_done() -> None:
    """A whole answer ends with its facts and the closing mark, in one write."""
    assert write(END) == (
        'data: {"type":"end","seq":0,"id":"gpt-1","provider":"gpt","model":"luna","fallback":null,'
        '"finish_reason":"stop","raw_finish_reason":"stop",'
        '"usage":{"input_tokens":9,"output_tokens":12,"cached_input_tokens":null,"cache_write_tokens":null,"reasoning_tokens":null},'
        '"cost":null,"attempts":1,"dropped_params":[],"timing":{"first_content_ms":310,"total_ms":900},'
        '"delta":{"content":""}}\n\ndata: [DONE]\n\n'
    )


def test_unknown_usage_is_null() -> None:
    """What the vendor did not send is null, never 0."""
    silent = End(
        provider="gpt",
        model="luna",
        fallback=FALLBACK,
        finish_reason="other",
        raw_finish_reason=None,
        usage=None,
        attempts=2,
    )
    (end, done) = read_events(write(silent))
    assert (end["usage"], end["raw_finish_reason"], end["timing"], done) == (
        None,
        None,
        None,
        "[DONE]",
    )
    assert end["fallback"]["to"] == "nova"


def test_restart_says_what_to_discard() -> None:
    """A restart names the model whose whole answer follows; later deltas carry that model."""
    events = read_events(write(START, Text("Hel"), Restart("gpt", "nova", FALLBACK, 3), Text("Hi")))
    assert events[2] == {
        "type": "restart",
        "seq": 2,
        "id": "gpt-1",
        "provider": "gpt",
        "model": "nova",
        "fallback": {"from": "luna", "to": "nova", "reason": "upstream_timeout"},
        "partial_chars": 3,
        "delta": {"content": ""},
    }
    assert [events[place]["delta"].get("model") for place in (1, 3)] == ["luna", "nova"]


def test_error_is_the_last_event_and_has_no_done() -> None:
    """A stream that failed says so in the one shape of errors, and not that it is done."""
    encoder = NativeEncoder(Reply(IDENTITY))
    encoder.encode([START, Text("Hello")])
    frame = encoder.encode_error(failure()).decode()
    (event,) = read_events(frame)
    assert event["error"].pop("timestamp").endswith("Z")
    assert event == {
        "type": "error",
        "seq": 2,
        "id": "gpt-1",
        "error": {
            "code": "upstream_truncated",
            "message": "The provider's answer stopped before its end.",
            "status": 502,
            "retryable": True,
            "retry_after": None,
            "reason": None,
            "provider": "gpt",
            "model": "luna",
            "stage": "after_content",
            "partial_chars": 5,
            "attempts": [{"model": "luna", "code": "upstream_truncated"}],
            "request_id": "r-1",
        },
        "delta": {"content": ""},
    }
    assert "[DONE]" not in frame


def test_every_event_is_numbered_and_has_content() -> None:
    """`seq` counts from 0 without a gap over all batches; each event has the answer's id and a string of content."""
    encoder = NativeEncoder(Reply(IDENTITY))
    stream = encoder.encode([START, Text("a"), Reasoning("b")])
    stream += encoder.encode(
        [Restart("gpt", "nova", FALLBACK, 1), Text("c")]
    ) + encoder.encode_error(failure())
    events = read_events(stream.decode())
    assert [event["seq"] for event in events] == list(range(6))
    assert all(
        event["id"] == "gpt-1" and isinstance(event["delta"]["content"], str) for event in events
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_forges_no_frame(text: str) -> None:
    """Blank lines, prefixes, quotes and line separators in a text stay text."""
    stream = write(
        START, Text(text), Reasoning(text), Refusal(text), ToolCallDelta(0, text, text, text), END
    )
    events = read_events(stream)
    kinds = [event if event == "[DONE]" else event["type"] for event in events]
    assert kinds == ["start", *["delta"] * 4, "end", "[DONE]"]
    assert events[1]["delta"]["content"] == text
    assert [events[2]["delta"]["reasoning"], events[3]["delta"]["refusal"]] == [text] * 2
    assert events[4]["delta"]["tool_call"] == {
        "index": 0,
        "id": text,
        "name": text,
        "arguments": text,
    }
    assert stream.count("\n") == 14  # nothing but the blank lines after the seven frames
    assert "\r" not in stream


@given(st.lists(st.text()), st.text())
def test_any_text_comes_back(texts: list[str], name: str) -> None:
    """Whatever the deltas say, the simplest client joins to the same text; a model's name is as harmless."""
    stream = write(Start("gpt", name), *map(Text, texts))
    assert join_text(read_events(stream)) == "".join(texts)
    assert all(frame.startswith("data: {") for frame in stream.removesuffix("\n\n").split("\n\n"))
    assert read_events(stream)[0]["model"] == name


@given(st.text(), st.text())
def test_any_id_comes_back(own: str, conversation: str) -> None:
    """A client's conversation id cannot forge a frame either."""
    stream = (
        NativeEncoder(Reply(ChatIdentity(own, conversation, "r-1")))
        .encode([START, Text("a"), END])
        .decode()
    )
    assert [event["id"] for event in read_events(stream)[:-1]] == [own] * 3
    assert read_events(stream)[0]["conversation_id"] == conversation
