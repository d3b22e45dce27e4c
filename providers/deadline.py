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

    A context manager: leaving it disarms the timer. Times are in seconds of the loop's monotonic clock.
    """

    def __init__(self, at: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = at
        self._timer = self._loop.call_at(at, self._ring)
        self._reader: asyncio.Task[object] | None = None
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
        self._reader = reader = asyncio.current_task()
        asked_before = reader.cancelling() if reader else 0
        try:
            return await anext(source, None)
        except asyncio.CancelledError:
            if self._rang and reader and reader.uncancel() <= asked_before:
                raise DeadlineError from None
            raise
        finally:
            self._reader = None

    def _ring(self) -> None:
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._ring)
            return
        self._rang = True
        if self._reader:
            self._reader.cancel()
