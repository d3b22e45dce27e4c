"""Budgets over a restart of the processes that count them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from settings.new_keys import new_key
from simulator import Simulator
from tests.clients.plain_http import make_client
from tests.gateways.served import groq_at, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.gateways.served import Served

KEY, SHA256 = new_key("phone")
HEADERS = {"Authorization": f"Bearer {KEY}"}
BODY = {"messages": [{"role": "user", "content": "Hello?"}], "stream": False}
PATIENCE_SECONDS = 60


@asynccontextmanager
async def started(folder: Path, simulator: Simulator, workers: int) -> AsyncIterator[Served]:
    """A gateway whose key has a budget that one chat uses up."""
    file = folder / "keys.toml"
    file.write_text(f'[keys.phone]\nsha256 = "{SHA256}"\ntokens_per_month = 1\n')
    async with served(
        folder, workers=workers, keys_file=file, drain_grace_seconds=0, **groq_at(simulator)
    ) as gateway:
        yield gateway


async def ask(gateway: Served) -> httpx.Response:
    async with make_client(gateway.url) as client:
        return await client.post("/chat/groq", json=BODY, headers=HEADERS)


async def wait_until_kept(path: Path) -> None:
    """Until the file has the chat's tokens: a process that is killed writes no more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not path.exists():  # noqa: ASYNC110, ASYNC240 - another process writes it
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_budget_that_was_spent_is_spent_after_a_restart(
    tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    """However the process that counts ends. The file has the key's name, and not the key."""
    path = tmp_path / "limits.json"
    async with Simulator() as simulator:
        async with started(tmp_path, simulator, workers) as gateway:
            assert (await ask(gateway)).status_code == 200
            if number == signal.SIGKILL:
                await wait_until_kept(path)
            os.kill(gateway.process.pid, number)
            await gateway.ended(PATIENCE_SECONDS)
        kept = path.read_text()
        assert list(json.loads(kept)) == ["key phone"]
        assert KEY not in kept
        assert SHA256 not in kept
        async with started(tmp_path, simulator, workers) as gateway:
            refused = await ask(gateway)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "budget_exceeded")
        assert len(simulator.calls) == 1
