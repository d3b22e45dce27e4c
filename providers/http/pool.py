"""The pool of connections to vendors."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import defaultdict, deque
from functools import partial
from typing import NamedTuple

from models import GatewayError
from providers.http.connection import Connection
from providers.http.response_head import Head
from providers.http.sockets import LEAST_UNACKNOWLEDGED_SECONDS, open_socket
from streams.deadline import CancelScope, ScopeCancelledError

_END_SECONDS = 1.0  # for a body's end after a stream's end mark: vendors send it separately


class Origin(NamedTuple):
    """The host and port that a connection leads to, and whether it uses TLS."""

    host: str
    port: int
    is_secure: bool


class Pool:
    """Opens connections and keeps idle ones for reuse. The caller that creates it closes it."""

    def __init__(
        self, *, connect_seconds: float, keep_alive_seconds: float, context: ssl.SSLContext | None
    ) -> None:
        self._connect_seconds = connect_seconds
        self._unacknowledged_seconds = max(connect_seconds, LEAST_UNACKNOWLEDGED_SECONDS)
        self._keep_alive_seconds = keep_alive_seconds
        self._context = context
        self._idle: defaultdict[Origin, deque[Connection]] = defaultdict(deque)

    async def ask(self, origin: Origin, request: bytes) -> tuple[Connection, Head]:
        """Send a request. Returns the connection, which the caller gives back, and the head.

        A vendor may close an idle connection just as the request is sent: it is then sent once more
        on a new one.
        """
        connection = self._take_idle(origin)
        if connection:
            try:
                return connection, await self._ask(connection, request)
            except OSError:
                if not connection.is_unanswered:
                    raise
            except GatewayError as error:
                if error.reason == "unacknowledged":
                    self._close_idle(origin)  # they use the same network path
                raise
        connection = await self._connect(origin)
        return connection, await self._ask(connection, request)

    def give_back(
        self, origin: Origin, connection: Connection, *, is_answered: bool = False
    ) -> None:
        """Keep the connection for the next request if its response is complete, else close it.

        `is_answered`: the rest of the body is not needed; its end is awaited in the background.
        """
        if connection.is_reusable:
            connection.idle_since = time.monotonic()
            self._idle[origin].append(connection)
        elif connection.is_open and is_answered:
            connection.finish(partial(self.give_back, origin, connection), _END_SECONDS)
        elif connection.is_open:
            connection.abort()

    def close(self) -> None:
        """Close the idle connections."""
        for origin in list(self._idle):
            self._close_idle(origin)

    def _close_idle(self, origin: Origin) -> None:
        for connection in self._idle.pop(origin, ()):
            connection.abort()

    def _take_idle(self, origin: Origin) -> Connection | None:
        """The most recently used idle connection that is silent. Expired ones are closed."""
        idle, oldest = self._idle[origin], time.monotonic() - self._keep_alive_seconds
        while idle and idle[0].idle_since < oldest:
            idle.popleft().abort()
        while idle:
            connection = idle.pop()
            if connection.is_silent:
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin) -> Connection:
        context, name = (self._context, origin.host) if origin.is_secure else (None, None)
        loop = asyncio.get_running_loop()
        try:
            with CancelScope(loop.time() + self._connect_seconds):
                opened = await open_socket(
                    origin.host, origin.port, unacknowledged_seconds=self._connect_seconds
                )
                try:
                    _, connection = await loop.create_connection(
                        Connection, sock=opened, ssl=context, server_hostname=name
                    )
                except BaseException:
                    opened.close()
                    raise
        except ScopeCancelledError:
            raise TimeoutError("no connection") from None
        return connection

    async def _ask(self, connection: Connection, request: bytes) -> Head:
        try:
            return await connection.ask(request, self._unacknowledged_seconds)
        except BaseException:
            connection.abort()
            raise
