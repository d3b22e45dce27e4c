"""uvicorn's HTTP protocol with timeouts and limits, against slow and hostile clients.

uvicorn itself has no timeout for a request's head, for its body or for a client that does not
read, and `transport.close()` waits until all written bytes are read. The cost is a few
microseconds a request, and nothing a write. This module knows nothing of chats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from configuration import Settings
from models import GatewayError
from server.connection_limits import limit_connections
from server.connection_state import Action, ConnectionState, Phase, next_deadline
from server.early_response import expect_early_response, expect_ordinary_response
from server.http10 import run_without_chunks
from server.outlet import DirectOutlet
from server.reader_deadlines import ReaderDeadline, ResponseDeadline
from server.refusal import refuse
from server.request_bytes import RequestBytes
from server.request_head import BadRequestError, check_head, format_without_upgrade
from server.shared_connections import KeyClaim, Share, SharedConnections
from streams.deadline import Timer

_MAX_PIPELINED = 4  # requests that wait behind the one being answered
_BODY = Phase.BODY  # looking up an enum's member is slow for each header
_FULL = "The gateway is at its limit of connections."


def http_protocol(settings: Settings, *, takes_over: bool = True) -> Callable[..., HttpProtocol]:
    """The `http` argument of `uvicorn.Config`. `takes_over` is explained at `DirectOutlet`.

    Raises the process's limit of open files as far as permitted.
    """
    connections = SharedConnections(limit_connections(settings), settings.trusted_proxies)
    return partial(HttpProtocol, connections, takes_over=takes_over)


class HttpProtocol(HttpToolsProtocol):
    """One connection. What it waits for is in its `ConnectionState`; this class acts on it.

    `scope["extensions"]` has five entries that other servers do not offer. `gateway.outlet` writes
    the response, and `gateway.take_over` awaits the rest of one that has begun.
    `gateway.body_deadline` is the loop time by which the request's body must be received.
    `gateway.peer` is the address of the connection's other end, regardless of forwarding headers.
    `gateway.claim` counts the connection as that of a gateway key, unless it is a proxy's.
    """

    def __init__(
        self, connections: SharedConnections, *, takes_over: bool = True, **options: Any
    ) -> None:
        super().__init__(**options)
        self._shared = connections
        self._share: Share | None = None
        self._claim: KeyClaim | None = None
        self._address: str | None = None  # of the client; None for a UNIX socket
        self._limits = connections.limits
        self._takes_over = takes_over
        self._keeps_alive = True  # until the server stops
        self._state = ConnectionState()
        self._timer: Timer | None = None
        self._deadline: float | None = None  # of the timer
        self._received = RequestBytes(self._limits.head_bytes)
        self._answering: RequestResponseCycle | None = None  # the response in progress, or the last
        self._outlet: DirectOutlet | None = None  # of the same response
        self._reader_deadline = ReaderDeadline(self._limits.write_seconds)
        self._response_deadline = ResponseDeadline(self._limits.response_seconds)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection, and start the timeout of the first head."""
        super().connection_made(transport)
        self._state.connect(self.loop.time())
        self._address = self.client[0] if self.client else None
        self._share = self._shared.add(self._address)
        self._claim = self._shared.make_claim() if self._share else None
        self._shared.wait(self, self._share)
        self._set_timer()
        self._shared.evict_excess(len(self.connections), self._share)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the disconnect to the response in progress; uvicorn reports it to the newest."""
        self._state.close(self.loop.time())
        self._set_timer()
        self._shared.remove(self, self._share)
        if self._claim:
            self._claim.release()
        self._reader_deadline.stop()
        self._response_deadline.stop()
        self._abandon_response()
        super().connection_lost(exc)

    def evict(self) -> None:
        """Close, in favour of a new connection."""
        self._shared.stop_waiting(self, self._share)
        if self._state.is_waiting_for_first:
            self._refuse(GatewayError("overloaded", _FULL, retry_after=1))
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """Close after the response in progress, even if its request is still being received.

        A new connection stays open for a moment, because its first request may be in flight.
        """
        self._keeps_alive = False
        if self._state.is_waiting_for_first:
            self._state.stop(self.loop.time())
            self._set_timer()
        else:
            super().shutdown()

    # --- deadlines

    def _set_timer(self) -> None:
        """Keep one timer running, for what the connection waits for."""
        deadline = next_deadline(self._state, self._limits, self.timeout_keep_alive)
        if deadline == self._deadline:
            return
        if self._timer:
            self._timer.cancel()
        self._deadline = deadline
        if deadline is not None:
            self._timer = Timer(deadline - self.loop.time(), self._handle_timeout)

    def _handle_timeout(self) -> None:
        match self._state.time_out(self.loop.time()):
            case Action.REFUSE:
                self._refuse(GatewayError("request_timeout"))
            case Action.UNQUEUE:
                self.pipeline.popleft()
            case Action.ABORT:
                self.transport.abort()
            case Action.CLOSE:
                self._close()

    # --- receiving

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and set the timer for what has to be received next."""
        if not self._state.is_reading:
            return
        try:
            self._feed(data)
            self._received.finish_read(len(data))
        except (HttpParserError, GatewayError) as error:
            answering = self._answering
            if answering and answering.response_started and not answering.response_complete:
                self._close()  # no error can be sent within a response
                return
            self._abandon_response()
            cause = error if isinstance(error, GatewayError) else error.__context__
            self._refuse(cause if isinstance(cause, GatewayError) else None)
            return
        if self._state.phase is _BODY:
            expect_early_response(self.cycle, self._linger)
        self._set_timer()

    def _feed(self, data: bytes) -> None:
        """Parse the data. The parser stops after an Upgrade header: parse again without it.

        Some clients offer HTTP/2 with every request, and expect HTTP/1.1. A new parser is needed:
        the old one reads nothing after a request that has `Connection: close` as well.
        """
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            version = self.parser.get_http_version()
            head = format_without_upgrade(self.parser.get_method(), self.url, version, self.headers)
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self._feed(head + data[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        """Start receiving a request's head."""
        super().on_message_begin()
        self._state.begin_head(self.loop.time())
        self._received.enter_state()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header. Trailers are dropped, so that they cannot pose as headers."""
        if self._state.phase is not _BODY:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the response, or queue it. The parser raises what is raised here."""
        version = self.parser.get_http_version()
        check_head(self.parser.get_method(), self.url, version, self.headers, self._limits)
        if self._state.unanswered > _MAX_PIPELINED:
            raise BadRequestError("too many requests at once")
        if self.parser.should_upgrade():
            return
        now = self.loop.time()
        self.scope["extensions"] = {
            "gateway.body_deadline": now + self._limits.body_seconds,  # type: ignore[dict-item]
            "gateway.peer": self._address or "",  # type: ignore[dict-item]
            "gateway.claim": self._claim,  # type: ignore[dict-item]
        }
        super().on_headers_complete()
        self.cycle.keep_alive = self._keeps_alive and self.cycle.keep_alive
        self._state.end_head(now)
        self._received.enter_state()
        if self.pipeline:
            # uvicorn has paused it, but a disconnect is only noticed while reading
            self.flow.resume_reading()

    def on_body(self, body: bytes) -> None:
        """Count and store a piece of the body."""
        self._received.add_body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete: its connection no longer waits for the client."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._state.end_request(self.loop.time())
        self._received.enter_state()
        self._shared.stop_waiting(self, self._share)
        expect_ordinary_response(self.cycle, may_keep_alive=self._keeps_alive)

    # --- sending

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        self._response_deadline.stop()
        chunked = cycle.scope["http_version"] != "1.0"
        self._outlet = DirectOutlet(
            self.transport, self.flow, chunked=chunked, takes_over=self._takes_over
        )
        served = partial(self._outlet.run, app)
        if not chunked:
            served = partial(run_without_chunks, served, cycle)
        super()._start_asgi_task(cycle, served)

    def on_response_complete(self) -> None:
        """Answer the next request, or wait for it. uvicorn's own method would start a timer too."""
        self.server_state.total_requests += 1
        self._state.end_response(self.loop.time())
        self._response_deadline.start(self.transport)
        if self.transport.is_closing():
            self._close()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._state.phase is Phase.OVERDUE:
            self._refuse(GatewayError("request_timeout"))
        elif self._state.is_reading:
            self._shared.wait(self, self._share)
        self._set_timer()

    def pause_writing(self) -> None:
        """The write buffer is full: start the deadlines for the client to read."""
        super().pause_writing()
        self._reader_deadline.start(self.transport)
        if not (self._outlet and self._outlet.is_stream):
            self._response_deadline.start(self.transport)

    def resume_writing(self) -> None:
        """The client has read enough: stop the reader deadline."""
        super().resume_writing()
        self._reader_deadline.stop()

    # --- closing

    def _abandon_response(self) -> None:
        if self._answering:
            self._answering.disconnected = True
            self._answering.message_event.set()
        if self._outlet:
            self._outlet.report_disconnect()

    def _refuse(self, error: GatewayError | None) -> None:
        """Answer in place of the app. Without an error, the request is not HTTP."""
        lines = self._shared.stranger_lines
        self.transport.write(refuse(error, self.headers or (), self._address, lines))
        self._linger()

    def _linger(self) -> None:
        """Send FIN, and discard for a moment what is still received."""
        self._state.linger(self.loop.time())
        self._set_timer()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close(self) -> None:
        """Close once the client has read what was written, for which it has a deadline."""
        self._state.close(self.loop.time())
        self._set_timer()
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._reader_deadline.start(self.transport)
