"""A gateway with many misconfigurations around it: what can be served is served."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from simulator import Scripted, Simulator
from tests.clients.plain_http import make_client
from tests.clients.simple_client import read_events
from tests.gateways.served import Served, served
from tests.vendors.loopback_vendor import LoopbackVendor, open_vendor, response
from tests.vendors.simulated_vendor import QUESTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONNECT_SECONDS = 2
STOP_SECONDS = 10  # on a busy machine; a second of them is what a dead Sentry may take


@dataclass(frozen=True)
class World:
    """The gateway, a client of it, and the servers that it asks."""

    gateway: Served
    client: httpx.AsyncClient
    simulator: Simulator
    sentry: LoopbackVendor

    async def chat(self, provider: str) -> httpx.Response:
        """The whole response to a chat."""
        return await self.client.post(f"/chat/{provider}", json=QUESTION)


@asynccontextmanager
async def open_world(folder: Path, **variables: str | float) -> AsyncIterator[World]:
    """A gateway with `gpt` at a simulator, without a folder for its logs, and with a Sentry that is broken."""
    (folder / "file").write_text("")
    async with (
        Simulator(default=Scripted(("Hello",))) as simulator,
        open_vendor(response(b"", "500 Internal Server Error")) as sentry,
    ):
        chosen: dict[str, str | float] = {
            "openai_api_key": ' "key-of-a-test"  ',
            "openai_base_url": f"'{simulator.base_urls['gpt']}'",
            "sentry_dsn": f"http://public-key@127.0.0.1:{sentry.port}/1",
            "sentry_traces_sample_rate": 1,
            "drain_grace_seconds": 0,
        }
        async with (
            served(folder, log_dir=folder / "file" / "logs", **(chosen | variables)) as gateway,
            make_client(gateway.url, timeout=30) as client,
        ):
            yield World(gateway, client, simulator, sentry)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Blank keys, a host that is not there, a model that is not."""
    variables: dict[str, str | float] = {
        "openai_model_default": "error-404",
        "openai_model_fallback": ' "nova" ',
        "anthropic_api_key": "   ",
        "gemini_api_key": '""',
        "groq_api_key": "key-of-a-test",
        "groq_base_url": "http://no-such-host.invalid",
        "connect_timeout_seconds": CONNECT_SECONDS,
    }
    async with open_world(tmp_path_factory.mktemp("gateway"), **variables) as opened:
        yield opened


def error_of(answer: httpx.Response) -> dict[str, Any]:
    return dict(answer.json()["error"])


async def test_key_in_quotes_is_shown_without_them(world: World) -> None:
    """Spaces and quotes around a value are not the value; the same for the base URL and a model's name."""
    events = read_events((await world.chat("gpt")).text)
    assert events[-1] == "[DONE]"
    assert world.simulator.calls[-1].headers["authorization"] == "Bearer key-of-a-test"


async def test_missing_model_is_replaced_by_the_fallback(world: World) -> None:
    """A vendor's 404 for the default model: the fallback answers, and the client learns why."""
    start = read_events((await world.chat("gpt")).text)[0]
    assert start["fallback"] == {
        "from": "error-404",
        "to": "nova",
        "reason": "upstream_model_not_found",
    }


@pytest.mark.parametrize("provider", ["claude", "gemini"])
async def test_blank_key_is_no_key(world: World, provider: str) -> None:
    """Spaces, or quotes with nothing between, leave a provider unconfigured; the other providers are not affected."""
    refused = await world.chat(provider)
    assert (refused.status_code, error_of(refused)["code"]) == (503, "provider_not_configured")
    assert (await world.client.get("/health")).json()["providers"][provider] == "NOT_CONFIGURED"
    assert (await world.chat("gpt")).status_code == 200


async def test_host_that_is_not_there_fails_within_the_connect_timeout(world: World) -> None:
    """An address that no name server knows: both models fail as `dns`, in the time that a connection may take."""
    began = asyncio.get_running_loop().time()
    failed = await world.chat("groq")
    assert asyncio.get_running_loop().time() - began < 3 * CONNECT_SECONDS
    error = error_of(failed)
    expected = {
        ("upstream_unavailable", "dns"),
        ("upstream_timeout", "connect"),
    }  # the latter if the resolver is silent
    assert (error["code"], error["reason"]) in expected


async def test_chats_go_on_without_a_folder_for_logs(world: World) -> None:
    """The folder's parent is a file: chats are answered, and the console reports the lost lines once."""
    assert (await world.chat("gpt")).status_code == 200
    await world.gateway.wait_logged("LOG LINES ARE BEING LOST", name="console")
    assert world.gateway.log("console").count("LOG LINES ARE BEING LOST") == 1


async def test_broken_sentry_changes_no_chat_and_no_exit(tmp_path: Path) -> None:
    """Sentry answers 500 to every report: chats are whole, and the stop takes a second more at most."""
    async with open_world(tmp_path) as world:
        assert read_events((await world.chat("gpt")).text)[-1] == "[DONE]"
        world.gateway.process.send_signal(signal.SIGTERM)
        assert await world.gateway.ended(STOP_SECONDS) == 0
        assert world.sentry.requests
        assert "Traceback" not in world.gateway.log("console")
