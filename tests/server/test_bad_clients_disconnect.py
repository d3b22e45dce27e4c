"""Clients that leave, over real sockets: at any moment and in any way, nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from models import Text
from tests.clients.raw_client import CHAT, HEALTH, ask_chat, connect, on_uvloop
from tests.gateways.log_files import read_log
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.clients.raw_client import RawClient
    from tests.gateways.scripted import ScriptedGateway
    from tests.vendors.scripted_provider import Step

SEED = 33


def close(client: RawClient) -> None:
    """Leave in order."""
    client.writer.close()


def reset(client: RawClient) -> None:
    """Leave by a reset."""
    client.reset()


def half_close(client: RawClient) -> None:
    """Close one direction. It counts as leaving: a server cannot distinguish the two."""
    client.writer.write_eof()


WAYS = (close, reset, half_close)


@pytest.mark.parametrize("leave", WAYS)
@pytest.mark.parametrize("is_begun", [False, True], ids=["before content", "after content"])
@on_uvloop
async def test_client_disconnect_closes_the_vendor_stream(
    tmp_path: Path, leave: Callable[[RawClient], None], is_begun: bool
) -> None:
    """Within a second of the disconnect the vendor's stream is closed, no fallback starts, the record says so."""
    async with scripted_gateway(tmp_path) as gateway:
        steps: list[Step] = [[Text("Hel")], asyncio.Event().wait]
        gateway.gpt.enqueue(*steps[0 if is_begun else 1 :])
        async with connect(gateway.running) as client:
            await client.send(ask_chat())
            asked = await gateway.gpt.next_asked()
            if is_begun:
                await client.reader.readuntil(b"Hel")
            leave(client)
            async with asyncio.timeout(1):
                await asked.closed.wait()
            await gateway.running.settle()
        assert len(gateway.gpt.history) == 1
        assert gateway.running.app.state.services.streams.open == 0
    records = read_log(tmp_path)
    (outcome,) = [
        record["context"]["outcome"] for record in records if record["message"] == "chat finished"
    ]
    assert outcome == "client_gone"


@pytest.mark.parametrize("leave", WAYS)
@on_uvloop
async def test_client_that_leaves_while_its_body_is_decoded_is_noticed(
    tmp_path: Path, leave: Callable[[RawClient], None]
) -> None:
    """A large body is decoded in a thread: no vendor is asked for a client that left meanwhile."""
    body = CHAT.replace(b"Hello?", b"a" * 2**16)
    async with scripted_gateway(tmp_path) as gateway:
        services = gateway.running.app.state.services
        gateway.gpt.enqueue(asyncio.Event().wait)
        is_free = threading.Event()
        services.bodies._thread.submit(is_free.wait)
        try:
            async with connect(gateway.running) as client:
                await client.send(ask_chat(body))
                assert (
                    await gateway.client.get("/health/live")
                ).status_code == 200  # the body has been received
                leave(client)
                async with asyncio.timeout(10):
                    while len(gateway.running.server.server_state.connections) > 1:
                        assert (await gateway.client.get("/health/live")).status_code == 200
        finally:
            is_free.set()
        async with asyncio.timeout(10):
            await gateway.running.settle()
        assert (services.streams.open, gateway.gpt.history) == (0, [])
    (record,) = [record for record in read_log(tmp_path) if record["message"] == "chat finished"]
    assert (record["context"]["outcome"], record["context"]["attempts"]) == ("client_gone", 0)


async def come_and_leave(gateway: ScriptedGateway, chance: random.Random) -> None:
    """One client that leaves at some moment: at accept, in its request, at a byte of the answer, at its end."""
    request = chance.choice((ask_chat(), ask_chat() + HEALTH, HEALTH))
    async with connect(gateway.running) as client:
        await client.send(
            request[
                : chance.choice((0, 1, len(request) // 2, len(request) - 1, *[len(request)] * 12))
            ]
        )
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        awaited = chance.choice(
            (None, b"HTTP/1.1 200", b"\r\n\r\n", b"start", b"Hel", b"end", b"[DONE]", b"0\r\n\r\n")
        )
        if awaited:
            try:
                async with asyncio.timeout(0.02):
                    await client.reader.readuntil(awaited)
            except (TimeoutError, asyncio.IncompleteReadError):
                pass  # it leaves at another moment then
        chance.choice(WAYS)(client)
        await asyncio.sleep(0)


@on_uvloop
async def test_nothing_is_left_of_clients_that_disconnect_at_any_moment(tmp_path: Path) -> None:
    """After 300 disconnects no task, connection, stream or slot is left, and no exception was ignored."""
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    chance = random.Random(SEED)
    async with scripted_gateway(tmp_path) as gateway:
        before = len(asyncio.all_tasks())
        gate = asyncio.Event()
        for place in range(301):
            gateway.gpt.enqueue(
                [Text("Hel")], gate.wait if place % 3 == 0 else [Text("l")], *answer("o")
            )
        for _ in range(30):
            await asyncio.gather(*(come_and_leave(gateway, chance) for _ in range(10)))
        await gateway.running.settle()
        assert len(gateway.gpt.history) > 100
        assert all(asked.closed.is_set() for asked in gateway.gpt.history)
        assert gateway.running.app.state.services.streams.open == 0
        assert len(asyncio.all_tasks()) == before
        gate.set()
        assert (await gateway.chat()).text.endswith("data: [DONE]\n\n")
    gc.collect()
    assert not gateway.running.server.server_state.connections
    assert unseen == []
    records = read_log(tmp_path)
    assert {record["level"] for record in records} == {"INFO"}
    chats = [record["context"] for record in records if record["message"] == "chat finished"]
    assert {chat["outcome"] for chat in chats} == {"ok", "client_gone"}
    assert sum(chat["attempts"] for chat in chats) == len(gateway.gpt.history)
