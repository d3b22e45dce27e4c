"""The streaming response, served by hand in virtual time: status line, headers, heartbeats, failures."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Delta, Fallback, GatewayError, Start
from tests.by_hand import CLOCKS, END, FOREVER, HEARTBEAT, IDENTITY, MORE, OPENING, Chat, Client, now, respond
from tests.virtual_time import in_virtual_time
from web.protocols.native import NativeEncoder
from web.sse import StreamClocks

if TYPE_CHECKING:
    from starlette.types import Message

    from models import Event
    from tests.by_hand import Step


@in_virtual_time
async def test_status_line_waits_for_content() -> None:
    """Nothing goes out before the first content; then the status line, and a write a batch."""
    client = Client()
    await respond(Chat(9, OPENING, 1, MORE, [END]), client)
    assert [(at, message["type"]) for at, message in client.writes[:2]] == [
        (9, "http.response.start"),
        (9, "http.response.body"),
    ]
    assert client.writes[0][1]["status"] == 200
    assert [body.count(b"data: ") for _, body in client.bodies] == [2, 2, 2, 0]
    assert [message["more_body"] for _, message in client.writes[1:]] == [True, True, True, False]


@in_virtual_time
async def test_headers_name_who_answers() -> None:
    """The headers keep proxies from storing or holding the stream, and name provider, model and fallback."""
    client = Client()
    await respond(Chat([Start("gpt", "nova", Fallback("luna", "nova", "rate_limited")), Delta("Hi")], [END]), client)
    assert client.headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-gateway-provider": "gpt",
        "x-gateway-model": "nova",
        "x-gateway-fallback": "luna; reason=rate_limited",
    }


@in_virtual_time
async def test_headers_name_the_provider_that_answers() -> None:
    """Where another provider's model answers, it is that provider, not the one that was asked for."""
    client = Client()
    await respond(
        Chat([Start("claude", "haiku", Fallback("luna", "haiku", "upstream_auth")), Delta("Hi")], [END]), client
    )
    assert client.headers["x-gateway-provider"] == "claude"


@in_virtual_time
async def test_early_failure_is_raised() -> None:
    """A failure before the status line goes out to the handler, which gives its true status; nothing was sent."""
    client = Client()
    with pytest.raises(GatewayError, match="rate_limited"):
        await respond(Chat(9, GatewayError("rate_limited")), client)
    assert client.writes == []


@in_virtual_time
async def test_status_is_held_no_longer_than_promised() -> None:
    """Past the hold the response opens with a heartbeat, and a failure is an event that tells its status."""
    client = Client()
    await respond(Chat(12, GatewayError("upstream_timeout")), client)
    assert [(at, message.get("status")) for at, message in client.writes[:1]] == [(10, 200)]
    assert client.bodies[0] == (10, HEARTBEAT)
    assert client.bodies[1][0] == 12
    (error,) = client.events
    assert (error["type"], error["error"]["code"], error["error"]["status"]) == ("error", "upstream_timeout", 504)
    assert client.bodies[-1] == (12, b"")


@in_virtual_time
async def test_failure_at_the_end_of_the_hold_is_told() -> None:
    """Where it comes just as the hold ends, the response has not begun: its true status is told, and nothing else."""
    client = Client()
    with pytest.raises(GatewayError, match="upstream_timeout"):
        await respond(Chat(10, GatewayError("upstream_timeout")), client, StreamClocks(hold=10, heartbeat=6, send=30))
    assert client.writes == []


@in_virtual_time
async def test_bug_in_a_heartbeat_is_raised() -> None:
    """A middleware that fails at a heartbeat fails the response, at once."""

    class FailingClient(Client):
        async def send(self, message: Message) -> None:
            raise ValueError("a bug")

    client = FailingClient()
    with pytest.raises(ValueError, match="a bug"):
        await respond(Chat(FOREVER), client)
    assert now() == CLOCKS.hold


@in_virtual_time
async def test_failure_after_content_ends_the_stream_well() -> None:
    """A late failure is one error event in one write, and the response ends as HTTP asks."""
    client = Client()
    await respond(Chat(OPENING, 1, GatewayError("upstream_truncated")), client)
    assert [event["type"] for event in client.events] == ["start", "delta", "error"]
    assert client.writes[-1][1] == {"type": "http.response.body", "body": b"", "more_body": False}


@in_virtual_time
async def test_heartbeats_fill_silence() -> None:
    """A heartbeat comes after each 15 s without a write, and never delays what follows."""
    client = Client()
    await respond(Chat(OPENING, 40, MORE, 14, [END]), client)
    assert [at for at, body in client.bodies if body == HEARTBEAT] == [15, 30]
    assert [at for at, body in client.bodies if body.startswith(b"data")] == [0, 40, 54]


@in_virtual_time
async def test_heartbeats_fill_the_wait_for_content() -> None:
    """Before the first content too: the first when the hold is over, then on."""
    client = Client()
    await respond(Chat(45, OPENING, [END]), client)
    assert [at for at, body in client.bodies if body == HEARTBEAT] == [10, 25, 40]


@in_virtual_time
async def test_heartbeats_may_be_quicker_than_the_hold() -> None:
    """The clocks are looked at by the shortest of them, whichever that is."""
    client = Client()
    await respond(Chat(1, OPENING, 7, [END]), client, StreamClocks(hold=10, heartbeat=2, send=30))
    assert [at for at, body in client.bodies if body == HEARTBEAT] == [3, 5, 7]


@in_virtual_time
async def test_heartbeats_can_be_turned_off() -> None:
    """With 0 nothing but the one that opens the response is sent."""
    client = Client()
    await respond(Chat(50, OPENING, 500, [END]), client, StreamClocks(hold=10, heartbeat=0, send=30))
    assert [at for at, body in client.bodies if body == HEARTBEAT] == [10]


@given(waits=st.lists(st.floats(0, 60), max_size=8))
@in_virtual_time
async def test_heartbeats_never_touch_frames(waits: list[float]) -> None:
    """Whatever the rhythm: the frames are those of the encoder, at their times, and no silence is longer than 15 s."""
    encoder, client = NativeEncoder(IDENTITY), Client()
    batches: list[list[Event]] = [OPENING]
    batches += [[Delta(str(wait))] for wait in waits]
    steps: list[Step] = [OPENING]
    for wait, batch in zip(waits, batches[1:], strict=True):
        steps += [wait, batch]
    await respond(Chat(*steps, [END]), client)
    frames = [body for _, body in client.bodies if body not in (HEARTBEAT, b"")]
    batches.append([END])
    assert frames == [encoder.encode(batch) for batch in batches]
    times = [at for at, _ in client.bodies]
    assert all(later - earlier <= 15.001 for earlier, later in itertools.pairwise(times))
