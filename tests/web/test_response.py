"""The streaming response as a dialogue in virtual time: what its source yields, and what its client receives when."""

from __future__ import annotations

import asyncio
import itertools
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import GatewayError
from tests.clients.by_hand import HEARTBEAT, NEVER, TIMEOUTS, Client, Frames, now, respond
from tests.virtual_time import in_virtual_time
from web.limits import StreamLimit
from web.outlet import TAKE_OVER
from web.response import EventStreamResponse
from web.stream_timeouts import StreamTimeouts

if TYPE_CHECKING:
    from starlette.types import Message

    from web.outlet import Rest


@in_virtual_time
async def test_status_line_waits_for_the_first_frame() -> None:
    """Nothing is sent before it; then the status line, and one write a frame."""
    client = Client()
    await respond(Frames(9, b"one", 1, b"two", b"three"), client)
    assert client.received == [(9, "head"), (9, b"one"), (10, b"two"), (10, b"three"), (10, "end")]
    assert client.head["status"] == 200


@in_virtual_time
async def test_headers_are_those_known_with_the_first_frame() -> None:
    """They keep proxies from storing or holding the stream, and have what its source adds."""
    client = Client()
    await respond(Frames(b"one"), client)
    assert client.headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-gateway-provider": "gpt",
        "x-gateway-model": "luna",
    }


@in_virtual_time
async def test_heartbeat_that_opens_the_response_adds_no_headers() -> None:
    """Before the first frame the source's headers are not known."""
    client = Client()
    await respond(Frames(12, b"one"), client)
    assert client.received == [(10, "head"), (10, HEARTBEAT), (12, b"one"), (12, "end")]
    assert "x-gateway-model" not in client.headers


@in_virtual_time
async def test_failure_before_the_first_frame_is_raised() -> None:
    """It goes to the error handler, which gives it its status; nothing is sent."""
    client = Client()
    with pytest.raises(GatewayError, match="rate_limited"):
        await respond(Frames(9, GatewayError("rate_limited")), client)
    assert client.received == []


@in_virtual_time
async def test_failure_at_the_end_of_the_hold_is_raised() -> None:
    """If it comes just as the hold ends, the response has not begun."""
    client = Client()
    timeouts = StreamTimeouts(hold=10, heartbeat=6, send=30)
    with pytest.raises(GatewayError, match="upstream_timeout"):
        await respond(Frames(10, GatewayError("upstream_timeout")), client, timeouts)
    assert client.received == []


@in_virtual_time
async def test_failure_after_the_hold_is_the_last_frame() -> None:
    """The status line is gone, so the error is a frame."""
    client = Client()
    await respond(Frames(12, GatewayError("upstream_timeout")), client)
    assert client.received == [
        (10, "head"),
        (10, HEARTBEAT),
        (12, b"upstream_timeout"),
        (12, "end"),
    ]


@in_virtual_time
async def test_failure_after_frames_is_the_last_frame() -> None:
    """One write, and the response ends as HTTP asks."""
    client = Client()
    await respond(Frames(b"one", 1, GatewayError("upstream_truncated")), client)
    assert client.received == [(0, "head"), (0, b"one"), (1, b"upstream_truncated"), (1, "end")]


@in_virtual_time
async def test_bug_in_a_heartbeat_is_raised() -> None:
    """A middleware that fails at a heartbeat fails the response, at once."""

    class FailingClient(Client):
        async def send(self, message: Message) -> None:
            raise ValueError("a bug")

    client = FailingClient()
    with pytest.raises(ValueError, match="a bug"):
        await respond(Frames(NEVER), client)
    assert now() == TIMEOUTS.hold


@in_virtual_time
async def test_heartbeats_fill_silence() -> None:
    """A heartbeat comes after each 15 s without a write, and never delays what follows."""
    client = Client()
    await respond(Frames(b"one", 40, b"two", 14, b"three"), client)
    assert client.received == [
        (0, "head"),
        (0, b"one"),
        (15, HEARTBEAT),
        (30, HEARTBEAT),
        (40, b"two"),
        (54, b"three"),
        (54, "end"),
    ]


@in_virtual_time
async def test_heartbeats_fill_the_wait_for_the_first_frame() -> None:
    """The first comes when the hold is over."""
    client = Client()
    await respond(Frames(45, b"one"), client)
    assert [at for at, received in client.received if received == HEARTBEAT] == [10, 25, 40]


@in_virtual_time
async def test_heartbeats_may_be_quicker_than_the_hold() -> None:
    """The timer runs for the shortest timeout, whichever that is."""
    client = Client()
    await respond(Frames(1, b"one", 7), client, StreamTimeouts(hold=10, heartbeat=2, send=30))
    assert [at for at, received in client.received if received == HEARTBEAT] == [3, 5, 7]


@in_virtual_time
async def test_heartbeats_can_be_turned_off() -> None:
    """Only the one that opens the response is sent."""
    client = Client()
    await respond(Frames(50, b"one", 500), client, StreamTimeouts(hold=10, heartbeat=inf, send=30))
    assert [at for at, received in client.received if received == HEARTBEAT] == [10]


@given(waits=st.lists(st.floats(0, 60), max_size=8))
@in_virtual_time
async def test_heartbeats_never_touch_frames(waits: list[float]) -> None:
    """In any rhythm the frames arrive whole and in order, and no silence is longer than 15 s."""
    client = Client()
    steps: list[float | bytes] = [b"opening"]
    for number, wait in enumerate(waits):
        steps += [wait, b"frame %d" % number]
    await respond(Frames(*steps), client)
    frames = [
        received
        for _, received in client.received
        if isinstance(received, bytes) and received != HEARTBEAT
    ]
    assert frames == [step for step in steps if isinstance(step, bytes)]
    times = [at for at, _ in client.received]
    assert all(later - earlier <= 15.001 for earlier, later in itertools.pairwise(times))


@in_virtual_time
async def test_response_is_complete_when_its_call_returns() -> None:
    """Any ASGI server, and any middleware that measures, sees the whole response in one call."""
    client = Client()
    response = EventStreamResponse(Frames(b"one", 20, b"two"), TIMEOUTS, {}, StreamLimit(1))
    await response({"type": "http"}, client.receive, client.send)
    assert client.received[-2:] == [(20, b"two"), (20, "end")]


@in_virtual_time
async def test_server_may_take_over_the_rest() -> None:
    """If the server offers it, the call returns once the response has begun."""
    client, frames = Client(), Frames(9, b"one", 20, b"two")
    left: list[Rest] = []
    client.extensions[TAKE_OVER] = left.append
    response = EventStreamResponse(frames, TIMEOUTS, {}, StreamLimit(1))
    await response(client.scope, client.receive, client.send)
    assert client.received == [(9, "head"), (9, b"one")]
    (rest,) = left
    await rest()
    assert client.received[2:] == [(24, HEARTBEAT), (29, b"two"), (29, "end")]
    assert frames.is_closed


@in_virtual_time
async def test_failure_before_the_response_begins_is_not_left_to_the_server() -> None:
    """Its status needs the handler, which is in the app."""
    client = Client()
    left: list[Rest] = []
    client.extensions[TAKE_OVER] = left.append
    response = EventStreamResponse(
        Frames(9, GatewayError("rate_limited")), TIMEOUTS, {}, StreamLimit(1)
    )
    with pytest.raises(GatewayError, match="rate_limited"):
        await response(client.scope, client.receive, client.send)
    assert left == []


@pytest.mark.parametrize(
    "steps",
    [(b"whole",), (b"one", b"two", NEVER), (b"one", GatewayError("upstream_timeout"))],
    ids=["whole answer", "stream", "error event"],
)
@in_virtual_time
async def test_response_holds_its_slot_until_the_client_has_accepted_all(
    steps: tuple[Any, ...],
) -> None:
    """Also if its source has ended: a client that reads slowly is a chat in flight."""
    client, slots = Client(), StreamLimit(1)
    client.reading.clear()
    response = EventStreamResponse(Frames(*steps), TIMEOUTS, {}, slots)
    serving = asyncio.create_task(response(client.scope, client.receive, client.send))
    for _ in steps:
        await asyncio.sleep(1)
        assert (slots.open, client.reading.is_set()) == (1, False)
    client.reading.set()
    await asyncio.sleep(1)
    client.left.set()
    await serving
    assert slots.open == 0
    assert len(client.body) > 0


@in_virtual_time
async def test_response_without_a_slot_does_not_begin() -> None:
    """It is refused before its source is read, and nothing is sent."""
    client, frames, slots = Client(), Frames(b"one"), StreamLimit(0)
    response = EventStreamResponse(frames, TIMEOUTS, {}, slots)
    with pytest.raises(GatewayError, match="overloaded"):
        await response(client.scope, client.receive, client.send)
    assert (client.received, frames.is_closed, slots.open) == ([], False, 0)


@in_virtual_time
async def test_response_that_fails_gives_its_slot_back() -> None:
    """Also if it fails before it has begun."""
    client, slots = Client(), StreamLimit(1)
    response = EventStreamResponse(Frames(9, GatewayError("rate_limited")), TIMEOUTS, {}, slots)
    serving = asyncio.create_task(response(client.scope, client.receive, client.send))
    await asyncio.sleep(1)
    assert slots.open == 1
    with pytest.raises(GatewayError, match="rate_limited"):
        await serving
    assert slots.open == 0
