"""Timers, and the deadline and cancellation of a task's waits.

Both allow for pauses of this process, and for data that it has not read yet: a timer that is due is
first extended by the time that the process was paused. Then it lets the loop read its sockets,
since a late timer would otherwise fire before the sockets that became ready in the meantime are
read.

`CancelScope` is the only code that cancels a chat's task from within. A cancellation that it did
not request comes from the caller of the chat, whose client is gone, and passes through unchanged:

    OUTSIDE ──enter──> WAITING ──cancel, or the deadline──> CANCELLED ──exit──> ScopeCancelledError
                       │     ▲
                     pause  resume, move
                       ▼     │
                       PAUSED    what is due now waits until the task resumes
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Final, Self

from streams.pauses import pauses

# Iterations of the loop before a due timer fires: to read the sockets, and to wake the tasks that
# wait for them.
_ITERATIONS = 3


class Timer:
    """Calls a function after `seconds` without pauses, once the sockets have been read."""

    __slots__ = ("_call", "_handle", "_loop", "_paused_before")

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._call: Callable[[], object] | None = call
        self._paused_before = pauses.total
        self._handle: asyncio.Handle | None = None
        self._handle = self._loop.call_later(seconds, self._fire, _ITERATIONS)

    def cancel(self) -> None:
        """Cancel the call."""
        if self._handle:
            self._handle.cancel()
        self._handle = self._call = None  # the call may refer back to this timer

    def _fire(self, iterations: int) -> None:
        pauses.notice()
        paused = pauses.total - self._paused_before
        self._paused_before = pauses.total
        if paused:
            self._handle = self._loop.call_later(paused, self._fire, _ITERATIONS)
        elif iterations:
            self._handle = self._loop.call_soon(self._fire, iterations - 1)
        else:
            call, self._handle, self._call = self._call, None, None
            if call:
                call()


class CancelReason(Enum):
    """Why a scope cancelled. The values of those that end a chat are its error's code."""

    TIMEOUT = "timeout"  # the deadline passed
    DRAINING = "draining"  # the instance is about to stop
    REVOKED = "unauthorized"  # the client's key is valid no more


class ScopeCancelledError(Exception):
    """The scope ended a wait."""

    def __init__(self, reason: CancelReason) -> None:
        super().__init__(reason.value)
        self.reason: Final = reason


class _State(Enum):
    OUTSIDE = "outside"  # there is no wait to end
    WAITING = "waiting"  # a wait may be ended now
    PAUSED = "paused"  # inside, but nothing may be cancelled: a batch is being written
    CANCELLED = "cancelled"  # the task is cancelled, and has not left the scope yet


# Python 3.11 takes a quarter of a microsecond to find a member of an enum, and these are used for
# each batch.
_OUTSIDE, _WAITING, _PAUSED, _CANCELLED = _State


class CancelScope:
    """One movable deadline for all waits of one task, and a way to cancel them for another reason.

    A context manager that may be entered again. It ends the wait within by raising
    ScopeCancelledError. Call `pause` before anything that must not be cancelled, such as a yield,
    and `move` or `resume` after it. Times are in seconds of the loop's monotonic clock. A pause of
    the process extends the deadline and the `limit`, its latest time.

    `asyncio.timeout` would cost a timer for each read, and must not be open while a generator
    yields. Here one timer is armed at a time; moving the deadline later costs an assignment, and a
    timer that fires too early is armed again.
    """

    __slots__ = (
        "_at",
        "_cancelled_before",
        "_has_expired",
        "_loop",
        "_paused_before",
        "_reason",
        "_state",
        "_task",
        "_timer",
        "limit",
    )

    def __init__(self, deadline: float, limit: float = math.inf) -> None:
        self.limit = limit
        self._loop = asyncio.get_running_loop()
        self._at = min(deadline, limit)
        self._state = _OUTSIDE
        self._reason: CancelReason | None = (
            None  # requested, and not raised yet; one that ends the chat stays
        )
        self._has_expired = False  # the timer fired while the scope was paused
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.Handle | None = None
        self._cancelled_before = 0
        self._paused_before = 0.0

    def __enter__(self) -> Self:
        if self._reason is not None:
            raise ScopeCancelledError(self._reason)
        self._task = asyncio.current_task()
        self._cancelled_before = self._task.cancelling() if self._task else 0
        self._paused_before = pauses.total
        self._has_expired = False
        self._state = _WAITING
        self._timer = self._loop.call_at(self._at, self._fire, _ITERATIONS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer:
            self._timer.cancel()
        task, state, reason = self._task, self._state, self._reason
        self._state, self._task, self._timer = _OUTSIDE, None, None
        if reason is CancelReason.TIMEOUT:
            self._reason = None
        # The cancellation is taken back even if something within turned it into another exception.
        # If the task is cancelled from outside as well, that counts: a client that leaves at the
        # deadline must not be lost.
        if state is _CANCELLED and task and reason:
            is_only_ours = task.uncancel() <= self._cancelled_before
            if is_only_ours and kind is asyncio.CancelledError:
                raise ScopeCancelledError(reason) from None

    def cancel(self, reason: CancelReason) -> None:
        """End the wait now; outside, or while paused, raise as soon as there is one again."""
        if self._reason in (None, CancelReason.TIMEOUT):
            self._reason = reason
        if self._state is _WAITING and self._task:
            self._state = _CANCELLED
            self._task.cancel()

    def pause(self) -> None:
        """Stop watching: whatever is due now waits until the scope is resumed."""
        if self._state is _WAITING:
            self._state = _PAUSED

    def resume(self) -> None:
        """Watch again, with the deadline as it was."""
        self.move(self._at)

    def move(self, at: float) -> None:
        """Watch again, with a new deadline."""
        if self._reason is not None:
            raise ScopeCancelledError(self._reason)
        at = min(at, self.limit)
        if self._timer and (at < self._at or self._has_expired):
            self._timer.cancel()
            self._timer = self._loop.call_at(at, self._fire, _ITERATIONS)
        self._at = at
        self._has_expired = False
        if self._state is _PAUSED:
            self._state = _WAITING

    async def sleep(self, seconds: float) -> None:
        """Sleep within the scope. No deadline ends the sleep, but `cancel` does."""
        self._at = math.inf
        with self:
            await asyncio.sleep(seconds)

    def _fire(self, iterations: int) -> None:
        pauses.notice()
        paused = pauses.total - self._paused_before
        self._paused_before = pauses.total
        self._at += paused
        self.limit += paused
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._fire, _ITERATIONS)
        elif self._state is _PAUSED:
            self._has_expired = True
        elif iterations:
            self._timer = self._loop.call_soon(self._fire, iterations - 1)
        elif self._state is _WAITING:
            self.cancel(CancelReason.TIMEOUT)
