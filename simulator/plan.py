"""Plans of what a connection sends: bytes with delays, and an ending.

Knows HTTP framing, but no vendor.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, NamedTuple

Ending = Literal["end", "close", "cut", "reset", "hang"]
"""How an answer ends.

`end`: complete, the connection stays open for the next request. `close`: complete, then FIN. `cut`:
FIN in the middle of the HTTP message. `reset`: RST. `hang`: nothing more is sent until the client
disconnects.
"""

LAST_CHUNK = b"0\r\n\r\n"
STAMP = "time-of-writing."  # as long as a stamp
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Stamped(bytes):
    """Bytes in which STAMP is replaced by the time of writing, in monotonic microseconds."""

    __slots__ = ()

    def at(self, seconds: float) -> bytes:
        """The bytes to write at that time."""
        return self.replace(STAMP.encode(), b"%016d" % (1e6 * seconds))


class Step(NamedTuple):
    """One write of `data`, `delay` seconds after the previous one.

    0: in a later turn of the event loop.
    """

    delay: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """An answer as a sequence of writes, its ending, and its number of output tokens.

    `events` are those of a stream, without the framing of HTTP.
    """

    steps: Iterable[Step]
    then: Ending = "end"
    tokens: int = 0
    events: Iterable[Step] | None = None


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """The status line and headers of a response."""
    phrase = _PHRASES.get(status, "Unknown")
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(status: int, headers: Mapping[str, str], body: bytes) -> Plan:
    """A complete response in one write."""
    return Plan([Step(0, head(status, {**headers, "content-length": str(len(body))}) + body)])


def stream(
    headers: Mapping[str, str], events: Iterable[Step], last: bytes, then: Ending, tokens: int = 0
) -> Plan:
    """A chunked response with a write for each event.

    `last` and the final chunk share one write.
    """
    return Plan(
        _chunked(headers, events, last, then),
        then,
        tokens,
        itertools.chain(events, [Step(0, last)]),
    )


def joined(
    plan: Plan, headers: Mapping[str, str], join: Callable[[bytes], tuple[bytes, bool]]
) -> Plan:
    """The plan with its stream in one body, at the time at which the stream would end.

    `join` makes the body of the events, and says whether it is whole: only then is it sent
    completely whatever the ending.
    """
    if plan.events is None:
        return plan
    return Plan(_joined(plan.events, plan.then, headers, join), plan.then, plan.tokens)


def _joined(
    events: Iterable[Step],
    then: Ending,
    headers: Mapping[str, str],
    join: Callable[[bytes], tuple[bytes, bool]],
) -> Iterator[Step]:
    texts = []
    for delay, data in events:
        texts.append(data)
        if delay:
            yield Step(delay, b"")
    received = b"".join(texts)
    body, is_whole = join(received) if received else (b"", False)
    yield from _chunked(headers, (), body, "end" if is_whole else then)


def _chunked(
    headers: Mapping[str, str], events: Iterable[Step], last: bytes, then: Ending
) -> Iterator[Step]:
    yield Step(0, head(200, {**headers, "transfer-encoding": "chunked"}))
    waited = 0.0
    for delay, data in events:
        waited += delay
        if data:  # an event that the wire cannot express only adds its delay
            yield Step(waited, chunk(data))
            waited = 0.0
    ending = (chunk(last) if last else b"") + (LAST_CHUNK if then in ("end", "close") else b"")
    if ending:
        yield Step(waited, ending)


def cut(data: bytes, cuts: tuple[int, ...] | int | None) -> list[bytes]:
    """Cut a stream at these offsets, or into segments of this size."""
    if isinstance(cuts, int):
        cuts = tuple(range(cuts, len(data), cuts))
    offsets = (0, *sorted(cuts or ()), len(data))
    return [data[start:end] for start, end in itertools.pairwise(offsets)]


def random_cuts(length: int, seed: int, count: int) -> tuple[int, ...]:
    """Up to `count` random offsets to cut a stream at, the same for the same seed."""
    return tuple(
        sorted(random.Random(seed).sample(range(1, length), min(count, max(length - 1, 0))))
    )
