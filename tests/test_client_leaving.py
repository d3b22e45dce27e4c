"""The streaming response, served by hand in virtual time: every way in which a client leaves, or does not read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from models import GatewayError
from tests.by_hand import CLOCKS, END, FOREVER, IDENTITY, MORE, OPENING, Chat, Client, leave, now, respond
from tests.virtual_time import in_virtual_time
from web.guards import StreamLimit
from web.protocols.native import NativeEncoder
from web.sse import EventStreamResponse

if TYPE_CHECKING:
    from starlette.types import Message

    from tests.by_hand import Step


@pytest.mark.parametrize(
    ("steps", "after"),
    [
        ((FOREVER,), 0),
        ((FOREVER,), 5),
        ((FOREVER,), 12),
        ((OPENING, FOREVER), 3),
        ((OPENING, FOREVER), 33),
    ],
    ids=["at once", "before content", "past the hold", "between batches", "between heartbeats"],
)
@in_virtual_time
async def test_client_leaving_closes_the_chat(steps: tuple[Step, ...], after: float) -> None:
    """Whenever the client leaves, the chat's generator is closed at that moment and the response ends quietly."""
    client = Client()
    leaving = asyncio.create_task(leave(client, after))
    chat = Chat(*steps)
    places = StreamLimit(1)
    response = EventStreamResponse(chat.batches(), NativeEncoder(IDENTITY), CLOCKS, {}, places)
    await response(client.scope, client.receive, client.send)
    assert (chat.is_closed, places.open, now()) == (True, 0, after)
    await leaving


@in_virtual_time
async def test_client_gone_before_the_response_begins() -> None:
    """A client that has left already costs the vendor nothing more."""
    client = Client()
    client.left.set()
    await respond(Chat(FOREVER), client)
    assert (now(), client.writes) == (0, [])


@in_virtual_time
async def test_client_leaving_while_a_write_waits() -> None:
    """A write that waits for the client is given up when the client leaves."""
    client = Client()
    client.reading.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(leave(client, 7))
        response = EventStreamResponse(Chat(OPENING).batches(), NativeEncoder(IDENTITY), CLOCKS, {}, StreamLimit(1))
        await response(client.scope, client.receive, client.send)
    assert (now(), client.writes) == (7, [])


@in_virtual_time
async def test_client_that_never_reads_is_aborted() -> None:
    """One write pending for SEND_TIMEOUT_SECONDS ends the chat, and drops the connection."""
    client = Client()
    client.reading.clear()
    await respond(Chat(4, OPENING, MORE, [END]), client)
    assert client.aborted_at == 34


@in_virtual_time
async def test_client_that_does_not_read_a_heartbeat_is_aborted() -> None:
    """A heartbeat can be the write that gets stuck: it has the same limit, and holds nothing for ever."""
    client = Client()

    async def stop_reading() -> None:
        await asyncio.sleep(1)
        client.reading.clear()

    stopping = asyncio.create_task(stop_reading())
    serving = asyncio.create_task(respond(Chat(OPENING, FOREVER), client))
    await asyncio.wait({serving}, timeout=100)
    is_over = serving.done()
    client.left.set()
    client.reading.set()
    await asyncio.gather(serving, stopping)
    assert is_over
    assert client.aborted_at == 45


@in_virtual_time
async def test_response_that_is_cancelled_beats_no_more() -> None:
    """Not even where a heartbeat's write, which had to wait, ends at that very moment."""
    client = Client()
    serving = asyncio.create_task(respond(Chat(OPENING, FOREVER), client))
    await asyncio.sleep(1)
    client.reading.clear()
    await asyncio.sleep(16)
    serving.cancel()
    client.reading.set()
    with pytest.raises(asyncio.CancelledError):
        await serving
    written = len(client.writes)
    await asyncio.sleep(100)
    assert len(client.writes) == written


@in_virtual_time
async def test_slow_client_is_borne() -> None:
    """A client that takes 28 s for its first write (status line and content) gets its whole answer."""

    class SlowClient(Client):
        async def send(self, message: Message) -> None:
            await asyncio.sleep(14)
            await super().send(message)

    client = SlowClient()
    await respond(Chat(OPENING, MORE, [END]), client)
    assert [event["type"] for event in client.events] == ["start", "delta", "delta", "delta", "end"]
    assert client.aborted_at is None


@pytest.mark.parametrize("steps", [(FOREVER,), (OPENING, FOREVER)], ids=["before content", "after content"])
@pytest.mark.parametrize("is_left", [False, True], ids=["client there", "client leaving too"])
@in_virtual_time
async def test_cancellation_from_outside_is_passed_on(steps: tuple[Step, ...], is_left: bool) -> None:
    """A server that cancels the request is obeyed, even where the client leaves at the same moment."""
    client = Client()
    serving = asyncio.create_task(respond(Chat(*steps), client))
    await asyncio.sleep(3)
    if is_left:
        client.left.set()
        await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


@in_virtual_time
async def test_no_place_no_chat() -> None:
    """Where all places are taken the chat is refused before it begins; the places stay as they are."""
    client, chat, places = Client(), Chat(OPENING), StreamLimit(0)
    response = EventStreamResponse(chat.batches(), NativeEncoder(IDENTITY), CLOCKS, {}, places)
    with pytest.raises(GatewayError, match="overloaded"):
        await response(client.scope, client.receive, client.send)
    assert (client.writes, places.open) == ([], 0)


@in_virtual_time
async def test_chat_is_closed_at_the_last_moment_too() -> None:
    """A client that leaves with the last write gets no more, and nobody is cancelled that has finished."""

    class HastyClient(Client):
        async def send(self, message: Message) -> None:
            await super().send(message)
            if not message.get("more_body", True):
                self.left.set()

    client = HastyClient()
    await respond(Chat(OPENING, [END]), client)
    assert client.events[-1]["type"] == "end"
    assert client.aborted_at is None
