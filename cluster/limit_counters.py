"""`LimitCounters`: what the clients of all workers have used, in the memory of one process.

Requests are counted in a moving window of a minute, tokens and dollars by the day and the month of
UTC. A budget is tested before a chat, and charged with the actual numbers after it: chats that are
open when it is reached come to their end.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from settings.client_limits import ClientLimits

Period = Literal["day", "month"]
PERIODS: tuple[Period, ...] = ("day", "month")

WINDOW_SECONDS = 60.0
NANODOLLARS = 10**9  # money is counted in whole ones
_RETRY_STREAM_SECONDS = 1.0
_PURGE_SECONDS = 60.0


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """How much is left of one limit, which is whole again after `reset` seconds."""

    name: str  # as in ClientLimits
    limit: int
    remaining: int
    reset: float
    window: float  # its whole length in seconds


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """Whether a chat is admitted. `refused_by` is the limit that refuses it.

    `is_counted`: a stream was taken, which has to be given back.
    """

    refused_by: str | None = None
    retry_after: float = 0.0
    standings: tuple[Standing, ...] = ()
    is_counted: bool = True


UNCHECKED = Verdict(is_counted=False)  # a chat is let in that could not be counted


class _PeriodBounds(NamedTuple):
    """One period. Later ones have greater names."""

    name: str
    begin: datetime
    end: datetime


class Used(NamedTuple):
    """What a client has used in one period, such as the day `2026-11-30`."""

    period: str
    tokens: int = 0
    nanodollars: int = 0


Usage = dict[str, dict[Period, Used]]  # by client


class _Account:
    """What one client uses."""

    __slots__ = ("budgets", "requests", "streams", "used")

    def __init__(self) -> None:
        self.requests: deque[float] = deque()  # the times of those within the window
        self.streams: Counter[Hashable] = Counter()  # by the worker that holds them
        self.used: dict[Period, Used] = {}
        self.budgets = False  # whether a chat is to be charged


class LimitCounters:
    """Counts for all clients. Not for several threads."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._accounts: dict[str, _Account] = {}
        self._charged: set[str] = set()  # the clients whose changes were not taken yet
        self._monotonic = monotonic
        self._now = now
        self._purge_at = monotonic() + _PURGE_SECONDS

    def __len__(self) -> int:
        return len(self._accounts)

    def enter(self, client: str, limits: ClientLimits, worker: Hashable = None) -> Verdict:
        """Count a request and take a stream, unless a limit refuses. Call `leave` at its end."""
        at = self._monotonic()
        if at >= self._purge_at:
            self._purge(at)
        account = self._accounts.setdefault(client, _Account())
        _forget_old(account, at)
        account.budgets = limits.has_budget
        budgets = list(self._budgets(account, limits)) if limits.has_budget else []
        refusal = next(_refusals(account, limits, budgets, at), None)
        if refusal is None:
            if limits.requests_per_minute is not None:
                account.requests.append(at)
            account.streams[worker] += 1
        standings = (*_requests(account, limits, at), *budgets)
        refused_by, retry_after = refusal or (None, 0.0)
        return Verdict(refused_by, retry_after, standings)

    def look(self, client: str, limits: ClientLimits) -> tuple[Standing, ...]:
        """How a client stands with its limits. Counts nothing."""
        at = self._monotonic()
        account = self._accounts.get(client) or _Account()
        _forget_old(account, at)
        budgets = self._budgets(account, limits)
        return (*_requests(account, limits, at), *_streams(account, limits), *budgets)

    def leave(self, client: str, worker: Hashable = None) -> None:
        """Give back a stream."""
        if account := self._accounts.get(client):
            account.streams[worker] -= 1
            account.streams += Counter()  # without those that hold none

    def charge(self, client: str, tokens: int, nanodollars: int) -> None:
        """Count what a chat has used, if the client has a budget."""
        account = self._accounts.get(client)
        if account is None or not account.budgets:
            return
        self._charged.add(client)
        for period in PERIODS:
            used = self._used(account, period)
            account.used[period] = Used(
                used.period, used.tokens + tokens, used.nanodollars + nanodollars
            )

    def drop_worker(self, worker: Hashable) -> None:
        """Give back the streams of a worker that has died."""
        for account in self._accounts.values():
            del account.streams[worker]

    def streams(self, client: str) -> int:
        """The open streams of a client."""
        account = self._accounts.get(client)
        return account.streams.total() if account else 0

    def usage(self, client: str) -> dict[Period, Used]:
        """What a client has used in the periods of now."""
        account = self._accounts.get(client)
        return {period: self._used(account, period) for period in account.used} if account else {}

    def take_changes(self) -> Usage:
        """What those clients have used that were charged since the last call."""
        changes = {client: self.usage(client) for client in self._charged}
        self._charged.clear()
        return changes

    def restore(self, usage: Usage) -> None:
        """Continue with what `take_changes` has returned before."""
        for client, used in usage.items():
            self._accounts.setdefault(client, _Account()).used = dict(used)

    def _budgets(self, account: _Account, limits: ClientLimits) -> Iterator[Standing]:
        now = self._now()
        for period in PERIODS:
            tokens, dollars = (
                getattr(limits, f"{unit}_per_{period}") for unit in ("tokens", "usd")
            )
            if tokens is None and dollars is None:
                continue
            used, bounds = self._used(account, period), _periods_of(now.date())[period]
            reset = (bounds.end - now).total_seconds()
            window = (bounds.end - bounds.begin).total_seconds()
            if tokens is not None:
                left = max(0, tokens - used.tokens)
                yield Standing(f"tokens_per_{period}", tokens, left, reset, window)
            if dollars is not None:
                limit = math.floor(dollars * NANODOLLARS)
                left = max(0, limit - used.nanodollars)
                yield Standing(f"usd_per_{period}", limit, left, reset, window)

    def _used(self, account: _Account, period: Period) -> Used:
        """What is used in the period of now; nothing of the one before."""
        name = period_name(self._now(), period)
        used = account.used.get(period)
        return used if used and used.period == name else Used(name)

    def _purge(self, at: float) -> None:
        """Forget clients of which nothing counts any more: anonymous ones may be any number."""
        self._purge_at = at + _PURGE_SECONDS
        for client, account in list(self._accounts.items()):
            _forget_old(account, at)
            is_used = any(used == self._used(account, name) for name, used in account.used.items())
            if not (account.requests or account.streams.total() or is_used):
                del self._accounts[client]


def _refusals(
    account: _Account, limits: ClientLimits, budgets: Iterable[Standing], at: float
) -> Iterator[tuple[str, float]]:
    """The limits that refuse a chat, and after how many seconds to retry."""
    requests = limits.requests_per_minute
    if requests is not None and len(account.requests) >= requests:
        # the request that has to leave the window first
        yield "requests_per_minute", account.requests[-requests] + WINDOW_SECONDS - at
    if limits.streams is not None and account.streams.total() >= limits.streams:
        yield "streams", _RETRY_STREAM_SECONDS
    spent = [each for each in budgets if not each.remaining]
    if spent:  # the one that is spent for the longest time
        last = max(spent, key=lambda each: each.reset)
        yield last.name, last.reset


def _requests(account: _Account, limits: ClientLimits, at: float) -> Iterator[Standing]:
    limit, made = limits.requests_per_minute, account.requests
    if limit is not None:
        reset = made[-1] + WINDOW_SECONDS - at if made else 0.0
        left = max(0, limit - len(made))
        yield Standing("requests_per_minute", limit, left, reset, WINDOW_SECONDS)


def _streams(account: _Account, limits: ClientLimits) -> Iterator[Standing]:
    if limits.streams is not None:
        left = max(0, limits.streams - account.streams.total())
        yield Standing("streams", limits.streams, left, 0.0, 0.0)


def _forget_old(account: _Account, at: float) -> None:
    """Forget the requests that have left the window."""
    while account.requests and account.requests[0] + WINDOW_SECONDS <= at:
        account.requests.popleft()


def period_name(now: datetime, period: Period) -> str:
    """The name of the period of UTC that this moment is in; later ones are greater."""
    return _periods_of(now.date())[period].name


@lru_cache(maxsize=2)
def _periods_of(day: date) -> dict[Period, _PeriodBounds]:
    """The periods of UTC that a day is in. Cached, because each chat asks for them."""
    begin = datetime.combine(day, datetime.min.time(), UTC)
    first = begin.replace(day=1)
    return {
        "day": _PeriodBounds(f"{day:%Y-%m-%d}", begin, begin + timedelta(days=1)),
        "month": _PeriodBounds(f"{day:%Y-%m}", first, (first + timedelta(days=32)).replace(day=1)),
    }
