"""The connections to vendors that wait for a next request."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import defaultdict, deque
from functools import partial
from typing import NamedTuple

from providers.connection import Connection, Head

_END_SECONDS = 1.0  # from a stream's end mark to the end of its body, which vendors send apart


class Origin(NamedTuple):
    """Where connections lead to."""

    host: str
    port: int
    is_secure: bool


class Pool:
    """Whoever makes it closes it."""

    def __init__(self, *, connect_seconds: float, keep_alive_seconds: float, context: ssl.SSLContext) -> None:
        self._connect_seconds = connect_seconds
        self._keep_alive_seconds = keep_alive_seconds
        self._context = context
        self._idle: defaultdict[Origin, deque[Connection]] = defaultdict(deque)

    async def ask(self, origin: Origin, request: bytes) -> tuple[Connection, Head]:
        """The connection that carries the answer, and the answer's head; the caller gives it back.

        A vendor may close a kept connection just as the request goes out: then it is sent once more on a new one.
        """
        connection = self._take_idle(origin)
        if connection:
            try:
                return connection, await _ask(connection, request)
            except OSError:
                if not connection.is_unanswered:
                    raise
        connection = await self._connect(origin)
        return connection, await _ask(connection, request)

    def give_back(self, origin: Origin, connection: Connection, *, is_answered: bool = False) -> None:
        """Keep it for the next request if its answer was read to the body's end, else close it.

        `is_answered`: nothing more is wanted of the answer, and so its end may still come.
        """
        if connection.is_reusable:
            connection.idle_since = time.monotonic()
            self._idle[origin].append(connection)
        elif connection.is_open and is_answered:
            connection.finish(partial(self.give_back, origin, connection), _END_SECONDS)
        elif connection.is_open:
            connection.abort()

    def close(self) -> None:
        """Close what waits."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _take_idle(self, origin: Origin) -> Connection | None:
        """The one used last, unless it was closed meanwhile; those that have waited too long are closed."""
        idle, oldest = self._idle[origin], time.monotonic() - self._keep_alive_seconds
        while idle and idle[0].idle_since < oldest:
            idle.popleft().abort()
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self, origin: Origin) -> Connection:
        context = self._context if origin.is_secure else None
        async with asyncio.timeout(self._connect_seconds):
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, origin.host, origin.port, ssl=context
            )
        return connection


async def _ask(connection: Connection, request: bytes) -> Head:
    try:
        return await connection.ask(request)
    except BaseException:
        connection.abort()
        raise
