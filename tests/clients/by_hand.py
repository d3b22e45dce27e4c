"""A streaming response served by hand: scripted frames, and a client with a server's `receive` and `send`.

Times are those of the running loop, so tests use it in virtual time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from web.doors.base import EVENT_STREAM
from web.limits import StreamLimit
from web.outlet import OUTLET, PlainOutlet
from web.response import EventStreamResponse
from web.stream_timeouts import StreamTimeouts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Message

    from models import GatewayError

T = TypeVar("T")

TIMEOUTS = StreamTimeouts(hold=10, heartbeat=15, send=30)
NEVER = 1e6  # seconds: longer than any timeout
HEARTBEAT = b": keep-alive\n\n"


def now() -> float:
    return asyncio.get_running_loop().time()


class Client:
    """The client. `received` has what it was sent and when: "head", each piece of the body, "end"; or "abort"."""

    def __init__(self) -> None:
        self.received: list[tuple[float, str | bytes]] = []
        self.head: Message = {}
        self.left = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.extensions: dict[str, object] = {OUTLET: _Outlet(self)}
        self.scope = {"type": "http", "extensions": self.extensions}

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reading.wait()
        if message["type"] == "http.response.start":
            self.head = message
            self.note("head")
            return
        if message["body"]:
            self.note(message["body"])
        if not message["more_body"]:
            self.note("end")

    def note(self, received: str | bytes) -> None:
        self.received.append((now(), received))

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.head["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.received if isinstance(piece, bytes))


class _Outlet(PlainOutlet):
    """Plain ASGI, but that it can drop the connection."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.receive, client.send)
        self._client = client

    def abort(self) -> None:
        self._client.note("abort")


class Script:
    """What a chat gives: batches or frames, numbers of seconds to wait, an exception to raise."""

    def __init__(self, *steps: Any) -> None:
        self._steps = steps
        self.is_closed = False

    async def play(self) -> AsyncGenerator[Any, None]:
        try:
            for step in self._steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, int | float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.is_closed = True


class Frames(Script):
    """A response's source. Its error frame is the error's code."""

    media_type = EVENT_STREAM

    def __init__(self, *steps: Any) -> None:
        super().__init__(*steps)
        self.batches = self.play()
        self.encode: Callable[[Any], bytes] = bytes

    def encode_first(self, batch: bytes) -> bytes:
        return batch

    def headers(self) -> dict[str, str]:
        return {"X-Gateway-Model": "luna"}

    def encode_error(self, error: GatewayError) -> bytes:
        return error.code.encode()


async def respond(frames: Frames, client: Client, timeouts: StreamTimeouts = TIMEOUTS) -> None:
    """Serve the frames; whatever happens, nothing is left behind."""
    before, slots = asyncio.all_tasks(), StreamLimit(1)
    response = EventStreamResponse(frames, timeouts, {"X-Gateway-Provider": "gpt"}, slots)
    try:
        await response(client.scope, client.receive, client.send)
    finally:
        await asyncio.sleep(0)
        assert frames.is_closed
        assert slots.open == 0
        assert asyncio.all_tasks() <= before


async def leave(client: Client, after: float) -> None:
    await asyncio.sleep(after)
    client.left.set()
