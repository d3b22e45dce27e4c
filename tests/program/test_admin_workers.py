"""`/admin/status` of two workers, as processes: whichever answers, it shows what both have done."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from settings.new_keys import new_key
from simulator import Demo, Error, Simulator
from tests.clients.plain_http import make_client
from tests.gateways.keys_file import bearer, write_keys
from tests.gateways.served import groq_at, served
from tests.gateways.worker_processes import workers_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.gateways.served import Served

ROOT, ROOT_SHA = new_key("root")
PHONE, PHONE_SHA = new_key("phone")
BODY = {"messages": [{"role": "user", "content": "Hello?"}], "stream": False}
CHATS = 24  # on as many connections, which two workers share
PATIENCE_SECONDS = 60
MODEL = "openai/gpt-oss-120b"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def headers_of(key: str) -> dict[str, str]:
    """On a connection of its own, so that any worker may answer."""
    return bearer(key) | {"Connection": "close"}


async def read_status(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/admin/status", headers=headers_of(ROOT))
    assert response.status_code == 200, response.text
    return dict(response.json())


async def status_with(
    client: httpx.AsyncClient, condition: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The first status of which this is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(httpx.TransportError):  # of a worker that has just died
                status = await read_status(client)
                if condition(status):
                    return status
            await asyncio.sleep(0.05)


@asynccontextmanager
async def two_workers(folder: Path) -> AsyncIterator[tuple[Served, Simulator, httpx.AsyncClient]]:
    """A gateway with an admin key and an ordinary one, in front of a simulated vendor."""
    keys = (
        f'[keys.root]\nsha256 = "{ROOT_SHA}"\nadmin = true\ndoors = []\n'
        f'[keys.phone]\nsha256 = "{PHONE_SHA}"\ntokens_per_month = 1_000_000\n'
    )
    async with (
        Simulator() as simulator,
        served(
            folder, workers=2, keys_file=write_keys(folder, keys), **groq_at(simulator)
        ) as gateway,
        make_client(gateway.url, timeout=PATIENCE_SECONDS) as client,
    ):
        await gateway.wait_logged("Application startup complete", 2)
        simulator.behaviours[MODEL] = Demo()
        yield gateway, simulator, client


def phone_in(status: dict[str, Any]) -> dict[str, Any]:
    (phone,) = [key for key in status["keys"] if key["name"] == "phone"]
    return dict(phone)


def tokens_of_phone(status: dict[str, Any]) -> int:
    (limit,) = phone_in(status)["limits"]
    assert limit["name"] == "tokens_per_month"
    return int(limit["used"])


def count_tokens(response: httpx.Response) -> int:
    usage = response.json()["usage"]
    return int(usage["input_tokens"] + usage["output_tokens"])


async def test_use_of_keys_is_that_of_all_workers(tmp_path: Path) -> None:
    """To the unit, with the last use, whichever worker answers; and each of them is listed."""
    async with two_workers(tmp_path) as (gateway, _, client):
        asked = [
            client.post("/chat/groq", json=BODY, headers=headers_of(PHONE)) for _ in range(CHATS)
        ]
        tokens = sum([count_tokens(await one) for one in asyncio.as_completed(asked)])

        def is_whole(status: dict[str, Any]) -> bool:
            is_used = tokens_of_phone(status) == tokens and phone_in(status)["last_used"]
            return bool(is_used) and len(status["workers"]) == 2

        for _ in range(4):
            status = await status_with(client, is_whole)
        assert {worker["process"] for worker in status["workers"]} == workers_of(gateway)


async def test_failure_in_one_worker_is_shown_by_each(tmp_path: Path) -> None:
    """With its id; and a worker that has died is gone, while what its clients have used stays."""
    async with two_workers(tmp_path) as (gateway, simulator, client):
        answered = await client.post("/chat/groq", json=BODY, headers=headers_of(PHONE))
        tokens = count_tokens(answered)
        simulator.behaviours[MODEL] = Error(401)
        headers = headers_of(PHONE) | {"X-Request-ID": "r-failed"}
        assert (await client.post("/chat/groq", json=BODY, headers=headers)).status_code == 502

        def has_failure(status: dict[str, Any]) -> bool:
            ids = {each.get("request_id") for each in status["problems"]}
            return "r-failed" in ids and tokens_of_phone(status) == tokens

        for _ in range(4):
            await status_with(client, has_failure)
        lost = min(workers_of(gateway))
        os.kill(lost, signal.SIGKILL)

        def has_successor(status: dict[str, Any]) -> bool:
            now = {worker["process"] for worker in status["workers"]}
            return len(now) == 2 and lost not in now

        status = await status_with(client, has_successor)
        assert tokens_of_phone(status) == tokens > 0
        assert "a worker has died" in str(status["problems"])
