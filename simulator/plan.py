"""What a connection is told to send: bytes with their delays, and how it ends. Knows HTTP's framing, no vendor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, NamedTuple

Ending = Literal["end", "close", "cut", "reset", "hang"]
"""How an answer ends: `end` whole, the connection stays open for the next request; `close` whole, then FIN; `cut` FIN
in the middle of the HTTP message; `reset` RST; `hang` nothing more is sent, the socket is held until the client leaves.
"""

LAST_CHUNK = b"0\r\n\r\n"
STAMP = "time-of-writing."  # as long as a stamp
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Stamped(bytes):
    """Bytes of a step in which STAMP stands for the time of their writing: microseconds of the monotonic clock."""

    __slots__ = ()

    def at(self, seconds: float) -> bytes:
        """The bytes as they are written at that time."""
        return self.replace(STAMP.encode(), b"%016d" % (1e6 * seconds))


class Step(NamedTuple):
    """One write: so many seconds after the one before it (0: after the reader had a turn), these bytes."""

    delay: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole answer as writes, its ending, and how many output tokens it would cost."""

    steps: Iterable[Step]
    then: Ending = "end"
    tokens: int = 0


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """An answer's status line and headers."""
    phrase = _PHRASES.get(status, "Unknown")
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a body of unknown length."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(status: int, headers: Mapping[str, str], body: bytes) -> Plan:
    """An answer in one write."""
    return Plan([Step(0, head(status, {**headers, "content-length": str(len(body))}) + body)])


def stream(headers: Mapping[str, str], events: Iterable[Step], last: bytes, then: Ending, tokens: int = 0) -> Plan:
    """A chunked answer with a write for each event; `last` and the body's end mark share one write."""
    return Plan(_chunked(headers, events, last, then), then, tokens)


def _chunked(headers: Mapping[str, str], events: Iterable[Step], last: bytes, then: Ending) -> Iterator[Step]:
    yield Step(0, head(200, {**headers, "transfer-encoding": "chunked"}))
    waited = 0.0
    for delay, data in events:
        waited += delay
        if data:  # what a wire has no word for takes its time in silence
            yield Step(waited, chunk(data))
            waited = 0.0
    ending = (chunk(last) if last else b"") + (LAST_CHUNK if then in ("end", "close") else b"")
    if ending:
        yield Step(waited, ending)
