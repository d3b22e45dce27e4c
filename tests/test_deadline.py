"""One movable deadline: it ends the read that waits too long, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from providers.deadline import Deadline, DeadlineError

FAR = 60.0  # seconds: later than any test lasts
SOON = 0.01


class Source:
    """An async iterator that gives what is put into it, and notes whether a read of it was cancelled."""

    def __init__(self, *items: str) -> None:
        self._items: asyncio.Queue[str] = asyncio.Queue()
        for item in items:
            self.put(item)
        self.cancelled = 0
        self.waiting = asyncio.Event()

    def put(self, item: str) -> None:
        self._items.put_nowait(item)

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if self._items.empty():
            self.waiting.set()
        try:
            return await self._items.get()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_reads_what_comes_in_time() -> None:
    """Items pass through as they are."""
    with Deadline[str](after(FAR)) as deadline:
        source = Source("a", "b")
        assert [await deadline.read(source), await deadline.read(source)] == ["a", "b"]


async def test_end_of_the_source_is_none() -> None:
    """An exhausted iterator is no failure."""

    async def nothing() -> AsyncIterator[str]:
        return
        yield

    with Deadline[str](after(FAR)) as deadline:
        assert await deadline.read(nothing()) is None


async def test_deadline_cancels_the_waiting_read() -> None:
    """A read that waits past the deadline ends in DeadlineError; the task that read is as free as before."""
    source = Source()
    with Deadline[str](after(SOON)) as deadline, pytest.raises(DeadlineError):
        await deadline.read(source)
    task = asyncio.current_task()
    assert source.cancelled == 1
    assert task
    assert task.cancelling() == 0


async def test_deadline_without_a_read_cancels_nobody() -> None:
    """Ringing between two reads touches no other await of the task; the next read says so."""
    source = Source("a")
    with Deadline[str](after(SOON)) as deadline:
        await asyncio.sleep(SOON * 5)
        with pytest.raises(DeadlineError):
            await deadline.read(source)
    assert source.cancelled == 0


async def test_failure_of_the_source_passes() -> None:
    """What the iterator raises comes out as it is."""

    async def broken() -> AsyncIterator[str]:
        yield "a"
        raise ValueError("broken")

    source = broken()
    with Deadline[str](after(FAR)) as deadline:
        assert await deadline.read(source) == "a"
        with pytest.raises(ValueError, match="broken"):
            await deadline.read(source)


async def test_external_cancellation_is_passed_on() -> None:
    """A reader that somebody else cancels is cancelled, not timed out."""
    source = Source()

    async def read() -> None:
        with Deadline[str](after(FAR)) as deadline:
            await deadline.read(source)

    task = asyncio.create_task(read())
    await source.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_external_cancellation_wins_over_the_deadline() -> None:
    """Cancelled and too late at once: the cancellation is what counts, or a client's leaving would be lost."""

    async def cancelled_again() -> AsyncIterator[str]:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:  # by the deadline: now somebody else cancels, too
            task.cancel()
            raise
        yield ""

    async def read() -> None:
        with Deadline[str](after(SOON)) as deadline:
            await deadline.read(cancelled_again())

    task = asyncio.create_task(read())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_moved_later_it_does_not_ring_at_the_old_time() -> None:
    """A deadline that content has moved lets a later read wait."""
    source = Source()
    with Deadline[str](after(SOON)) as deadline:
        deadline.move(after(FAR))
        asyncio.get_running_loop().call_later(SOON * 5, source.put, "late")
        assert await deadline.read(source) == "late"


async def test_moved_later_it_rings_at_the_new_time() -> None:
    """The timer that finds itself early is set again."""
    begin = asyncio.get_running_loop().time()
    with Deadline[str](after(SOON)) as deadline:
        deadline.move(begin + SOON * 5)
        with pytest.raises(DeadlineError):
            await deadline.read(Source())
    assert asyncio.get_running_loop().time() >= begin + SOON * 5


async def test_moved_earlier_it_rings_early() -> None:
    """A nearer deadline takes the place of a far one."""
    with Deadline[str](after(FAR)) as deadline:
        deadline.move(after(SOON))
        with pytest.raises(DeadlineError):
            await asyncio.wait_for(deadline.read(Source()), FAR / 6)


async def test_moved_into_the_past_it_rings_at_the_next_read_that_waits() -> None:
    """A time that has passed is a deadline too."""
    with Deadline[str](after(FAR)) as deadline:
        deadline.move(after(-1))
        with pytest.raises(DeadlineError):
            await asyncio.wait_for(deadline.read(Source()), FAR / 6)


async def test_moved_after_it_rang_it_is_armed_again() -> None:
    """Having rung while nobody read, it can be set to a new time and forgets."""
    source = Source("a")
    with Deadline[str](after(SOON)) as deadline:
        await asyncio.sleep(SOON * 5)
        deadline.move(after(FAR))
        assert await deadline.read(source) == "a"
        deadline.move(after(SOON))
        with pytest.raises(DeadlineError):
            await deadline.read(source)


async def test_timeout_around_the_read_still_works() -> None:
    """`asyncio.timeout` outside rings as its own TimeoutError, and afterwards the task is free."""

    async def read() -> None:
        async with asyncio.timeout(SOON):
            with Deadline[str](after(FAR)) as deadline:
                await deadline.read(Source())

    with pytest.raises(TimeoutError):
        await read()
    await asyncio.sleep(0)


async def test_deadline_within_a_timeout_is_its_own() -> None:
    """The inner one rings first, and the outer timeout is none the wiser."""
    async with asyncio.timeout(FAR):
        with Deadline[str](after(SOON)) as deadline, pytest.raises(DeadlineError):
            await deadline.read(Source())
        await asyncio.sleep(0)


async def test_nested_deadlines_ring_for_themselves() -> None:
    """Of two deadlines the inner one's ringing is the inner one's error; the outer reads on."""

    async def inner() -> AsyncIterator[str]:
        with Deadline[str](after(SOON)) as deadline:
            try:
                await deadline.read(Source())
            except DeadlineError:
                yield "inner rang"

    with Deadline[str](after(FAR)) as outer:
        assert await outer.read(inner()) == "inner rang"


async def test_left_it_never_rings() -> None:
    """Outside of its `with` the timer is disarmed."""
    with Deadline[str](after(SOON)):
        pass
    await asyncio.sleep(SOON * 5)
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0
