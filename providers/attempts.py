"""The attempts policy: which model is asked next, after how long, and which error is told when none is left.

Pure decisions for one chat; nothing here waits or calls.
"""

from __future__ import annotations

import random

from models import Attempt, Fallback, GatewayError

_LONGEST_RATE_LIMIT_WAIT = 2.5  # seconds
_RETRY_JITTER = (0.05, 0.25)  # seconds

# When every model failed, the error told is the one that says best what to do: wait, come back, or give up.
_MOST_ACTIONABLE = (429, 503, 504, 502, 422, 400)


class Chain:
    """The models of one chat in their order, and what has been tried."""

    def __init__(self, models: tuple[str, ...], max_attempts: int) -> None:
        self._models = models
        self._max_attempts = max_attempts
        self._place = 0
        self._asked_again = False
        self._left_for = ""  # the code of the failure that the newest change of model is due to
        self._failures: list[GatewayError] = []

    @property
    def model(self) -> str:
        """The model to ask now."""
        return self._models[self._place]

    @property
    def is_last(self) -> bool:
        """Whether no other model remains after this one."""
        return self._place == len(self._models) - 1

    @property
    def requests(self) -> int:
        """How many requests were made, with the one under way."""
        return len(self._failures) + 1

    @property
    def fallback(self) -> Fallback | None:
        """Which model was left for the present one, and why."""
        if self._place == 0:
            return None
        return Fallback(self._models[0], self.model, self._left_for)

    def after(self, error: GatewayError) -> float | None:
        """Take note of a failure: seconds to wait before `model` is asked, None where nothing is left to try."""
        again = None if self._asked_again else _wait_before_same_model(error)
        if not self._may_go_on(error):
            return None
        if again is None:
            return self._go_to_next(error)
        self._asked_again = True
        return again

    def after_break(self, error: GatewayError, *, restart: bool) -> float | None:
        """The same where content had come: only the next model may follow, and only for a client that asked for it."""
        return self._go_to_next(error) if self._may_go_on(error) and restart else None

    def repeat(self, error: GatewayError) -> float | None:
        """The same where the failure's cause has been removed: the model is asked again at once."""
        return 0.0 if self._may_go_on(error) else None

    def _may_go_on(self, error: GatewayError) -> bool:
        error.model = self.model
        self._failures.append(error)
        return len(self._failures) < self._max_attempts

    def _go_to_next(self, error: GatewayError) -> float | None:
        if error.kind.next_model != "yes" or self.is_last:
            return None
        self._left_for = error.code
        self._place += 1
        self._asked_again = False
        return 0.0

    def verdict(self, last: GatewayError) -> GatewayError:
        """The error to tell, with all attempts in it: `last` after content, else the most actionable."""
        told = last if last.stage == "after_content" else min(self._failures, key=_rank)
        waits = [error.retry_after for error in self._failures if error.retry_after is not None]
        if told.kind.retryable and waits:
            told.retry_after = max(waits)
        told.attempts = tuple(Attempt(error.model or "", error.code, error.reason) for error in self._failures)
        return told


def _wait_before_same_model(error: GatewayError) -> float | None:
    """Seconds to wait before the same model is asked once more, or None where that would not help."""
    if error.code == "upstream_unavailable":
        return random.uniform(*_RETRY_JITTER)
    if error.code == "rate_limited" and error.retry_after is not None:
        return error.retry_after if error.retry_after <= _LONGEST_RATE_LIMIT_WAIT else None
    return None


def _rank(error: GatewayError) -> int:
    status = error.kind.status
    return _MOST_ACTIONABLE.index(status) if status in _MOST_ACTIONABLE else len(_MOST_ACTIONABLE)
