"""One movable deadline for the reads of one stream, for the price of a comparison a read.

`asyncio.timeout` would cost a timer a read, and must not be open while a generator yields. Here one timer is armed at
a time; moving the deadline later costs an assignment, and the timer finds out when it rings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class DeadlineError(Exception):
    """The deadline passed while a read was waiting."""


class Deadline(Generic[T]):
    """Reads from an async iterator, and cancels the read that is under way when the deadline passes.

    All reads are one task's. A context manager: leaving it disarms the timer. Times are in seconds of the loop's
    monotonic clock.
    """

    def __init__(self, at: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = at
        self._timer = self._loop.call_at(at, self._ring)
        self._reader: asyncio.Task[object] | None = None  # the one task that reads
        self._is_reading = False
        self._rang = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def move(self, at: float) -> None:
        """Set the deadline to another time."""
        if at < self._timer.when() or self._rang:
            self._timer.cancel()
            self._timer = self._loop.call_at(at, self._ring)
        self._at = at
        self._rang = False

    async def read(self, source: AsyncIterator[T]) -> T | None:
        """The iterator's next item, None at its end. Raises DeadlineError."""
        if self._rang:
            raise DeadlineError
        if self._reader is None:
            self._reader = asyncio.current_task()
        self._is_reading = True
        try:
            return await anext(source, None)
        except asyncio.CancelledError:
            if self._rang and self._reader and self._reader.uncancel() == 0:
                raise DeadlineError from None
            raise
        finally:
            self._is_reading = False

    def _ring(self) -> None:
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._ring)
            return
        self._rang = True
        if self._is_reading and self._reader:
            self._reader.cancel()
