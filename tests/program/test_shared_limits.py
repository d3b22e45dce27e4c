"""The limits of clients over two workers, as processes; and the official SDKs, which wait as they are asked to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from settings.new_keys import new_key
from simulator import Demo, Silence, Simulator
from tests.clients.plain_http import make_client
from tests.gateways.served import groq_at, served
from tests.gateways.worker_processes import workers_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.gateways.served import Served

KEY, SHA256 = new_key("phone")
HEADERS = {"Authorization": f"Bearer {KEY}", "Connection": "close"}
BODY = {"messages": [{"role": "user", "content": "Hello?"}], "stream": False}
PATIENCE_SECONDS = 60
AT_ONCE = 16
MODEL = "openai/gpt-oss-120b"
FAR = 300  # seconds: longer than any of these tests

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@asynccontextmanager
async def limited(
    folder: Path, workers: int = 2, **limits: int
) -> AsyncIterator[tuple[Served, Simulator]]:
    """A gateway whose key has these limits, in front of a simulated vendor."""
    file = folder / "keys.toml"
    lines = "".join(f"{name} = {value}\n" for name, value in limits.items())
    file.write_text(f'[keys.phone]\nsha256 = "{SHA256}"\n{lines}')
    async with (
        Simulator() as simulator,
        served(
            folder,
            workers=workers,
            keys_file=file,
            first_content_timeout_seconds=FAR,
            **groq_at(simulator),
        ) as gateway,
    ):
        await gateway.wait_logged("Application startup complete", workers)
        yield gateway, simulator


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    """A chat on a connection of its own: the workers share those."""
    return await client.post("/chat/groq", json=BODY, headers=HEADERS)


async def test_limit_of_two_workers_is_exact_under_load(tmp_path: Path) -> None:
    """Of 600 chats that come as fast as they can, as many are let in as the key has a minute, to the one."""
    async with limited(tmp_path, requests_per_minute=200) as (gateway, simulator):
        statuses: Counter[int] = Counter()
        began = time.monotonic()

        async def ask_all(client: httpx.AsyncClient) -> None:
            for _ in range(600 // AT_ONCE):
                statuses[(await ask(client)).status_code] += 1

        async with make_client(gateway.url) as client:
            await asyncio.gather(*(ask_all(client) for _ in range(AT_ONCE)))
        assert time.monotonic() - began < 60, "the window has moved on: nothing was shown"
        lines = [json.loads(line) for line in gateway.log("audit.log").splitlines()]
    assert statuses == {200: 200, 429: 600 // AT_ONCE * AT_ONCE - 200}
    assert len(simulator.calls) == 200
    assert (
        len({line["context"]["process"] for line in lines if line["message"] == "gateway started"})
        == 2
    )


async def test_budget_of_two_workers_is_shared(tmp_path: Path) -> None:
    """What one worker's chats have used counts in the other."""
    async with (
        limited(tmp_path, tokens_per_day=100) as (gateway, _),
        make_client(gateway.url) as client,
    ):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (response := await ask(client)).status_code == 200:
                pass
        refused = [await ask(client) for _ in range(12)]
    assert response.json()["error"]["code"] == "budget_exceeded"
    assert {response.status_code for response in refused} == {429}


async def test_streams_of_a_killed_worker_are_given_back(tmp_path: Path) -> None:
    """All places are taken by chats of both workers; when one is killed, its chats' places are free."""
    async with limited(tmp_path, streams=12) as (gateway, simulator):
        simulator.behaviours[MODEL] = Silence()
        async with make_client(gateway.url) as client:
            open_chats = [asyncio.create_task(ask(client)) for _ in range(12)]
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(simulator.calls) < 12:  # noqa: ASYNC110 - of other processes
                    await asyncio.sleep(0.05)
                assert (await ask(client)).json()["error"]["reason"] == "streams"
                os.kill(min(workers_of(gateway)), signal.SIGKILL)
                more = [asyncio.create_task(ask(client))]
                while len(simulator.calls) < 13:
                    await asyncio.sleep(0.05)
                    if more[-1].done():  # refused: the worker's end has not been noticed yet
                        more.append(asyncio.create_task(ask(client)))
            for chat in (*open_chats, *more):
                chat.cancel()
            await asyncio.gather(*open_chats, *more, return_exceptions=True)


async def waited(ask_sdk: Any) -> float:
    """The seconds until an SDK's request is answered."""
    began = time.monotonic()
    await ask_sdk()
    return time.monotonic() - began


async def test_official_sdks_wait_as_they_are_asked_to(tmp_path: Path) -> None:
    """With one stream open they get `Retry-After: 1`, try again by themselves, and are answered."""
    async with limited(tmp_path, workers=1, streams=1) as (gateway, simulator):
        simulator.behaviours[MODEL] = Demo(first=1.0, pace=0)
        openai_sdk = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=9)
        anthropic_sdk = anthropic.AsyncAnthropic(base_url=gateway.url, api_key=KEY, max_retries=9)
        message: Any = {"role": "user", "content": "Hello?"}

        async def ask_openai() -> None:
            raw = await openai_sdk.chat.completions.with_raw_response.create(
                model="groq", messages=[message]
            )
            assert raw.parse().choices[0].message.content

        async def ask_anthropic() -> None:
            raw = await anthropic_sdk.messages.with_raw_response.create(
                model="groq", max_tokens=99, messages=[message]
            )
            assert (await raw.parse()).content

        async with openai_sdk, anthropic_sdk:
            for ask_sdk in (ask_openai, ask_anthropic):
                seconds = await asyncio.gather(*(waited(ask_sdk) for _ in range(2)))
                assert max(seconds) >= 2, (
                    "the second one was to wait a second, and then to be answered"
                )
                log = [json.loads(line) for line in gateway.log("audit.log").splitlines()]
                assert any(line["context"].get("status") == 429 for line in log)
