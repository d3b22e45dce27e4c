"""The answer to a request: its bytes with the time of each read, evaluated after the load."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

_STAMP_DIGITS = 16
_LAST_CHUNK = b"0\r\n\r\n"


class Wire(NamedTuple):
    """How a protocol's streams are read: what is before a delta's text, and how they end."""

    before_text: bytes
    last_frame: bytes


CHAT = Wire(b'"content":"', b"data: [DONE]")  # of the native protocol, too


@lru_cache(maxsize=8)
def _texts(wire: Wire) -> re.Pattern[bytes]:
    return re.compile(re.escape(wire.before_text) + rb'((?:[^"\\]|\\.)+)"')


@lru_cache(maxsize=8)
def _stamps(wire: Wire) -> re.Pattern[bytes]:
    return re.compile(re.escape(wire.before_text) + rb'(\d{16})"')


@dataclass(slots=True)
class Answer:
    """One answer as it was received, with monotonic times."""

    asked_at: float
    reads: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    wire: Wire = CHAT

    @property
    def status(self) -> int:
        """The HTTP status; 0 if there was none."""
        first = self.reads[0].split(None, 2) if self.reads else []
        return int(first[1]) if len(first) > 1 else 0

    @property
    def body(self) -> bytes:
        """What was received of the body, without the chunks' sizes."""
        return unchunk(b"".join(self.reads))

    @property
    def has_ended(self) -> bool:
        """Whether the end mark was received, and after it the end of the HTTP message."""
        return (
            bool(self.reads)
            and b"".join(self.reads[-2:]).endswith(_LAST_CHUNK)
            and self.body.rstrip().rpartition(b"\n\n")[2].startswith(self.wire.last_frame)
        )

    @property
    def text(self) -> bytes:
        """The text of all deltas."""
        return b"".join(_texts(self.wire).findall(self.body))

    def is_whole(self, deltas: int) -> bool:
        """Whether it ended, and has the text of a load of the simulator with this many deltas."""
        return self.has_ended and is_load(self.text, deltas)

    def first_content_ms(self) -> float | None:
        """From the request to the first content; None if there was none."""
        found = _texts(self.wire).search(b"".join(self.reads))
        return 1000 * (self._arrival([found.end()])[0] - self.asked_at) if found else None

    def delays_ms(self) -> list[float]:
        """The time from the vendor's write to our read, for each stamped delta."""
        found = list(_stamps(self.wire).finditer(b"".join(self.reads)))
        arrivals = self._arrival([match.end() for match in found])
        return [1000 * at - int(match[1]) / 1000 for at, match in zip(arrivals, found, strict=True)]

    def _arrival(self, places: list[int]) -> list[float]:
        """When the bytes up to each place had been received."""
        starts = [0, *accumulate(map(len, self.reads))]
        return [self.times[bisect_right(starts, place - 1) - 1] for place in places]


def unchunk(raw: bytes) -> bytes:
    """A chunked response's body, as far as it was received."""
    body, place = [], raw.find(b"\r\n\r\n") + 4
    while place >= 4 and (line_end := raw.find(b"\r\n", place)) > 0:
        size = int(raw[place:line_end].partition(b";")[0] or b"0", 16)
        body.append(raw[line_end + 2 : line_end + 2 + size])
        place = line_end + 4 + size
        if not size:
            break
    return b"".join(body)


def is_load(text: bytes, deltas: int) -> bool:
    """Whether nothing is missing, doubled or out of order in the text of a simulator's load."""
    if text.startswith(b" "):
        return text == _numbers(deltas)
    stamps = [text[start : start + _STAMP_DIGITS] for start in range(0, len(text), _STAMP_DIGITS)]
    return len(text) == deltas * _STAMP_DIGITS and text.isdigit() and stamps == sorted(stamps)


@lru_cache(maxsize=8)
def _numbers(deltas: int) -> bytes:
    return "".join(f" {number % 1000:03d}" for number in range(deltas)).encode()
