"""The streaming response as a dialogue in virtual time: a client that disconnects, or does not read."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from models import GatewayError
from tests.clients.by_hand import NEVER, TIMEOUTS, Client, Frames, leave, now, respond
from tests.virtual_time import in_virtual_time
from web.limits import StreamLimit
from web.response import EventStreamResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Message


@pytest.mark.parametrize(
    ("steps", "after"),
    [
        ((NEVER,), 0),
        ((NEVER,), 5),
        ((NEVER,), 12),
        ((b"one", NEVER), 3),
        ((b"one", NEVER), 33),
    ],
    ids=["at once", "before a frame", "past the hold", "between frames", "between heartbeats"],
)
@in_virtual_time
async def test_client_disconnect_closes_the_frames(
    steps: tuple[float | bytes, ...], after: float
) -> None:
    """At that moment, and the response ends without an exception."""
    client = Client()
    leaving = asyncio.create_task(leave(client, after))
    await respond(Frames(*steps), client)
    assert now() == after
    await leaving


@in_virtual_time
async def test_client_gone_before_the_response_begins() -> None:
    """A client that has already disconnected costs the vendor nothing more."""
    client = Client()
    client.left.set()
    await respond(Frames(NEVER), client)
    assert (now(), client.received) == (0, [])


@in_virtual_time
async def test_disconnect_ends_a_write_that_waits() -> None:
    """A write that waits for the client is given up."""
    client = Client()
    client.reading.clear()
    response = EventStreamResponse(Frames(b"one"), TIMEOUTS, {}, StreamLimit(1))
    async with asyncio.TaskGroup() as group:
        group.create_task(leave(client, 7))
        await response(client.scope, client.receive, client.send)
    assert (now(), client.received) == (7, [])


@in_virtual_time
async def test_client_that_never_reads_is_dropped() -> None:
    """After one write has waited for the send timeout."""
    client = Client()
    client.reading.clear()
    await respond(Frames(4, b"one", b"two"), client)
    assert client.received == [(34, "abort")]


@in_virtual_time
async def test_client_that_does_not_read_a_heartbeat_is_dropped() -> None:
    """A heartbeat can be the write that waits: it has the same timeout."""
    client = Client()
    serving = asyncio.create_task(respond(Frames(b"one", NEVER), client))
    await asyncio.sleep(1)
    client.reading.clear()
    await asyncio.wait({serving}, timeout=100)
    assert serving.done()
    assert client.received == [(0, "head"), (0, b"one"), (45, "abort")]


@in_virtual_time
async def test_cancelled_response_sends_no_heartbeat() -> None:
    """Not even if a heartbeat's write, which had to wait, ends at that moment."""
    client = Client()
    serving = asyncio.create_task(respond(Frames(b"one", NEVER), client))
    await asyncio.sleep(1)
    client.reading.clear()
    await asyncio.sleep(16)
    serving.cancel()
    client.reading.set()
    with pytest.raises(asyncio.CancelledError):
        await serving
    received = len(client.received)
    await asyncio.sleep(100)
    assert len(client.received) == received


@in_virtual_time
async def test_slow_client_gets_its_whole_answer() -> None:
    """One that takes 14 s for a write, 28 s for the first one with its status line, is not dropped."""

    class SlowClient(Client):
        async def send(self, message: Message) -> None:
            await asyncio.sleep(14)
            await super().send(message)

    client = SlowClient()
    await respond(Frames(b"one", b"two"), client)
    assert client.received == [(14, "head"), (28, b"one"), (42, b"two"), (56, "end")]


@pytest.mark.parametrize(
    "steps", [(NEVER,), (b"one", NEVER)], ids=["before a frame", "after a frame"]
)
@pytest.mark.parametrize("is_left", [False, True], ids=["client there", "client leaving too"])
@in_virtual_time
async def test_cancellation_from_outside_is_passed_on(
    steps: tuple[float | bytes, ...], is_left: bool
) -> None:
    """A server that cancels the request is obeyed, even if the client disconnects at that moment."""
    client = Client()
    serving = asyncio.create_task(respond(Frames(*steps), client))
    await asyncio.sleep(3)
    if is_left:
        client.left.set()
        await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


@pytest.mark.parametrize(
    ("kind", "reports"),
    [(ValueError, ["response failed by a bug"]), (GatewayError, [])],
    ids=["bug", "failed chat"],
)
@pytest.mark.parametrize("early", [(), (b"one",)], ids=["before a frame", "after a frame"])
@in_virtual_time
async def test_failure_at_the_moment_of_a_cancellation_is_not_lost(
    caplog: pytest.LogCaptureFixture,
    early: tuple[bytes, ...],
    kind: type[Exception],
    reports: list[str],
) -> None:
    """The cancellation is passed on; a bug is logged once, and a failed chat has its record."""
    lost: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))

    class Cancelling(Frames):
        async def play(self) -> AsyncGenerator[bytes, None]:
            for frames in early:
                yield frames
            await asyncio.sleep(1)
            serving[0].cancel()
            self.is_closed = True
            raise kind("internal_error")

    serving = [asyncio.create_task(respond(Cancelling(), Client()))]
    with pytest.raises(asyncio.CancelledError):
        await serving[0]
    serving.clear()
    await asyncio.sleep(0)  # the loop's call that woke this test refers to the task
    gc.collect()  # asyncio reports a lost exception when its task is collected
    assert lost == []
    assert [line.message for line in caplog.records] == reports


@in_virtual_time
async def test_disconnect_with_the_last_write_is_an_end() -> None:
    """A response that is complete is neither cancelled nor aborted."""

    class HastyClient(Client):
        async def send(self, message: Message) -> None:
            await super().send(message)
            if not message.get("more_body", True):
                self.left.set()

    client = HastyClient()
    await respond(Frames(b"one", b"two"), client)
    assert client.received == [(0, "head"), (0, b"one"), (0, b"two"), (0, "end")]
