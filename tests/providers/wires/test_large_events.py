"""Large events: a long text is read, and what would hold up the event loop is refused before it is built."""

from __future__ import annotations

import json
import time

import pytest

from models import GatewayError, Text, Usage
from providers.wires.finish_reasons import Finish
from providers.wires.vendor_stream import read_batches
from tests.vendors.scripted_response import EVENT_STREAM, ScriptedResponse
from tests.vendors.wire_streams import CHAT, CLAUDE, GEMINI, JSON_BODY, WIRES, Wire, data

LIMIT = 2**23
ROOM = LIMIT - 1_000
READ_BYTES = 2**16
MOST_CPU_SECONDS = 0.5  # for all of an event, on a slow machine; each of these took several


def repeat(item: bytes) -> bytes:
    """So many of it as fit into an event."""
    return item * (ROOM // len(item))


MANY = repeat(b"{},") + b"{}"
MANY_TEXTS = repeat(b'"",') + b'""'
EVENTS = {
    "choices": (CHAT, data(b'{"choices":[%b]}' % MANY)),
    "choices, read field by field": (CHAT, data(b'{"a":NaN,"choices":[%b]}' % MANY)),
    "parts": (CHAT, data(b'{"choices":[{"delta":{"content":[%b]}}]}' % MANY)),
    "calls": (CHAT, data(b'{"choices":[{"delta":{"tool_calls":[%b]}}]}' % MANY)),
    "errors": (CHAT, data(b'{"errors":[%b]}' % MANY)),
    "error texts": (CHAT, data(b'{"error":[%b]}' % MANY_TEXTS)),
    "unknown": (CHAT, data(b'{"unknown":[%b]}' % MANY)),
    "numbers": (CHAT, data(b'{"unknown":[%b0]}' % repeat(b"0,"))),
    "lists": (CHAT, data(b'{"unknown":[%b[]]}' % repeat(b"[],"))),
    "candidates": (GEMINI, data(b'{"candidates":[%b]}' % MANY)),
    "parts of a candidate": (GEMINI, data(b'{"candidates":[{"content":{"parts":[%b]}}]}' % MANY)),
    "blocks": (CLAUDE, data(b'{"type":"message","content":[%b]}' % MANY)),
    "bare": (CHAT, b'{"choices":[%b]}\n\n' % MANY),
    "empty data lines": (CHAT, repeat(b"data:\n") + b"\n"),
    "data lines": (CHAT, repeat(b"data: 1\n") + b"\n"),
    "half objects": (CHAT, repeat(b"data: {}}\n") + b"\n"),
    "names": (CHAT, repeat(b"event: a\n") + b"data: {}\n\n"),
    "other fields": (CHAT, repeat(b"x\n") + b"\n"),
    "followed by data": (CHAT, b'data: {"choices":[%b]}\ndata: {}\n\n' % MANY),
    "odd, with escapes": (
        CHAT,
        data(b'{"a":NaN,"choices":[{"delta":{"content":"%b"}}]}' % repeat(b"\\n")),
    ),
    "surrogates": (CHAT, data(b'{"choices":[{"delta":{"content":"%b"}}]}' % repeat(b"\\ud83d"))),
}


async def play(
    wire: Wire, body: bytes, headers: dict[str, str] = EVENT_STREAM
) -> tuple[str, GatewayError | None]:
    """The text and the error of a response."""
    reads = [body[start : start + READ_BYTES] for start in range(0, len(body), READ_BYTES)]
    response = ScriptedResponse(*reads, headers=headers)
    text = ""
    try:
        async for batch in read_batches(response.open, wire.decoder, LIMIT):
            text += "".join(event.text for event in batch if isinstance(event, Text))
            assert all(isinstance(event, Text | Finish | Usage) for event in batch)
    except GatewayError as error:
        return text, error
    return text, None


@pytest.mark.parametrize(("wire", "event"), EVENTS.values(), ids=EVENTS)
async def test_an_event_that_would_take_seconds_is_refused(wire: Wire, event: bytes) -> None:
    start = time.thread_time()
    _, error = await play(wire, wire.opening + event + wire.finish(wire.stop) + wire.mark)
    assert time.thread_time() - start < MOST_CPU_SECONDS
    assert error
    assert error.code == "event_too_large"


@pytest.mark.parametrize("headers", [EVENT_STREAM, JSON_BODY])
async def test_a_list_that_would_take_seconds_is_refused(headers: dict[str, str]) -> None:
    start = time.thread_time()
    _, error = await play(GEMINI, b"[%b]" % MANY, headers)
    assert time.thread_time() - start < MOST_CPU_SECONDS
    assert error
    assert error.code == "event_too_large"


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_a_long_text_is_read(wire: Wire) -> None:
    """Whatever is in it: brackets, quotes, commas and backslashes are no structure."""
    text = '{[,"\\",]}\\' * 100_000
    assert await play(wire, wire.answer(wire.text(text))) == (f"Hel{text}lo", None)
    whole = json.dumps(wire.whole(text, wire.stop)).encode()
    assert await play(wire, whole, JSON_BODY) == (text, None)


async def test_a_list_of_many_chunks_is_read() -> None:
    chunk = GEMINI.text("Hello, ").removeprefix(b"data: ").strip()
    last = GEMINI.finish("STOP").removeprefix(b"data: ").strip()
    assert await play(GEMINI, b"[%b]" % b",\n".join([*[chunk] * 1_000, last]), JSON_BODY) == (
        "Hello, " * 1_000,
        None,
    )


async def test_many_events_without_blank_lines_are_read() -> None:
    """Each by itself is short."""
    texts = CHAT.text("a").rstrip() + b"\n"
    assert await play(CHAT, texts * 3_000 + CHAT.finish("stop") + CHAT.mark) == ("a" * 3_000, None)


async def test_a_large_event_in_small_reads_is_read() -> None:
    """Each read costs what it brings, not what has come of the event so far."""
    text = "a" * (ROOM - 1_000)
    body = CHAT.answer(CHAT.text(text))
    reads = [body[start : start + 4_096] for start in range(0, len(body), 4_096)]
    start = time.thread_time()
    response = ScriptedResponse(*reads, headers=EVENT_STREAM)
    batches = [batch async for batch in read_batches(response.open, CHAT.decoder, LIMIT)]
    assert time.thread_time() - start < MOST_CPU_SECONDS
    assert sum(
        len(event.text) for batch in batches for event in batch if isinstance(event, Text)
    ) == len(f"Hel{text}lo")
