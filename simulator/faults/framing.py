"""Faults of the event stream: bytes that are not events, or that an event parser may mishandle."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable

from simulator.behaviours import Behaviour, Replay
from simulator.faults.base import Beginning, Fault, Made, always, split_events, whole_answer
from simulator.plan import Step
from simulator.wires import Wire

_BIG = 10 * 2**20  # bytes
_COMMENT = b": a comment, with data: in it\n"
_UNKNOWN = b'event: news\ndata: {"type":"news","object":"news","news":{"text":"unheard of"}}\n\n'
_MARKER = "\N{SNOWMAN}"


def _bad_event(event: Callable[[Wire], bytes]) -> Fault:
    """An event that cannot be read, followed by a normal end."""

    def events(wire: Wire) -> Iterable[Step]:
        return [Step(0, event(wire)), Step(0, wire.finish() + wire.mark)]

    return lambda deltas: Beginning(deltas, events)


def _rewritten(rewrite: Callable[[bytes], bytes], cuts: int | None = None) -> Fault:
    """The whole answer with rewritten bytes."""
    return always(Made(lambda wire: Replay(rewrite(whole_answer(wire)), cuts)))


def _with_inserted(text: bytes) -> Fault:
    """The whole answer with a text before each event."""
    return _rewritten(lambda body: b"".join(text + event for event in split_events(body)))


def _bom_and_text(wire: Wire) -> Behaviour:
    """The first event has text if the format allows it, so that losing it to the BOM loses text."""
    return Replay(b"\xef\xbb\xbf" + whole_answer(wire).removeprefix(wire.opening()))


def _compressed(squeeze: Callable[[bytes], bytes]) -> Fault:
    def make(wire: Wire) -> Behaviour:
        return Replay(squeeze(whole_answer(wire)), headers={"content-encoding": "gzip"})

    return always(Made(make))


FRAMING: dict[str, Fault] = {
    "bad-json": _bad_event(lambda _: b'data: {"this is cut off\n\n'),
    "bad-utf8": _bad_event(lambda wire: wire.text(_MARKER).replace(_MARKER.encode(), b"\xff\xfe")),
    "big-event": _bad_event(lambda wire: wire.text("x" * _BIG)),
    "dribble": _rewritten(bytes, cuts=1),
    "crlf": _rewritten(lambda body: body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")),
    "no-space": _rewritten(lambda body: body.replace(b"data: ", b"data:")),
    "bom": always(Made(_bom_and_text)),
    "comments": _with_inserted(_COMMENT + b"\n" + _COMMENT),
    "unknown-events": _with_inserted(_UNKNOWN),
    "gzip": _compressed(gzip.compress),
    "bad-gzip": _compressed(lambda body: gzip.compress(body)[:20] + b"no gzip"),
}
