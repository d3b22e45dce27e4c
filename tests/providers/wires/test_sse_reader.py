"""Bytes to frames: whatever the cuts and line ends, the same events, and never more memory than was allowed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import GatewayError
from providers.wires.sse_reader import Frame, SSEReader

LIMIT = 10_000
WHOLE = (b'{"a":1}', b"{}", b"[DONE]")

STREAMS = {
    "LF": (b"data: a\n\ndata: b\n\n", [Frame(b"a"), Frame(b"b")]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [Frame(b"a"), Frame(b"b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [Frame(b"a"), Frame(b"b")]),
    "mixed line ends": (
        b"data: a\n\r\ndata: b\r\n\ndata: c\r\n\rdata: d\n\r",
        [Frame(x) for x in (b"a", b"b", b"c", b"d")],
    ),
    "many blank lines": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [Frame(b"a"), Frame(b"b")]),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [Frame(b"a")]),
    "BOM alone": (b"\xef\xbb\xbf", []),
    "BOM in the middle is content": (b"data: \xef\xbb\xbfa\n\n", [Frame(b"\xef\xbb\xbfa")]),
    "comment": (b": ping\n\ndata: a\n\n:\n\n", [Frame(b"a")]),
    "comment within an event": (b"data: a\n: ping\ndata: b\n\n", [Frame(b"a\nb")]),
    "no space": (b"data:a\n\n", [Frame(b"a")]),
    "only one space is taken": (b"data:  a \n\n", [Frame(b" a ")]),
    "lines of data": (b"data: a\ndata:\ndata: b\n\n", [Frame(b"a\n\nb")]),
    "event name": (b"event: error\ndata: a\n\n", [Frame(b"a", b"error")]),
    "event name last, no space": (b"data: a\nevent:error\n\n", [Frame(b"a", b"error")]),
    "a name is one event's": (
        b"event: x\ndata: a\n\ndata: b\n\n",
        [Frame(b"a", b"x"), Frame(b"b")],
    ),
    "a name without data is no event": (b"event: ping\n\ndata: a\n\n", [Frame(b"a")]),
    "but an error's": (b"event: error\n\ndata: a\n\n", [Frame(b"", b"error"), Frame(b"a")]),
    "an error as a field": (
        b'error: {"code":500}\n\ndata: a\n\n',
        [Frame(b'{"code":500}', b"error"), Frame(b"a")],
    ),
    "an error as a field, no space, plain": (b"error:no slot\n\n", [Frame(b"no slot", b"error")]),
    "an error as a field beside data": (
        b"data: a\nerror: b\n\n",
        [Frame(b"a"), Frame(b"b", b"error")],
    ),
    "an error field that says nothing": (
        b"error: null\n\nerror:\n\nerror\n\nerror: {}\ndata: a\n\nerror: false\n\n",
        [Frame(b"a")],
    ),
    "empty data is no event": (
        b"data:\n\ndata: \n\ndata\n\nevent: x\ndata:\n\ndata: a\n\n",
        [Frame(b"a")],
    ),
    "other fields": (b"id: 1\nretry: 2\nfoo: 3\ndata: a\nbar\n\n", [Frame(b"a")]),
    "a field is its whole name": (b"data2: x\nxdata: x\n data: x\ndata: a\n\n", [Frame(b"a")]),
    "bare JSON": (
        b'{\n  "error": {"code": 499}\n}\n\n',
        [Frame(b'{\n  "error": {"code": 499}\n}')],
    ),
    "bare JSON, CRLF, unterminated": (
        b'data: a\r\n\r\n[{\r\n"error": 1}]',
        [Frame(b"a"), Frame(b'[{\n"error": 1}]')],
    ),
    "unterminated last event": (b"data: a\n\ndata: b", [Frame(b"a"), Frame(b"b")]),
    "no blank lines": (
        b'data: {"a":1}\ndata:{"a":2}\ndata: [DONE]\n',
        [Frame(b'{"a":1}'), Frame(b'{"a":2}'), Frame(b"[DONE]")],
    ),
    "more after the end mark": (
        b'data: {"a":1}\n\ndata: [DONE]\ndata: {"a":2}\n\n',
        [Frame(b'{"a":1}'), Frame(b"[DONE]"), Frame(b'{"a":2}')],
    ),
    "a named event after the end mark": (
        b"data: [DONE] \nevent: close\ndata: {}\n\n",
        [Frame(b"[DONE] "), Frame(b"{}", b"close")],
    ),
    "two end marks": (b"data: [DONE]\ndata:[DONE]\n\n", [Frame(b"[DONE]"), Frame(b"[DONE]")]),
    "an end mark within data": (b"data: a\ndata: [DONE]\ndata: b\n\n", [Frame(b"a\n[DONE]\nb")]),
    "a name that says all": (b"event: message_stop\n\nevent: x\n\n", [Frame(b"", b"message_stop")]),
    "blank lines with a blank": (
        b'data: {"a":1}\n \ndata: {"a":2} \n\t\ndata: [DONE]\n \n',
        [Frame(b'{"a":1}'), Frame(b'{"a":2} '), Frame(b"[DONE]")],
    ),
    "no blank lines, names": (
        b'event: x\ndata: {"a":1}\ndata: {"a":2}\n\n',
        [Frame(b'{"a":1}', b"x"), Frame(b'{"a":2}')],
    ),
    "JSON over several lines of data": (
        b'data: {\ndata:  "a": {"b": [{}\ndata: ]},\ndata:  "c": {}\ndata: }\n\n',
        [Frame(b'{\n "a": {"b": [{}\n]},\n "c": {}\n}')],
    ),
    "a name after data that is JSON": (
        b'data: {"a":1}\nevent: error\n\n',
        [Frame(b'{"a":1}', b"error")],
    ),
    "half a blank line": (b"data: a\n\ndata: b\n", [Frame(b"a"), Frame(b"b")]),
    "colons in data": (b"data: a:b: c\n\n", [Frame(b"a:b: c")]),
    "NUL, U+2028, U+0085": (
        "data: a\0b\u2028c\u0085d\x0be\x0c\n\n".encode(),
        [Frame("a\0b\u2028c\u0085d\x0be\x0c".encode())],
    ),
    "an error field": (b'error: {"code": 500}\n\n', [Frame(b'{"code": 500}', b"error")]),
    "an error field after data": (b"data: a\nerror:x\n\n", [Frame(b"a"), Frame(b"x", b"error")]),
    "an empty error field is no event": (b"error:\n\nerror\n\ndata: a\n\n", [Frame(b"a")]),
    "one line end between events": (
        b'data: {"a":1}\ndata: {}\ndata: [DONE]\n',
        [*map(Frame, WHOLE)],
    ),
    "a blank in the blank line": (
        b'data: {"a":1}\n \ndata: {}\n \ndata: [DONE]\n \n',
        [*map(Frame, WHOLE)],
    ),
    "one line end between named events": (
        b"event: x\ndata: {}\nevent: y\ndata: {}\n\n",
        [Frame(b"{}", b"x"), Frame(b"{}", b"y")],
    ),
    "one object on many lines": (
        b'data: {"a":\ndata: {"b": 1}\ndata: }\n\n',
        [Frame(b'{"a":\n{"b": 1}\n}')],
    ),
    "nothing": (b"", []),
}


def read(chunks: list[bytes], limit: int = LIMIT) -> list[Frame]:
    """All frames of a stream that came in these chunks and ended cleanly."""
    reader = SSEReader(limit)
    frames = [frame for chunk in chunks for frame in reader.feed(chunk)]
    return frames + list(reader.close())


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream cut at these places, each taken modulo its length."""
    ends = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize(("stream", "frames"), STREAMS.values(), ids=STREAMS)
def test_stream_gives_its_events(stream: bytes, frames: list[Frame]) -> None:
    """The event-stream format is read as the HTML standard says, with the two stated additions."""
    assert read([stream]) == frames


@pytest.mark.parametrize(("stream", "frames"), STREAMS.values(), ids=STREAMS)
def test_every_cut_gives_the_same_events(stream: bytes, frames: list[Frame]) -> None:
    """A byte at a time, or cut once at any place: nothing changes."""
    assert read([bytes([byte]) for byte in stream]) == frames
    for place in range(len(stream) + 1):
        assert read([stream[:place], b"", stream[place:]]) == frames


LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
VALUES = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12
).map(str.encode)
LINES = st.tuples(
    st.sampled_from([b"data: ", b"data:", b"event: ", b": ", b"id: ", b"data"]), VALUES
).map(b"".join)
BLOCKS = st.lists(LINES, max_size=4)


@st.composite
def event_streams(draw: st.DrawFn) -> bytes:
    """A stream of generated blocks, each line with a line end of its own, a BOM before it or none."""
    text = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    for block in draw(st.lists(BLOCKS, max_size=5)):
        text += b"".join(line + draw(LINE_ENDS) for line in block) + draw(LINE_ENDS)
    return text + draw(VALUES)


@settings(deadline=None)
@given(event_streams(), st.lists(st.integers(min_value=0), max_size=12))
def test_any_split_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    """What a stream says does not depend on how the network cut it."""
    assert read(cut(stream, places)) == read([stream])


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=6))
def test_noise_never_fails_otherwise_than_by_size(noise: bytes, places: list[int]) -> None:
    """Any bytes are read without an exception, however cut, to the same frames."""
    assert read(cut(noise, places)) == read([noise])


def sized_event(size: int) -> bytes:
    """An event whose block has this many bytes."""
    return b"data: ".ljust(size, b"x")


@pytest.mark.parametrize("size", [99, 100])
def test_event_of_the_limit_passes_however_cut(size: int) -> None:
    """The limit itself is allowed, wherever the cuts fall."""
    stream = sized_event(size) + b"\n\n"
    for place in range(len(stream) + 1):
        assert read([stream[:place], stream[place:]], limit=100) == [Frame(stream[6:-2])]


def test_event_over_the_limit_is_refused_however_cut() -> None:
    """One byte over the limit is `event_too_large`, with the size and the limit for the log."""
    stream = sized_event(101) + b"\n\n"
    for place in range(len(stream) + 1):
        with pytest.raises(GatewayError) as raised:
            read([stream[:place], stream[place:]], limit=100)
        assert raised.value.code == "event_too_large"
        assert raised.value.detail["limit"] == 100


def test_name_counts_towards_the_limit() -> None:
    """An event with little data is too large if its name is long."""
    event = b"event: " + b"x" * 100 + b"\ndata: 1\n\n"
    reader = SSEReader(100)
    with pytest.raises(GatewayError, match="event_too_large"):
        list(reader.feed(event))
    assert list(SSEReader(200).feed(event)) == [Frame(b"1", b"x" * 100)]


def test_events_before_the_large_one_are_given() -> None:
    """What was said before the failure is not lost with it."""
    frames = SSEReader(20).feed(b"data: a\n\n" + sized_event(30) + b"\n\n")
    assert next(frames) == Frame(b"a")
    with pytest.raises(GatewayError, match="event_too_large"):
        next(frames)


def test_unterminated_event_over_the_limit_is_refused_at_the_end() -> None:
    """The last event has the same limit, though no blank line ends it."""
    with pytest.raises(GatewayError, match="event_too_large"):
        read([b"data: a\n\n" + sized_event(30)], limit=20)


def test_endless_event_is_refused_within_a_chunk_of_the_limit() -> None:
    """An event that never ends is cut off: no more than the limit and one chunk was ever taken in."""
    reader = SSEReader(1000)
    chunk = b"data: ".ljust(64, b"x")
    for _ in range(1000 // len(chunk)):
        assert list(reader.feed(chunk)) == []
    with pytest.raises(GatewayError, match="event_too_large"):
        reader.feed(chunk)


def test_many_small_events_are_not_held() -> None:
    """The limit is an event's, not a stream's: a long stream passes, and nothing of it stays behind."""
    reader = SSEReader(100)
    for _ in range(1000):
        assert list(reader.feed(b"data: 12345\n\ndata: 678")) == [Frame(b"12345")]
        assert list(reader.feed(b"90\n\n")) == [Frame(b"67890")]
    assert list(reader.close()) == []


def test_long_event_in_small_chunks_costs_no_second_search() -> None:
    """A large event in single bytes is found at its end: the reader remembers how far it has looked."""
    reader = SSEReader(200_000)
    stream = sized_event(100_000) + b"\n\n"
    frames = [frame for byte in stream for frame in reader.feed(bytes([byte]))]
    assert [len(frame.data) for frame in frames] == [99_994]
