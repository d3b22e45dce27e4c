"""The parts of faults: an answer's text, its beginning, and a way to continue from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from simulator.behaviours import Behaviour
from simulator.plan import Ending, Plan, Step, stream
from simulator.wires import Wire

ANSWER = ("Grüße ", "aus dem ", "Käse 🧀 — ", "of a model ", "that has ", "a fault.")
DELTAS_BEFORE = 3  # of the answer, before an @after fault
PROSE = "These are the words of a simulated vendor."

Fault = Callable[[int], Behaviour]
"""Returns the behaviour of a model with the fault, given the number of deltas before it."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The opening events, `deltas` deltas of the answer, the events of `events`, and an ending."""

    deltas: int
    events: Callable[[Wire], Iterable[Step]] = lambda _: ()
    then: Ending = "end"

    def plan(self, wire: Wire) -> Plan:
        return stream(wire.headers, self.begin(wire), b"", self.then, self.deltas)

    def begin(self, wire: Wire) -> Iterator[Step]:
        """The stream's events, each a step."""
        yield Step(0, wire.opening() or wire.text(""))
        yield from (Step(0, wire.piece(piece)) for piece in ANSWER[: self.deltas])
        yield from self.events(wire)


@dataclass(frozen=True, slots=True)
class Made:
    """A behaviour that depends on the wire."""

    make: Callable[[Wire], Behaviour]

    def plan(self, wire: Wire) -> Plan:
        return self.make(wire).plan(wire)


def whole_answer(wire: Wire) -> bytes:
    """A healthy stream's bytes."""
    return b"".join([wire.opening(), *map(wire.piece, ANSWER), wire.finish(), wire.mark])


def split_events(body: bytes) -> list[bytes]:
    """Split a stream into events with their blank lines. CRLF becomes LF."""
    return [event + b"\n\n" for event in body.replace(b"\r\n", b"\n").split(b"\n\n") if event]


def always(behaviour: Behaviour) -> Fault:
    """A fault without deltas before it, since it takes the place of the stream."""
    return lambda _: behaviour
