"""`OncePerMinute`: limits how often the same thing is reported."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic

_MINUTE = 60.0


class OncePerMinute:
    """Allows each subject once a minute. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._allowed: dict[tuple[str | None, ...], float] = {}

    def allows(self, *subject: str | None) -> bool:
        """Whether the subject was not allowed within the last minute; it is allowed now, if so."""
        now = self._clock()
        if now - self._allowed.get(subject, -math.inf) < _MINUTE:
            return False
        self._allowed[subject] = now
        return True
