"""The attempts policy as a dialogue: a request fails, and the policy decides what follows."""

from __future__ import annotations

import pytest

from models import ERROR_KINDS, Fallback, GatewayError, OnBreak, Restart, Start
from providers import policy
from providers.policy import (
    AskAgain,
    AskNext,
    Blocked,
    Chain,
    Decision,
    Fail,
    Failed,
    Link,
    arrange,
)
from providers.refusals import RefusedParameterError, VendorRefusalError
from streams.failure import FailedAttempt, Failure

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
ASKED_AGAIN = {
    "upstream_unavailable"
}  # without a Retry-After: at most one more request to the same model
JITTERED = AskAgain(0.05, 0.2)


def make_chain(
    *models: str,
    max_attempts: int = 4,
    on_break: OnBreak = "error",
    blocked: dict[str, Blocked] | None = None,
) -> Chain:
    """A chain over these models; "claude/b" is one of another provider."""
    links = [
        Link(*model.split("/")) if "/" in model else Link("gpt", model)
        for model in models or ("first", "second")
    ]
    by_link = {link: blocked[link.model] for link in links if blocked and link.model in blocked}
    return arrange(links, by_link, max_attempts, on_break)


class Dialogue:
    """One chat: each failure is noted, and what the policy decides is done."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.failures: list[Failed] = []
        self.place = 0

    @property
    def model(self) -> str:
        """The model that is asked now."""
        return self.chain.links[self.place].model

    @property
    def fallback(self) -> Fallback | None:
        """The fallback that led to it."""
        return policy.fallback(self.chain, self.failures, self.place)

    @property
    def opening(self) -> Start | Restart:
        """What its first content begins with."""
        return policy.opening(self.chain, self.failures, self.place)

    def fail(
        self, error: str | GatewayError, *, chars: int | None = None, refused: str | None = None
    ) -> Decision:
        """The request in progress fails, with so many characters sent."""
        error = GatewayError(error) if isinstance(error, str) else error
        if refused:
            refusal = VendorRefusalError(error.code, places=[refused], texts=[])
            is_lasting = error.code != "context_length_exceeded"
            error = RefusedParameterError(refusal, refused, is_lasting=is_lasting)
        self.failures.append(Failed(self.place, error, chars))
        decision = policy.decide(self.chain, self.failures)
        if isinstance(decision, AskNext):
            self.place = decision.place
        return decision

    def end(self, *errors: str | GatewayError) -> Failure:
        """The chat's failure after these."""
        decision: Decision | None = None
        for error in errors:
            decision = self.fail(error)
        assert isinstance(decision, Fail)
        return decision.failure


def start(*models: str, **options: int) -> Dialogue:
    return Dialogue(make_chain(*models, max_attempts=options.get("max_attempts", 4)))


def restarting(*models: str) -> Dialogue:
    return Dialogue(make_chain(*models, on_break="restart"))


def limited(retry_after: float) -> GatewayError:
    return GatewayError("rate_limited", retry_after=retry_after)


# --- the order ---------------------------------------------------------------------------------------


def test_first_model_is_asked_first() -> None:
    """A new chat asks the default model, without a fallback."""
    new = start("a", "b")
    assert (new.model, new.fallback, new.opening) == ("a", None, Start("gpt", "a"))


BLOCKED = {"a": Blocked("upstream_timeout", 5)}
ORDERS: dict[str, tuple[dict[str, Blocked], list[str], int]] = {
    "none is blocked": ({}, ["a", "b", "c"], 2),
    "the default is": (BLOCKED, ["b", "c", "a"], 1),
    "the last is": ({"c": BLOCKED["a"]}, ["a", "b", "c"], 1),
    "two are": (BLOCKED | {"b": BLOCKED["a"]}, ["c", "a", "b"], 0),
}


@pytest.mark.parametrize(("blocked", "order", "last_place"), ORDERS.values(), ids=ORDERS)
def test_blocked_models_are_asked_last(
    blocked: dict[str, Blocked], order: list[str], last_place: int
) -> None:
    """The last model that is not blocked has the longer timeout: a blocked one is no model that remains."""
    chain = make_chain("a", "b", "c", blocked=blocked)
    assert [link.model for link in chain.links] == order
    assert chain.last_place == last_place


def test_answer_of_the_next_model_says_why_the_default_was_passed_over() -> None:
    """The error that opened its breaker; as the last resort the default is no fallback of itself."""
    chat = Dialogue(make_chain("a", "b", blocked=BLOCKED))
    assert (chat.model, chat.fallback) == ("b", Fallback("a", "b", "upstream_timeout"))
    assert chat.fail("upstream_truncated") == AskNext(1)
    assert (chat.model, chat.fallback) == ("a", None)


def test_no_model_is_asked_if_all_are_blocked() -> None:
    """The error of the one that is asked again first, with the time until then."""
    with pytest.raises(Failure) as raised:
        make_chain(
            blocked={
                "first": Blocked("rate_limited", 40),
                "second": Blocked("upstream_timeout", 5.5),
            }
        )
    error = raised.value
    assert (error.code, error.reason, error.model, error.retry_after) == (
        "upstream_timeout",
        "breaker_open",
        "second",
        5.5,
    )
    assert (error.stage, error.attempts) == ("before_content", ())


def test_wait_is_not_promised_if_it_would_not_help() -> None:
    """A key that is refused is refused later, too."""
    with pytest.raises(Failure) as raised:
        make_chain("a", blocked={"a": Blocked("upstream_auth", 5)})
    assert raised.value.retry_after is None


# --- before content ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(set(ERROR_KINDS) - ASKED_AGAIN))
def test_code_leads_to_the_next_model_or_to_the_end(code: str) -> None:
    """The contract's column "next model tried", code by code; the next model is asked at once."""
    decision = start().fail(code)
    assert decision == AskNext(1) if code in NEXT_MODEL else isinstance(decision, Fail)


DIALOGUES: dict[
    str, tuple[list[str], int, list[tuple[str | GatewayError, AskAgain | AskNext | None]]]
] = {
    "unavailable once more": (
        ["a", "b"],
        4,
        [("upstream_unavailable", JITTERED), ("upstream_unavailable", AskNext(1))],
    ),
    "each model once more": (
        ["a", "b"],
        9,
        [
            ("upstream_unavailable", JITTERED),
            ("upstream_unavailable", AskNext(1)),
            ("upstream_unavailable", JITTERED),
            ("upstream_unavailable", None),
        ],
    ),
    "limited for a short time": (
        ["a", "b"],
        4,
        [(limited(1.5), AskAgain(1.5)), (limited(1.5), AskNext(1))],
    ),
    "limited for no time": (["a", "b"], 4, [(limited(0.0), AskAgain(0.0))]),
    "limited as long as is waited": (["a", "b"], 4, [(limited(2.5), AskAgain(2.5))]),
    "limited for longer": (["a", "b"], 4, [(limited(2.6), AskNext(1))]),
    "limited, unknown how long": (["a", "b"], 4, [("rate_limited", AskNext(1))]),
    "once more in all": (
        ["a", "b"],
        4,
        [("upstream_unavailable", JITTERED), (limited(1.0), AskNext(1))],
    ),
    "silent": (["a", "b"], 4, [("upstream_timeout", AskNext(1)), ("upstream_timeout", None)]),
    "single model": (
        ["a"],
        4,
        [("upstream_unavailable", JITTERED), ("upstream_unavailable", None)],
    ),
    "a single attempt": (["a", "b"], 1, [("upstream_unavailable", None)]),
    "two attempts": (
        ["a", "b"],
        2,
        [("upstream_unavailable", AskNext(1)), ("upstream_unavailable", None)],
    ),
    "three attempts": (
        ["a", "b"],
        3,
        [
            ("upstream_unavailable", JITTERED),
            ("upstream_unavailable", AskNext(1)),
            ("upstream_unavailable", None),
        ],
    ),
    "each model before one is asked again": (
        ["a", "b", "claude/c", "claude/d"],
        4,
        [
            ("upstream_unavailable", AskNext(1)),
            ("upstream_unavailable", AskNext(2)),
            ("upstream_unavailable", AskNext(3)),
            ("upstream_unavailable", None),
        ],
    ),
    "key refused": (["a", "b", "claude/c"], 4, [("upstream_auth", AskNext(2))]),
    "quota spent": (["a", "b", "claude/c"], 4, [("upstream_quota", AskNext(2))]),
    "key refused, no other vendor": (["a", "b"], 4, [("upstream_auth", None)]),
    "quota spent, no other vendor": (["a", "b"], 4, [("upstream_quota", None)]),
}


@pytest.mark.parametrize(("models", "max_attempts", "lines"), DIALOGUES.values(), ids=DIALOGUES)
def test_dialogue(
    models: list[str],
    max_attempts: int,
    lines: list[tuple[str | GatewayError, AskAgain | AskNext | None]],
) -> None:
    """Which request follows each failure; None: the chat fails."""
    chat = start(*models, max_attempts=max_attempts)
    for error, expected in lines:
        decision = chat.fail(error)
        assert isinstance(decision, Fail) if expected is None else decision == expected


def test_refused_parameter_is_left_out_at_once() -> None:
    """It is no failed attempt: the model may still be asked once more after a 5xx, and with a single attempt too."""
    chat = start("a", max_attempts=2)
    assert chat.fail("rejected_by_provider", refused="temperature") == AskAgain()
    assert chat.fail("rejected_by_provider", refused="effort") == AskAgain()
    assert chat.fail("upstream_unavailable") == JITTERED
    assert isinstance(chat.fail("upstream_unavailable"), Fail)


def test_refused_parameters_are_those_of_the_model() -> None:
    """What one model refuses another may take; only a refusal that is due to the model is remembered."""
    chat = start("a", "b")
    chat.fail("rejected_by_provider", refused="temperature")
    chat.fail("context_length_exceeded", refused="max_tokens")
    chat.fail("upstream_timeout")
    assert policy.dropped(chat.chain, chat.failures, 0) == {
        "temperature": True,
        "max_tokens": False,
    }
    assert policy.dropped(chat.chain, chat.failures, 1) == {}


# --- fallbacks ---------------------------------------------------------------------------------------


def test_fallback_names_the_default_and_the_last_reason() -> None:
    """From the default model, to the one that answers, with the failure that ended the wait for the one before."""
    chat = start("a", "b", "c", max_attempts=9)
    chat.fail("upstream_unavailable")
    assert chat.fallback is None
    chat.fail("rate_limited")
    assert chat.fallback == Fallback("a", "b", "rate_limited")
    chat.fail("upstream_timeout")
    assert chat.fallback == Fallback("a", "c", "upstream_timeout")


def test_fallback_reason_is_not_the_fallback_models_own_failure() -> None:
    """The fallback model, asked twice, was not the reason for leaving the default."""
    chat = start()
    chat.fail("upstream_timeout")
    chat.fail("upstream_unavailable")
    assert chat.fallback == Fallback("first", "second", "upstream_timeout")


# --- after content -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["upstream_truncated", "upstream_unavailable", "upstream_timeout"])
@pytest.mark.parametrize(
    ("on_break", "follows"), [("error", False), ("restart", True), ("hold", True)]
)
def test_broken_answer_is_followed_only_if_the_client_wants_it(
    code: str, on_break: OnBreak, follows: bool
) -> None:
    """And only by the next model: even a reset, after which a model may be asked again, is not repeated."""
    decision = Dialogue(make_chain(on_break=on_break)).fail(code, chars=3)
    assert decision == AskNext(1) if follows else isinstance(decision, Fail)


def test_broken_answer_of_the_last_model_is_the_end() -> None:
    """A restart needs another model."""
    assert isinstance(restarting("a").fail("upstream_truncated", chars=3), Fail)


def test_restart_says_what_to_discard() -> None:
    """The characters of the newest broken answer; a failure before content in between changes nothing."""
    chat = restarting("a", "b", "c")
    chat.fail("upstream_truncated", chars=3)
    assert chat.opening == Restart("gpt", "b", Fallback("a", "b", "upstream_truncated"), 3)
    chat.fail("upstream_timeout")
    assert chat.opening == Restart("gpt", "c", Fallback("a", "c", "upstream_timeout"), 3)


def test_restart_counts_the_newest_broken_answer() -> None:
    """The one before it has been discarded."""
    chat = restarting("a", "b", "c")
    chat.fail("upstream_truncated", chars=3)
    chat.fail("upstream_truncated", chars=1)
    assert chat.opening == Restart("gpt", "c", Fallback("a", "c", "upstream_truncated"), 1)


def test_restart_by_the_default_model_names_the_broken_one() -> None:
    """A restart always says from which model to which."""
    chat = Dialogue(make_chain("a", "b", on_break="restart", blocked=BLOCKED))
    chat.fail("upstream_truncated", chars=3)
    assert chat.opening == Restart("gpt", "a", Fallback("b", "a", "upstream_truncated"), 3)


def test_held_answer_that_broke_was_not_seen() -> None:
    """The next one begins with a Start."""
    chat = Dialogue(make_chain(on_break="hold"))
    chat.fail("upstream_truncated", chars=3)
    assert chat.opening == Start("gpt", "second", Fallback("first", "second", "upstream_truncated"))


# --- how a chat fails --------------------------------------------------------------------------------

FAILURES = [
    (("upstream_timeout", "rate_limited"), "rate_limited"),
    (("rate_limited", "upstream_timeout"), "rate_limited"),
    (("upstream_truncated", "upstream_timeout"), "upstream_timeout"),
    (("upstream_timeout", "upstream_quota"), "upstream_quota"),
    (("upstream_truncated", "upstream_auth"), "upstream_truncated"),
    (("context_length_exceeded", "upstream_timeout"), "upstream_timeout"),
    (("upstream_timeout", "internal_error"), "internal_error"),
]


@pytest.mark.parametrize(("codes", "raised"), FAILURES)
def test_most_actionable_error_is_raised(codes: tuple[str, str], raised: str) -> None:
    """429 before 503, before 504, before 502: what says best when to try again. A bug is never hidden."""
    assert start().end(*codes).code == raised


def test_failure_lists_all_attempts_in_their_order() -> None:
    """Model, code and reason of each failed request; the error names its own model."""
    failure = start("a", "b").end(
        GatewayError("upstream_unavailable", reason="reset"),
        GatewayError("upstream_unavailable", reason="status_503"),
        GatewayError("upstream_timeout", reason="first_content"),
    )
    assert failure.attempts == (
        FailedAttempt("a", "upstream_unavailable", "reset"),
        FailedAttempt("a", "upstream_unavailable", "status_503"),
        FailedAttempt("b", "upstream_timeout", "first_content"),
    )
    assert (failure.provider, failure.model, failure.reason) == ("gpt", "a", "reset")
    assert (failure.stage, failure.sent_chars) == ("before_content", 0)


WAITS: list[tuple[tuple[GatewayError, GatewayError], float | None]] = [
    ((limited(30), limited(7)), 30),
    ((limited(7), limited(30)), 30),
    ((GatewayError("upstream_timeout", retry_after=5), GatewayError("upstream_quota")), None),
    ((GatewayError("upstream_timeout"), GatewayError("upstream_timeout")), None),
]


@pytest.mark.parametrize(("errors", "retry_after"), WAITS)
def test_failure_has_the_longest_wait(
    errors: tuple[GatewayError, GatewayError], retry_after: float | None
) -> None:
    """Both models limited: the client tries again when the later one is free. None if a retry does not help."""
    assert start().end(*errors).retry_after == retry_after


def test_error_stays_as_it_was_raised() -> None:
    """The failure has the wait and the model, the vendor's error keeps its own."""
    first, second = limited(30), limited(7)
    failure = start().end(first, second)
    assert failure.error is first
    assert (second.retry_after, second.model) == (7, None)


BROKEN: dict[str, tuple[OnBreak, list[tuple[str, int | None]], tuple[str, str, int]]] = {
    "broken": (
        "error",
        [("rate_limited", None), ("upstream_truncated", 5)],
        ("upstream_truncated", "after_content", 5),
    ),
    "without text": (
        "error",
        [("upstream_truncated", 0)],
        ("upstream_truncated", "after_content", 0),
    ),
    "then silence": (
        "restart",
        [("rate_limited", 3), ("upstream_timeout", None)],
        ("upstream_timeout", "after_content", 3),
    ),
    "twice": (
        "restart",
        [("rate_limited", 3), ("upstream_truncated", 1)],
        ("upstream_truncated", "after_content", 1),
    ),
    "held": (
        "hold",
        [("rate_limited", 3), ("upstream_truncated", 5)],
        ("rate_limited", "before_content", 0),
    ),
}


@pytest.mark.parametrize(("on_break", "lines", "expected"), BROKEN.values(), ids=BROKEN)
def test_failure_after_content_is_the_break_itself(
    on_break: OnBreak, lines: list[tuple[str, int | None]], expected: tuple[str, str, int]
) -> None:
    """Not an earlier failure that was invisible; `sent_chars` are those that the client still has."""
    chat = Dialogue(make_chain(on_break=on_break))
    for code, chars in lines:
        decision = chat.fail(code, chars=chars)
    assert isinstance(decision, Fail)
    failure = decision.failure
    assert (failure.code, failure.stage, failure.sent_chars) == expected
    assert [attempt.code for attempt in failure.attempts] == [code for code, _ in lines]
