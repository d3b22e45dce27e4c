"""The attempts policy: which model is asked next, after how long, and how a chat fails.

Pure functions of what a chat may try and of what has failed so far. They read no clock and no
breaker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models import Fallback, GatewayError, OnBreak, Restart, Start
from providers.refusals import RefusedParameterError
from streams.failure import FailedAttempt, Failure

_LONGEST_RATE_LIMIT_WAIT = 2.5  # seconds
_RETRY_WAIT = 0.05  # seconds
_RETRY_JITTER = 0.2  # seconds

# Statuses, the most actionable first. If every model failed, the client gets the most actionable of
# the errors.
_MOST_ACTIONABLE = (429, 503, 504, 502, 422, 400)


class Link(NamedTuple):
    """One model of one provider."""

    provider: str
    model: str

    def context(self) -> dict[str, str]:
        """Fields for a log line."""
        return self._asdict()


class Blocked(NamedTuple):
    """A model whose breaker is open: the error that opened it, and for how many seconds."""

    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Chain:
    """The models of one chat in the order in which they are asked, and the limits of asking."""

    links: tuple[Link, ...]
    default: Link
    last_place: int  # of the last model that was not blocked when the chat began
    passed_over: str  # the error code for which the default model is not the first one
    max_attempts: int
    on_break: OnBreak

    @property
    def asks_after_break(self) -> bool:
        """Whether another model may be asked after content; if so, the prompt must be kept."""
        return self.on_break != "error"


class Failed(NamedTuple):
    """One request that failed, to the model at a place of the chain.

    `chars` are the characters of text that had arrived; None: no content had.
    """

    place: int
    error: GatewayError
    chars: int | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the model refused a parameter, which is left out when it is asked again."""
        return isinstance(self.error, RefusedParameterError)


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Ask the same model once more, after `wait` seconds and up to `jitter` seconds more."""

    wait: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class AskNext:
    """Ask the model at this place, at once."""

    place: int


@dataclass(frozen=True, slots=True)
class Fail:
    """Ask no further model: this is how the chat fails."""

    failure: Failure


Decision = AskAgain | AskNext | Fail


def arrange(
    links: Sequence[Link],
    blocked: Mapping[Link, Blocked],
    max_attempts: int,
    on_break: OnBreak,
    default: Link | None = None,
) -> Chain:
    """The chain over these models: those with an open breaker are asked last.

    `default` is the default model; without one it is the first. If it is not among the models, it
    cannot do what the chat needs.
    Raises Failure if all of them are blocked, with the error of the one that is asked again first.
    """
    if len(blocked) == len(links):
        first = min(links, key=lambda link: blocked[link].seconds)
        code, seconds = blocked[first]
        error = GatewayError(
            code, reason="breaker_open", provider=first.provider, model=first.model
        )
        retry_after = seconds if error.kind.retryable else None
        raise Failure(error, retry_after=retry_after, stage="before_content")
    ordered = sorted(links, key=lambda link: link in blocked)
    default = default or links[0]
    passed_over = blocked[default].code if default in blocked else "upstream_unavailable"
    if default not in links:
        passed_over = "unsupported"
    last_place = len(links) - len(blocked) - 1
    return Chain(tuple(ordered), default, last_place, passed_over, max_attempts, on_break)


def decide(chain: Chain, failures: Sequence[Failed]) -> Decision:
    """What follows the newest failure.

    A refused parameter is no failed attempt: it can be left out only once. Before content the same
    model is asked once more if that helps; after it only the next model may be asked, and only if
    the client wants that.
    """
    newest = failures[-1]
    if newest.is_refusal:
        return AskAgain()
    attempts_left = chain.max_attempts - sum(not failed.is_refusal for failed in failures)
    models_left = len(chain.links) - 1 - newest.place
    again = _ask_again(newest.error)
    has_broken = newest.chars is not None
    before = [failed for failed in failures[:-1] if failed.place == newest.place]
    was_asked_again = not all(failed.is_refusal for failed in before)
    if again and not has_broken and not was_asked_again and attempts_left > models_left:
        return again  # with fewer attempts left, the other models are asked first
    place = _next_place(chain, newest)
    if place is None or not attempts_left or (has_broken and not chain.asks_after_break):
        return Fail(fail(chain, failures))
    return AskNext(place)


def fallback(chain: Chain, failures: Sequence[Failed], place: int) -> Fallback | None:
    """The fallback that led to the model at `place`.

    None for the default model, unless it follows a broken answer of another one.
    """
    model = chain.links[place]
    left = next((failed for failed in reversed(failures) if failed.place != place), None)
    reason = left.error.code if left else chain.passed_over
    if model != chain.default:
        return Fallback(chain.default.model, model.model, reason)
    has_broken = any(failed.chars is not None for failed in failures)
    if left and has_broken and chain.on_break == "restart":
        return Fallback(chain.links[left.place].model, model.model, reason)
    return None


def opening(chain: Chain, failures: Sequence[Failed], place: int) -> Start | Restart:
    """The event before the first content of the model at `place`."""
    link = chain.links[place]
    came_from = fallback(chain, failures, place)
    sent = sent_chars(chain, failures)
    if sent is None or came_from is None:
        return Start(link.provider, link.model, came_from)
    return Restart(link.provider, link.model, came_from, sent)


def sent_chars(chain: Chain, failures: Iterable[Failed]) -> int | None:
    """How many characters the client has of the newest broken answer; None if no content."""
    if chain.on_break == "hold":
        return None
    broken = [failed.chars for failed in failures if failed.chars is not None]
    return broken[-1] if broken else None


def dropped(chain: Chain, failures: Iterable[Failed], place: int) -> dict[str, bool]:
    """The parameters that the model at `place` has refused in this chat.

    The value says whether to remember it after the chat.
    """
    return {
        failed.error.parameter: failed.error.is_lasting
        for failed in failures
        if isinstance(failed.error, RefusedParameterError)
        and chain.links[failed.place] == chain.links[place]
    }


def fail(chain: Chain, failures: Sequence[Failed]) -> Failure:
    """How a chat fails after these requests.

    With the newest error if content was sent or it is a bug, else with the most actionable one.
    """
    newest = failures[-1]
    sent = sent_chars(chain, failures)
    is_final = sent is not None or newest.error.code == "internal_error"
    failed = newest if is_final else min(failures, key=_rank)
    error, link = failed.error, chain.links[failed.place]
    waits = [each.error.retry_after for each in failures if each.error.retry_after is not None]
    return Failure(
        error,
        provider=link.provider,
        model=link.model,
        retry_after=max(waits) if error.kind.retryable and waits else error.retry_after,
        stage="before_content" if sent is None else "after_content",
        sent_chars=sent or 0,
        attempts=[
            FailedAttempt(chain.links[place].model, each.code, each.reason)
            for place, each, *_ in failures
        ],
    )


def _ask_again(error: GatewayError) -> AskAgain | None:
    """When to ask the same model once more; None if that would not help."""
    if error.code == "upstream_unavailable":
        return AskAgain(_RETRY_WAIT, _RETRY_JITTER)
    if error.code == "rate_limited" and error.retry_after is not None:
        is_short = error.retry_after <= _LONGEST_RATE_LIMIT_WAIT
        return AskAgain(error.retry_after) if is_short else None
    return None


def _next_place(chain: Chain, failed: Failed) -> int | None:
    """The place of the next model that may succeed, if any; some errors require another vendor."""
    wanted = failed.error.kind.next_model
    if wanted == "no":
        return None
    provider = chain.links[failed.place].provider
    for place in range(failed.place + 1, len(chain.links)):
        if wanted == "yes" or chain.links[place].provider != provider:
            return place
    return None


def _rank(failed: Failed) -> int:
    status = failed.error.kind.status
    return _MOST_ACTIONABLE.index(status) if status in _MOST_ACTIONABLE else len(_MOST_ACTIONABLE)
