"""The load: many streams at once over bare sockets, each counted and checked for its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import msgspec

_END = b"data: [DONE]\n\n"
_CHAT = {"messages": [{"role": "user", "content": "Tell me something."}], "stream": True}


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask: a port, a path, and the body that this wire wants."""

    name: str
    port: int
    path: str
    body: bytes

    @classmethod
    def gateway(cls, port: int, provider: str) -> Target:
        """The gateway's own wire."""
        return cls("gateway", port, f"/chat/{provider}", msgspec.json.encode(_CHAT))

    @classmethod
    def vendor(cls, name: str, port: int, path: str, model: str) -> Target:
        """OpenAI's wire: the simulator itself, or a proxy before it."""
        return cls(name, port, path, msgspec.json.encode(_CHAT | {"model": model}))

    @property
    def request(self) -> bytes:
        """The whole HTTP request."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer benchmark-key\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


class Stream(asyncio.Protocol):
    """One stream: sends its request, counts the frames, notes when the first content came."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._tail = b""
        self.done: asyncio.Future[bool] = self._loop.create_future()
        self.frames = 0
        self.asked_at = 0.0
        self.first_content_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.asked_at = self._loop.time()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.first_content_at is None and b'"content":"' in data.replace(b'"content":""', b""):
            self.first_content_at = self._loop.time()
        self.frames += data.count(b"data: {")
        self._tail = (self._tail + data)[-len(_END) - 16 :]
        if _END in self._tail:
            self._finish(whole=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(whole=False)

    def _finish(self, *, whole: bool) -> None:
        if not self.done.done():
            self.done.set_result(whole)
        self._transport.abort()


@dataclass(frozen=True, slots=True)
class Result:
    """What a round brought: streams that came whole, frames, seconds, first-content delays in ms."""

    asked: int
    whole: int
    frames: int
    seconds: float
    first_content_ms: list[float]


async def run(target: Target, streams: int, *, at_once: int, stagger_seconds: float = 0.0) -> Result:
    """Ask for so many streams, never more than `at_once` open; the openings are spread over the stagger."""
    loop = asyncio.get_running_loop()
    places = asyncio.Semaphore(at_once)
    began = loop.time()

    async def ask(number: int) -> tuple[Stream, bool]:
        await asyncio.sleep(stagger_seconds * number / streams)
        async with places:
            _, stream = await loop.create_connection(lambda: Stream(target.request), "127.0.0.1", target.port)
            return stream, await stream.done

    answers = await asyncio.gather(*(ask(number) for number in range(streams)))
    delays = [1000 * (s.first_content_at - s.asked_at) for s, _ in answers if s.first_content_at is not None]
    return Result(
        asked=streams,
        whole=sum(whole for _, whole in answers),
        frames=sum(stream.frames for stream, _ in answers),
        seconds=loop.time() - began,
        first_content_ms=delays,
    )
