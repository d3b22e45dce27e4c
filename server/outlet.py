"""The outlet of our own server: a response's chunks go straight to the transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl

from web.outlet import OUTLET, TAKE_OVER, Rest


class DirectOutlet:
    """Writes one response. The app finds it in the scope's extensions.

    With `takes_over` the app may return once its response has begun, and leave the rest to this
    outlet. That frees the stack frames of middleware and routing, a third of an open stream's
    memory, and is right for the gateway's own middleware, which does nothing after the response's
    head. Turn it off if other middleware measures how long a response takes: the app then returns
    when its response is complete, as on any ASGI server.
    """

    __slots__ = (
        "_chunked",
        "_flow",
        "_is_disconnected",
        "_on_disconnect",
        "_rest",
        "_takes_over",
        "_transport",
        "is_stream",
        "send",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        flow: FlowControl,
        *,
        chunked: bool = True,
        takes_over: bool = True,
    ) -> None:
        self._transport = transport
        self._flow = flow
        self._chunked = chunked
        self._takes_over = takes_over
        self.is_stream = False
        self._is_disconnected = False
        self._on_disconnect: Callable[[], object] | None = None
        self._rest: Rest | None = None
        self.send: Send  # set by `run`, before the app can see this outlet

    def write(self, chunk: bytes) -> bool:
        """Write to the transport, as one HTTP chunk unless the client uses HTTP/1.0."""
        if self._flow.write_paused or self._transport.is_closing():
            return False
        self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)
        return True

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def watch(self, on_disconnect: Callable[[], object]) -> None:
        """Have `report_disconnect` call this. Marks the response as a stream.

        If the client disconnected while its request was being decoded, that is reported in the
        loop's next turn. Then the chat has begun, so it leaves a record.
        """
        self.is_stream = True
        self._on_disconnect = on_disconnect
        if self._is_disconnected:
            asyncio.get_running_loop().call_soon(self.report_disconnect)

    def close(self) -> None:
        """Stop watching."""
        self._on_disconnect = None

    def report_disconnect(self) -> None:
        """Report that the client has disconnected; called by the server."""
        self._is_disconnected = True
        on_disconnect, self._on_disconnect = self._on_disconnect, None
        if on_disconnect:
            on_disconnect()

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app, then the rest of its response if it left one.

        The app gets a copy of the scope, so that the connection does not keep what the app adds.
        """
        self.send = send
        extensions = {**scope.get("extensions", {}), OUTLET: self}
        if self._takes_over:
            extensions[TAKE_OVER] = self._take_over
        try:
            await app({**scope, "extensions": extensions}, receive, send)
        finally:
            rest, self._rest = self._rest, None
            if rest:
                await rest()

    def _take_over(self, rest: Rest) -> None:
        self._rest = rest
