"""The circuit breaker of one model: decides from its newest requests whether it is asked.

Closed: requests pass. Open, after 5 failures in a row or half of 20 requests within 30 s: the model
is not asked for 5 s, doubling up to 10 s if the failure was fast and up to 30 s if it was a
timeout, or for as long as the vendor asked. Half open, after that: one request, the probe, passes,
and its result decides. The duration of a probe that times out is part of the 30 s, so that a silent
model that recovers is asked no later than another. A breaker never waits; the caller passes the
current time, in seconds of any one monotonic clock.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

State = Literal["closed", "open", "half_open"]

_FAILURES_IN_A_ROW = 5
_JUDGED = 20  # requests; the breaker opens if half of them failed
_WINDOW_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 30.0  # after a timeout: each probe makes one chat wait that long
_LONGEST_FAST_PAUSE_SECONDS = 10.0  # after any other failure: a probe costs almost nothing
# a vendor may ask for a day; a probe every five minutes is harmless
_LONGEST_REQUESTED_PAUSE_SECONDS = 300.0


class Breaker:
    """Shared by all chats with one model of one provider. `code` is that of the newest failure."""

    def __init__(self) -> None:
        self.code = "upstream_unavailable"
        # time, and whether the request failed
        self._newest: deque[tuple[float, bool]] = deque(maxlen=_JUDGED)
        self._failures_in_a_row = 0
        self._opened_at = -math.inf
        self.open_until: float | None = None  # None: closed, so every request passes
        self._pause = _FIRST_PAUSE_SECONDS
        self._is_probed = False

    def state(self, now: float) -> State:
        """The state at the time `now`."""
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until or self._is_probed else "half_open"

    def admits(self, now: float) -> bool:
        """Whether a request may be sent."""
        return self.state(now) != "open"

    def seconds_left(self, now: float) -> float:
        """The seconds until the breaker is half open; 0 if it is not open."""
        return max(0.0, (self.open_until or now) - now)

    def ask(self, now: float) -> bool:
        """Record a request.

        Returns True for the probe, which the caller must `release` when it ends.
        """
        is_probe = self.state(now) == "half_open"
        self._is_probed = self._is_probed or is_probe
        return is_probe

    def release(self) -> None:
        """The probe has ended, with whatever result."""
        self._is_probed = False

    def answered(self, asked_at: float) -> bool:
        """Record the first content.

        It closes the breaker until the next failure; True if it was open.
        """
        if self.open_until is None or asked_at < self._opened_at:
            return False
        self.open_until = None
        self._newest.clear()
        self._failures_in_a_row = _FAILURES_IN_A_ROW - 1
        return True

    def succeeded(self, asked_at: float, now: float) -> None:
        """Record a complete answer."""
        if asked_at < self._opened_at:
            return  # a request from before the failures does not show that the model has recovered
        self.open_until = None
        self._newest.append((now, False))
        self._failures_in_a_row = 0
        self._pause = _FIRST_PAUSE_SECONDS

    def failed(
        self, code: str, retry_after: float | None, asked_at: float, now: float
    ) -> float | None:
        """Record a failure of the vendor.

        Returns the seconds of the pause if it opened the breaker, else None.
        """
        if asked_at < self._opened_at:
            return None
        self.code = code
        self._newest.append((now, True))
        self._failures_in_a_row += 1
        if self.open_until is None:
            recent = [has_failed for at, has_failed in self._newest if now - at <= _WINDOW_SECONDS]
            is_half = len(recent) == _JUDGED and 2 * sum(recent) >= _JUDGED
            if self._failures_in_a_row < _FAILURES_IN_A_ROW and not is_half:
                return None
        elif now < self.open_until:
            return None  # else it is a failed probe
        longest = (
            _LONGEST_PAUSE_SECONDS if code == "upstream_timeout" else _LONGEST_FAST_PAUSE_SECONDS
        )
        if retry_after is None:
            pause = min(self._pause, max(_FIRST_PAUSE_SECONDS, asked_at + longest - now))
        else:
            pause = min(max(retry_after, 1.0), _LONGEST_REQUESTED_PAUSE_SECONDS)
        self._pause = min(2 * self._pause, longest)
        self._opened_at, self.open_until = now, now + pause
        self._newest.clear()
        return pause
