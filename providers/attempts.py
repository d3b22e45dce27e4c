"""The attempts policy: which model is asked next, after how long, and which error is told when none is left.

Pure decisions for one chat; nothing here waits or calls.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from models import Attempt, Fallback, GatewayError
from providers.breaker import Breaker

_LONGEST_RATE_LIMIT_WAIT = 2.5  # seconds
_RETRY_JITTER = (0.05, 0.25)  # seconds

# When every model failed, the error told is the one that says best what to do: wait, come back, or give up.
_MOST_ACTIONABLE = (429, 503, 504, 502, 422, 400)


class Link(NamedTuple):
    """One model of one provider, with the breaker that all chats with it share."""

    provider: str
    model: str
    breaker: Breaker

    def context(self) -> dict[str, str]:
        """What a log line says of it."""
        return {"provider": self.provider, "model": self.model}


class Chain:
    """The models of one chat in the order in which they are asked, and what has been tried.

    A model whose breaker is open is asked last. Where none is let through, `refusal` is the error to tell at once.
    `restart`: the client wants the next model's whole answer where one broke. `until` is the end of the whole chat and
    `now` the present, in the loop's seconds. `told_chars` counts the text that the client has of the present answer;
    None: it has been told nothing.
    """

    def __init__(
        self, links: Sequence[Link], max_attempts: int, *, restart: bool = False, until: float, now: float
    ) -> None:
        self._links = sorted(links, key=lambda link: not link.breaker.admits(now))
        self._last_place = max(0, sum(link.breaker.admits(now) for link in links) - 1)
        self._default = self._left = links[0]
        self._max_attempts = max_attempts
        self._restart = restart
        self._place = 0
        self._asked_again = False
        self._is_restarted = False
        self._left_for = self._default.breaker.code  # the code of the failure that the newest change is due to
        self._failures: list[GatewayError] = []
        self.refusal = None if self._links[0].breaker.admits(now) else _refuse(self._links, now)
        self.until = until
        self.asked_at = now
        self.told_chars: int | None = None
        self.is_answered = False

    @property
    def link(self) -> Link:
        """What is asked now."""
        return self._links[self._place]

    @property
    def model(self) -> str:
        """The model to ask now."""
        return self.link.model

    @property
    def is_last(self) -> bool:
        """Whether no other model remains after this one, but such as were down when the chat began."""
        return self._place >= self._last_place

    @property
    def requests(self) -> int:
        """How many requests were made, with the one under way."""
        return len(self._failures) + 1

    @property
    def fallback(self) -> Fallback | None:
        """Which model was left for the present one, and why; the default one left nothing but a broken answer."""
        if self.link != self._default:
            return Fallback(self._default.model, self.model, self._left_for)
        return Fallback(self._left.model, self.model, self._left_for) if self._is_restarted else None

    def after(self, error: GatewayError) -> float | None:
        """Take note of a failure: seconds to wait before `model` is asked, None where nothing is left to try."""
        self._note(error)
        again = None if self._asked_again else _wait_before_same_model(error)
        if again is None or self._attempts_left <= self._models_left:  # each model gets its turn first
            return self._go_to_next(error)
        self._asked_again = True
        return again

    def after_break(self, error: GatewayError) -> float | None:
        """The same where content had come: only the next model may follow, and only for a client that asked for it."""
        self._note(error)
        self._is_restarted = self._restart
        return self._go_to_next(error) if self._restart else None

    def repeat(self, error: GatewayError) -> float | None:
        """The same where the failure's cause has been removed: the model is asked again at once."""
        self._note(error)
        return 0.0 if self._attempts_left else None

    @property
    def _attempts_left(self) -> int:
        return self._max_attempts - len(self._failures)

    @property
    def _models_left(self) -> int:
        return len(self._links) - 1 - self._place

    def _note(self, error: GatewayError) -> None:
        error.provider, error.model = self.link.provider, self.link.model
        self._failures.append(error)

    def _go_to_next(self, error: GatewayError) -> float | None:
        place = self._next_place(error)
        if place is None or not self._attempts_left:
            return None
        self._left, self._left_for = self.link, error.code
        self._place = place
        self._asked_again = False
        return 0.0

    def _next_place(self, error: GatewayError) -> int | None:
        """The next model that may do better: any, or of another vendor only, or none."""
        if error.kind.next_model == "no":
            return None
        wants_other = error.kind.next_model == "other_vendor"
        places = range(self._place + 1, len(self._links))
        return next((p for p in places if not wants_other or self._links[p].provider != self.link.provider), None)

    def verdict(self, last: GatewayError) -> GatewayError:
        """The error to tell, with all attempts in it: a break or a bug as it is, else the most actionable."""
        is_final = last.stage == "after_content" or last.code == "internal_error"
        told = last if is_final else min(self._failures, key=_rank)
        waits = [error.retry_after for error in self._failures if error.retry_after is not None]
        if told.kind.retryable and waits:
            told.retry_after = max(waits)
        told.attempts = tuple(Attempt(error.model or "", error.code, error.reason) for error in self._failures)
        return told


def _refuse(links: Sequence[Link], now: float) -> GatewayError:
    """Every breaker is open: what the first to close is open for."""
    first = min(links, key=lambda link: link.breaker.seconds_left(now))
    error = GatewayError(first.breaker.code, reason="breaker_open", provider=first.provider, model=first.model)
    error.retry_after = first.breaker.seconds_left(now) if error.kind.retryable else None
    error.stage = "before_content"
    return error


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
