"""A client that leaves, by FIN or by RST, at whatever moment: the vendor's connection is closed within a second.

Raw sockets at the client's side, the vendors' real SDKs and the simulator at the other.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from providers.http.connection import Connection
from simulator import Behaviour, Error, Paced, Scripted, Silence
from tests.exhaustive import exhaustive
from tests.vendors.simulated_vendor import (
    DEFAULT,
    FALLBACK,
    QUESTION,
    SimulatedVendor,
    simulated_vendor,
)
from web.response import EventStreamResponse, FrameWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

VENDORS = ("gpt", "claude", "gemini", "groq")
PROMISED_SECONDS = 1.0
PATIENCE_SECONDS = 10.0  # for what happens at once if nothing is wrong
NO_LINGER = struct.pack("ii", 1, 0)


def leave_politely(writer: asyncio.StreamWriter) -> None:
    """FIN, before anything else."""
    writer.write_eof()
    writer.close()


def leave_rudely(writer: asyncio.StreamWriter) -> None:
    """RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    writer.transport.abort()


WAYS: dict[str, Callable[[asyncio.StreamWriter], None]] = {
    "FIN": leave_politely,
    "RST": leave_rudely,
}


class Moment(NamedTuple):
    """When a client leaves: what the vendor is doing, and the bytes that the client has seen by then."""

    behaviour: Behaviour
    seen: bytes = b""
    hold: float = 10.0  # STATUS_HOLD_SECONDS


MOMENTS = {
    "while deltas come": Moment(Paced(100_000, 200), b'"seq":3,'),
    "between deltas": Moment(Silence("content", after=3), b'"seq":3,'),
    "before the vendor's headers": Moment(Silence("headers")),
    "after the vendor's headers": Moment(Silence("events")),
    "among the vendor's heartbeats": Moment(Silence("content", heartbeat=0.02)),
    "past the hold": Moment(Silence("events"), b": keep-alive\n\n", hold=0.05),
}


@asynccontextmanager
async def asking_client(
    vendor: SimulatedVendor, **fields: object
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which the question has been sent."""
    reader, writer = await asyncio.open_connection(vendor.gateway.host, vendor.gateway.port)
    body = json.dumps(QUESTION | fields).encode()
    head = f"POST /chat/{vendor.provider} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def leave_at(vendor: SimulatedVendor, moment: Moment, way: str, **fields: object) -> None:
    """Ask, wait for the moment, leave, and hold the gateway to its promise."""
    vendor.simulator.behaviours |= {DEFAULT: moment.behaviour, FALLBACK: Scripted(("Too late.",))}
    async with asking_client(vendor, **fields) as (reader, writer):
        call = await vendor.simulator.wait_for_call()
        if moment.seen:
            await asyncio.wait_for(reader.readuntil(moment.seen), PATIENCE_SECONDS)
        assert not call.closed.is_set()
        WAYS[way](writer)
        assert await vendor.simulator.wait_closed(call, PROMISED_SECONDS)
    assert not call.finished
    record = await vendor.final_record()
    assert vendor.asked == [DEFAULT]
    assert (record["outcome"], record["error_code"], record["fallback"]) == (
        "client_gone",
        None,
        None,
    )
    assert (record["first_content_ms"] is not None) == (b"seq" in moment.seen)
    assert vendor.gateway.app.state.services.streams.open == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("provider", VENDORS)
async def test_client_disconnect_closes_the_vendors_connection(
    tmp_path: Path, provider: str, moment: Moment, way: str
) -> None:
    """Within a second; no fallback starts, the client's place is free again, and the record says `client_gone`."""
    async with simulated_vendor(tmp_path, provider, status_hold_seconds=moment.hold) as vendor:
        await leave_at(vendor, moment, way)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", [VENDORS[0], *exhaustive(*VENDORS[1:])])
@pytest.mark.usefixtures("no_collector")
async def test_client_disconnect_leaves_no_garbage(tmp_path: Path, provider: str, way: str) -> None:
    """A stream that was left is gone without the garbage collector, which would stop all others to look for it."""
    async with simulated_vendor(tmp_path, provider) as vendor:
        await leave_at(vendor, MOMENTS["while deltas come"], way)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(  # noqa: ASYNC110 - no event says when
                isinstance(thing, (EventStreamResponse, FrameWriter, Connection))
                for thing in gc.get_objects()
            ):
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", VENDORS)
async def test_client_disconnect_a_whole_answer_closes_the_vendors_connection(
    tmp_path: Path, provider: str, way: str
) -> None:
    """The same for one that waits for a JSON answer, of which half has come from the vendor."""
    async with simulated_vendor(tmp_path, provider) as vendor:
        vendor.simulator.behaviours |= {
            DEFAULT: Silence("content", after=3),
            FALLBACK: Scripted(("Too late.",)),
        }
        async with asking_client(vendor, stream=False) as (_, writer):
            call = await vendor.simulator.wait_for_call()
            WAYS[way](writer)
            assert await vendor.simulator.wait_closed(call, PROMISED_SECONDS)
        record = await vendor.final_record()
    assert vendor.asked == [DEFAULT]
    assert record["outcome"] == "client_gone"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", VENDORS)
async def test_client_disconnect_between_attempts_starts_no_other(
    tmp_path: Path, provider: str, way: str
) -> None:
    """While the gateway waits to ask a rate limited model again: no model is asked for a client that has left."""
    async with simulated_vendor(tmp_path, provider) as vendor:
        vendor.simulator.behaviours |= {
            DEFAULT: Error(429, {"retry-after": "2"}),
            FALLBACK: Scripted(("Too late.",)),
        }
        async with asking_client(vendor) as (_, writer):
            await vendor.simulator.wait_for_call()
            WAYS[way](writer)
            record = await asyncio.wait_for(vendor.final_record(), PROMISED_SECONDS)
    assert vendor.asked == [DEFAULT]
    assert record["outcome"] == "client_gone"
