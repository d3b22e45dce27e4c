"""Responses that begin before their requests are complete.

Such a response is the last of its connection. After it the connection lingers, because the client
may still be sending: closing with unread bytes would reset the connection, and the response could
be lost in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class LingeringTransport:
    """The transport that such a response gets: to close it is to linger."""

    __slots__ = ("close", "is_closing", "keeps_alive", "transport", "write")

    def __init__(
        self, transport: asyncio.Transport, linger: Callable[[], None], *, keeps_alive: bool
    ) -> None:
        self.transport = transport
        self.keeps_alive = keeps_alive  # what the request asked for
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = linger


def expect_early_response(cycle: RequestResponseCycle, linger: Callable[[], None]) -> None:
    """The request is not complete: if its response starts now, it is the last."""
    if cycle.response_started or isinstance(cycle.transport, LingeringTransport):
        return
    transport = LingeringTransport(cycle.transport, linger, keeps_alive=cycle.keep_alive)
    cycle.transport = transport  # type: ignore[assignment]  # uvicorn uses only these methods
    cycle.keep_alive = False


def expect_ordinary_response(cycle: RequestResponseCycle, *, may_keep_alive: bool) -> None:
    """The request is complete: unless its response has started, it need not be the last."""
    transport: object = cycle.transport
    if isinstance(transport, LingeringTransport) and not cycle.response_started:
        cycle.transport = transport.transport
        cycle.keep_alive = transport.keeps_alive and may_keep_alive
