"""What workers report of themselves, over the broker's real sockets and within one process."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import msgspec
import pytest

from cluster.limit_broker import LimitBroker, RemoteLimiter
from cluster.limit_counters import LimitCounters
from cluster.limiter import LocalLimiter
from cluster.status_board import ModelStatus, ProviderStatus, WorkerReport
from settings.client_limits import ClientLimits

if TYPE_CHECKING:
    from cluster.limiter import Limiter

PATIENCE_SECONDS = 30
LIMITS = ClientLimits(requests_per_minute=10, streams=3, tokens_per_day=100, usd_per_month=1.0)
PROVIDER = ProviderStatus("gpt", "ERROR", "upstream_auth", (ModelStatus("luna", "open"),))


def make_report(process: int, **key_uses: float) -> WorkerReport:
    return WorkerReport(
        process=process,
        at=1.0,
        open_streams=2,
        max_streams=5,
        is_draining=False,
        providers=(PROVIDER,),
        key_uses=key_uses,
    )


async def wait_for(limiter: Limiter, workers: int) -> None:
    """Until so many workers have a report."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len((await limiter.read_status()).workers) != workers:  # noqa: ASYNC110 - another thread
            await asyncio.sleep(0.01)


async def test_each_worker_reads_the_reports_of_all() -> None:
    """The newest of each; and of a key the last use in any of them."""
    with closing(LimitBroker(LimitCounters())) as broker:
        one, two = [await RemoteLimiter.connect(broker.connect().dup()) for _ in range(2)]
        one.report(make_report(1, phone=5.0, web=1.0))
        two.report(make_report(2, phone=3.0))
        one.report(make_report(1, web=2.0))
        await wait_for(two, 2)
        status = await one.read_status()
        assert status.workers == (make_report(1), make_report(2))
        assert status.key_uses == {"phone": 5.0, "web": 2.0}
        await one.aclose()
        await two.aclose()


async def test_report_of_a_lost_worker_goes_and_what_happened_stays() -> None:
    """The last uses of keys, and the problems."""
    with closing(LimitBroker(LimitCounters())) as broker:
        lost, other = [await RemoteLimiter.connect(broker.connect().dup()) for _ in range(2)]
        lost.report(msgspec.structs.replace(make_report(1, phone=5.0), problems=({"code": "a"},)))
        other.report(make_report(2))
        await wait_for(other, 2)
        await lost.aclose()
        await wait_for(other, 1)
        status = await other.read_status()
        assert [worker.process for worker in status.workers] == [2]
        assert status.key_uses == {"phone": 5.0}
        assert status.problems == ({"code": "a"},)
        await other.aclose()


async def test_limits_hold_however_many_keys_are_used() -> None:
    """The uses of a hundred thousand keys end no worker's connection; the newest ones are kept."""
    names = [f"key-{number:060}" for number in range(100_000)]
    with closing(LimitBroker(LimitCounters())) as broker:
        one, two = [await RemoteLimiter.connect(broker.connect().dup()) for _ in range(2)]
        await one.enter("key a", LIMITS)
        await two.enter("key a", LIMITS)
        one.report(make_report(1, **{name: float(at) for at, name in enumerate(names)}))
        two.report(make_report(2, **dict.fromkeys(names[:50_000], 200_000.0)))
        kept: set[str] = set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(kept) != 65_536 or not kept.issuperset(names[:50_000]):
                with suppress(TimeoutError):  # the broker may have much to do
                    kept = set((await two.read_status()).key_uses)
        assert names[-1] in kept
        assert (await one.enter("key a", LIMITS)).refused_by is None
        assert (await two.enter("key a", LIMITS)).refused_by == "streams"
        await one.aclose()
        await two.aclose()


async def test_looking_counts_nothing() -> None:
    """How often a client is looked at, by the broker or in one process, changes none of its limits."""
    with closing(LimitBroker(LimitCounters())) as broker:
        remote = await RemoteLimiter.connect(broker.connect().dup())
        limiters: list[Limiter] = [remote, LocalLimiter(LimitCounters())]
        for limiter in limiters:
            await limiter.enter("key a", LIMITS)
            limiter.charge("key a", 40, 250_000_000)
            for _ in range(3):
                seen = await limiter.look("key a", LIMITS)
                left = {each.name: (each.remaining, each.limit) for each in seen}
                assert left == {
                    "requests_per_minute": (9, 10),
                    "streams": (2, 3),
                    "tokens_per_day": (60, 100),
                    "usd_per_month": (750_000_000, 10**9),
                }
            unknown = await limiter.look("key b", LIMITS)
            assert {each.remaining == each.limit for each in unknown} == {True}
        await remote.aclose()


async def test_lost_broker_is_an_error() -> None:
    """Rather than a page that shows nothing used."""
    ours, theirs = socket.socketpair()
    limiter = await RemoteLimiter.connect(theirs)
    ours.close()
    limiter.report(make_report(1))
    with pytest.raises(OSError):  # noqa: PT011 - whichever comes first
        await limiter.read_status()
    with pytest.raises(OSError):  # noqa: PT011
        await limiter.look("key a", LIMITS)
    await limiter.aclose()
