"""uvicorn's HTTP protocol, made firm against bad clients: deadlines, sizes, and room for the others.

uvicorn itself waits for ever for a request's head, for its body and for a reader; its one way to end a connection,
`transport.close()`, waits for the unread bytes to go out. Here all of that has an end. It costs a few microseconds a
request, and nothing a write. It knows nothing of chats.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal

from httptools import HttpParserError, HttpParserUpgrade
from starlette.responses import PlainTextResponse, Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from configuration import Settings
from log_line import request_id_context
from models import GatewayError
from web.connections import Door, ReaderDeadline, limit_connections
from web.errors import error_response
from web.middleware import choose_request_id
from web.outlet import DirectOutlet

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(:\d*)?")
_FIRST_REQUEST_SECONDS = 1.0  # from the stop of the server to the end of a connection that has asked nothing
_MOST_PIPELINED = 16  # requests behind the one under way; their number, and so their bodies, had no limit
Part = Literal["head", "body"]

_logger = logging.getLogger("gateway.web")


def http_protocol(settings: Settings) -> Callable[..., FirmHttpProtocol]:
    """What `uvicorn.Config` takes as `http`. Raises the process's limit of open files as far as it may."""
    return partial(FirmHttpProtocol, Door(limit_connections(settings)))


class FirmHttpProtocol(HttpToolsProtocol):
    """One connection. An app finds in `scope["extensions"]` what a server can do for it, and no other one does.

    `gateway.outlet`: the response's way out; `gateway.body_seconds`: how long the request's body may take.
    """

    def __init__(self, door: Door, **options: Any) -> None:
        super().__init__(**options)
        self._door = door
        self._limits = door.limits
        self._part: Part | None = None  # of a request, that is coming in
        self._late_head_bytes = 0  # of a head, after the read in which it began
        self._owed: Part | None = None  # what the timer waits for
        self._timer: asyncio.TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None
        self._keeps_alive = True
        self._is_stopping = False
        self._is_deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._reader_deadline = ReaderDeadline(transport, self._limits.write_seconds)
        self._door.waiting[self] = None
        self._watch()
        if len(self.connections) > self._limits.connections:
            self._door.make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request under way; uvicorn tells the last one that came, which may be another, pipelined behind."""
        self._door.waiting.pop(self, None)
        self._reader_deadline.stop()
        for timer in (self._timer, self.timeout_keep_alive_task):
            if timer:
                timer.cancel()
        self._abandon_answer()
        super().connection_lost(exc)

    def leave_room(self) -> None:
        """Go, in favour of a new connection."""
        self._door.waiting.pop(self, None)
        if self._answering is None:
            self._answer(GatewayError("overloaded", "The gateway is at its limit of connections.", retry_after=1))
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """Close after the response under way, whatever of its request has still to come.

        A new connection has a moment for its first request, which is on its way: to close at once would lose it.
        """
        self._is_stopping = True
        self._keeps_alive = False
        if self.cycle is None and self._timer and not self._is_deaf:
            self._timer.cancel()
            self._timer = self.loop.call_later(_FIRST_REQUEST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    # --- what comes in

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and see to the deadline of what has not come yet."""
        if self._is_deaf:
            return
        self._unset_keepalive_if_required()
        if self._part == "head":
            self._late_head_bytes += len(data)
        try:
            self._feed(data)
            if self._part == "head" and self._late_head_bytes > self._limits.head_bytes:
                raise GatewayError("headers_too_large")
        except (HttpParserError, GatewayError) as error:
            self._reject(error)
        else:
            self._watch()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._feed_without_upgrade(data[upgrade.args[0] :])

    def _feed_without_upgrade(self, rest: bytes) -> None:
        """The same request again, for the parser takes whatever follows an Upgrade for another protocol's bytes.

        Some clients offer HTTP/2 with every request, and expect to be answered in HTTP/1.1.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        headers = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self._feed(b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self.url, version, b"".join(headers), rest))

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._part = "head"
        self._late_head_bytes = 0
        extensions: Any = {"gateway.body_seconds": self._limits.body_seconds}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        """Begin the response, or put it behind the one under way. What is raised here ends the connection."""
        self._check_head()
        if self.parser.should_upgrade():
            return
        super().on_headers_complete()
        self._part = "body"
        self.cycle.keep_alive = self._keeps_alive = self.cycle.keep_alive and not self._is_stopping
        if self.pipeline:
            self.flow.resume_reading()  # uvicorn has paused it, and who does not read does not see its client leave

    def _check_head(self) -> None:
        size, hosts = len(self.url), []
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts.append(value)
        if size > self._limits.head_bytes or len(self.headers) > self._limits.headers:
            raise GatewayError("headers_too_large")
        if len(hosts) != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            raise ValueError("not one Host")
        if hosts and not _HOST.fullmatch(hosts[0]):
            raise ValueError("a bad Host")
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("no proxy")
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise ValueError("too many requests at once")

    def on_message_complete(self) -> None:
        """The whole request has come: from now on its client waits for us."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._part = None
        self._door.waiting.pop(self, None)
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keeps_alive
            self.cycle.transport = self.transport

    def _watch(self) -> None:
        """Keep one timer running, for what the client owes."""
        owed = self._find_owed()
        if owed == "body" and not self.cycle.response_started:
            self._expect_early_answer()
        if owed == self._owed:
            return
        self._owed = owed
        if self._timer:
            self._timer.cancel()
        self._timer = self._start_timer(owed) if owed else None

    def _find_owed(self) -> Part | None:
        if self.pipeline:
            return None
        if self._part == "body":
            return "body"
        return None if self._is_answering() else "head"

    def _start_timer(self, owed: Part) -> asyncio.TimerHandle:
        if owed == "head":
            return self.loop.call_later(self._limits.head_seconds, self._give_head_up)
        # later than the app, whose answer is better than none
        return self.loop.call_later(self._limits.body_seconds + self._limits.linger_seconds, self.transport.abort)

    def _give_head_up(self) -> None:
        if self._part == "head":
            self._answer(GatewayError("request_timeout"))
        else:
            self.transport.abort()

    def _expect_early_answer(self) -> None:
        """An answer that begins before its request has wholly come is the connection's last, and says so."""
        self.cycle.keep_alive = False
        transport = self.transport
        gentle: Any = SimpleNamespace(write=transport.write, is_closing=transport.is_closing, close=self._close_gently)
        self.cycle.transport = gentle

    # --- what goes out

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        self._outlet = DirectOutlet(self.transport, self.flow)
        super()._start_asgi_task(cycle, partial(self._outlet.run, app))

    def on_response_complete(self) -> None:
        """Wait for the client again: for its next request, or for it to read."""
        super().on_response_complete()
        if self._is_deaf:
            self._unset_keepalive_if_required()
        elif self.transport.is_closing():
            self._limit_close()
        else:
            if not self._is_answering():
                self._door.waiting[self] = None
            if self._part:
                self._watch()

    def _is_answering(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    def _abandon_answer(self) -> None:
        if self._answering:
            self._answering.disconnected = True
            self._answering.message_event.set()
            self._outlet.lose()

    def pause_writing(self) -> None:
        """The buffer is full: its client has to read."""
        super().pause_writing()
        self._reader_deadline.start()

    def resume_writing(self) -> None:
        """The client reads."""
        super().resume_writing()
        self._reader_deadline.stop()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, once its client has read the last response."""
        super().timeout_keep_alive_handler()
        self._limit_close()

    def _limit_close(self) -> None:
        """A closed transport waits for its reader, for ever."""
        if self.transport.get_write_buffer_size():
            self._reader_deadline.start()

    # --- the connection's end

    def _reject(self, error: Exception) -> None:
        """Answer what is no request. In the midst of a response there is no place for that."""
        if self._answering and self._is_answering() and self._answering.response_started:
            self.transport.close()
            self._limit_close()
            return
        self._abandon_answer()
        cause = error if isinstance(error, GatewayError) else error.__context__
        if isinstance(cause, GatewayError):
            self._answer(cause)
        else:
            _logger.info("refused what is no HTTP request")
            self._send_last(PlainTextResponse("Invalid HTTP request received.", 400, self._last_headers()))

    def _answer(self, error: GatewayError) -> None:
        """Answer in the app's stead, with an id as the app would choose it."""
        headers = self._last_headers()
        copy_context().run(self._answer_by_id, error, headers)

    def _answer_by_id(self, error: GatewayError, headers: dict[str, str]) -> None:
        request_id_context.set(headers["X-Request-ID"])
        _logger.info("answered with an error", extra={"context": {"code": error.code}})
        self._send_last(error_response(error, headers))

    def _last_headers(self) -> dict[str, str]:
        return {"Connection": "close", "X-Request-ID": choose_request_id(self.headers or ())}

    def _send_last(self, response: Response) -> None:
        headers = [b"%b: %b\r\n" % header for header in response.raw_headers]
        self.transport.write(b"".join([STATUS_LINE[response.status_code], *headers, b"\r\n", response.body]))
        self._close_gently()

    def _close_gently(self) -> None:
        """Say that nothing more comes, and throw away what still does: to close at once would reset the connection
        where something lies unread, and the answer would be lost on its way.
        """
        self._is_deaf = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(self._limits.linger_seconds, self.transport.abort)
