"""How a streaming response reaches its client: by plain ASGI, or by an outlet of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import Receive, Send

# Keys in the scope's extensions: offers of a server, of which none is required. Without an outlet
# the response uses plain ASGI.
OUTLET = "gateway.outlet"  # an Outlet
TAKE_OVER = "gateway.take_over"  # a TakeOver

Rest = Callable[[], Awaitable[None]]
# Awaits the rest of a response after the app has returned, so that the stack frames of middleware
# and routing are freed. Middleware takes such a response for complete once it has begun, so it is
# an option of our own server and never a requirement.
TakeOver = Callable[[Rest], None]


class Outlet(Protocol):
    """What a streaming response needs from its server."""

    send: Send  # bypasses all middleware

    def write(self, chunk: bytes) -> bool:
        """Write a chunk of the body at once, after the head is sent. False: use `send` instead."""

    def abort(self) -> None:
        """Drop the connection, including unsent data."""

    def watch(self, on_disconnect: Callable[[], object]) -> None:
        """Call `on_disconnect`, at most once, if the client disconnects before `close`."""

    def close(self) -> None:
        """Stop watching: the response has ended."""


class PlainOutlet:
    """Plain ASGI. It costs a task for each response, and each write passes all middleware."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self.send = send
        self._watching: asyncio.Task[None] | None = None

    def write(self, chunk: bytes) -> bool:  # noqa: ARG002
        """Not supported."""
        return False

    def abort(self) -> None:
        """Do nothing: ASGI has no message for it."""

    def watch(self, on_disconnect: Callable[[], object]) -> None:
        """Wait for the server's disconnect message in a task."""
        self._watching = asyncio.create_task(self._wait(on_disconnect))

    async def _wait(self, on_disconnect: Callable[[], object]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        on_disconnect()

    def close(self) -> None:
        """Cancel the task."""
        if self._watching:
            self._watching.cancel()
