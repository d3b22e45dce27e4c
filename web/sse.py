"""The one response that streams: holds the status line, frames batches, keeps alive, sheds who never reads.

It closes the chat's generator whatever happens, so the vendor's stream ends with the client's. Two tasks: the
request's own pumps batches; a companion waits for the client to leave, and wakes for the three clocks (hold,
heartbeat, stuck write). It knows no wire: an encoder makes bytes of events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from models import Event, Fallback, GatewayError, Restart, Start
from providers.vendor_stream import close_surely

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
        self._write_lock = asyncio.Lock()
        self._is_left = False
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
        pump = cast(asyncio.Task[None], asyncio.current_task())
        companion = asyncio.create_task(self._accompany(scope, receive, send, pump))
        try:
            with self._place:
                await self._pump(send)
        except asyncio.CancelledError:
            if not self._is_left or pump.uncancel() > 0:
                raise  # it was not the companion who asked
        finally:
            companion.cancel()
            await close_surely(self._batches.aclose())

    async def _pump(self, send: Send) -> None:
        try:
            async for batch in self._batches:
                if isinstance(batch[0], Start | Restart):
                    self._name_model(batch[0])
                if frames := self._encoder.encode(batch):
                    await self._write(send, frames)
        except GatewayError as error:
            if self._wrote_at is None:
                raise
            await self._write(send, self._encoder.encode_error(error))
        await self._write(send, b"", more=False)

    async def _write(self, send: Send, frames: bytes, *, more: bool = True) -> None:
        async with self._write_lock:
            self._writing_since = self._now()
            if self._wrote_at is None:
                self._wrote_at = self._writing_since
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": frames, "more_body": more})
            self._wrote_at, self._writing_since = self._now(), None

    async def _accompany(self, scope: Scope, receive: Receive, send: Send, pump: asyncio.Task[None]) -> None:
        """Until the client leaves, or does not read: then stop the pump."""
        while True:
            try:
                async with asyncio.timeout_at(self._next_due()):
                    message = await receive()
            except TimeoutError:
                if self._is_stuck() or not await self._keep_alive(send):
                    break
            else:
                if message["type"] == "http.disconnect":
                    break
        self._is_left = True
        pump.cancel()
        if abort := scope.get("extensions", {}).get("gateway.abort"):
            abort()

    def _next_due(self) -> float:
        """When the companion has to look next. A write may begin at any moment, so it looks at least that often."""
        since = self._writing_since
        due = [(self._now() if since is None else since) + self._clocks.send]
        if self._wrote_at is None:
            due.append(self._opened_at + self._clocks.hold)
        elif self._clocks.heartbeat and since is None:
            due.append(self._wrote_at + self._clocks.heartbeat)
        return min(due)

    def _is_stuck(self) -> bool:
        since = self._writing_since
        return since is not None and self._now() >= since + self._clocks.send

    async def _keep_alive(self, send: Send) -> bool:
        """A heartbeat, if it is due; the first one opens the response. False where the client does not take it."""
        if self._writing_since is not None:
            return True
        now = self._now()
        is_held = self._wrote_at is None and now >= self._opened_at + self._clocks.hold
        heartbeat = self._clocks.heartbeat
        is_quiet = self._wrote_at is not None and heartbeat and now >= self._wrote_at + heartbeat
        if is_held or is_quiet:
            try:
                async with asyncio.timeout(self._clocks.send):
                    await self._write(send, _HEARTBEAT)
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


def _fallback_header(fallback: Fallback) -> str:
    return f"{fallback.from_model}; reason={fallback.reason}"
