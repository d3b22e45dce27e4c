"""The circuit breaker, a pure object that is given the time: when it opens, for how long, and which request may try."""

from __future__ import annotations

import pytest

from providers.breaker import Breaker

TIMEOUT, FAST = "upstream_timeout", "upstream_unavailable"


def fail(
    breaker: Breaker,
    times: int,
    at: float = 0.0,
    retry_after: float | None = None,
    code: str = TIMEOUT,
) -> float | None:
    """So many failed requests at one moment; the pause that the last of them brought."""
    pause = None
    for _ in range(times):
        pause = breaker.failed(code, retry_after, at, at)
    return pause


def probe(breaker: Breaker, *codes: str, at: float = 5.0) -> list[float]:
    """The pauses after probes that fail with these codes, each as soon as it is let through."""
    pauses = []
    for code in codes:
        assert breaker.ask(at)
        pause = fail(breaker, 1, at, code=code)
        breaker.release()
        assert pause is not None
        pauses.append(pause)
        at += pause
    return pauses


def opened(at: float = 0.0) -> Breaker:
    """A breaker that has just opened for its first 5 seconds."""
    breaker = Breaker()
    assert fail(breaker, 5, at) == 5
    return breaker


def test_new_breaker_lets_everything_through() -> None:
    """Until something fails there is nothing to break, and no request is a probe."""
    breaker = Breaker()
    assert (breaker.state(0), breaker.admits(0), breaker.ask(0)) == ("closed", True, False)


def test_five_failures_in_a_row_open_it() -> None:
    """Four are tolerated, the fifth opens."""
    breaker = Breaker()
    assert fail(breaker, 4) is None
    assert breaker.admits(0)
    assert fail(breaker, 1) == 5
    assert not breaker.admits(4.9)
    assert breaker.code == "upstream_timeout"


def test_success_breaks_the_row() -> None:
    """Failures count in a row only."""
    breaker = Breaker()
    fail(breaker, 4)
    breaker.succeeded(0, 0)
    assert fail(breaker, 4) is None


@pytest.mark.parametrize(("spacing", "opens"), [(1.0, True), (2.0, False)])
def test_half_of_twenty_within_the_window_opens_it(spacing: float, opens: bool) -> None:
    """Every second request fails: that opens it at the twentieth, if all twenty lie within 30 seconds."""
    breaker = Breaker()
    pauses = []
    for number in range(20):
        at = number * spacing
        if number % 2:
            pauses.append(breaker.failed("upstream_timeout", None, at, at))
        else:
            breaker.succeeded(at, at)
    assert [pause for pause in pauses if pause] == ([5.0] if opens else [])
    assert pauses[-1] == (5.0 if opens else None)


def test_fewer_than_half_do_not_open_it() -> None:
    """Nine of twenty are tolerated."""
    breaker = Breaker()
    for number in range(40):
        if number % 20 in range(0, 18, 2):
            assert breaker.failed("upstream_timeout", None, 0, 0) is None
        else:
            breaker.succeeded(0, 0)
    assert breaker.state(0) == "closed"


def test_one_probe_after_the_pause() -> None:
    """Half open, one request is let through; the others wait for how it goes."""
    breaker = opened()
    assert breaker.state(5) == "half_open"
    assert breaker.ask(5)
    assert not breaker.admits(5)
    assert not breaker.ask(5)


def test_probe_that_is_given_up_leaves_the_place_to_another() -> None:
    """A client that leaves says nothing of the vendor: the next request is the probe."""
    breaker = opened()
    assert breaker.ask(5)
    breaker.release()
    assert breaker.ask(6)


@pytest.mark.parametrize(
    ("codes", "pauses"),
    [
        ([TIMEOUT] * 4, [10, 20, 30, 30]),
        ([FAST] * 4, [10, 10, 10, 10]),
        (["rate_limited", "upstream_truncated", "upstream_bad_event"], [10, 10, 10]),
        ([TIMEOUT, TIMEOUT, FAST, FAST], [10, 20, 10, 10]),
        ([FAST, FAST, TIMEOUT, TIMEOUT, TIMEOUT], [10, 10, 10, 20, 30]),
    ],
)
def test_failed_probe_opens_it_for_twice_as_long(codes: list[str], pauses: list[float]) -> None:
    """Up to 10 seconds if the failure was fast, and up to 30 if it cost a timeout."""
    assert probe(opened(), *codes) == pauses


@pytest.mark.parametrize("recovers_at", [5.5, 11.0, 19.0, 26.5, 33.0, 60.0, 111.1])
def test_model_that_recovers_from_fast_failures_is_asked_within_15_seconds(
    recovers_at: float,
) -> None:
    """With one chat every four seconds, whenever that is."""
    breaker = Breaker()
    fail(breaker, 5, code=FAST)
    at = 0.0
    while True:
        at += 4.0
        if not breaker.admits(at):
            continue
        assert breaker.ask(at)
        if at >= recovers_at:
            break
        fail(breaker, 1, at, code=FAST)
        breaker.release()
    assert at - recovers_at <= 15


@pytest.mark.parametrize(("waited", "pause"), [(12, 18), (1, 29), (28, 5), (60, 5)])
def test_wait_for_a_silent_probe_is_part_of_the_pause(waited: float, pause: float) -> None:
    """A model that recovers while a probe waits in vain is asked again within 30 seconds; 5 at least are a pause."""
    breaker = opened()
    probe(breaker, TIMEOUT, TIMEOUT, TIMEOUT)
    assert breaker.ask(65)
    assert breaker.failed("upstream_timeout", None, 65, 65 + waited) == pause


def test_first_content_of_the_probe_closes_it_on_probation() -> None:
    """All are let through as soon as the probe has content; one more failure opens it again, for longer."""
    breaker = opened()
    assert breaker.ask(5)
    assert breaker.answered(5)
    assert breaker.state(6) == "closed"
    assert fail(breaker, 1, 6) == 10


def test_whole_answer_ends_the_probation() -> None:
    """After a success it is as good as new: five failures, five seconds."""
    breaker = opened()
    breaker.ask(5)
    breaker.answered(5)
    breaker.succeeded(5, 7)
    assert fail(breaker, 4, 8) is None
    assert fail(breaker, 1, 8) == 5


def test_wait_that_the_vendor_asks_for_is_the_pause() -> None:
    """Retry-After says it better than we can guess, up to five minutes."""
    breaker = Breaker()
    assert fail(breaker, 5, retry_after=42) == 42
    assert fail(breaker, 1, at=42, retry_after=86_400) == 300


def test_requests_from_before_the_opening_do_not_count() -> None:
    """Streams that began before it opened neither close nor prolong it, however they end."""
    breaker = opened(at=100)
    breaker.succeeded(90, 101)
    assert not breaker.answered(90)
    assert breaker.failed("upstream_timeout", None, 90, 106) is None
    assert breaker.state(106) == "half_open"


def test_failures_while_open_do_not_prolong_it() -> None:
    """Asked as a last resort and failed: that was to be expected."""
    breaker = opened()
    assert fail(breaker, 5, at=2) is None
    assert breaker.seconds_left(2) == 3


def test_success_while_open_closes_it() -> None:
    """Asked as a last resort and answered: it works."""
    breaker = opened()
    breaker.succeeded(2, 3)
    assert breaker.state(3) == "closed"
