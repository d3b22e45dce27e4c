"""A worker is replaced: every client that has connected to it is served."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import TYPE_CHECKING

import httpx

from tests.clients.plain_http import make_client
from tests.clients.raw_client import ask_chat, connect, on_uvloop
from tests.gateways.scripted import answer, scripted_gateway
from tests.gateways.served import UNASKED_VENDOR, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateways.scripted import ScriptedGateway

PROMISED_SECONDS = 2.0  # for a connection that asks nothing
QUESTION = {"messages": [{"role": "user", "content": "Hello?"}]}


async def stop_connections(gateway: ScriptedGateway) -> None:
    """What uvicorn does to its connections when it stops; those made before have been accepted."""
    assert (await gateway.client.get("/health/live")).status_code == 200
    for connection in list(gateway.running.server.server_state.connections):
        connection.shutdown()


@on_uvloop
async def test_first_request_is_answered_by_a_server_that_stops(tmp_path: Path) -> None:
    """A connection that was accepted before the stop, whose request comes after it, gets its answer and is closed."""
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        gateway.gpt.enqueue(*answer("Hi"))
        await stop_connections(gateway)
        reply = await client.ask(ask_chat())
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await client.read_to_end() == b""


@on_uvloop
async def test_connection_that_asks_nothing_does_not_hold_the_stop(tmp_path: Path) -> None:
    """It is closed soon, without a word."""
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        await stop_connections(gateway)
        async with asyncio.timeout(PROMISED_SECONDS):
            assert await client.read_to_end() == b""


async def test_workers_that_are_replaced_refuse_no_chat(tmp_path: Path) -> None:
    """However many chats come while SIGHUP replaces the workers, not one is refused."""
    codes: Counter[str] = Counter()
    once = httpx.Limits(max_keepalive_connections=0)
    async with (
        served(tmp_path, workers=2, **UNASKED_VENDOR) as gateway,
        make_client(gateway.url, timeout=30, limits=once) as client,
    ):
        gateway.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(60):
            while gateway.log().count('"message": "draining"') < 2:
                for _ in range(20):
                    answered = await client.post("/chat/unknown", json=QUESTION)
                    codes[answered.json()["error"]["code"]] += 1
    assert codes.keys() == {"unknown_provider"}
