"""One movable deadline: it ends the wait that takes too long, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from providers.deadline import Deadline, DeadlineError

FAR = 60.0  # seconds: later than any test lasts
SOON = 0.01


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


def assert_free() -> None:
    """The present task has no cancellation left in it."""
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_what_comes_in_time_passes() -> None:
    """A wait that ends before the deadline is none of its business."""
    with Deadline(after(FAR)):
        assert await asyncio.sleep(0, "a") == "a"


async def test_wait_past_the_deadline_is_ended() -> None:
    """It ends in DeadlineError, and the task is as free as before."""
    with pytest.raises(DeadlineError), Deadline(after(SOON)):
        await forever()
    assert_free()


async def test_paused_it_cancels_nobody() -> None:
    """Ringing while something else is waited for touches nothing."""
    with Deadline(after(SOON)) as deadline:
        deadline.pause()
        await asyncio.sleep(SOON * 5)
    assert_free()


async def test_after_a_pause_it_watches_again() -> None:
    """Having rung while it was paused, it can be set to a new time."""
    with pytest.raises(DeadlineError), Deadline(after(SOON)) as deadline:  # noqa: PT012 - what rings is all of it
        deadline.pause()
        await asyncio.sleep(SOON * 5)
        deadline.move(after(SOON))
        await forever()


async def test_failure_passes() -> None:
    """What is raised within comes out as it is."""
    with pytest.raises(ValueError, match="broken"), Deadline(after(FAR)):
        raise ValueError("broken")


async def test_external_cancellation_is_passed_on() -> None:
    """A task that somebody else cancels is cancelled, not timed out."""
    waiting = asyncio.Event()

    async def wait() -> None:
        with Deadline(after(FAR)):
            waiting.set()
            await forever()

    task = asyncio.create_task(wait())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_external_cancellation_wins_over_the_deadline() -> None:
    """Cancelled and too late at once: the cancellation is what counts, or a client's leaving would be lost."""

    async def wait() -> None:
        with Deadline(after(SOON)):
            try:
                await forever()
            except asyncio.CancelledError:  # by the deadline: now somebody else cancels, too
                task.cancel()
                raise

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_moved_later_it_does_not_ring_at_the_old_time() -> None:
    """A deadline that content has moved lets a later wait be."""
    with Deadline(after(SOON)) as deadline:
        deadline.move(after(FAR))
        await asyncio.sleep(SOON * 5)


async def test_moved_later_it_rings_at_the_new_time() -> None:
    """The timer that finds itself early is set again."""
    begin = asyncio.get_running_loop().time()
    with pytest.raises(DeadlineError), Deadline(after(SOON)) as deadline:  # noqa: PT012 - what rings is all of it
        deadline.move(begin + SOON * 5)
        await forever()
    assert asyncio.get_running_loop().time() >= begin + SOON * 5


@pytest.mark.parametrize("seconds", [SOON, -1])
async def test_moved_earlier_it_rings_early(seconds: float) -> None:
    """A nearer deadline takes the place of a far one; a time that has passed is a deadline too."""
    async with asyncio.timeout(FAR / 6):
        with pytest.raises(DeadlineError), Deadline(after(FAR)) as deadline:  # noqa: PT012 - what rings is all of it
            deadline.move(after(seconds))
            await forever()


async def test_timeout_around_it_still_works() -> None:
    """`asyncio.timeout` outside rings as its own TimeoutError, and afterwards the task is free."""
    with pytest.raises(TimeoutError):  # noqa: PT012 - what rings is all of it
        async with asyncio.timeout(SOON):
            with Deadline(after(FAR)):
                await forever()
    assert_free()


async def test_deadline_within_a_timeout_is_its_own() -> None:
    """The inner one rings first, and the outer timeout is none the wiser."""
    async with asyncio.timeout(FAR):
        with pytest.raises(DeadlineError), Deadline(after(SOON)):
            await forever()
        await asyncio.sleep(0)


async def test_nested_deadlines_ring_for_themselves() -> None:
    """Of two deadlines the inner one's ringing is the inner one's error; the outer waits on."""
    with Deadline(after(FAR)):
        with pytest.raises(DeadlineError), Deadline(after(SOON)):
            await forever()
        await asyncio.sleep(0)
    assert_free()


async def test_left_it_never_rings() -> None:
    """Outside of its `with` the timer is disarmed."""
    with Deadline(after(SOON)):
        pass
    await asyncio.sleep(SOON * 5)
    assert_free()
