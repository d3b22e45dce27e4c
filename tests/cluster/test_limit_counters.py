"""The counters of clients: windows, budgets and streams, at times that the tests set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cluster.limit_counters import NANODOLLARS, LimitCounters, Standing
from cluster.limiter import client_name
from settings.client_limits import ClientLimits


class Time:
    """A monotonic clock and the wall clock, which advance together."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall = datetime(2026, 12, 31, 23, 59, 0, tzinfo=UTC)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)

    def counters(self) -> LimitCounters:
        """Counters that go by these time."""
        return LimitCounters(lambda: self.seconds, lambda: self.wall)


def test_requests_are_limited_in_a_moving_window() -> None:
    """In no 60 seconds there are more, and after the time in `retry_after` there is room for one."""
    time = Time()
    counters, limits = time.counters(), ClientLimits(requests_per_minute=3)
    for wait in (0, 10, 20):
        time.advance(wait)
        assert counters.enter("a", limits).refused_by is None
    time.advance(5)
    refused = counters.enter("a", limits)
    assert (refused.refused_by, refused.retry_after) == ("requests_per_minute", 25)
    assert counters.enter("b", limits).refused_by is None
    time.advance(24.9)
    assert counters.enter("a", limits).refused_by == "requests_per_minute"
    time.advance(0.1)
    admitted = counters.enter("a", limits)
    assert admitted.refused_by is None
    assert admitted.standings == (Standing("requests_per_minute", 3, 0, 60, 60),)
    assert counters.enter("a", limits).retry_after == 10


def test_refused_requests_do_not_count() -> None:
    """A client that asks again and again is let in as soon as one that waits."""
    time = Time()
    counters, limits = time.counters(), ClientLimits(requests_per_minute=1)
    counters.enter("a", limits)
    for _ in range(59):
        time.advance(1)
        assert counters.enter("a", limits).refused_by
    time.advance(1)
    assert counters.enter("a", limits).refused_by is None


def test_streams_are_given_back() -> None:
    """By each chat's end, and all of a worker that has died."""
    counters, limits = LimitCounters(), ClientLimits(streams=2)
    assert counters.enter("a", limits, worker=1).refused_by is None
    assert counters.enter("a", limits, worker=2).refused_by is None
    assert counters.enter("a", limits, worker=2).refused_by == "streams"
    counters.leave("a", worker=2)
    assert counters.enter("a", limits, worker=2).refused_by is None
    counters.drop_worker(2)
    assert counters.streams("a") == 1
    counters.leave("a", worker=2)
    assert counters.streams("a") == 1


def test_tokens_are_tested_before_and_charged_after() -> None:
    """The chats that are open when a budget is reached end; the next one is refused until midnight."""
    time = Time()
    counters, limits = time.counters(), ClientLimits(tokens_per_day=100)
    for _ in range(2):
        assert counters.enter("a", limits).refused_by is None
    counters.charge("a", 90, 0)
    admitted = counters.enter("a", limits)
    assert admitted.standings == (Standing("tokens_per_day", 100, 10, 60, 86_400),)
    counters.charge("a", 90, 0)
    refused = counters.enter("a", limits)
    assert (refused.refused_by, refused.retry_after) == ("tokens_per_day", 60)
    time.advance(60)
    assert counters.enter("a", limits).refused_by is None


def test_months_are_those_of_the_calendar() -> None:
    """From a December to a January, and through a February."""
    time = Time()
    counters = time.counters()
    limits = ClientLimits(usd_per_day=1, usd_per_month=1.5)
    for _ in range(2):
        counters.enter("a", limits)
        counters.charge("a", 5, NANODOLLARS)
    refused = counters.enter("a", limits)
    assert (refused.refused_by, refused.retry_after) == ("usd_per_day", 60)
    time.advance(60)
    counters.enter("a", limits)
    counters.charge("a", 5, 3 * NANODOLLARS // 2)
    assert counters.enter("a", limits).retry_after == 31 * 86_400
    time.advance(31 * 86_400)
    (_, month) = counters.enter("a", limits).standings
    assert (month.remaining, month.window) == (3 * NANODOLLARS // 2, 28 * 86_400)


def test_client_without_a_budget_is_not_charged() -> None:
    """Anonymous clients are many: what does not count is not kept."""
    time = Time()
    counters = time.counters()
    counters.charge("unknown", 5, 5)
    counters.enter("a", ClientLimits(requests_per_minute=3))
    counters.charge("a", 5, 5)
    assert (counters.usage("unknown"), counters.usage("a")) == ({}, {})
    assert counters.take_changes() == {}


def test_clients_are_forgotten_when_nothing_of_them_counts() -> None:
    """Their number is bounded by those of a minute, and those with a budget that is used."""
    time = Time()
    counters, limits = time.counters(), ClientLimits(requests_per_minute=3)
    for number in range(1000):
        counters.enter(f"address {number}", limits)
        counters.leave(f"address {number}")
    time.advance(61)
    counters.enter("a", limits)
    assert len(counters) == 1


def test_usage_outlives_the_process() -> None:
    """What was used this month still counts in counters that are given it; what was before does not."""
    time = Time()
    counters, limits = time.counters(), ClientLimits(tokens_per_day=10, tokens_per_month=100)
    counters.enter("a", limits)
    counters.charge("a", 10, 7)
    kept = counters.take_changes()
    assert counters.take_changes() == {}
    again = time.counters()
    again.restore(kept)
    assert again.enter("a", limits).refused_by == "tokens_per_day"
    assert {"a": again.usage("a")} == kept
    time.advance(60)  # another month
    assert again.enter("a", limits).refused_by is None
    assert not any(used.tokens for used in again.usage("a").values())


@pytest.mark.parametrize(
    ("key", "address", "name"),
    [
        ("phone", "203.0.113.7", "key phone"),
        (None, "203.0.113.7", "address 203.0.113.7"),
        (None, "2001:db8:1:2:3:4:5:6", "address 2001:db8:1:2::/64"),
        (None, "::ffff:203.0.113.7", "address 203.0.113.7"),
        (None, "fe80::1%eth0", "address fe80::/64"),
        (None, None, "address None"),
    ],
)
def test_use_is_counted_by_key_or_by_address(
    key: str | None, address: str | None, name: str
) -> None:
    """One client usually owns a whole /64 network of IPv6."""
    assert client_name(key, address) == name
