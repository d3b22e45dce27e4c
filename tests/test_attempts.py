"""The attempts policy: which model is asked next, after how long, and what is told when none is left."""

from __future__ import annotations

import pytest

from models import ERROR_KINDS, Attempt, Fallback, GatewayError
from providers.attempts import Chain, Link
from providers.breaker import Breaker

# What leads to the next model, as the contract's table of codes says; every other code ends the chain.
NEXT_MODEL = {
    "context_length_exceeded",
    "rate_limited",
    "upstream_model_not_found",
    "upstream_unavailable",
    "upstream_timeout",
    "upstream_truncated",
    "upstream_bad_event",
    "upstream_bad_response",
    "event_too_large",
}
ASKED_AGAIN = {"upstream_unavailable"}  # without a Retry-After: at most one more request to the same model


def link(model: str, provider: str = "gpt") -> Link:
    return Link(provider, model, Breaker())


def chain(*models: str, max_attempts: int = 4, restart: bool = False) -> Chain:
    links = [link(model) for model in models or ("first", "second")]
    return Chain(links, max_attempts, restart=restart, until=600, now=0)


def failure(code: str = "upstream_timeout", retry_after: float | None = None) -> GatewayError:
    return GatewayError(code, retry_after=retry_after)


def test_first_model_is_asked_first() -> None:
    """A new chain stands at the default model, with one request under way and no fallback."""
    new = chain("a", "b")
    assert (new.model, new.is_last, new.requests, new.fallback) == ("a", False, 1, None)


def test_single_model_is_the_last() -> None:
    """The last model has the longer patience, so it must know itself."""
    assert chain("a").is_last


@pytest.mark.parametrize("code", sorted(set(ERROR_KINDS) - ASKED_AGAIN))
def test_code_leads_to_the_next_model_or_to_the_end(code: str) -> None:
    """The contract's column "next model tried", code by code; the next model is asked at once."""
    asked = chain()
    assert asked.after(failure(code)) == (0.0 if code in NEXT_MODEL else None)
    assert asked.model == ("second" if code in NEXT_MODEL else "first")


@pytest.mark.parametrize("code", ["upstream_auth", "upstream_quota"])
def test_what_fails_for_the_whole_vendor_asks_no_other_of_its_models(code: str) -> None:
    """One key, one account: its second model would fail alike."""
    assert chain().after(failure(code)) is None


def test_unavailable_model_is_asked_once_more_after_jitter() -> None:
    """A 5xx or a reset is worth one more try after 50 to 250 ms, then the next model."""
    asked = chain()
    wait = asked.after(failure("upstream_unavailable"))
    assert wait is not None
    assert 0.05 <= wait <= 0.25
    assert asked.model == "first"
    assert asked.after(failure("upstream_unavailable")) == 0.0
    assert asked.model == "second"


def test_jitter_is_not_always_the_same() -> None:
    """Many gateways must not come back together."""
    assert len({chain().after(failure("upstream_unavailable")) for _ in range(20)}) > 1


def test_each_model_is_asked_again_for_itself() -> None:
    """That the first model was asked twice takes nothing from the second."""
    asked = chain(max_attempts=9)
    places = []
    while asked.after(failure("upstream_unavailable")) is not None:
        places.append(asked.model)
    assert places == ["first", "second", "second"]


@pytest.mark.parametrize(
    ("retry_after", "wait", "model"),
    [
        (0.0, 0.0, "first"),
        (1.5, 1.5, "first"),
        (2.5, 2.5, "first"),
        (2.6, 0.0, "second"),
        (60.0, 0.0, "second"),
        (None, 0.0, "second"),
    ],
)
def test_rate_limit_waits_only_where_it_is_short(retry_after: float | None, wait: float, model: str) -> None:
    """Up to 2.5 s the same model is worth the wait; a longer one, or none told, goes to the next model at once."""
    asked = chain()
    assert asked.after(failure("rate_limited", retry_after)) == wait
    assert asked.model == model


def test_rate_limited_model_is_asked_again_once() -> None:
    """A second 429 of the same model goes to the next, however short the wait."""
    asked = chain()
    asked.after(failure("rate_limited", 1.0))
    assert asked.after(failure("rate_limited", 1.0)) == 0.0
    assert asked.model == "second"


def test_one_more_request_a_model_whatever_the_reasons() -> None:
    """Different reasons do not add up to more than one more request."""
    asked = chain()
    asked.after(failure("upstream_unavailable"))
    asked.after(failure("rate_limited", 1.0))
    assert asked.model == "second"


@pytest.mark.parametrize("code", ["upstream_timeout", "upstream_truncated", "upstream_bad_event"])
def test_silent_or_broken_model_is_never_asked_again(code: str) -> None:
    """Who was silent for 12 s would be again: the next model, at once."""
    asked = chain()
    assert asked.after(failure(code)) == 0.0
    assert asked.model == "second"


def test_last_model_ends_the_chain() -> None:
    """After the last model nothing is left."""
    asked = chain("a", "b")
    asked.after(failure())
    assert asked.is_last
    assert asked.after(failure()) is None


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_requests_are_bounded(most: int) -> None:
    """MAX_ATTEMPTS counts every request, same model or another."""
    asked = chain("a", "b", "c", "d", max_attempts=most)
    requests = 1
    while asked.after(failure("upstream_unavailable")) is not None:
        requests += 1
    assert requests == most == len(asked.verdict(failure()).attempts)


def test_requests_count_the_one_under_way() -> None:
    """`attempts` in the end event is the number of requests made, the good one too."""
    asked = chain()
    asked.after(failure("upstream_unavailable"))
    asked.after(failure("upstream_unavailable"))
    assert asked.requests == 3


def test_fallback_tells_from_to_and_the_last_reason() -> None:
    """From the default model, to the one that answers, for what finally made us leave."""
    asked = chain("a", "b", "c", max_attempts=9)
    asked.after(failure("upstream_unavailable"))
    assert asked.fallback is None
    asked.after(failure("rate_limited"))
    assert asked.fallback == Fallback("a", "b", "rate_limited")
    asked.after(failure("upstream_timeout"))
    assert asked.fallback == Fallback("a", "c", "upstream_timeout")


def test_fallback_reason_is_not_the_fallback_models_own_failure() -> None:
    """The fallback model, asked twice, was not the reason for leaving the default."""
    asked = chain()
    asked.after(failure("upstream_timeout"))
    asked.after(failure("upstream_unavailable"))
    assert asked.fallback == Fallback("first", "second", "upstream_timeout")


@pytest.mark.parametrize("restart", [True, False])
def test_after_content_the_next_model_follows_only_on_wish(restart: bool) -> None:
    """A broken answer ends the chain, but for a client that asked for a restart."""
    asked = chain(restart=restart)
    assert asked.after_break(failure("upstream_truncated")) == (0.0 if restart else None)
    assert asked.model == ("second" if restart else "first")


def test_after_content_the_same_model_is_never_asked() -> None:
    """Even a reset, which before content is worth a second try, goes to the next model."""
    asked = chain(restart=True)
    assert asked.after_break(failure("upstream_unavailable")) == 0.0
    assert asked.model == "second"


def test_after_content_of_the_last_model_nothing_follows() -> None:
    """A restart needs another model."""
    assert chain("a", restart=True).after_break(failure()) is None


def test_repeat_asks_the_same_model_at_once() -> None:
    """Without the parameter that it refused, the model is asked again, and may still be asked once more after a 5xx."""
    asked = chain()
    assert asked.repeat(failure("rejected_by_provider")) == 0.0
    assert asked.model == "first"
    assert asked.after(failure("upstream_unavailable"))
    assert asked.model == "first"


def test_repeats_are_bounded_too() -> None:
    """A repeat is a request like any other."""
    assert chain(max_attempts=1).repeat(failure("rejected_by_provider")) is None


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (("upstream_timeout", "rate_limited"), "rate_limited"),
        (("rate_limited", "upstream_timeout"), "rate_limited"),
        (("upstream_truncated", "upstream_timeout"), "upstream_timeout"),
        (("upstream_timeout", "upstream_quota"), "upstream_quota"),
        (("upstream_truncated", "upstream_auth"), "upstream_truncated"),
        (("context_length_exceeded", "upstream_timeout"), "upstream_timeout"),
        (("upstream_timeout", "internal_error"), "internal_error"),
    ],
)
def test_most_actionable_error_is_told(codes: tuple[str, str], told: str) -> None:
    """429 before 503, before 504, before 502: what says best when to come back."""
    asked = chain()
    first, second = (failure(code) for code in codes)
    asked.after(first)
    asked.after(second)
    assert asked.verdict(second).code == told


def test_verdict_lists_all_attempts_in_their_order() -> None:
    """Model, code and reason of each failed request, the repeated ones too."""
    asked = chain("a", "b")
    asked.after(GatewayError("upstream_unavailable", reason="reset"))
    asked.after(GatewayError("upstream_unavailable", reason="status_503"))
    last = GatewayError("upstream_timeout", reason="first_content")
    asked.after(last)
    assert asked.verdict(last).attempts == (
        Attempt("a", "upstream_unavailable", "reset"),
        Attempt("a", "upstream_unavailable", "status_503"),
        Attempt("b", "upstream_timeout", "first_content"),
    )


def test_verdict_carries_the_longest_wait() -> None:
    """Both models limited: the client comes back when the later one is free."""
    asked = chain()
    last = failure("rate_limited", 7)
    asked.after(failure("rate_limited", 30))
    asked.after(last)
    assert asked.verdict(last).retry_after == 30


def test_verdict_that_is_final_carries_no_wait() -> None:
    """Waiting does not help where the error told cannot be retried."""
    asked = chain()
    last = failure("upstream_quota")
    asked.after(failure("upstream_timeout", 5))
    asked.after(last)
    assert (asked.verdict(last).code, asked.verdict(last).retry_after) == ("upstream_quota", None)


def test_verdict_after_content_is_the_break_itself() -> None:
    """What broke the answer is told, not an earlier failure that nobody saw."""
    asked = chain()
    asked.after(failure("rate_limited"))
    last = failure("upstream_truncated")
    last.stage = "after_content"
    asked.after_break(last)
    assert asked.verdict(last) is last
    assert [attempt.code for attempt in last.attempts] == ["rate_limited", "upstream_truncated"]


def opened(model: str, provider: str = "gpt", *, code: str = "upstream_unavailable", until: float = 5) -> Link:
    """A link whose breaker has opened, for so many seconds."""
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(code, until, 0, 0)
    return Link(provider, model, breaker)


def test_model_with_an_open_breaker_is_asked_last() -> None:
    """The fallback is asked first, and the answer says why; the default one is the last resort."""
    asked = Chain([opened("a", code="upstream_timeout"), link("b")], 4, until=600, now=0)
    assert (asked.model, asked.fallback) == ("b", Fallback("a", "b", "upstream_timeout"))
    assert asked.after(failure("upstream_truncated")) == 0.0
    assert (asked.model, asked.fallback, asked.is_last) == ("a", None, True)


def test_model_that_is_down_is_none_that_remains() -> None:
    """A fallback that answers late must not be given up, after the shorter patience, for a default that is dead."""
    assert Chain([opened("a"), link("b")], 4, until=600, now=0).is_last
    assert not Chain([opened("a"), link("b"), link("c")], 4, until=600, now=0).is_last


def test_last_resort_after_a_break_names_what_broke() -> None:
    """A restart always tells from which model to which."""
    asked = Chain([opened("a"), link("b")], 4, restart=True, until=600, now=0)
    asked.after_break(failure("upstream_truncated"))
    assert asked.fallback == Fallback("b", "a", "upstream_truncated")


def test_nobody_is_asked_where_all_breakers_are_open() -> None:
    """What is known to be down is told at once, with the time when the first of them is tried again."""
    links = [opened("a", code="rate_limited", until=40), opened("b", code="upstream_timeout", until=7)]
    refusal = Chain(links, 4, until=600, now=2).refusal
    assert refusal
    assert (refusal.code, refusal.reason, refusal.model, refusal.retry_after, refusal.stage) == (
        "upstream_timeout",
        "breaker_open",
        "b",
        5.0,
        "before_content",
    )


def test_half_open_breaker_takes_its_turn_again() -> None:
    """After its pause the default model is the first again."""
    asked = Chain([opened("a", until=5), link("b")], 4, until=600, now=6)
    assert (asked.model, asked.refusal) == ("a", None)


@pytest.mark.parametrize("code", ["upstream_auth", "upstream_quota"])
def test_what_fails_for_the_whole_vendor_goes_to_another(code: str) -> None:
    """A refused key or a spent quota is left for the next provider's models, where the operator named one."""
    asked = Chain([link("a"), link("b"), link("c", "claude")], 4, until=600, now=0)
    assert asked.after(failure(code)) == 0.0
    assert (asked.link.provider, asked.fallback) == ("claude", Fallback("a", "c", code))


def test_each_model_gets_its_turn_before_one_is_asked_again() -> None:
    """Of four attempts four models get one each; with fewer models the rest is for second tries."""
    asked = Chain([link("a"), link("b"), link("c", "claude"), link("d", "claude")], 4, until=600, now=0)
    models = [asked.model]
    while asked.after(failure("upstream_unavailable")) is not None:
        models.append(asked.model)
    assert models == ["a", "b", "c", "d"]
