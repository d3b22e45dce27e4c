"""Deadlines for a client to read: a full write buffer, and a whole response."""

from __future__ import annotations

import asyncio
from functools import partial

from streams.deadline import Timer

_MIN_BYTES_PER_SECOND = 64  # that a client must read; the slowest modem was faster


class ResponseDeadline:
    """Aborts a transport if its client has not read the whole response within `seconds`."""

    __slots__ = ("_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: Timer | None = None

    def start(self, transport: asyncio.Transport) -> None:
        """Start the timer, unless it runs already or nothing is unread."""
        if not self._timer and transport.get_write_buffer_size():
            self._timer = Timer(self._seconds, partial(self._check, transport))

    def stop(self) -> None:
        """Stop the timer: another response begins, or the connection has ended."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _check(self, transport: asyncio.Transport) -> None:
        self._timer = None
        if transport.get_write_buffer_size():
            transport.abort()


class ReaderDeadline:
    """Aborts a transport if its client reads under 64 bytes a second, averaged over `seconds`."""

    __slots__ = ("_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: Timer | None = None

    def start(self, transport: asyncio.Transport) -> None:
        """Start watching the reader, unless it is watched already."""
        if not self._timer:
            self._set_timer(transport)

    def stop(self) -> None:
        """Stop watching: the buffer has drained, or the connection has ended."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, transport: asyncio.Transport) -> None:
        unread = transport.get_write_buffer_size()
        self._timer = Timer(self._seconds, partial(self._check, transport, unread))

    def _check(self, transport: asyncio.Transport, unread: int) -> None:
        if unread - transport.get_write_buffer_size() < _MIN_BYTES_PER_SECOND * self._seconds:
            transport.abort()
        else:
            self._set_timer(transport)
