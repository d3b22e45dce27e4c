"""Answers that their clients have not read yet, over a real socket: each is a chat in flight."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from models import GatewayError, Text
from tests.clients.raw_client import CHAT, ask_chat, on_uvloop, open_socket
from tests.gateways.scripted import answer, scripted_gateway
from web.drain import Chats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateways.scripted import ScriptedGateway
    from tests.vendors.scripted_provider import Step

LONG = "\N{GRINNING FACE}" * 2_000_000  # 8 MB, more than the buffers of both sockets
WHOLE = json.loads(CHAT) | {"stream": False}
HELD = json.loads(CHAT) | {"on_break": "hold"}
STREAM = json.loads(CHAT)
ANSWERS = pytest.mark.parametrize(
    ("body", "steps"),
    [
        (WHOLE, answer(LONG)),
        (HELD, answer(LONG)),
        (STREAM, answer(LONG)),
        (STREAM, [[Text(LONG)], GatewayError("upstream_unavailable")]),
    ],
    ids=["whole", "held", "stream", "error event"],
)


@asynccontextmanager
async def unread_answer(
    gateway: ScriptedGateway, body: dict[str, object], steps: list[Step]
) -> AsyncIterator[socket.socket]:
    """The connection of a client that has asked, and reads nothing; its vendor has answered."""
    gateway.gpt.enqueue(*steps)
    with await open_socket(gateway.running, receive_buffer=8_192) as client:
        sending = ask_chat(json.dumps(body).encode())
        await asyncio.get_running_loop().sock_sendall(client, sending)
        async with asyncio.timeout(10):
            asked = await gateway.gpt.next_asked()
            await asked.closed.wait()
        yield client


async def read_to_end(client: socket.socket) -> bytes:
    """The response, up to the last chunk."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)  # from now on it reads fast
    received = bytearray()
    async with asyncio.timeout(20):
        while not received.endswith(b"\r\n0\r\n\r\n"):
            read = await asyncio.get_running_loop().sock_recv(client, 2**20)
            assert read, "the response was cut"
            received += read
    return bytes(received)


@ANSWERS
@on_uvloop
async def test_unread_answer_holds_its_slot(
    tmp_path: Path, body: dict[str, object], steps: list[Step]
) -> None:
    """It is in the process's memory, so it counts for MAX_STREAMS until its client has it."""
    async with (
        scripted_gateway(tmp_path, max_streams=1) as gateway,
        unread_answer(gateway, body, steps) as client,
    ):
        health, refused = await gateway.client.get("/health"), await gateway.chat()
        assert (health.status_code, health.json()["status"]) == (503, "OVERLOADED")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        await read_to_end(client)
        await gateway.running.settle()
        gateway.gpt.enqueue(*answer("Hello"))
        assert (await gateway.client.get("/health")).status_code == 200
        assert (await gateway.chat()).status_code == 200


@ANSWERS
@on_uvloop
async def test_drain_waits_until_an_answer_is_read(
    tmp_path: Path, body: dict[str, object], steps: list[Step]
) -> None:
    """Else the process would exit, and cut what its client was about to read."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        unread_answer(gateway, body, steps) as client,
    ):
        services = gateway.running.app.state.services
        chats = Chats(services.streams, services.gateway.end_chats)
        draining = asyncio.create_task(services.drain.run(chats, 0))
        await asyncio.sleep(0)
        for _ in range(3):  # requests after which a drain that does not wait is over
            await gateway.client.get("/health/live")
        assert services.drain.is_draining
        assert not draining.done()
        assert LONG.encode() in await read_to_end(client)
        await asyncio.wait_for(draining, 10)
