"""Behaviours of models: each turns one request into a plan of bytes to send, without any I/O."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, Self

import msgspec

from simulator.demo import compose
from simulator.plan import (
    LAST_CHUNK,
    STAMP,
    Ending,
    Plan,
    Stamped,
    Step,
    chunk,
    cut,
    head,
    stream,
    whole,
)
from simulator.refusals import find_refusal
from simulator.wires import Piece, Wire

_HOP_BY_HOP = {"transfer-encoding", "content-length", "content-encoding", "connection"}


class Behaviour(Protocol):
    """Plans the answer to a request."""

    def plan(self, wire: Wire) -> Plan:
        """The answer to the wire's request."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A readable answer that quotes the question, calls the tools and keeps to the schema.

    What the vendor would refuse is refused. `first` and `pace` are the seconds before and between
    events.
    """

    pace: float = 0.03
    first: float = 0.15

    def plan(self, wire: Wire) -> Plan:
        if refusal := find_refusal(wire):
            return Error(400, body=refusal).plan(wire)
        return Scripted(compose(wire), self.pace, first=self.first).plan(wire)


@dataclass(frozen=True, slots=True)
class Scripted:
    """These pieces in the vendor's format, `pace` seconds apart, and then an ending.

    A piece is text, a Thought, a ToolCall, or bytes that are sent unchanged. `finish` selects what
    follows the pieces. True: the finish reason, the usage and the end mark. "reason": all but the
    end mark. False: nothing. None: like True if `then` is "end", else like False.
    """

    texts: tuple[Piece, ...]
    pace: float = 0
    finish: bool | Literal["reason"] | None = None
    then: Ending = "end"
    first: float = 0

    def plan(self, wire: Wire) -> Plan:
        events = [
            Step(self.first, wire.opening()),
            *(Step(self.pace, event) for piece in self.texts for event in wire.events(piece)),
        ]
        finish = self.then == "end" if self.finish is None else self.finish
        last = wire.finish() if finish else b""
        return stream(
            wire.headers,
            events,
            last + (wire.mark if finish is True else b""),
            self.then,
            wire.output_tokens,
        )


_LOAD_NUMBER = 0  # in the ids of all loads: most of their pieces were encoded for another answer


@dataclass(frozen=True, slots=True)
class Paced:
    """A load of `count` deltas, `rate` a second, on a fixed schedule.

    A delta has 4 characters: a number modulo 1000. If `stamped`, it is instead the time of its
    writing in 16 digits.
    """

    count: int
    rate: float
    stamped: bool = False

    def plan(self, wire: Wire) -> Plan:
        if wire.is_streamed:
            return Plan(self._steps(wire), "end", self.count)
        texts = tuple(f" {number % 1000:03d}" for number in range(self.count))
        return Scripted(texts, 1 / self.rate, first=1 / self.rate).plan(wire)

    def _steps(self, wire: Wire) -> Iterator[Step]:
        headers = wire.headers
        wire.number = _LOAD_NUMBER
        yield from stream(headers, [Step(0, wire.opening())], b"", "hang").steps
        first = chunk(wire.piece(STAMP if self.stamped else " 000"))
        yield Step(1 / self.rate, Stamped(first) if self.stamped else first)
        cycle = itertools.cycle(_paced_steps(type(wire), wire.model, self.rate, self.stamped))
        yield from itertools.islice(cycle, 1, self.count)
        wire.output_tokens = self.count
        yield Step(1 / self.rate, chunk(wire.finish() + wire.mark) + LAST_CHUNK)


@lru_cache(maxsize=16)
def _paced_steps(
    wire_class: type[Wire], model: str, rate: float, stamped: bool
) -> tuple[Step, ...]:
    """The steps of one cycle of a paced stream's deltas, encoded."""
    wire = wire_class(model, {})
    wire.number = _LOAD_NUMBER
    wire.text("")  # discarded: a stream's first delta may have additional events
    if stamped:
        return (Step(1 / rate, Stamped(chunk(wire.text(STAMP)))),)
    return tuple(Step(1 / rate, chunk(wire.text(f" {number:03d}"))) for number in range(1000))


@dataclass(frozen=True, slots=True)
class Burst:
    """A load of `count` deltas as in Paced, each a separate chunk, all in one write."""

    count: int

    def plan(self, wire: Wire) -> Plan:
        if not wire.is_streamed:
            return Paced(self.count, math.inf).plan(wire)
        start, *_ = stream(wire.headers, (), b"", "hang").steps
        wire.number = _LOAD_NUMBER
        first = chunk(wire.opening() + wire.piece(" 000"))
        more = itertools.cycle(_paced_steps(type(wire), wire.model, 1.0, False))
        rest = b"".join(step.data for step in itertools.islice(more, 1, self.count))
        wire.output_tokens = self.count
        last = chunk(wire.finish() + wire.mark) + LAST_CHUNK
        return Plan([Step(0, start.data + first + rest + last)], "end", self.count)


@dataclass(frozen=True, slots=True)
class Replay:
    """Recorded bytes in segments, each a separate write, `pace` seconds apart.

    `cuts` are the offsets of the cuts, or the size of a segment in bytes, or None for one segment.
    """

    stream: bytes
    cuts: tuple[int, ...] | int | None = None
    pace: float = 0
    then: Ending = "end"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = True  # else the body ends with the connection

    @classmethod
    def recorded(
        cls, folder: Path, cuts: tuple[int, ...] | int | None = None, pace: float = 0
    ) -> Self:
        """Load the stream from a recording's folder."""
        return cls((folder / "response.sse").read_bytes(), cuts, pace)

    def plan(self, wire: Wire) -> Plan:
        headers = {**wire.headers, **self.headers}
        *segments, last = cut(self.stream, self.cuts)
        if self.chunked:
            return stream(
                headers, [Step(self.pace, segment) for segment in segments], last, self.then
            )
        steps = [Step(0, head(200, {**headers, "connection": "close"}))]
        steps += [Step(self.pace, segment) for segment in (*segments, last)]
        return Plan(steps, "close" if self.then == "end" else self.then)


@dataclass(frozen=True, slots=True)
class Error:
    """A response with any status, in one write.

    The default body is an error in the vendor's format.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @classmethod
    def recorded(cls, folder: Path) -> Error | Replay:
        """Load a recorded error. One with status 200 is an error event in a stream."""
        meta = msgspec.json.decode((folder / "meta.json").read_bytes())
        body = (folder / "body").read_bytes()
        if meta["status"] == 200:
            return Replay(body)
        headers = {
            name: value for name, value in meta["headers"].items() if name not in _HOP_BY_HOP
        }
        return cls(meta["status"], headers, body)

    def plan(self, wire: Wire) -> Plan:
        body = msgspec.json.encode(wire.error_body(self.status)) if self.body is None else self.body
        return whole(
            self.status, {**wire.headers, "content-type": "application/json", **self.headers}, body
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """Refuses what the vendor would refuse, as the demo does; else behaves as given."""

    behaviour: Behaviour

    def plan(self, wire: Wire) -> Plan:
        refusal = find_refusal(wire)
        return (Error(400, body=refusal) if refusal else self.behaviour).plan(wire)


@dataclass(frozen=True, slots=True)
class Silence:
    """Keeps the connection open and sends nothing more.

    That is `before` the headers, the first event, or the first content.

    `after` deltas are sent first, `pace` seconds apart. `heartbeat` is the interval of the vendor's
    heartbeats in seconds.
    """

    before: Literal["headers", "events", "content"] = "headers"
    after: int = 0
    heartbeat: float | None = None
    pace: float = 0

    def plan(self, wire: Wire) -> Plan:
        if self.before == "headers" and not self.after and self.heartbeat is None:
            return Plan((), "hang")
        return stream(wire.headers, self._events(wire), b"", "hang", self.after)

    def _events(self, wire: Wire) -> Iterator[Step]:
        if self.before == "content" or self.after:
            yield Step(0, wire.opening())
        for number in range(self.after):
            yield Step(self.pace, wire.piece(f" {number:03d}"))
        if self.heartbeat is not None:
            yield from itertools.repeat(Step(self.heartbeat, wire.heartbeat))


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes instead of a response, including the status line, in segments as in Replay."""

    data: bytes = b""
    then: Ending = "close"
    cuts: tuple[int, ...] | int | None = None
    pace: float = 0

    def plan(self, wire: Wire) -> Plan:
        return Plan([Step(self.pace, segment) for segment in cut(self.data, self.cuts)], self.then)


_NAMED: dict[str, Behaviour] = {
    "silence": Silence(),
    "stall": Silence("content", after=10, pace=0.03),
    "heartbeats": Silence("content", heartbeat=1),
    "truncated": Scripted(("This answer stops ", "before its end"), 0.1, then="close"),
    "reset": Scripted(("This answer is ", "reset"), 0.1, then="reset"),
}


def named_behaviour(model: str) -> Behaviour | None:
    """The behaviour of a model named `silence`, `error-429`, `paced-500x50` and the like.

    None for other names.
    """
    if load := re.fullmatch(r"(paced|stamped)-(\d+)x([\d.]+)", model):
        return Paced(int(load[2]), float(load[3]), stamped=load[1] == "stamped")
    if load := re.fullmatch(r"(burst|stall)-(\d+)", model):
        count = int(load[2])
        return Burst(count) if load[1] == "burst" else Silence("content", after=count)
    if error := re.fullmatch(r"error-(\d{3})", model):
        return Error(int(error[1]), {"retry-after": "1"} if error[1] == "429" else {})
    return _NAMED.get(model)
