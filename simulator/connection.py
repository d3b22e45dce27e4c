"""One client's connection: parses requests, and sends the plans on schedule and with backpressure.

This module knows nothing of vendors and behaviours.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import httptools

from simulator.plan import Ending, Plan, Stamped, Step, head

_UNREAD_SECONDS = 2.0
_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close sends RST


class Request(NamedTuple):
    """A complete request. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class Connection(asyncio.Protocol):
    """Sends one plan after another.

    `answer` returns the plan for a request. `finished` is called when a plan is sent, `lost` when
    the connection ends. `is_unread` gets a request's target and the first bytes of its body; if it
    returns true, reading pauses for a while.
    """

    def __init__(
        self,
        answer: Callable[[Connection, Request], Plan],
        finished: Callable[[Connection], None],
        lost: Callable[[Connection], None],
        is_unread: Callable[[Connection, str, bytes], bool] = lambda *_: False,
    ) -> None:
        self._answer = answer
        self._finished = finished
        self._lost = lost
        self._is_unread = is_unread
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._timer: asyncio.Handle | None = None
        self._playing = False
        self._paused = False
        self._held = False  # a step is due, but writing is paused
        self._made = False
        self._aborted = False
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._made = True
        if self._aborted:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        self._requests.clear()
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.write(head(400, {"content-length": "0", "connection": "close"}))
            self._transport.close()
            return
        # not in the parser's callback, which hides what is raised there
        if self._requests and not self._playing:
            self._play_next()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._held:
            self._held = False
            self._due = self._loop.time()
            self._write()

    def abort(self) -> None:
        """Close at once, discarding unsent data.

        A connection that is not yet made is closed when it is.
        """
        self._aborted = True
        self._cancel_timer()
        if self._made:
            self._transport.abort()

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if not self._body and self._is_unread(self, self._target.decode("latin-1"), body):
            self._transport.pause_reading()
            # to notice a disconnect
            self._loop.call_later(_UNREAD_SECONDS, self._transport.resume_reading)
        self._body += body

    def on_message_complete(self) -> None:
        method, keep_alive = self._parser.get_method().decode(), self._parser.should_keep_alive()
        target = self._target.decode("latin-1")
        self._requests.append(Request(method, target, self._headers, bytes(self._body), keep_alive))

    def _play_next(self) -> None:
        request = self._requests.popleft()
        plan = self._answer(self, request)
        self._steps: Iterator[Step] = iter(plan.steps)
        self._then: Ending = "close" if plan.then == "end" and not request.keep_alive else plan.then
        self._playing = True
        self._due = self._loop.time()
        self._schedule()

    def _schedule(self) -> None:
        step = next(self._steps, None)
        if step is None:
            self._end()
            return
        delay, self._data = step
        if delay:
            self._due += delay  # not from now: the schedule doesn't drift
            self._timer = self._loop.call_at(self._due, self._write)
        else:
            self._due = self._loop.time()
            self._timer = self._loop.call_soon(self._write_next_turn)

    def _write_next_turn(self) -> None:
        """Wait one more turn of the loop.

        A reader on the same loop then receives the previous write separately.
        """
        self._timer = self._loop.call_soon(self._write)

    def _write(self) -> None:
        if self._paused:
            self._held = True
            return
        data = self._data
        self._transport.write(data.at(time.monotonic()) if type(data) is Stamped else data)
        self._schedule()

    def _end(self) -> None:
        self._timer = None
        if self._then == "hang":
            return
        self._playing = False
        self._finished(self)
        if self._then == "reset":
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_ON_CLOSE
            )
            self._transport.abort()
        elif self._then != "end":
            self._transport.close()
        elif self._requests:
            self._play_next()

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
