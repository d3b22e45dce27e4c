"""The cancel scope: it ends the wait that takes too long or is not wanted any more, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from streams.deadline import CancelReason, CancelScope, ScopeCancelledError

FAR = 60.0  # seconds: later than any test lasts
SOON = 0.01


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def endless() -> None:
    await asyncio.get_running_loop().create_future()


def assert_free() -> None:
    """The present task has no cancellation left in it."""
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_what_comes_in_time_passes() -> None:
    """A wait that ends before the deadline is none of its business."""
    with CancelScope(after(FAR)):
        assert await asyncio.sleep(0, "a") == "a"


async def test_wait_past_the_deadline_is_ended() -> None:
    """It ends in ScopeCancelledError, and the task is as free as before."""
    with pytest.raises(ScopeCancelledError), CancelScope(after(SOON)):
        await endless()
    assert_free()


async def test_paused_deadline_cancels_nothing() -> None:
    """Ringing while something else is waited for touches nothing."""
    with CancelScope(after(SOON)) as deadline:
        deadline.pause()
        await asyncio.sleep(SOON * 5)
    assert_free()


async def test_after_a_pause_it_watches_again() -> None:
    """Having rung while it was paused, it can be set to a new time."""
    with pytest.raises(ScopeCancelledError), CancelScope(after(SOON)) as deadline:  # noqa: PT012 - what rings is all of it
        deadline.pause()
        await asyncio.sleep(SOON * 5)
        deadline.move(after(SOON))
        await endless()


async def test_failure_passes() -> None:
    """What is raised within comes out as it is."""
    with pytest.raises(ValueError, match="broken"), CancelScope(after(FAR)):
        raise ValueError("broken")


async def test_external_cancellation_is_passed_on() -> None:
    """A task that other code cancels is cancelled, not timed out."""
    waiting = asyncio.Event()

    async def wait() -> None:
        with CancelScope(after(FAR)):
            waiting.set()
            await endless()

    task = asyncio.create_task(wait())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_external_cancellation_wins_over_the_deadline() -> None:
    """Cancelled and too late at once: the cancellation is what counts, or a client's leaving would be lost."""

    async def wait() -> None:
        with CancelScope(after(SOON)):
            try:
                await endless()
            except asyncio.CancelledError:  # by the deadline: now other code cancels, too
                task.cancel()
                raise

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_moved_later_it_does_not_ring_at_the_old_time() -> None:
    """A deadline that content has moved lets a later wait be."""
    with CancelScope(after(SOON)) as deadline:
        deadline.move(after(FAR))
        await asyncio.sleep(SOON * 5)


async def test_moved_later_it_rings_at_the_new_time() -> None:
    """The timer that finds itself early is set again."""
    begin = asyncio.get_running_loop().time()
    with pytest.raises(ScopeCancelledError), CancelScope(after(SOON)) as deadline:  # noqa: PT012 - what rings is all of it
        deadline.move(begin + SOON * 5)
        await endless()
    assert asyncio.get_running_loop().time() >= begin + SOON * 5


@pytest.mark.parametrize("seconds", [SOON, -1])
async def test_moved_earlier_it_rings_early(seconds: float) -> None:
    """A nearer deadline takes the place of a far one; a time that has passed is a deadline too."""
    async with asyncio.timeout(FAR / 6):
        with pytest.raises(ScopeCancelledError), CancelScope(after(FAR)) as deadline:  # noqa: PT012 - what rings is all of it
            deadline.move(after(seconds))
            await endless()


async def test_timeout_around_it_still_works() -> None:
    """`asyncio.timeout` outside rings as its own TimeoutError, and afterwards the task is free."""
    with pytest.raises(TimeoutError):  # noqa: PT012 - what rings is all of it
        async with asyncio.timeout(SOON):
            with CancelScope(after(FAR)):
                await endless()
    assert_free()


async def test_deadline_within_a_timeout_is_its_own() -> None:
    """The inner one rings first, and the outer timeout is none the wiser."""
    async with asyncio.timeout(FAR):
        with pytest.raises(ScopeCancelledError), CancelScope(after(SOON)):
            await endless()
        await asyncio.sleep(0)


async def test_nested_deadlines_ring_for_themselves() -> None:
    """Of two deadlines the inner one's ringing is the inner one's error; the outer waits on."""
    with CancelScope(after(FAR)):
        with pytest.raises(ScopeCancelledError), CancelScope(after(SOON)):
            await endless()
        await asyncio.sleep(0)
    assert_free()


async def test_left_it_never_rings() -> None:
    """Outside of its `with` the timer is disarmed."""
    with CancelScope(after(SOON)):
        pass
    await asyncio.sleep(SOON * 5)
    assert_free()


# --- another reason than the deadline ----------------------------------------------------------------


async def cancel_soon(scope: CancelScope) -> None:
    await asyncio.sleep(0)
    scope.cancel(CancelReason.DRAINING)


async def test_cancel_ends_the_wait_with_its_reason() -> None:
    """At once, and the task is as free as before."""
    scope = CancelScope(after(FAR))
    async with asyncio.TaskGroup() as group:
        group.create_task(cancel_soon(scope))
        with pytest.raises(ScopeCancelledError) as raised, scope:
            await endless()
    assert raised.value.reason is CancelReason.DRAINING
    assert_free()


async def test_cancel_while_paused_waits_for_the_next_wait() -> None:
    """What is being written is not cut."""
    with pytest.raises(ScopeCancelledError), CancelScope(after(FAR)) as scope:  # noqa: PT012 - the pause is part of it
        scope.pause()
        await cancel_soon(scope)
        await asyncio.sleep(0)
        scope.resume()
    assert_free()


async def test_cancel_outside_is_raised_at_the_next_enter() -> None:
    """Every later wait ends at once, too."""
    scope = CancelScope(after(FAR))
    scope.cancel(CancelReason.DRAINING)
    for _ in range(2):
        with pytest.raises(ScopeCancelledError), scope:
            raise AssertionError("entered")
    with pytest.raises(ScopeCancelledError):
        await scope.sleep(0)


async def test_cancel_counts_before_the_deadline() -> None:
    """Whichever was first: the reason that ends the chat is raised."""
    scope = CancelScope(after(SOON))
    with pytest.raises(ScopeCancelledError) as raised, scope:  # noqa: PT012 - the pause is part of it
        scope.pause()
        await asyncio.sleep(SOON * 5)
        scope.cancel(CancelReason.DRAINING)
        scope.resume()
    assert raised.value.reason is CancelReason.DRAINING


async def test_scope_is_entered_again_after_its_deadline() -> None:
    """A timeout is over when it has been raised."""
    scope = CancelScope(after(SOON))
    for _ in range(2):
        with pytest.raises(ScopeCancelledError) as raised, scope:
            await endless()
        assert raised.value.reason is CancelReason.TIMEOUT
        scope.move(after(SOON))
    assert_free()


async def test_cancellation_that_is_lost_within_is_taken_back() -> None:
    """Code within that turns a cancellation into another failure does not leave the task cancelled."""
    with pytest.raises(ValueError, match="instead"), CancelScope(after(SOON)):  # noqa: PT012 - it is what is tested
        try:
            await endless()
        except asyncio.CancelledError:
            raise ValueError("instead") from None
    assert_free()


async def test_external_cancellation_wins_over_a_cancel() -> None:
    """A client that leaves while the instance stops is gone."""
    scope = CancelScope(after(FAR))

    async def wait() -> None:
        with scope:
            await endless()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    scope.cancel(CancelReason.DRAINING)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_limit_is_the_latest_deadline() -> None:
    """However far the deadline is moved."""
    with pytest.raises(ScopeCancelledError), CancelScope(after(FAR), after(SOON)) as scope:  # noqa: PT012 - the move is part of it
        scope.move(after(FAR))
        await endless()


async def test_no_deadline_ends_a_sleep() -> None:
    """A sleep has its own length; the next wait has its own deadline."""
    scope = CancelScope(after(-1))
    await scope.sleep(SOON)
    scope.move(after(FAR))
    with scope:
        await asyncio.sleep(0)


async def test_cancel_ends_a_sleep() -> None:
    """Before its time."""
    scope = CancelScope(after(FAR))
    async with asyncio.timeout(FAR / 6), asyncio.TaskGroup() as group:
        group.create_task(cancel_soon(scope))
        with pytest.raises(ScopeCancelledError):
            await scope.sleep(FAR)
    assert_free()
