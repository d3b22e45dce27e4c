"""The system's limits: too few open files for a flood of connections, and a disk that takes no more."""

from __future__ import annotations

import asyncio
import json
import resource
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx

from simulator import Scripted, Simulator
from tests.clients.plain_http import make_client
from tests.clients.simple_client import read_events
from tests.gateways.served import Served, groq_at, served
from tests.vendors.simulated_vendor import QUESTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FILES = 64
FLOOD = 300
ANSWER_SECONDS = 10  # on a busy machine
FULL = 50_000  # bytes: what the disk takes of one file
LOST = "LOG LINES ARE BEING LOST"


@asynccontextmanager
async def limited(
    folder: Path, limit: int, most: int
) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """A gateway under one of the system's limits, whose `groq` says hello, and a client that keeps no connection."""
    async with Simulator(default=Scripted(("Hello",))) as simulator:
        alone = httpx.Limits(max_keepalive_connections=0)
        async with (
            served(folder, {limit: most}, **groq_at(simulator)) as gateway,
            make_client(gateway.url, timeout=ANSWER_SECONDS, limits=alone) as client,
        ):
            yield gateway, client


async def is_answered(client: httpx.AsyncClient) -> bool:
    """Whether a chat ends well."""
    response = await client.post("/chat/groq", json=QUESTION)
    return response.status_code == 200 and read_events(response.text)[-1] == "[DONE]"


async def flood(port: int, stack: AsyncExitStack) -> None:
    """Open connections that say nothing, and keep them."""
    for _ in range(FLOOD):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        stack.callback(writer.close)


async def wait_until_healthy(client: httpx.AsyncClient) -> None:
    """Until /health answers: if no file is left, the event loop closes what it accepts. Raises TimeoutError."""
    async with asyncio.timeout(ANSWER_SECONDS):
        while True:
            with suppress(httpx.TransportError):
                assert (await client.get("/health")).status_code == 200
                return


async def test_flood_of_connections_is_survived(tmp_path: Path) -> None:
    """With 64 files for 300 silent connections, others are soon served beside them, and after they are gone at once."""
    async with limited(tmp_path, resource.RLIMIT_NOFILE, FILES) as (gateway, client):
        async with AsyncExitStack() as stack:
            await flood(gateway.port, stack)
            await wait_until_healthy(client)
            assert await is_answered(client)
        assert (await client.get("/health")).status_code == 200
        assert await is_answered(client)
        assert gateway.process.returncode is None
        assert "Traceback" not in gateway.log("console")


async def test_full_disk_costs_no_chat(tmp_path: Path) -> None:
    """If a log takes no more, chats go on, the console reports it once a minute, and what was written is whole."""
    (tmp_path / "app.log").write_text('{"message": "before"}\n' * (FULL // 22 - 10))
    async with limited(tmp_path, resource.RLIMIT_FSIZE, FULL) as (gateway, client):
        assert [await is_answered(client) for _ in range(20)] == [True] * 20
        await gateway.wait_logged(LOST, name="console")
        assert gateway.log("console").count(LOST) == 1
        whole = gateway.log().splitlines()[:-1]
        assert all(json.loads(line) for line in whole)
        assert len(gateway.log()) <= FULL
