"""The one response that streams: holds the status line, frames batches, keeps alive, sheds who never reads.

It closes the chat's generator whatever happens, so the vendor's stream ends with the client's. A task pumps batches;
one timer serves the three clocks (hold, heartbeat, stuck write); a client that leaves cancels the pump. It knows no
wire: an encoder makes bytes of events.

The pump has a task of its own because a task that wakes goes through every frame that waits above it. The outlet takes
over what is left once the response has begun: middleware and routing have thirty frames, none is needed any more, and
they would be a third of an open stream's memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from closing import close_surely, has_ended
from error_reporting import report_bug
from models import Event, Fallback, GatewayError, Restart, Start
from web.outlet import find_outlet

_HEARTBEAT = b": keep-alive\n\n"


class Encoder(Protocol):
    """One outward wire, one stream."""

    media_type: str

    def encode(self, batch: list[Event]) -> bytes:
        """The batch's bytes, for one write; empty where there is nothing to say yet."""

    def encode_error(self, error: GatewayError) -> bytes:
        """The last bytes of a response that had begun and failed."""


@dataclass(frozen=True, slots=True)
class StreamClocks:
    """Seconds: how long the status line waits for content, between heartbeats (0: none), for a stuck write."""

    hold: float
    heartbeat: float
    send: float


class EventStreamResponse(Response):
    """Streams a chat. A failure before the status line has gone out is raised, for its true status.

    `place` is held while the chat is under way; entering it may raise a GatewayError.
    """

    def __init__(
        self,
        batches: AsyncGenerator[list[Event], None],
        encoder: Encoder,
        clocks: StreamClocks,
        headers: dict[str, str],
        place: AbstractContextManager[None],
    ) -> None:
        self._batches = batches
        self._encoder = encoder
        self._clocks = clocks
        self._place = place
        self._now = asyncio.get_running_loop().time
        self._opened_at = self._now()
        self._wrote_at: float | None = None  # None: the status line has not gone out
        self._writing_since: float | None = None  # None: nothing waits for the client, nor is a heartbeat on its way
        self._turn = asyncio.Lock()
        self._beat: asyncio.Task[None] | None = None
        self._is_over = False
        self._begun = asyncio.get_running_loop().create_future()  # done when the response has, or the pump has ended
        self.status_code = 200
        self.background = None
        self.init_headers(
            {
                "Content-Type": encoder.media_type,
                "Cache-Control": "no-cache, no-transform",
                "X-Accel-Buffering": "no",
                **headers,
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send_start, self._outlet = send, find_outlet(scope, receive, send)
        self._place.__enter__()
        self._pumping = asyncio.create_task(self._pump())
        try:
            self._pumping.add_done_callback(self._note_begun)
            self._outlet.watch(self._leave)
            self._set_timer()
            await self._begun
            if self._pumping.done():
                self._check_pump()
        except BaseException:
            await self._close()
            raise
        if not self._outlet.take_over(self._finish):
            await self._finish()

    async def _finish(self) -> None:
        try:
            if not self._pumping.done():
                await asyncio.wait({self._pumping})
            self._check_pump()
        except Exception as error:
            report_bug(error)  # no middleware stands above it any more
            raise
        finally:
            await self._close()

    def _check_pump(self) -> None:
        """Raise what it raised, or a heartbeat; where it was cancelled else, that was because the client is gone.

        Asked for its result, it lets go of the cancellation's traceback, whose frames lead back to it.
        """
        for task in (self._beat, self._pumping):
            if task and task.done():
                with suppress(asyncio.CancelledError):
                    task.result()

    async def _close(self) -> None:
        self._is_over = True
        self._outlet.close()
        self._timer.cancel()
        tasks = {task for task in (self._pumping, self._beat) if task and not task.done()}
        try:
            if tasks or not has_ended(self._batches):
                await close_surely(self._stop(tasks))
        finally:
            self._place.__exit__(None, None, None)

    async def _stop(self, tasks: set[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._batches.aclose()
        self._check_pump()

    # --- what is written

    async def _pump(self) -> None:
        """Write what comes. Its end, however it comes, is the end of all writing."""
        encode, write, now = self._encoder.encode, self._outlet.write, self._now
        try:
            async for batch in self._batches:
                if self._wrote_at is None and isinstance(batch[0], Start | Restart):
                    self._name_model(batch[0])
                if frames := encode(batch):
                    if self._wrote_at is not None and self._writing_since is None and write(frames):
                        self._wrote_at = now()
                    else:
                        await self._put(frames)
            await self._put(b"", more=False)
        except GatewayError as error:
            if self._wrote_at is None:
                raise
            await self._put(self._encoder.encode_error(error))
            await self._put(b"", more=False)
        finally:
            self._is_over = True

    async def _put(self, frames: bytes, *, more: bool = True) -> None:
        """Write what may have to wait: for the client, or for a heartbeat, into whose midst no event is written."""
        async with self._turn:
            if self._is_over:
                return
            self._writing_since = now = self._now()
            if self._wrote_at is None:
                self._wrote_at = now
                await self._send_start({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                del self._send_start  # with all the middleware that it holds
            await self._outlet.send({"type": "http.response.body", "body": frames, "more_body": more})
            self._wrote_at, self._writing_since = now, None
        self._note_begun()

    def _name_model(self, start: Start | Restart) -> None:
        """Tell who answers in headers too, where the status line has not gone out yet."""
        self.headers["X-Gateway-Provider"] = start.provider
        self.headers["X-Gateway-Model"] = start.model
        if start.fallback:
            self.headers["X-Gateway-Fallback"] = _fallback_header(start.fallback)

    # --- the client's leaving, and the clocks

    def _note_begun(self, _: object = None) -> None:
        if not self._begun.done():
            self._begun.set_result(None)

    def _leave(self) -> None:
        """Cancel at once: a server's `send` to nobody returns silently, and a pump that goes on may never wait."""
        self._pumping.cancel()

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._next_due(), self._look)

    def _next_due(self) -> float:
        """When to look next. The pump may write at any moment, so each clock is looked at least once in its time."""
        now, since, clocks = self._now(), self._writing_since, self._clocks
        if since is not None:
            return min(since + clocks.send, now + (clocks.heartbeat or clocks.send))
        due = [now + clocks.send]
        if self._wrote_at is None:
            due.append(self._opened_at + clocks.hold)
        if clocks.heartbeat:
            due.append((now if self._wrote_at is None else self._wrote_at) + clocks.heartbeat)
        return min(due)

    def _look(self) -> None:
        now, since = self._now(), self._writing_since
        if self._is_over:
            return
        if since is not None and now >= since + self._clocks.send:
            self._outlet.close()
            self._leave()  # once, and before the connection is lost
            self._outlet.abort()
            return
        if since is None and self._is_quiet(now):
            self._writing_since = now
            self._beat = asyncio.create_task(self._send_heartbeat())
        self._set_timer()

    def _is_quiet(self, now: float) -> bool:
        if self._wrote_at is None:
            return now >= self._opened_at + self._clocks.hold
        heartbeat = self._clocks.heartbeat
        return bool(heartbeat) and now >= self._wrote_at + heartbeat

    async def _send_heartbeat(self) -> None:
        """The first one opens the response."""
        try:
            await self._put(_HEARTBEAT)
        except Exception:
            self._pumping.cancel()  # who then finds what is raised here
            raise
        if not self._is_over:
            self._timer.cancel()
            self._set_timer()


def _fallback_header(fallback: Fallback) -> str:
    return f"{fallback.from_model}; reason={fallback.reason}"
