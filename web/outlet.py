"""The way out to one response's client: what any ASGI server offers, and what ours can do besides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl

EXTENSION = "gateway.outlet"  # where the scope's extensions have the server's own


class Outlet(Protocol):
    """What a streaming response needs of its server."""

    send: Send  # for what no middleware has to see

    def write(self, chunk: bytes) -> bool:
        """Write a piece of a body whose head has gone out, at once. False where it has to be sent instead."""

    def abort(self) -> None:
        """Drop the connection, whatever is unsent."""

    def watch(self, leave: Callable[[], None]) -> None:
        """Call it, once at most, when the client leaves before the response has ended."""

    def close(self) -> None:
        """The response has ended."""

    def take_over(self, rest: Callable[[], Awaitable[None]]) -> bool:
        """Await the rest of the response where the app's frames no longer stand above it. False: it can't be."""


def find_outlet(scope: Scope, receive: Receive, send: Send) -> Outlet:
    """The server's own, or else one that any server bears."""
    found: Outlet | None = (scope.get("extensions") or {}).get(EXTENSION)
    return found or PlainOutlet(receive, send)


class PlainOutlet:
    """Any server's. It costs a task a response, and a write goes through all middleware."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self.send = send
        self._watching: asyncio.Task[None] | None = None

    def write(self, chunk: bytes) -> bool:  # noqa: ARG002
        """Never: all is sent."""
        return False

    def abort(self) -> None:
        """Nothing: ASGI has no word for it."""

    def watch(self, leave: Callable[[], None]) -> None:
        """Wait for the server's word in a task."""
        self._watching = asyncio.create_task(self._wait(leave))

    async def _wait(self, leave: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        leave()

    def close(self) -> None:
        """Wait no longer."""
        if self._watching:
            self._watching.cancel()

    def take_over(self, rest: Callable[[], Awaitable[None]]) -> bool:  # noqa: ARG002
        """Never."""
        return False


class DirectOutlet:
    """Our own server's, which has one for each response."""

    __slots__ = ("_flow", "_leave", "_rest", "_transport", "send")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow
        self._leave: Callable[[], None] | None = None
        self._rest: Callable[[], Awaitable[None]] | None = None
        self.send: Send

    def write(self, chunk: bytes) -> bool:
        """Straight to the transport, as one chunk of HTTP/1.1: uvicorn says so of a body whose length is not told."""
        if self._flow.write_paused or self._transport.is_closing():
            return False
        self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        return True

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def watch(self, leave: Callable[[], None]) -> None:
        """The server says when, by `lose`."""
        self._leave = leave

    def close(self) -> None:
        """Tell nobody."""
        self._leave = None

    def lose(self) -> None:
        """The client has left."""
        leave, self._leave = self._leave, None
        if leave:
            leave()

    def take_over(self, rest: Callable[[], Awaitable[None]]) -> bool:
        """Awaited by `run`."""
        self._rest = rest
        return True

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app, and then the rest of its response, if it left one.

        The app has a scope of its own, with this outlet: what it adds to it goes when it is done.
        """
        self.send = send
        own = {**scope, "extensions": {**scope.get("extensions", {}), EXTENSION: self}}
        try:
            await app(own, receive, send)
        finally:
            rest, self._rest = self._rest, None
            if rest:
                await rest()
