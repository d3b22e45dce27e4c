"""One HTTP/1.1 connection to a vendor, for streams of many small reads.

An `asyncio.Protocol` over httptools. What one read of the socket brought is one chunk of a body; a reader that is slow
stops the socket. Every failure is raised as what the socket said (an OSError), or as a GatewayError. Knows no vendor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

from models import GatewayError

_MOST_HEAD_BYTES = 65_536
_HIGH_WATER = 65_536  # bytes read ahead of the reader


class Head(NamedTuple):
    """An answer's status and headers, as they came."""

    status: int
    headers: list[tuple[bytes, bytes]]


class Connection(asyncio.Protocol):
    """Carries one request at a time."""

    # What belongs to one stream is in no cache when its next read comes: a dictionary would be a miss more.
    __slots__ = (
        "_buffered",
        "_chunks",
        "_ends_with_connection",
        "_has_head",
        "_head_bytes",
        "_headers",
        "_is_complete",
        "_is_kept_alive",
        "_is_paused",
        "_loop",
        "_lost",
        "_parser",
        "_status",
        "_transport",
        "_waiter",
        "_when_over",
        "idle_since",
        "is_open",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._when_over: Callable[[], None] | None = None  # for whoever waits for no more than the body's end
        self._lost: Exception | None = None
        self.is_open = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._has_head = False
        self._is_complete = False
        self._is_kept_alive = False
        self._ends_with_connection = True
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._is_paused = False

    # --- the protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """One read of the socket."""
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
            if not self._has_head and self._head_bytes > _MOST_HEAD_BYTES:
                raise _bad_protocol()
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(_bad_protocol())
        except GatewayError as error:
            self._fail(error)
        if self._buffered > _HIGH_WATER and self.is_open and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone: the end of a body without a length, or a failure."""
        self.is_open = False
        if self._has_head and self._ends_with_connection and exc is None:
            self._is_complete = True
        elif self._lost is None:
            self._lost = exc or self._truncation()
        del self._parser  # which leads back here
        self._wake()

    def _truncation(self) -> Exception:
        if self._has_head:
            return GatewayError("upstream_truncated", reason="short_body")
        if self._head_bytes:
            return _bad_protocol()
        return ConnectionResetError("closed before an answer")

    def _fail(self, error: Exception) -> None:
        self._lost = self._lost or error
        self.abort()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # --- the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; those that say where the body ends are noted."""
        self._headers.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        """The head is there; one of 1xx announces another."""
        self._status = self._parser.get_status_code()
        if self._status >= 200:
            self._has_head = True
            self._ends_with_connection = self._ends_with_connection and self._status not in (204, 304)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._when_over:
            return
        self._chunks.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._has_head:
            self._is_complete = True
            self._is_kept_alive = self._parser.should_keep_alive()  # which the parser forgets after this
            if self._when_over:
                self._loop.call_soon(self._when_over)
        else:
            self._headers = []

    # --- whoever asks

    async def ask(self, request: bytes) -> Head:
        """Send a request, and wait for the answer's head. Raises OSError, GatewayError."""
        self._begin()
        self._transport.write(request)
        while not self._has_head:
            await self._wait()
        return Head(self._status, self._headers)

    async def read(self) -> bytes | None:
        """What has come of the body since the read before; None at its end. Raises OSError, GatewayError."""
        while not self._chunks:
            if self._is_complete:
                return None
            await self._wait()
        chunks, self._chunks, self._buffered = self._chunks, [], 0
        self._resume()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _wait(self) -> asyncio.Future[None]:
        """To be awaited: until something has come."""
        if self._lost:
            raise self._lost
        self._waiter = waiter = self._loop.create_future()
        return waiter

    @property
    def is_unanswered(self) -> bool:
        """Whether nothing at all has come of an answer."""
        return not self._head_bytes

    @property
    def is_reusable(self) -> bool:
        """Whether another request may go out on it: its answer has been read whole, and the vendor keeps alive."""
        return self.is_open and self._is_kept_alive and not (self._lost or self._is_paused)

    def finish(self, when_over: Callable[[], None], seconds: float) -> None:
        """Throw away what is left of the body. When it has come to its end, say so; after so many seconds, close."""
        timer = self._loop.call_later(seconds, self.abort)

        def end() -> None:
            timer.cancel()
            self._when_over = None
            when_over()

        self._when_over, self._chunks = end, []
        self._resume()

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once, whatever is unsent."""
        self.is_open = False
        self._transport.abort()


def _bad_protocol() -> GatewayError:
    return GatewayError("upstream_bad_response", reason="protocol")
