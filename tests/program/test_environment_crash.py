"""A gateway that is killed in mid-chat, and the next one in its place; one whose folder of logs is removed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from simulator import Paced, Scripted, Simulator
from tests.clients.plain_http import make_client
from tests.clients.simple_client import read_events
from tests.gateways.served import Served, groq_at, served
from tests.vendors.simulated_vendor import QUESTION

if TYPE_CHECKING:
    from pathlib import Path

LONG = Paced(10_000, 20)  # minutes
LOST = "LOG LINES ARE BEING LOST"


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Every line of every log, each of which is one JSON object."""
    return [
        json.loads(line)
        for log in sorted(folder.glob("*.log"))
        for line in log.read_text().splitlines()
    ]


def find(lines: list[dict[str, Any]], message: str, request_id: str) -> list[dict[str, Any]]:
    return [
        line for line in lines if line["message"] == message and line["request_id"] == request_id
    ]


async def kill_in_chat(gateway: Served, request_id: str) -> None:
    """`kill -9` as soon as the answer has begun; the client's connection breaks."""
    async with make_client(gateway.url, timeout=30) as client:
        headers = {"X-Request-ID": request_id}
        async with client.stream("POST", "/chat/groq", json=QUESTION, headers=headers) as response:
            chunks = response.aiter_text()
            assert '"start"' in await anext(chunks)
            gateway.process.kill()
            with pytest.raises(httpx.RemoteProtocolError):
                async for _ in chunks:
                    pass
    await gateway.ended(5)


async def chat(gateway: Served, request_id: str) -> object:
    """The last event of a chat."""
    async with make_client(gateway.url, timeout=30) as client:
        response = await client.post(
            "/chat/groq", json=QUESTION, headers={"X-Request-ID": request_id}
        )
    return read_events(response.text)[-1]


def variables_for(simulator: Simulator) -> dict[str, str | float]:
    """`groq` at the simulator, and no grace at the stop."""
    return {**groq_at(simulator), "drain_grace_seconds": 0}


async def test_kill_in_mid_chat_leaves_its_opening_line(tmp_path: Path) -> None:
    """The killed chat's opening stays, without an end; the next gateway goes on with the same logs, line by line."""
    async with Simulator(behaviours={"long": LONG}, default=Scripted(("Hello",))) as simulator:
        async with served(
            tmp_path, groq_model_default="long", **variables_for(simulator)
        ) as gateway:
            await kill_in_chat(gateway, "killed")
        assert await simulator.wait_closed(simulator.calls[0])
        async with served(tmp_path, **variables_for(simulator)) as gateway:
            assert await chat(gateway, "next") == "[DONE]"
            gateway.process.terminate()
            assert await gateway.ended(10) == 0
    lines = lines_of(tmp_path)
    assert find(lines, "chat started", "killed")
    assert not find(lines, "chat finished", "killed")
    assert find(lines, "chat finished", "next")


async def test_folder_of_logs_that_vanishes_costs_no_chat(tmp_path: Path) -> None:
    """Chats go on, and the console reports the lost lines; as soon as the folder is there again, lines arrive."""
    folder = tmp_path / "logs"
    async with (
        Simulator(default=Scripted(("Hello",))) as simulator,
        served(tmp_path, log_dir=folder, **variables_for(simulator)) as gateway,
    ):
        shutil.rmtree(folder)
        assert await chat(gateway, "lost") == "[DONE]"
        folder.mkdir()
        assert await chat(gateway, "kept") == "[DONE]"
        await gateway.wait_logged(LOST, name="console")
        gateway.process.terminate()
        assert await gateway.ended(10) == 0
        assert gateway.log("console").count(LOST) == 1
    lines = lines_of(folder)
    assert find(lines, "chat finished", "kept")
    assert not find(lines, "chat finished", "lost")
