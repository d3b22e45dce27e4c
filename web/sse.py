"""The one response that streams: holds the status line, frames batches, keeps alive, sheds who never reads.

It closes the chat's generator whatever happens, so the vendor's stream ends with the client's. Two tasks: one pumps
batches; the request's own waits for the client to leave, and wakes for the three clocks (hold, heartbeat, stuck
write). It knows no wire: an encoder makes bytes of events.

The pump has a task of its own because a task that wakes goes through every frame that waits above it, and there are
thirty of middleware and routing; its body writes go to the server directly for the same reason. Together that is a
tenth of a delta's cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from closing import close_surely
from models import Event, Fallback, GatewayError, Restart, Start

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
        self._writing_since: float | None = None
        self._beat = asyncio.Lock()
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
        extensions = scope.get("extensions") or {}
        self._send_start, self._send_body = send, extensions.get("gateway.send", send)
        with self._place:
            pump = asyncio.create_task(self._pump())
            try:
                if await self._accompany(receive, pump):
                    await pump
                elif abort := extensions.get("gateway.abort"):
                    pump.cancel()  # first, for the same reason as below
                    abort()
            finally:
                await close_surely(self._stop(pump))

    async def _stop(self, pump: asyncio.Task[None]) -> None:
        pump.cancel()
        await asyncio.wait({pump})
        await self._batches.aclose()

    async def _pump(self) -> None:
        try:
            async for batch in self._batches:
                if isinstance(batch[0], Start | Restart):
                    self._name_model(batch[0])
                if frames := self._encoder.encode(batch):
                    if self._beat.locked():
                        await self._let_beat_pass()
                    await self._put(frames)
        except GatewayError as error:
            if self._wrote_at is None:
                raise
            await self._let_beat_pass()
            await self._put(self._encoder.encode_error(error))
        await self._let_beat_pass()
        await self._put(b"", more=False)

    async def _let_beat_pass(self) -> None:
        """Wait for a heartbeat that is on its way: an event is never written into the midst of it."""
        async with self._beat:
            pass

    async def _put(self, frames: bytes, *, more: bool = True) -> None:
        self._writing_since = now = self._now()
        if self._wrote_at is None:
            self._wrote_at = now
            await self._send_start({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._send_body({"type": "http.response.body", "body": frames, "more_body": more})
        self._wrote_at, self._writing_since = now, None

    async def _accompany(self, receive: Receive, pump: asyncio.Task[None]) -> bool:
        """Until the chat is over: True. False where its client has left, or does not read."""
        leaving = asyncio.create_task(_cancel_at_leaving(receive, pump))
        try:
            while True:
                wait = self._next_due() - self._now()
                await asyncio.wait({pump, leaving}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if pump.done():
                    return not pump.cancelled()
                if leaving.done() or self._is_stuck() or not await self._keep_alive():
                    return False
        finally:
            leaving.cancel()

    def _next_due(self) -> float:
        """When to look next. The pump may write at any moment, so each clock is looked at least once in its time."""
        now, since = self._now(), self._writing_since
        due = [(now if since is None else since) + self._clocks.send]
        if self._wrote_at is None:
            due.append(self._opened_at + self._clocks.hold)
        if self._clocks.heartbeat and since is None:
            due.append((now if self._wrote_at is None else self._wrote_at) + self._clocks.heartbeat)
        return min(due)

    def _is_stuck(self) -> bool:
        since = self._writing_since
        return since is not None and self._now() >= since + self._clocks.send

    async def _keep_alive(self) -> bool:
        """A heartbeat, if it is due; the first one opens the response. False where the client does not take it."""
        if self._writing_since is not None:
            return True
        now = self._now()
        is_held = self._wrote_at is None and now >= self._opened_at + self._clocks.hold
        heartbeat = self._clocks.heartbeat
        is_quiet = self._wrote_at is not None and heartbeat and now >= self._wrote_at + heartbeat
        if is_held or is_quiet:
            try:
                async with self._beat, asyncio.timeout(self._clocks.send):
                    await self._put(_HEARTBEAT)
            except TimeoutError:
                return False
        return True

    def _name_model(self, start: Start | Restart) -> None:
        """Tell who answers in headers too, where the status line has not gone out yet."""
        if self._wrote_at is None:
            self.headers["X-Gateway-Provider"] = start.provider
            self.headers["X-Gateway-Model"] = start.model
            if start.fallback:
                self.headers["X-Gateway-Fallback"] = _fallback_header(start.fallback)


async def _cancel_at_leaving(receive: Receive, pump: asyncio.Task[None]) -> None:
    """Cancel here, at once: a server's `send` to nobody returns silently, and a pump that goes on may never wait."""
    while (await receive())["type"] != "http.disconnect":
        pass
    pump.cancel()


def _fallback_header(fallback: Fallback) -> str:
    return f"{fallback.from_model}; reason={fallback.reason}"
