"""The streaming response served by hand: a scripted chat, and a client with a server's `receive` and `send`.

Times are those of the running loop, so tests use it in virtual time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from models import ChatIdentity, Delta, End, Start
from tests.simple_client import read_events
from web.guards import StreamLimit
from web.outlet import EXTENSION, PlainOutlet
from web.protocols.native import NativeEncoder
from web.sse import EventStreamResponse, StreamClocks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Message

    from models import Event

    Step = float | list[Event] | Exception

IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")
OPENING: list[Event] = [Start("gpt", "luna"), Delta("Hel")]
MORE: list[Event] = [Delta("l"), Delta("o")]
END = End(
    provider="gpt",
    model="luna",
    fallback=None,
    finish_reason="stop",
    raw_finish_reason="stop",
    usage=None,
    attempts=1,
)
CLOCKS = StreamClocks(hold=10, heartbeat=15, send=30)
FOREVER = 1e6  # seconds: longer than any clock
HEARTBEAT = b": keep-alive\n\n"


def now() -> float:
    return asyncio.get_running_loop().time()


class Client:
    """The other side: `receive` and `send` as a server gives them, each write with its time."""

    def __init__(self) -> None:
        self.writes: list[tuple[float, Message]] = []
        self.left = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.aborted_at: float | None = None
        self.scope = {"type": "http", "extensions": {EXTENSION: _Outlet(self)}}

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reading.wait()
        self.writes.append((now(), message))

    @property
    def bodies(self) -> list[tuple[float, bytes]]:
        return [(at, message["body"]) for at, message in self.writes if message["type"] == "http.response.body"]

    @property
    def headers(self) -> dict[str, str]:
        (_, start) = self.writes[0]
        return {name.decode(): value.decode() for name, value in start["headers"]}

    @property
    def events(self) -> list[Any]:
        events = read_events(b"".join(body for _, body in self.bodies).decode())
        return [event for event in events if event != "[DONE]"]


class _Outlet(PlainOutlet):
    """Any server's, but that it can drop the connection."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.receive, client.send)
        self._client = client

    def abort(self) -> None:
        self._client.aborted_at = now()


class Chat:
    """A chat's batches by a script: numbers are seconds to wait."""

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self.is_closed = False

    async def batches(self) -> AsyncGenerator[list[Event], None]:
        try:
            for step in self._steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, list):
                    yield step
                else:
                    await asyncio.sleep(step)
        finally:
            self.is_closed = True


async def respond(chat: Chat, client: Client, clocks: StreamClocks = CLOCKS) -> None:
    """Serve the chat; whatever happens, nothing is left behind."""
    places = StreamLimit(1)
    before = asyncio.all_tasks()
    response = EventStreamResponse(
        chat.batches(), NativeEncoder(IDENTITY), clocks, {"X-Gateway-Provider": "gpt"}, places
    )
    try:
        await response(client.scope, client.receive, client.send)
    finally:
        await asyncio.sleep(0)
        assert chat.is_closed
        assert places.open == 0
        assert asyncio.all_tasks() <= before


async def leave(client: Client, after: float) -> None:
    await asyncio.sleep(after)
    client.left.set()
