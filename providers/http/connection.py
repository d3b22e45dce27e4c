"""One HTTP/1.1 connection to a vendor, for streams of many small reads.

An `asyncio.Protocol` over httptools. The data of one socket read is one chunk of a body; a slow
reader pauses the socket (backpressure). Raises OSError or GatewayError. Knows no vendor.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from functools import partial
from typing import cast

import httptools

from models import GatewayError
from providers.http import connection_state, sockets
from providers.http.connection_state import State
from providers.http.response_head import Head, bad_protocol, ends_with_connection, rewrite_heads
from streams.deadline import Timer

_MAX_OVERHEAD_BYTES = 65_536  # of heads, trailers and chunk extensions, in a row
_HIGH_WATER = 65_536  # bytes buffered for the reader before reading is paused

# Looking up an enum's members is slow for each read.
_IDLE, _HEAD, _ODD_HEAD, _BODY, _REST, _COMPLETE, _CLOSED, _LOST = State


class Connection(asyncio.Protocol):
    """Sends one request at a time and reads its response."""

    # A stream's data is not in the CPU's cache at its next read: a dictionary is one more miss.
    __slots__ = (
        "_buffered",
        "_chunks",
        "_ends_with_connection",
        "_failure",
        "_head",
        "_head_bytes",
        "_headers",
        "_is_paused",
        "_is_trusted",
        "_loop",
        "_overhead",
        "_parser",
        "_path_timer",
        "_poll",
        "_transport",
        "_waiter",
        "_when_over",
        "idle_since",
        "state",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport  # set before any other call, by `connection_made`
        self.state = _IDLE
        self._failure: Exception | None = None  # why the response is not complete
        self._waiter: asyncio.Future[None] | None = None
        self._when_over: Callable[[], None] | None = None  # called at the end of a discarded body
        self._is_paused = False  # the reader is slower than the vendor
        self.idle_since = 0.0
        self._poll: select.poll | None = None  # once a second request is sent
        # of one response
        self._parser = httptools.HttpResponseParser(self)
        self._head: Head | None = None
        self._head_bytes = bytearray()  # of an incomplete head
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_trusted = True  # the head was valid, and so is what follows the response
        self._ends_with_connection = True
        self._chunks: list[bytes] = []
        self._buffered = self._overhead = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when the socket is connected."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called with the data of one socket read."""
        if self.state is not _BODY:
            self._receive_outside_body(data)
            return
        before = self._buffered
        self._feed(data)
        if self._buffered == before:
            self._count_overhead(data)
        else:
            self._overhead = 0
            if self._buffered > _HIGH_WATER and self.state is _BODY and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
        self._wake()

    def _receive_outside_body(self, data: bytes) -> None:
        match self.state:
            case State.HEAD | State.ODD_HEAD:
                self._head_bytes += data
                if self.state is _ODD_HEAD:
                    self._receive_odd_head(len(data))
                else:
                    self._feed(data)
                if self._head:
                    self._head_bytes = bytearray()
                else:
                    self._count_overhead(data)
                self._wake()
            case State.REST:
                self._feed(data)
                self._count_overhead(data)
            case State.IDLE | State.COMPLETE:
                self.abort()  # unrequested data must not be taken for the next request's response

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.state in (_IDLE, _COMPLETE):
                self.abort()  # the data follows a complete response, which stays valid
            elif self.state is _HEAD and self._head_bytes.lstrip(b"\r\n").startswith(b"HTTP/1."):
                self.state, self._is_trusted = _ODD_HEAD, False
                self._parser, self._headers = httptools.HttpResponseParser(self), []
                self._receive_odd_head(len(self._head_bytes))
            else:
                self._fail(bad_protocol())

    def _receive_odd_head(self, new: int) -> None:
        try:
            rewritten, self._head_bytes = rewrite_heads(self._head_bytes, new)
        except GatewayError as error:
            self._fail(error)
        else:
            self._feed(rewritten)

    def _count_overhead(self, data: bytes) -> None:
        self._overhead += len(data)
        if self._overhead > _MAX_OVERHEAD_BYTES and connection_state.is_receiving(self.state):
            self._fail(bad_protocol())

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the socket has closed: the end of a body without a length, or a failure."""
        if self.state in (_BODY, _REST) and self._ends_with_connection and exc is None:
            self.state = _CLOSED
        elif self.is_open:
            ending = connection_state.explain_end(self.state, self._head_bytes)
            self._failure = sockets.explain_loss(exc) if exc else ending
            self.state = connection_state.close(self.state)
        del self._parser  # it refers back to the connection
        self._wake()

    def _fail(self, error: Exception) -> None:
        if connection_state.is_receiving(self.state):
            self._failure = error
        self.abort()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def on_message_begin(self) -> None:
        """Called by the parser. A second response in one read with the first is refused."""
        if self.state in (_IDLE, _COMPLETE):
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser with one header. Trailers are dropped."""
        if self._head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Called by the parser at the end of a head. A 1xx head is followed by another."""
        status = self._parser.get_status_code()
        if self._head or status < 200:
            return
        try:
            self._ends_with_connection = ends_with_connection(status, self._headers)
        except GatewayError as error:
            self._fail(error)
            return
        self._head = Head(status, self._headers)
        self.state = _BODY

    def on_body(self, body: bytes) -> None:
        """Called by the parser with a piece of the body."""
        if self.state is _BODY:
            self._chunks.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        """Called by the parser when the response is complete."""
        if self._head is None:
            self._headers = []  # of a 1xx head
        elif self.state in (_BODY, _REST):
            # whether the vendor keeps the connection alive is known to the parser only now
            is_kept = self._is_trusted and self._parser.should_keep_alive()
            self.state = _IDLE if is_kept else _COMPLETE
            if self._when_over:
                self._loop.call_soon(self._when_over)

    async def ask(self, request: bytes, path_seconds: float) -> Head:
        """Send a request and await its head; fail after `path_seconds` without acknowledgement."""
        if not self.is_open:
            raise self._failure or connection_state.closed_before_answer()
        self.state = _HEAD
        self._parser = httptools.HttpResponseParser(self)
        self._head, self._head_bytes, self._headers = None, bytearray(), []
        self._is_trusted = self._ends_with_connection = True
        self._chunks, self._buffered, self._overhead = [], 0, 0
        self._transport.write(request)
        self._path_timer = Timer(path_seconds, partial(self._check_path, path_seconds))
        try:
            while self._head is None:
                await self._wait()
        finally:
            self._path_timer.cancel()
        return self._head

    def _check_path(self, seconds: float) -> None:
        left = seconds - sockets.count_unacknowledged_seconds(self._transport)
        if left <= 0:
            self._fail(sockets.unacknowledged())
        else:
            self._path_timer = Timer(left, partial(self._check_path, seconds))

    async def read(self) -> bytes | None:
        """The data since the last read; None at the body's end. Raises OSError, GatewayError."""
        while not self._chunks:
            if self.state is not _BODY and self.state is not _LOST:
                return None
            await self._wait()
        chunks, self._chunks, self._buffered = self._chunks, [], 0
        if self._is_paused:
            self._resume()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _wait(self) -> asyncio.Future[None]:
        """A future that completes when data arrives or the connection closes."""
        if self.state is _LOST:
            raise self._failure or connection_state.closed_before_answer()
        self._waiter = waiter = self._loop.create_future()
        return waiter

    @property
    def is_open(self) -> bool:
        """Whether the connection is not closed."""
        return self.state is not _CLOSED and self.state is not _LOST

    @property
    def is_unanswered(self) -> bool:
        """Whether no byte of the response has arrived."""
        return self._head is None and not self._head_bytes

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent, all of the last one having been sent too."""
        is_idle = self.state is _IDLE and not self._is_paused
        return is_idle and sockets.count_unsent(self._transport) == 0

    @property
    def is_silent(self) -> bool:
        """Whether nothing has arrived since, not even what the loop has not read."""
        if not self.is_open:
            return False
        self._poll = self._poll or sockets.poll_reads(self._transport)
        return not self._poll.poll(0)

    def finish(self, when_over: Callable[[], None], seconds: float) -> None:
        """Discard the rest of the body, then call `when_over`; after `seconds`, close."""
        timer = Timer(seconds, self.abort)

        def end() -> None:
            timer.cancel()
            self._when_over = None
            when_over()

        if self.state is _BODY:
            self.state = _REST
        self._when_over, self._chunks, self._overhead = end, [], 0
        self._resume()

    def _resume(self) -> None:
        self._is_paused = False
        self._transport.resume_reading()  # does nothing if it was not paused

    def abort(self) -> None:
        """Close at once and discard unsent data."""
        self.state = connection_state.close(self.state)
        self._transport.abort()
