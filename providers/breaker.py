"""The circuit breaker of one model: whether it is worth asking, judged by how its newest requests went.

Closed: asked as ever. Open, after 5 failures in a row or half of 20 within 30 s: not asked for 5 s, doubling to 30 s,
or for as long as the vendor said. Half open, after that: one request is let through, and decides; the seconds that it
waited in vain are part of the 30, so that a silent model that recovers is asked no later than another. Pure: it waits
for nothing, and is told the time, in seconds of any one monotonic clock.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

State = Literal["closed", "open", "half_open"]

_FAILURES_IN_A_ROW = 5
_JUDGED = 20  # requests, of which half may fail
_WINDOW_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_TOLD_PAUSE_SECONDS = 300.0  # a vendor may ask for a day; a probe every five minutes hurts nobody


class Breaker:
    """Shared by all chats with one model of one provider. `code` is that of the newest failure."""

    def __init__(self) -> None:
        self.code = "upstream_unavailable"
        self._newest: deque[tuple[float, bool]] = deque(maxlen=_JUDGED)  # when, and whether it failed
        self._failures_in_a_row = 0
        self._opened_at = -math.inf
        self._open_until: float | None = None  # None: closed
        self._pause = _FIRST_PAUSE_SECONDS
        self._is_probed = False

    def state(self, now: float) -> State:
        """What the breaker is at that time."""
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until or self._is_probed else "half_open"

    def admits(self, now: float) -> bool:
        """Whether a request would be let through."""
        return self.state(now) != "open"

    def seconds_left(self, now: float) -> float:
        """How long it stays open."""
        return max(0.0, (self._open_until or now) - now)

    def ask(self, now: float) -> bool:
        """Take note of a request. True where it is the probe: then `release` must follow, however it goes."""
        is_probe = self.state(now) == "half_open"
        self._is_probed = self._is_probed or is_probe
        return is_probe

    def release(self) -> None:
        """The probe is over."""
        self._is_probed = False

    def answered(self, asked_at: float) -> bool:
        """The first content has come: enough to close, on probation. True where that closed it."""
        if self._open_until is None or asked_at < self._opened_at:
            return False
        self._open_until = None
        self._newest.clear()
        self._failures_in_a_row = _FAILURES_IN_A_ROW - 1
        return True

    def succeeded(self, asked_at: float, now: float) -> None:
        """An answer ended well."""
        if asked_at < self._opened_at:
            return  # begun before the trouble, it says nothing of now
        self._open_until = None
        self._newest.append((now, False))
        self._failures_in_a_row = 0
        self._pause = _FIRST_PAUSE_SECONDS

    def failed(self, code: str, retry_after: float | None, asked_at: float, now: float) -> float | None:
        """A request failed by the vendor's doing. Seconds of the pause where this opened the breaker, else None."""
        if asked_at < self._opened_at:
            return None
        self.code = code
        self._newest.append((now, True))
        self._failures_in_a_row += 1
        is_failed_probe = self._open_until is not None and now >= self._open_until
        if not is_failed_probe and (self._open_until is not None or not self._is_too_much(now)):
            return None
        pause = self._choose_pause(asked_at, now) if retry_after is None else _limit_told_pause(retry_after)
        self._open(pause, now)
        return pause

    def _is_too_much(self, now: float) -> bool:
        if self._failures_in_a_row >= _FAILURES_IN_A_ROW:
            return True
        recent = [has_failed for at, has_failed in self._newest if now - at <= _WINDOW_SECONDS]
        return len(recent) == _JUDGED and 2 * sum(recent) >= _JUDGED

    def _choose_pause(self, asked_at: float, now: float) -> float:
        return min(self._pause, max(_FIRST_PAUSE_SECONDS, asked_at + _LONGEST_PAUSE_SECONDS - now))

    def _open(self, pause: float, now: float) -> None:
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        self._opened_at, self._open_until = now, now + pause
        self._newest.clear()


def _limit_told_pause(seconds: float) -> float:
    return min(max(seconds, 1.0), _LONGEST_TOLD_PAUSE_SECONDS)
