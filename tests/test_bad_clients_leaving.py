"""Clients that leave, over real sockets: at any moment and in any way, nothing of them stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from models import Delta
from tests.raw_client import HEALTH, ask_chat, connect, on_uvloop
from tests.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.raw_client import RawClient
    from tests.scripted import ScriptedGateway
    from tests.scripted_provider import Step

SEED = 33


def close(client: RawClient) -> None:
    """Leave in order."""
    client.writer.close()


def reset(client: RawClient) -> None:
    """Leave by a reset."""
    client.reset()


def half_close(client: RawClient) -> None:
    """Say that nothing more will be sent; this counts as leaving, for a server cannot tell one from the other."""
    client.writer.write_eof()


WAYS = (close, reset, half_close)


@pytest.mark.parametrize("leave", WAYS)
@pytest.mark.parametrize("is_begun", [False, True], ids=["before content", "after content"])
@on_uvloop
async def test_client_leaving_closes_the_vendor_stream(
    tmp_path: Path, leave: Callable[[RawClient], None], is_begun: bool
) -> None:
    """Within a second of a client's leaving its vendor's stream is closed, no fallback starts, the record says so."""
    async with scripted_gateway(tmp_path) as gateway:
        steps: list[Step] = [[Delta("Hel")], asyncio.Event().wait]
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
        assert gateway.running.app.state.house.streams.open == 0
    records = [json.loads(line) for line in (tmp_path / "app.log").read_text().splitlines()]
    (outcome,) = [record["context"]["outcome"] for record in records if record["message"] == "chat finished"]
    assert outcome == "client_gone"


async def come_and_leave(gateway: ScriptedGateway, chance: random.Random) -> None:
    """One client that leaves at some moment: at accept, in its request, at a byte of the answer, at its end."""
    request = chance.choice((ask_chat(), ask_chat() + HEALTH, HEALTH))
    async with connect(gateway.running) as client:
        await client.send(request[: chance.choice((0, 1, len(request) // 2, len(request) - 1, *[len(request)] * 12))])
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        awaited = chance.choice((None, b"HTTP/1.1 200", b"\r\n\r\n", b"start", b"Hel", b"end", b"[DONE]", b"0\r\n\r\n"))
        if awaited:
            try:
                async with asyncio.timeout(0.02):
                    await client.reader.readuntil(awaited)
            except (TimeoutError, asyncio.IncompleteReadError):
                pass  # it leaves at another moment then
        chance.choice(WAYS)(client)
        await asyncio.sleep(0)


@on_uvloop
async def test_nothing_stays_of_clients_that_leave_at_any_moment(tmp_path: Path) -> None:
    """After 300 departures no task, connection, stream or place is left, no exception went unseen, and all is well."""
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    chance = random.Random(SEED)
    async with scripted_gateway(tmp_path) as gateway:
        before = len(asyncio.all_tasks())
        gate = asyncio.Event()
        for place in range(301):
            gateway.gpt.enqueue([Delta("Hel")], gate.wait if place % 3 == 0 else [Delta("l")], *answer("o"))
        for _ in range(30):
            await asyncio.gather(*(come_and_leave(gateway, chance) for _ in range(10)))
        await gateway.running.settle()
        assert len(gateway.gpt.history) > 100
        assert all(asked.closed.is_set() for asked in gateway.gpt.history)
        assert gateway.running.app.state.house.streams.open == 0
        assert len(asyncio.all_tasks()) == before
        gate.set()
        assert (await gateway.chat()).text.endswith("data: [DONE]\n\n")
    gc.collect()
    assert not gateway.running.server.server_state.connections
    assert unseen == []
    records = [json.loads(line) for line in (tmp_path / "app.log").read_text().splitlines()]
    assert {record["level"] for record in records} == {"INFO"}
    outcomes = [record["context"]["outcome"] for record in records if record["message"] == "chat finished"]
    assert set(outcomes) == {"ok", "client_gone"}
    assert len(outcomes) == len(gateway.gpt.history)
