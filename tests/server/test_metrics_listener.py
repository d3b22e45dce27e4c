"""METRICS_PORT: the metrics of all workers, of which one may die."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from settings import conflicts
from simulator import Scripted, Simulator
from telemetry.exposition import Sample, read_samples, total
from tests.clients.plain_http import make_client
from tests.gateways.loopback import make_settings
from tests.gateways.served import groq_at, served
from tests.gateways.worker_processes import wait_for_another, wait_until, workers_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateways.served import Served

CHATS = 6
QUESTION = {"messages": [{"role": "user", "content": "Hello?"}]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scrape(port: int) -> list[Sample]:
    response = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30, trust_env=False)
    assert response.status_code == 200
    return list(read_samples(response.text))


async def chat(gateway: Served) -> None:
    async with make_client(gateway.url, timeout=30) as client:
        assert (await client.post("/chat/groq", json=QUESTION)).status_code == 200


async def test_metrics_are_those_of_all_workers_and_outlive_one(tmp_path: Path) -> None:
    """The counters of a worker that was killed stay; it is no longer counted as one that serves."""
    port = free_port()
    behaviour = Scripted(("Hello",))
    async with Simulator(default=behaviour) as simulator:
        variables: dict[str, str | float | Path] = dict(groq_at(simulator))
        variables |= {"workers": 2, "metrics": "true", "metrics_port": port}
        async with served(tmp_path, **variables) as gateway:
            await wait_until(lambda: total(scrape(port), "chat_gateway_workers") == 2)
            for _ in range(CHATS):
                await chat(gateway)
            name = "chat_gateway_chats_total"
            await wait_until(lambda: total(scrape(port), name) == CHATS)
            workers = workers_of(gateway)
            os.kill(min(workers), signal.SIGKILL)
            await wait_for_another(gateway, workers)
            await wait_until(lambda: total(scrape(port), "chat_gateway_workers") == 2)
            assert total(scrape(port), name, outcome="ok") == CHATS
            async with make_client(gateway.url, timeout=30) as client:
                here = (await client.get("/metrics")).text
                elsewhere = await client.get(f"http://127.0.0.1:{port}/health")
    assert total(list(read_samples(here)), name) == CHATS
    assert elsewhere.status_code == 404


async def test_port_in_use_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    """It names the metrics' port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=f"cannot listen at 127.0.0.1 port {port}"):
            async with served(tmp_path, metrics_port=port):
                pass


def test_metrics_have_a_port_of_their_own(tmp_path: Path) -> None:
    """METRICS=true is for the gateway's port."""
    settings = make_settings(tmp_path, port=3050, metrics_port=3050)
    (found,) = conflicts.server_conflicts(settings)
    assert found.message.startswith("METRICS_PORT")
