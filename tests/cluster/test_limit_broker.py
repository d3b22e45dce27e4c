"""The broker of several workers, over its real sockets."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import socket
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from cluster.limit_broker import LimitBroker, RemoteLimiter
from cluster.limit_counters import LimitCounters
from server.shared_limits import LimitedApp
from settings.client_limits import ClientLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMITS = ClientLimits(streams=3, tokens_per_day=100)
PATIENCE_SECONDS = 30


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Closes the brokers."""
    with ExitStack() as stack:
        yield stack


async def becomes(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.01)


async def test_workers_share_the_limits(closing: ExitStack) -> None:
    """A stream and a charge of one count for the other."""
    counters = LimitCounters()
    broker = LimitBroker(counters)
    closing.callback(broker.close)
    one, two = [await RemoteLimiter.connect(broker.connect().dup()) for _ in range(2)]
    verdicts = [await limiter.enter("key a", LIMITS) for limiter in (one, one, two, two)]
    assert [verdict.refused_by for verdict in verdicts] == [None, None, None, "streams"]
    one.leave("key a")
    one.charge("key a", 60, 0)
    await becomes(lambda: counters.streams("key a") == 2 and bool(counters.usage("key a")))
    (left,) = (await two.enter("key a", LIMITS)).standings
    assert left.remaining == 40
    await one.aclose()
    await two.aclose()


async def test_streams_of_a_lost_worker_are_given_back(closing: ExitStack) -> None:
    counters = LimitCounters()
    broker = LimitBroker(counters)
    closing.callback(broker.close)
    lost, other = [await RemoteLimiter.connect(broker.connect().dup()) for _ in range(2)]
    await lost.enter("key a", LIMITS)
    await lost.enter("key a", LIMITS)
    await other.enter("key a", LIMITS)
    await lost.aclose()
    await becomes(lambda: counters.streams("key a") == 1)
    await other.aclose()


async def test_chat_is_let_in_if_the_limits_cannot_be_checked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is not counted, and one line a minute says so."""
    ours, theirs = socket.socketpair()
    limiter = await RemoteLimiter.connect(theirs)
    ours.close()
    with caplog.at_level(logging.ERROR, "gateway.limits"):
        verdicts = [await limiter.enter("key a", LIMITS) for _ in range(3)]
    limiter.leave("key a")
    await limiter.aclose()
    assert [(verdict.refused_by, verdict.is_counted) for verdict in verdicts] == 3 * [(None, False)]
    assert [record.message for record in caplog.records] == [
        "the connection to the limits is lost",
        "LIMITS ARE NOT CHECKED",
    ]


@pytest.mark.parametrize("bad", [b"no reply\n", b'["seven"]\n', b""], ids=repr)
async def test_failed_connection_is_reported_and_no_chat_waits_for_it(
    bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever ends it: those that wait for a reply fail at once, and so do all after them."""
    ours, theirs = socket.socketpair()
    limiter = await RemoteLimiter.connect(theirs)
    with caplog.at_level(logging.ERROR, "gateway.limits"):
        asked = asyncio.create_task(limiter.read_status())
        await asyncio.sleep(0)  # until it waits
        ours.sendall(bad)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError):
            await asked
        with pytest.raises(ConnectionError):
            await limiter.look("key a", LIMITS)
    ours.close()
    await limiter.aclose()
    assert [record.message for record in caplog.records] == ["the connection to the limits is lost"]


async def test_closed_limiter_is_no_error(
    closing: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    """As at each stop of a worker."""
    broker = LimitBroker(LimitCounters())
    closing.callback(broker.close)
    limiter = await RemoteLimiter.connect(broker.connect().dup())
    await limiter.enter("key a", LIMITS)
    await limiter.aclose()
    assert caplog.records == []


async def test_stream_of_a_client_that_left_is_given_back(closing: ExitStack) -> None:
    """Whether it left before the reply came or after."""
    counters = LimitCounters()
    broker = LimitBroker(counters)
    closing.callback(broker.close)
    limiter = await RemoteLimiter.connect(broker.connect().dup())
    for wait in (0, 0.001, 0.01):
        asked = [asyncio.create_task(limiter.enter("key a", ClientLimits())) for _ in range(20)]
        await asyncio.sleep(wait)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        for task in asked:
            if not task.cancelled():
                limiter.leave("key a")
    await limiter.enter("key a", ClientLimits())
    limiter.leave("key a")
    await becomes(lambda: counters.streams("key a") == 0)
    await limiter.aclose()


def ask_from_a_process(limits: ClientLimits, end: socket.socket) -> None:
    """What a worker does."""

    async def ask() -> None:
        limiter = await RemoteLimiter.connect(end)
        await limiter.enter("key a", limits)
        await asyncio.Event().wait()

    asyncio.run(ask())


async def test_killed_process_gives_back_its_streams(closing: ExitStack) -> None:
    """It inherits its end as a worker does, and the supervisor keeps no copy of it."""
    counters = LimitCounters()
    broker = LimitBroker(counters)
    closing.callback(broker.close)
    app = LimitedApp(partial(ask_from_a_process, LIMITS), broker)
    process = multiprocessing.get_context("spawn").Process(target=app)
    await asyncio.to_thread(process.start)
    await becomes(lambda: counters.streams("key a") == 1)
    process.kill()
    await becomes(lambda: counters.streams("key a") == 0)
    await asyncio.to_thread(process.join)
