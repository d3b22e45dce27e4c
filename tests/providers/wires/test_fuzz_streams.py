"""Vendors' streams gone wrong at any place: frames and decoders fail in the gateway's own way, or not at all."""

from __future__ import annotations

import json
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models import Delta, GatewayError
from providers.wires.chat_completions import ChatCompletionsDecoder
from providers.wires.decoder import Decoder
from providers.wires.finish_reasons import Finish
from providers.wires.generate_content import GenerateContentDecoder
from providers.wires.messages import MessagesDecoder
from providers.wires.sse_reader import Frame, SSEReader
from providers.wires.vendor_stream import read_batches
from tests.fuzzing import fuzzed
from tests.vendors.scripted_response import ScriptedResponse

PLACES = st.lists(st.integers(min_value=0), max_size=12)

# --- frames ------------------------------------------------------------------------------------------

SNIPPETS = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"event: x",
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"\r\n\r\n",
        b"\xef\xbb\xbf",
        b":",
        b"{",
        b"x",
    ]
)
NEARLY_EVENTS = st.lists(SNIPPETS | st.binary(max_size=3), max_size=40).map(b"".join)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream cut at these places, each taken modulo its length."""
    ends = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[start:end] for start, end in pairwise(ends)]


def read(chunks: list[bytes], limit: int) -> tuple[list[Frame], str | None]:
    """The frames of a stream that came in these chunks, and the code with which it was refused."""
    reader, frames = SSEReader(limit), []
    try:
        for frame in chain.from_iterable(map(reader.feed, chunks)):
            frames.append(frame)
        frames += reader.close()
    except GatewayError as error:
        return frames, error.code
    return frames, None


@fuzzed
@example(b"data: a\n\n\n", [9], 7)
@example(b"\n\n\ndata: a", [2], 7)
@example(b"{x\n\n\ndata: a\n\n", [4], 7)
@given(NEARLY_EVENTS, PLACES, st.integers(min_value=1, max_value=30))
def test_any_bytes_under_any_limit_are_framed_alike(
    stream: bytes, places: list[int], limit: int
) -> None:
    """Cut or whole: the same frames, none over the limit, and the same refusal or none; nothing else is raised."""
    frames, refusal = read(cut(stream, places), limit)
    assert (frames, refusal) == read([stream], limit)
    assert refusal in (None, "event_too_large")
    assert all(len(frame.data) <= limit for frame in frames)


# --- decoders ----------------------------------------------------------------------------------------

ERROR = {
    "type": "overloaded_error",
    "code": "x",
    "message": "text of the vendor",
    "status": "X",
    "param": None,
}
EVENTS: dict[type[Decoder], list[dict[str, Any]]] = {
    ChatCompletionsDecoder: [
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "role": "assistant",
                        "content": "a",
                        "reasoning": "b",
                        "refusal": "c",
                    },
                }
            ]
        },
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]
                    },
                }
            ]
        },
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "x_groq": {"usage": {"prompt_tokens": 1}},
        },
        {
            "choices": [],
            "usage": {"completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
        },
        {"error": ERROR},
    ],
    MessagesDecoder: [
        {
            "type": "message_start",
            "message": {"usage": {"input_tokens": 1}, "content": [{"type": "text", "text": "a"}]},
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "name": "f", "input": {}},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": "{"},
        },
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
        {"type": "error", "error": ERROR},
    ],
    GenerateContentDecoder: [
        {
            "candidates": [
                {"index": 0, "content": {"parts": [{"text": "a"}, {"text": "b", "thought": True}]}}
            ]
        },
        {
            "candidates": [
                {"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]}}
            ]
        },
        {
            "candidates": [{"finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 1, "thoughtsTokenCount": 1},
        },
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {
            "error": ERROR
            | {
                "details": [
                    {"reason": "X", "retryDelay": "1s", "violations": [{"quotaId": "PerDay"}]}
                ]
            }
        },
    ],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def gone_wrong(value: Any) -> st.SearchStrategy[Any]:
    """The value with anything in place of any part of it, or with a part left out; often as it is."""
    inner = st.just(value)
    if isinstance(value, dict):
        inner = st.fixed_dictionaries(
            {}, optional={name: gone_wrong(part) for name, part in value.items()}
        )
    elif isinstance(value, list):
        inner = st.lists(st.one_of(*map(gone_wrong, value)), max_size=3) if value else inner
    return st.one_of(st.just(value), inner, inner, inner, JSON)


STREAMS = {
    kind: st.lists(st.one_of(*map(gone_wrong, events)), max_size=6)
    for kind, events in EVENTS.items()
}
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


async def play(
    kind: type[Decoder], chunks: list[bytes]
) -> tuple[list[Delta], Finish | GatewayError | None]:
    """What a decoder makes of a stream: its deltas, and how it ended. Only a GatewayError is expected."""
    deltas: list[Delta] = []
    end: Finish | GatewayError | None = None
    try:
        async for batch in read_batches(ScriptedResponse(*chunks).open, kind, 2**20):
            assert batch, "an empty batch says nothing"
            for event in batch:
                if isinstance(event, Delta):
                    deltas.append(event)
                elif isinstance(event, Finish):
                    end = event
    except GatewayError as error:
        end = error
    return deltas, end


def name_of(end: Finish | GatewayError | None) -> object:
    """What two ends have in common that are the same."""
    return (end.code, end.reason) if isinstance(end, GatewayError) else end


def frame(event: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(event).encode()


@pytest.mark.parametrize("kind", EVENTS)
@fuzzed
@given(data=st.data(), places=PLACES)
async def test_any_event_is_decoded_or_blamed_on_the_vendor(
    kind: type[Decoder], data: st.DataObject, places: list[int]
) -> None:
    """Values of any type at any place: deltas and an end, or a failure that starts a fallback; never a bug of ours."""
    stream = b"".join(map(frame, data.draw(STREAMS[kind])))
    deltas, end = await play(kind, cut(stream, places))
    assert end
    assert "internal_error" not in str(end)
    assert "text of the vendor" not in f"{end} {getattr(end, 'detail', None)}"
    again, end_again = await play(kind, [stream])
    assert (deltas, name_of(end)) == (again, name_of(end_again))


@pytest.mark.parametrize("kind", EVENTS)
@fuzzed
@given(data=st.data())
async def test_any_damage_to_a_stream_is_blamed_on_the_vendor(
    kind: type[Decoder], data: st.DataObject
) -> None:
    """Bytes in the midst of a good stream are replaced, by any others: never a bug of ours."""
    stream = b"".join(map(frame, EVENTS[kind]))
    start = data.draw(st.integers(0, len(stream)))
    end = data.draw(st.integers(start, min(len(stream), start + 20)))
    *_, ended = await play(
        kind, [stream[:start] + data.draw(st.binary(max_size=20)) + stream[end:]]
    )
    assert ended
    assert "internal_error" not in str(ended)


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize(
    "event", [DEEP, b'{"error":' + DEEP + b"}"], ids=["in a field", "in an error"]
)
async def test_endless_nesting_is_refused(kind: type[Decoder], event: bytes) -> None:
    """JSON too deep to be read is the vendor's doing: the next model is asked."""
    *_, end = await play(kind, [b"data: %b\n\n" % event])
    assert name_of(end) == ("event_too_large", "values")
