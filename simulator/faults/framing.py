"""Faults of the event stream: bytes that are no events, or that a reader of events may trip over."""

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


def _bad_json(wire: Wire) -> Iterable[Step]:
    return [Step(0, b'data: {"this is cut off\n\n'), Step(0, wire.finish() + wire.mark)]


def _bad_utf8(wire: Wire) -> Iterable[Step]:
    return [
        Step(0, wire.text(_MARKER).replace(_MARKER.encode(), b"\xff\xfe")),
        Step(0, wire.finish() + wire.mark),
    ]


def _big_event(wire: Wire) -> Iterable[Step]:
    return [Step(0, wire.text("x" * _BIG)), Step(0, wire.finish() + wire.mark)]


def _rewritten(rewrite: Callable[[bytes], bytes], cuts: int | None = None) -> Fault:
    """The whole answer, its bytes rewritten."""
    return always(Made(lambda wire: Replay(rewrite(whole_answer(wire)), cuts)))


def _with_crlf(body: bytes) -> bytes:
    return body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _with_comments(body: bytes) -> bytes:
    return b"".join(_COMMENT + b"\n" + _COMMENT + event for event in split_events(body))


def _with_unknown_events(body: bytes) -> bytes:
    return b"".join(_UNKNOWN + event for event in split_events(body))


def _bom_and_text(wire: Wire) -> Behaviour:
    """The first event has text, where the wire allows: who loses an event to the BOM loses text."""
    return Replay(b"\xef\xbb\xbf" + whole_answer(wire).removeprefix(wire.opening()))


def _compressed(squeeze: Callable[[bytes], bytes]) -> Fault:
    def make(wire: Wire) -> Behaviour:
        return Replay(squeeze(whole_answer(wire)), headers={"content-encoding": "gzip"})

    return always(Made(make))


FRAMING: dict[str, Fault] = {
    "bad-json": lambda deltas: Beginning(deltas, _bad_json),
    "bad-utf8": lambda deltas: Beginning(deltas, _bad_utf8),
    "big-event": lambda deltas: Beginning(deltas, _big_event),
    "dribble": _rewritten(bytes, cuts=1),
    "crlf": _rewritten(_with_crlf),
    "no-space": _rewritten(lambda body: body.replace(b"data: ", b"data:")),
    "bom": always(Made(_bom_and_text)),
    "comments": _rewritten(_with_comments),
    "unknown-events": _rewritten(_with_unknown_events),
    "gzip": _compressed(gzip.compress),
    "bad-gzip": _compressed(lambda body: gzip.compress(body)[:20] + b"no gzip"),
}
