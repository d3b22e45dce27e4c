"""A streaming response: holds the status line, writes frames, sends heartbeats, drops slow clients.

It knows nothing of what the frames are about. Reading them drives the source that makes them, and
closing them ends it: a client that disconnects ends its chat.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from models import GatewayError
from streams.closing import close_surely, has_ended
from streams.pauses import pauses
from telemetry.error_reporting import report_bug
from web.outlet import OUTLET, TAKE_OVER, Outlet, PlainOutlet, TakeOver
from web.stream_timeouts import Action, State, StreamTimeouts, next_check, next_due

_HEARTBEAT = b": keep-alive\n\n"
_logger = logging.getLogger("gateway.web")

_Headers = Callable[[], Mapping[str, str]]
_SendHead = Callable[[Mapping[str, str]], Awaitable[None]]


class FrameSource(Protocol):
    """What a streaming response sends."""

    media_type: str
    batches: AsyncGenerator[Any, None]  # raises GatewayError if the source fails
    encode: Callable[[Any], bytes]  # a batch's frames, for one write; empty if it has none

    def encode_first(self, batch: Any) -> bytes:
        """As `encode`, until a batch has frames."""

    def headers(self) -> Mapping[str, str]:
        """The response headers that are known once the first frame is."""

    def encode_error(self, error: GatewayError) -> bytes:
        """The last frame of a response that has begun before its source failed."""


class EventStreamResponse(Response):
    """Streams frames. A failure before the head is sent is raised, to become an error response.

    It holds the slot from its beginning until the client has accepted its last byte, which may be
    long after its source has ended. To enter the slot may raise GatewayError.
    """

    def __init__(
        self,
        source: FrameSource,
        timeouts: StreamTimeouts,
        headers: Mapping[str, str],
        slot: AbstractContextManager[None],
    ) -> None:
        self._source = source
        self._timeouts = timeouts
        self._slot = slot
        self.status_code = 200
        self.background = None
        self.init_headers(
            {
                "Content-Type": source.media_type,
                "Cache-Control": "no-cache, no-transform",
                "X-Accel-Buffering": "no",
                **headers,
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response to its end, or to its beginning if the server takes over the rest."""
        offers = scope.get("extensions") or {}
        outlet: Outlet = offers.get(OUTLET) or PlainOutlet(receive, send)
        take_over: TakeOver | None = offers.get(TAKE_OVER)
        send_head = partial(self._send_head, send)
        writer = FrameWriter(self._source, self._timeouts, outlet, send_head, self._slot)
        await writer.begin()
        if take_over:
            take_over(writer.finish)
        else:
            await writer.finish()

    async def _send_head(self, send: Send, headers: Mapping[str, str]) -> None:
        self.headers.update(headers)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})


class FrameWriter:
    """Writes one response's frames. Always closes their source and releases its slot.

    A task, the pump, writes the frames: waking a task resumes every frame of its stack, and the
    request's task has thirty of middleware and routing. One timer serves all deadlines. A
    disconnect cancels the pump: since `send` then returns at once, it would never wait again.
    """

    __slots__ = (
        "_batches",
        "_begun",
        "_heartbeat",
        "_lock",
        "_loop",
        "_outlet",
        "_paused_before",
        "_pump",
        "_send_head",
        "_since",
        "_slot",
        "_source",
        "_state",
        "_timeouts",
        "_timer",
    )

    def __init__(
        self,
        source: FrameSource,
        timeouts: StreamTimeouts,
        outlet: Outlet,
        send_head: _SendHead,
        slot: AbstractContextManager[None],
    ) -> None:
        slot.__enter__()  # not by `with`: a server may run `finish` after `begin` has returned
        self._slot = slot
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._batches = source.batches
        self._timeouts = timeouts
        self._outlet = outlet
        self._send_head: _SendHead | None = send_head
        self._state = State.HELD
        self._since = self._loop.time()  # when the state began, or the newest write
        self._paused_before = pauses.total
        self._lock = asyncio.Lock()  # keeps an event out of a heartbeat that is being written
        self._begun = self._loop.create_future()  # or the pump has ended
        self._heartbeat: asyncio.Task[None] | None = None
        self._pump = self._loop.create_task(self._write_all())
        self._pump.add_done_callback(self._note_begun)
        self._timer = self._loop.call_later(min(timeouts), self._check)
        outlet.watch(self._pump.cancel)

    async def begin(self) -> None:
        """Wait until the response has begun. Raises what fails before that."""
        try:
            await self._begun
            if self._pump.done():
                self._check_tasks()
        except asyncio.CancelledError:
            self._report_failure()
            await self._close()
            raise
        except BaseException:
            await self._close()
            raise

    async def finish(self) -> None:
        """Wait until the response is complete."""
        try:
            if not self._pump.done():
                await asyncio.wait({self._pump})
            self._check_tasks()
        except asyncio.CancelledError:
            self._report_failure()
            raise
        except Exception as error:
            report_bug(error)  # no middleware is left to report it
            raise
        finally:
            await self._close()

    def _check_tasks(self) -> None:
        """Raise the exception of a heartbeat or the pump. A cancellation means: the client is gone.

        Retrieving the result also frees the cancellation's traceback, which refers to the task.
        """
        for task in (self._heartbeat, self._pump):
            if task and task.done():
                with suppress(asyncio.CancelledError):
                    task.result()

    def _report_failure(self) -> None:
        """Report a failure of the turn in which the request was cancelled. That is not raised."""
        try:
            self._check_tasks()
        except GatewayError:
            pass  # the chat's record has it
        except Exception as error:
            _logger.exception("response failed by a bug")
            report_bug(error)

    async def _close(self) -> None:
        self._enter(State.OVER)
        self._outlet.close()
        self._timer.cancel()
        tasks = {task for task in (self._pump, self._heartbeat) if task and not task.done()}
        try:
            if tasks or not has_ended(self._batches):
                await close_surely(self._stop(tasks))
        finally:
            self._slot.__exit__(None, None, None)

    async def _stop(self, tasks: set[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._batches.aclose()
        self._check_tasks()

    # --- writing

    async def _write_all(self) -> None:
        """Write all frames. When this ends, for whatever reason, nothing more is written."""
        source, write, now = self._source, self._outlet.write, self._loop.time
        encode: Callable[[Any], bytes] = source.encode_first
        open_ = State.OPEN  # a local: looking up a member costs more than the write's own calls
        try:
            async for batch in self._batches:
                frames = encode(batch)
                if not frames:
                    continue
                encode = source.encode
                if self._state is open_ and write(frames):
                    self._since = now()
                else:
                    await self._put(frames, source.headers)
            await self._put(b"", more=False)
        except GatewayError as error:
            if self._state is State.HELD:
                raise
            await self._put(source.encode_error(error))
            await self._put(b"", more=False)
        finally:
            self._enter(State.OVER)

    async def _put(self, frames: bytes, headers: _Headers = dict, *, more: bool = True) -> None:
        """Write, and wait until the client has read enough. The first write sends the head."""
        async with self._lock:
            if self._state is State.OVER:
                return
            self._enter(State.WRITING)
            send_head, self._send_head = self._send_head, None  # it refers to all the middleware
            if send_head:
                await send_head(headers())
            body = {"type": "http.response.body", "body": frames, "more_body": more}
            await self._outlet.send(body)
            self._enter(State.OPEN)
        self._note_begun()

    def _enter(self, state: State) -> None:
        if self._state is not State.OVER:
            self._state, self._since = state, self._loop.time()

    def _note_begun(self, _: object = None) -> None:
        if not self._begun.done():
            self._begun.set_result(None)

    # --- deadlines

    def _check(self) -> None:
        """Do what is due, and set the timer for the next deadline."""
        pauses.notice()
        paused, self._paused_before = pauses.total - self._paused_before, pauses.total
        if self._state is not State.OPEN:  # a pause is no fault of the client or the source
            self._since += paused
        now = self._loop.time()
        due = next_due(self._state, self._since, self._timeouts)
        if now >= due.at and due.action is Action.DROP:
            self._outlet.close()
            self._pump.cancel()  # before `abort`, whose disconnect is no longer watched
            self._outlet.abort()
            return
        if now >= due.at and due.action is Action.HEARTBEAT:
            self._since = now
            self._heartbeat = self._loop.create_task(self._send_heartbeat())
        due = next_due(self._state, self._since, self._timeouts)
        next_at = next_check(due, self._loop.time(), self._timeouts)
        self._timer = self._loop.call_at(next_at, self._check)

    async def _send_heartbeat(self) -> None:
        """Send a heartbeat. The first one sends the head."""
        try:
            await self._put(_HEARTBEAT)
        except Exception:
            self._pump.cancel()  # `_check_tasks` raises this exception
            raise
