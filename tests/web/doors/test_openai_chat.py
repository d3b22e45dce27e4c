"""The chunks and completions of the OpenAI door, in bytes, and its errors."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import (
    ERROR_KINDS,
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
from web.doors import OPENAI_CHAT
from web.doors.base import Reply
from web.doors.held import WholeEncoder
from web.doors.openai_chat import ChunkEncoder, render_completion
from web.doors.openai_chat_body import ChunkOptions

if TYPE_CHECKING:
    from models import Event, FinishReason

IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")
FALLBACK = Fallback("luna", "nova", "upstream_timeout")
START = Start("gpt", "luna")
STATE = State("claude", "haiku", '{"type":"thinking","signature":"c2ln"}')
END = End(
    provider="gpt",
    model="luna",
    fallback=None,
    finish_reason="stop",
    raw_finish_reason="stop",
    usage=Usage(input_tokens=9, output_tokens=12, cached_input_tokens=4),
    attempts=1,
    timing=Timing(310, 900),
)
HEAD = '{"id":"gpt-1","object":"chat.completion.chunk","created":7,"model":"luna","choices":'
OPENAI_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 12,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": None},
}
CALL: list[Event] = [
    ToolCallDelta(0, "call_1", "search"),
    ToolCallDelta(0, arguments='{"q":'),
    ToolCallDelta(0, arguments='"é"}'),
    ToolCallDelta(1, "call_2", "now"),
    ToolCallDelta(1, arguments="{}"),
]


class Stream(NamedTuple):
    """The chunks of a stream, and whether `[DONE]` follows them."""

    chunks: list[Any]
    is_done: bool

    @property
    def deltas(self) -> list[Any]:
        """The deltas between the first chunk and the finish chunk."""
        return [chunk["choices"][0]["delta"] for chunk in self.chunks if chunk["choices"]][1:-1]

    @property
    def finish_reasons(self) -> list[Any]:
        return [choice["finish_reason"] for chunk in self.chunks for choice in chunk["choices"]]


def write(*events: Event, demo: bool = False, usage: bool = False) -> str:
    options = ChunkOptions(include_usage=usage, dropped_params=("store",))
    return ChunkEncoder(Reply(IDENTITY, demo, options), 7).encode(list(events)).decode()


def read(*events: Event, **options: bool) -> Stream:
    frames = read_events(write(*events, **options))
    is_done = frames[-1] == "[DONE]"
    return Stream(frames[:-1] if is_done else frames, is_done)


def end(finish_reason: FinishReason = "stop", **fields: Any) -> End:
    return msgspec.structs.replace(END, finish_reason=finish_reason, **fields)


def complete(*events: Event, demo: bool = False) -> Any:
    """The completion of these events."""
    options = ChunkOptions(dropped_params=("store",))
    render = partial(render_completion, reply=Reply(IDENTITY, demo, options), created=7)
    return json.loads(WholeEncoder(render).encode(list(events)))


# --- chunks


def test_first_chunk_has_the_role_once() -> None:
    """With what the gateway knows at the first content."""
    assert write(START) == (
        f'data: {HEAD}[{{"index":0,"delta":{{"role":"assistant","content":""}},"finish_reason":null}}],'
        '"gateway":{"conversation_id":"c-1","request_id":"r-1","provider":"gpt","model":"luna","fallback":null}}\n\n'
    )


def test_text_is_one_small_chunk() -> None:
    """With every field that a client may look for, and no others."""
    assert write(START, Text("Hé")).partition("\n\n")[2] == (
        f'data: {HEAD}[{{"index":0,"delta":{{"content":"Hé"}},"finish_reason":null}}]}}\n\n'
    )


def test_reasoning_has_both_names_that_clients_read() -> None:
    """OpenAI has no field for it; servers that have one use either."""
    stream = read(START, Reasoning("Hm"), END)
    assert stream.deltas == [{"reasoning_content": "Hm", "reasoning": "Hm"}]


def test_state_of_reasoning_is_a_detail_with_a_place_of_its_own() -> None:
    """So that clients that gather the entries of a list by their index keep them apart."""
    stream = read(START, Reasoning("Hm", STATE), Reasoning("", STATE), END)
    details = [delta["reasoning_details"] for delta in stream.deltas]
    assert [[detail["index"] for detail in each] for each in details] == [[0], [1]]
    assert {detail["type"] for each in details for detail in each} == {"reasoning.encrypted"}


def test_call_has_one_opening_piece() -> None:
    """With id, type and name, which the other pieces do not repeat: clients join what they get."""
    assert [delta["tool_calls"] for delta in read(START, *CALL, END).deltas] == [
        [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "search", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"q":'}}],
        [{"index": 0, "function": {"arguments": '"é"}'}}],
        [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}}],
        [{"index": 1, "function": {"arguments": "{}"}}],
    ]  # fmt: skip


def test_state_of_a_call_is_in_its_opening_piece() -> None:
    """In the field that clients of Gemini keep."""
    stream = read(START, ToolCallDelta(0, "call_1", "now", state=STATE), END)
    (call,) = stream.deltas[0]["tool_calls"]
    assert call["extra_content"]["google"]["thought_signature"].startswith("gw1.")


def test_refusal_is_no_content() -> None:
    """It has a field of its own, and ends as OpenAI ends it: by `content_filter` clients would raise."""
    stream = read(START, Refusal("No."), end("content_filter"))
    assert stream.deltas == [{"refusal": "No."}]
    assert stream.finish_reasons == [None, None, "stop"]


@pytest.mark.parametrize(
    ("reason", "word"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"),
     ("tool_calls", "tool_calls"), ("other", "stop")],
)  # fmt: skip
def test_finish_reason_is_one_of_openais(reason: FinishReason, word: str) -> None:
    """In one chunk, the last one with a choice; the gateway's own word is beside it."""
    stream = read(START, Text("Hi"), end(reason))
    assert stream.finish_reasons == [None, None, word]
    assert stream.chunks[-1]["choices"][0]["delta"] == {}
    assert stream.chunks[-1]["gateway"]["finish_reason"] == reason
    assert stream.is_done


def test_usage_is_on_the_finish_chunk() -> None:
    """Clients that did not ask for it read it there, or nowhere."""
    last = read(START, Text("Hi"), END).chunks[-1]
    assert (last["usage"], len(last["choices"])) == (OPENAI_USAGE, 1)


def test_usage_that_was_asked_for_has_a_chunk_without_a_choice() -> None:
    """Once, after the finish chunk, as OpenAI sends it."""
    *others, finish, last = read(START, Text("Hi"), END, usage=True).chunks
    assert (last["usage"], last["choices"]) == (OPENAI_USAGE, [])
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert not any("usage" in chunk for chunk in (*others, finish))


def test_unknown_usage_is_null() -> None:
    """Never numbers that the vendor did not send."""
    stream = read(START, Text("Hi"), end(usage=None), usage=True)
    assert (stream.chunks[-1]["usage"], stream.chunks[-1]["choices"]) == (None, [])


@pytest.mark.parametrize("usage", [False, True])
def test_gateways_facts_are_in_the_first_and_the_last_chunk(usage: bool) -> None:
    """Models, fallback, attempts, timing, and what was dropped by the vendor's model or by the door."""
    dropped = end(fallback=FALLBACK, model="nova", attempts=2, dropped_params=("seed",))
    start = Start("gpt", "nova", FALLBACK)
    chunks = read(start, Text("Hi"), dropped, demo=True, usage=usage).chunks
    places = [place for place, chunk in enumerate(chunks) if "gateway" in chunk]
    assert places == [0, len(chunks) - 1]
    first, last = (chunks[place]["gateway"] for place in places)
    assert (first["fallback"], first["demo"]) == (
        {"from": "luna", "to": "nova", "reason": "upstream_timeout"},
        True,
    )
    assert (last["provider"], last["model"], last["attempts"], last["demo"]) == (
        "gpt",
        "nova",
        2,
        True,
    )
    assert last["dropped_params"] == ["seed", "store"]
    assert last["timing"] == {"first_content_ms": 310, "total_ms": 900}
    assert {chunk["model"] for chunk in chunks} == {"nova"}


def test_real_answer_is_no_demo() -> None:
    assert "demo" not in read(START, END).chunks[0]["gateway"]


def test_answer_that_begins_anew_is_of_the_model_that_gives_it() -> None:
    """Only a held answer can."""
    chunks = read(Restart("gpt", "nova", FALLBACK, 3), Text("Hi"), end(model="nova")).chunks
    assert {chunk["model"] for chunk in chunks} == {"nova"}


EVENTS = st.lists(
    st.builds(Text, st.text())
    | st.builds(Reasoning, st.text())
    | st.builds(Refusal, st.text())
    | st.builds(partial(ToolCallDelta, 0), arguments=st.text())
)


@given(st.lists(EVENTS), st.booleans())
def test_every_chunk_has_what_clients_look_for(batches: list[list[Event]], usage: bool) -> None:
    """The same id, time and model, a list of choices, each with index, delta and finish reason, whatever the text."""
    encoder = ChunkEncoder(Reply(IDENTITY, options=ChunkOptions(usage)), 7)
    every: list[list[Event]] = [[START], *batches, [END]]
    written = b"".join(map(encoder.encode, every))
    *chunks, done = read_events(written.decode())
    assert done == "[DONE]"
    assert {(each["id"], each["object"], each["created"], each["model"]) for each in chunks} == {
        ("gpt-1", "chat.completion.chunk", 7, "luna")
    }
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert all(choice.keys() == {"index", "delta", "finish_reason"} for choice in choices)
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
    assert [choice["delta"].get("role") for choice in choices if "role" in choice["delta"]] == [
        "assistant"
    ]
    said = "".join(choice["delta"].get("content", "") for choice in choices)
    assert said == "".join(each.text for batch in batches for each in batch if type(each) is Text)


# --- completions


def test_completion_has_the_answer_and_the_facts() -> None:
    """One object, validated by clients."""
    assert complete(START, Text("Hel"), Text("lo"), END, demo=True) == {
        "id": "gpt-1",
        "object": "chat.completion",
        "created": 7,
        "model": "luna",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": OPENAI_USAGE,
        "gateway": {
            "conversation_id": "c-1",
            "request_id": "r-1",
            "provider": "gpt",
            "model": "luna",
            "fallback": None,
            "finish_reason": "stop",
            "raw_finish_reason": "stop",
            "usage": {
                "input_tokens": 9,
                "output_tokens": 12,
                "cached_input_tokens": 4,
                "cache_write_tokens": None,
                "reasoning_tokens": None,
            },
            "cost": None,
            "attempts": 1,
            "dropped_params": ["store"],
            "timing": {"first_content_ms": 310, "total_ms": 900},
            "demo": True,
        },
    }


def test_completion_has_whole_calls() -> None:
    """Content is null beside them, as OpenAI has it."""
    (choice,) = complete(START, *CALL, end("tool_calls"))["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    assert choice["message"]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"q":"é"}'}},
        {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]  # fmt: skip


def test_completion_has_the_reasoning_and_its_states() -> None:
    """In the fields of the stream."""
    answer = complete(START, Reasoning("Hm", STATE), Reasoning(", ", STATE), Text("yes"), END)
    message = answer["choices"][0]["message"]
    assert (message["reasoning_content"], message["reasoning"]) == ("Hm, ", "Hm, ")
    assert [detail["index"] for detail in message["reasoning_details"]] == [0, 1]


def test_completion_has_a_refusal_in_place_of_content() -> None:
    """By which clients know it."""
    (choice,) = complete(START, Refusal("No."), end("content_filter"))["choices"]
    assert (choice["message"]["refusal"], choice["message"]["content"]) == ("No.", None)
    assert choice["finish_reason"] == "stop"


def test_answer_without_text_has_empty_content() -> None:
    """It is whole, and null would mean that there is something else."""
    answer = complete(START, end(usage=None))
    assert (answer["choices"][0]["message"]["content"], answer["usage"]) == ("", None)


# --- errors


def failure() -> Failure:
    error = GatewayError("upstream_truncated", provider="gpt", model="luna")
    attempts = [FailedAttempt("luna", "upstream_truncated", "stalled")]
    return Failure(error, stage="after_content", sent_chars=5, attempts=attempts)


def test_error_of_a_stream_is_its_last_frame() -> None:
    """Without choices and without `[DONE]`, in OpenAI's words; what the gateway knows is beside them."""
    encoder = ChunkEncoder(Reply(IDENTITY), 7)
    encoder.encode([START, Text("Hello")])
    (event,) = read_events(encoder.encode_error(failure()).decode())
    assert event["gateway"].pop("timestamp").endswith("Z")
    assert event == {
        "error": {
            "message": "The provider's answer stopped before its end.",
            "type": "server_error",
            "code": "upstream_truncated",
            "param": None,
        },
        "gateway": {
            "code": "upstream_truncated",
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
    }


@pytest.mark.parametrize("code", ERROR_KINDS)
def test_error_of_a_request_has_openais_shape(code: str) -> None:
    """With the message for a person, and the gateway's code and the request's id beside it."""
    answer = OPENAI_CHAT.error(GatewayError(code), "r-1")
    body = json.loads(answer.content)
    assert body["error"].keys() == {"message", "type", "code", "param"}
    assert body["error"]["message"] == ERROR_KINDS[code].message
    assert (body["gateway"]["code"], body["gateway"]["request_id"]) == (code, "r-1")
    assert answer.status != 422
