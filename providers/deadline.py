"""One movable deadline for the waits of one stream, for the price of two assignments a read.

`asyncio.timeout` would cost a timer a read, and must not be open while a generator yields. Here one timer is armed at
a time; moving the deadline later costs an assignment, and the timer finds out when it rings.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class DeadlineError(Exception):
    """The deadline passed while it was waited for."""


class Deadline:
    """Cancels what its task waits for when the time comes: `with` it, which then raises DeadlineError.

    `pause` before whatever is not to be cancelled, such as a yield; `move` after it, to the next deadline. Times are in
    seconds of the loop's monotonic clock.
    """

    __slots__ = ("_at", "_cancelled_before", "_has_cancelled", "_is_over", "_is_paused", "_loop", "_task", "_timer")

    def __init__(self, at: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = at
        self._is_paused = False
        self._is_over = False  # it rang while it was paused
        self._has_cancelled = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._cancelled_before = self._task.cancelling() if self._task else 0
        self._timer = self._loop.call_at(self._at, self._ring)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        is_ours = self._has_cancelled and kind is asyncio.CancelledError
        if is_ours and self._task and self._task.uncancel() <= self._cancelled_before:
            raise DeadlineError from None

    def pause(self) -> None:
        """From now on another thing is waited for: time passes, and nothing is cancelled."""
        self._is_paused = True

    def move(self, at: float) -> None:
        """Set the deadline to another time, and watch again."""
        if at < self._at or self._is_over:
            self._timer.cancel()
            self._timer = self._loop.call_at(at, self._ring)
        self._at = at
        self._is_paused = self._is_over = False

    def _ring(self) -> None:
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._ring)
        elif self._is_paused:
            self._is_over = True
        elif self._task:
            self._has_cancelled = True
            self._task.cancel()
