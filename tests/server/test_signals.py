"""Signals as terminals, containers and supervisors send them: at any moment, ignored, and to all processes at once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.clients.plain_http import make_client
from tests.clients.raw_client import HEALTH, connect, on_uvloop
from tests.gateways.scripted import scripted_gateway
from tests.gateways.served import UNASKED_VENDOR, served

MAIN = Path(__file__).parents[2] / "main.py"
PATIENCE_SECONDS = 60
LINUX = sys.platform == "linux"


@pytest.mark.parametrize("workers", [1, 2])
async def test_hangup_is_ignored_under_nohup(tmp_path: Path, workers: int) -> None:
    """By all processes; the next SIGTERM ends the gateway."""
    async with served(
        tmp_path,
        None,
        None,
        signal.SIG_IGN,
        workers=workers,
        drain_grace_seconds=0,
        **UNASKED_VENDOR,
    ) as gateway:
        await gateway.wait_logged("startup complete", workers)
        os.killpg(gateway.process.pid, signal.SIGHUP)
        async with make_client(gateway.url) as client:
            assert (await client.get("/health")).json()["status"] == "OK"
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.ended(PATIENCE_SECONDS) == 0
        log = gateway.log()
    assert log.count('"message":"draining"') + log.count('"message": "draining"') == workers
    assert "a worker goes" not in log


async def test_hangup_of_all_processes_replaces_the_workers_one_by_one(tmp_path: Path) -> None:
    """Clients are served throughout; the log names the worker that stops and the one that is ready."""
    async with served(
        tmp_path, workers=2, drain_grace_seconds=0, drain_timeout_seconds=5, **UNASKED_VENDOR
    ) as gateway:
        await gateway.wait_logged("a worker is ready", 2)
        os.killpg(gateway.process.pid, signal.SIGHUP)
        statuses = set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while gateway.log().count("a worker goes") < 2:
                async with make_client(gateway.url, timeout=10) as client:
                    statuses.add((await client.get("/health/live")).status_code)
                    await asyncio.sleep(0.05)
        log = gateway.log()
        assert statuses == {200}
        assert (log.count("a worker is ready"), log.count("a worker goes")) == (4, 2)
        assert "has died" not in log
        assert log.index("a worker goes") > log.rindex(
            "startup complete", 0, log.index("a worker goes")
        )


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_sigterm_is_answered_before_the_slow_imports(tmp_path: Path) -> None:
    """As PID 1, a process that has no handler ignores it, and is killed after the runtime's timeout."""
    environment = {"PATH": os.environ["PATH"], "LOG_DIR": str(tmp_path), "ENV_FILE": os.devnull}
    process = subprocess.Popen(
        [sys.executable, MAIN], env=environment, cwd=tmp_path, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not catches(process.pid, signal.SIGTERM):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert "pydantic_core" not in Path(f"/proc/{process.pid}/maps").read_text()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, said) == (0, b"")
    finally:
        process.kill()
        process.wait()


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_taken_port_is_reported_before_anything_else(tmp_path: Path) -> None:
    """One line with host and port, and nothing of a server that has begun."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "LOG_DIR": str(tmp_path / "logs"),
            "ENV_FILE": os.devnull,
        }
        ended = subprocess.run(
            [sys.executable, MAIN], env=environment | {"PORT": str(port)}, cwd=tmp_path, capture_output=True,
            text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
    assert ended.returncode == 3
    assert ended.stderr == f"cannot listen at 127.0.0.1 port {port}: address already in use\n"
    assert not (tmp_path / "logs").exists()


@on_uvloop
async def test_idle_connection_is_kept_for_as_long_as_configured(tmp_path: Path) -> None:
    async with (
        scripted_gateway(tmp_path, keep_alive_seconds=0.2) as gateway,
        connect(gateway.running) as client,
    ):
        assert (await client.ask(HEALTH)).status == 200
        assert await client.read_to_end() == b""
