"""Faults of the connection: it breaks, hangs, ends too early or never, or is not HTTP."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.behaviours import Error, Raw, Replay, Scripted, Silence
from simulator.faults.base import ANSWER, Beginning, Fault, always
from simulator.plan import Plan, Step, stream
from simulator.wires import Wire

UNREAD_BODY = "fault-unread-body"

_LATE_SECONDS = 0.5
_HEARTBEAT_SECONDS = 0.1
_ENDLESS_SECONDS = 0.02
_HALF_HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: text/ev"
_LONG_HEADER = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n"


def _repeated(seconds: float, event: Callable[[Wire], bytes]) -> Fault:
    """One event again and again, without end."""
    return lambda deltas: Beginning(
        deltas, lambda wire: (Step(seconds, event(wire)) for _ in itertools.count())
    )


@dataclass(frozen=True, slots=True)
class _BadChunk:
    """A chunk with an invalid size."""

    deltas: int

    def plan(self, wire: Wire) -> Plan:
        begun = stream(wire.headers, Beginning(self.deltas).begin(wire), b"", "cut").steps
        return Plan([*begun, Step(0, b"no-size\r\nnothing\r\n")], "hang")


@dataclass(frozen=True, slots=True)
class _Flapping:
    """Fails with a probability of one half, from a fixed seed."""

    chance: random.Random = field(default_factory=lambda: random.Random(46))

    def plan(self, wire: Wire) -> Plan:
        return (Error(500) if self.chance.random() < 0.5 else Scripted(ANSWER)).plan(wire)


TRANSPORT: dict[str, Fault] = {
    "close": always(Raw(then="close")),
    "reset-at-once": always(Raw(then="reset")),
    "silence": always(Silence()),
    "silence-after-headers": always(Silence("events")),
    "late": always(Scripted(ANSWER, first=_LATE_SECONDS)),
    "half-headers": always(Raw(_HALF_HEADERS)),
    "junk": always(Raw(b"\x16\x03\x01 this is no HTTP\r\n\r\n")),
    "long-header": always(Raw(_LONG_HEADER)),
    "stall": lambda deltas: Beginning(deltas, then="hang"),
    "heartbeats": _repeated(_HEARTBEAT_SECONDS, lambda wire: wire.heartbeat),
    "reset": lambda deltas: Beginning(deltas, then="reset"),
    "cut": lambda deltas: Beginning(deltas, then="cut"),
    "no-end": Beginning,
    "nothing": always(Replay(b"")),
    "no-mark": always(Scripted(ANSWER, finish="reason")),
    "held-after-end": always(Scripted(ANSWER, finish=True, then="hang")),
    "reset-after-end": always(Scripted(ANSWER, finish=True, then="reset")),
    "endless": _repeated(_ENDLESS_SECONDS, lambda wire: wire.text("and on ")),
    "bad-chunk": _BadChunk,
    "unread-body": always(Silence()),  # the server leaves the rest of the body unread
    "flapping": always(_Flapping()),
}
