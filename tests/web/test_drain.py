"""How an instance leaves: readiness first, then new chats, then those under way; a process's exit is clean."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from simulator import Paced, Simulator
from tests.clients.plain_http import make_client
from tests.clients.simple_client import read_events
from tests.exhaustive import exhaustive
from tests.gateways.served import Served, groq_at, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from simulator import Behaviour

QUESTION = {"messages": [{"role": "user", "content": "Stay a while."}]}
LONG = Paced(10_000, 20)  # minutes
ONCE = httpx.Limits(
    max_keepalive_connections=0
)  # a connection that is kept may end just as it is used again


@asynccontextmanager
async def chatting(
    tmp_path: Path, behaviour: Behaviour, **variables: str | float
) -> AsyncIterator[tuple[Served, httpx.AsyncClient, asyncio.Task[httpx.Response]]]:
    """A served gateway all of whose workers serve, a client of it, and a chat with `groq` that is under way."""
    async with (
        Simulator(default=behaviour) as simulator,
        served(tmp_path, **groq_at(simulator), **variables) as gateway,
        make_client(gateway.url, timeout=30) as client,
    ):
        await wait_for_workers(gateway, int(variables.get("workers", 1)))
        chat = asyncio.create_task(client.post("/chat/groq", json=QUESTION))
        await simulator.wait_for_call(timeout=30)
        yield gateway, client, chat


async def wait_for_workers(gateway: Served, workers: int) -> None:
    """Until so many of them have started."""
    async with asyncio.timeout(60):
        while gateway.log().count("startup complete") < workers:  # noqa: ASYNC110 - it is so in another process
            await asyncio.sleep(0.05)


async def wait_for_status(client: httpx.AsyncClient, status: str) -> httpx.Response:
    """The first readiness answer with this status."""
    async with asyncio.timeout(5):
        while True:
            response = await client.get("/health")
            if response.json()["status"] == status:
                return response


async def wait_until_refused(client: httpx.AsyncClient) -> httpx.Response:
    """The first chat that is not taken."""
    async with asyncio.timeout(10):
        while True:
            response = await client.post("/chat/unheard-of", json=QUESTION)
            if response.json()["error"]["code"] != "unknown_provider":
                return response


def last_event(response: httpx.Response) -> Any:
    return read_events(response.text)[-1]


async def test_readiness_turns_before_chats_are_refused(tmp_path: Path) -> None:
    """In the grace /health says DRAINING while chats are still taken and end whole; the exit status is 0."""
    async with chatting(tmp_path, Paced(20, 20), drain_grace_seconds=1.5) as (
        gateway,
        client,
        chat,
    ):
        gateway.process.send_signal(signal.SIGTERM)
        draining = await wait_for_status(client, "DRAINING")
        assert draining.status_code == 503
        assert (await client.get("/health/live")).status_code == 200
        late = await client.post("/chat/groq", json=QUESTION)
        assert [last_event(late), last_event(await chat)] == ["[DONE]", "[DONE]"]
        assert await gateway.ended(10) == 0


async def test_new_chats_are_refused_while_old_ones_go_on(tmp_path: Path) -> None:
    """After the grace a new chat gets 503 `draining` with Retry-After, and the one under way ends whole."""
    async with chatting(tmp_path, Paced(40, 20), drain_grace_seconds=0.1) as (
        gateway,
        client,
        chat,
    ):
        gateway.process.send_signal(signal.SIGTERM)
        refused = await wait_until_refused(client)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["retryable"]) == (503, "draining", True)
        assert refused.headers["retry-after"] == "1"
        assert last_event(await chat) == "[DONE]"
        assert await gateway.ended(10) == 0


async def test_chat_that_outlasts_the_drain_ends_as_draining(tmp_path: Path) -> None:
    """A stream that is still open at the end of the drain ends in an `error` event `draining`, recorded as drained."""
    async with chatting(tmp_path, LONG, drain_grace_seconds=0, drain_timeout_seconds=1) as (
        gateway,
        _,
        chat,
    ):
        gateway.process.send_signal(signal.SIGTERM)
        event = last_event(await chat)
        assert (event["type"], event["error"]["code"], event["error"]["retryable"]) == (
            "error",
            "draining",
            True,
        )
        assert (event["error"]["stage"], event["error"]["partial_chars"] > 0) == (
            "after_content",
            True,
        )
        assert await gateway.ended(10) == 0
        assert '"outcome": "drained"' in gateway.log()


async def test_ctrl_c_has_no_grace(tmp_path: Path) -> None:
    """A person at the terminal does not wait for a load balancer; the chat under way may still end."""
    async with chatting(tmp_path, Paced(20, 20), drain_grace_seconds=3600) as (gateway, _, chat):
        gateway.process.send_signal(signal.SIGINT)
        assert last_event(await chat) == "[DONE]"
        assert await gateway.ended(10) == 0


async def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    """The process exits, whatever is open."""
    async with chatting(tmp_path, LONG) as (gateway, client, chat):
        gateway.process.send_signal(signal.SIGTERM)
        await wait_for_status(client, "DRAINING")
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.ended(2) == -signal.SIGTERM
        with pytest.raises(httpx.TransportError):
            await chat


async def test_several_workers_drain(tmp_path: Path) -> None:
    """The parent waits for its workers, whose chats end whole."""
    async with chatting(tmp_path, Paced(40, 20), workers=2, drain_grace_seconds=0.1) as (
        gateway,
        _,
        chat,
    ):
        gateway.process.send_signal(signal.SIGTERM)
        assert last_event(await chat) == "[DONE]"
        assert await gateway.ended(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, *exhaustive(signal.SIGINT)])
async def test_signal_to_all_processes_is_one(tmp_path: Path, number: signal.Signals) -> None:
    """systemd and a terminal signal the workers and their parent, which signals them again: the chat ends whole."""
    async with chatting(tmp_path, Paced(20, 20), workers=2, drain_grace_seconds=0.1) as (
        gateway,
        _,
        chat,
    ):
        os.killpg(gateway.process.pid, number)
        assert last_event(await chat) == "[DONE]"
        assert await gateway.ended(10) == 0


async def test_second_signal_ends_several_workers_at_once(tmp_path: Path) -> None:
    """The parent kills them."""
    async with chatting(tmp_path, LONG, workers=2) as (gateway, client, chat):
        gateway.process.send_signal(signal.SIGTERM)
        await wait_for_status(client, "DRAINING")
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.ended(3)
        with pytest.raises(httpx.TransportError):
            await chat


async def test_workers_are_replaced_under_load(tmp_path: Path) -> None:
    """SIGHUP brings new workers up one by one: every chat meanwhile ends whole, none is refused."""
    async with chatting(tmp_path, Paced(30, 20), workers=2) as (gateway, _, chat):
        gateway.process.send_signal(signal.SIGHUP)
        answers = [await chat]
        url = f"{gateway.url}/chat/groq"
        async with asyncio.timeout(60), make_client(limits=ONCE, timeout=30) as client:
            while gateway.log().count("draining") < 2:
                answers += await asyncio.gather(
                    *(client.post(url, json=QUESTION) for _ in range(4))
                )
        assert {response.status_code for response in answers} == {200}
        assert {last_event(response) for response in answers} == {"[DONE]"}
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.ended(15) == 0
