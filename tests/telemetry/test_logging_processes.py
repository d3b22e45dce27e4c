"""Logs of several processes, and of one that is killed: no line is lost or torn."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

from aiproviders import Gateway
from cluster.state_store import MemoryStateStore
from logging_config import logger
from models import ChatIdentity
from telemetry.sinks.gateway_log import GatewayLog
from tests.gateways.chat_records import make_record
from tests.gateways.log_files import messages, open_log_files, read_log
from tests.gateways.loopback import make_settings
from tests.gateways.scripted import ScriptedFactory, answer, ask, silence
from tests.gateways.spawned import log_lines, run

WRITERS, LINES = 3, 400


def test_no_line_of_several_processes_is_lost_or_torn(tmp_path: Path) -> None:
    """While four workers write and rotate, each line arrives whole, once, and in its worker's order."""
    assert run(log_lines, tmp_path, LINES, copies=WRITERS) == [0] * WRITERS
    for name in ("app", "error", "debug"):
        assert len(list(tmp_path.glob(f"{name}.log.*"))) > 10
        lines = messages(read_log(tmp_path, name))
        for writer in range(WRITERS):
            own = [line for line in lines if line.startswith(f"{writer}/")]
            assert own == [f"{writer}/{number}" for number in range(LINES)]
        assert max(Counter(lines).values()) == 1


def write_and_die(folder: Path, _number: int) -> None:
    open_log_files(folder)
    logger.error("the last error")
    GatewayLog().chat_ended(make_record(total_ms=777))
    os.kill(os.getpid(), signal.SIGKILL)


def test_line_survives_a_kill_once_its_call_has_returned(tmp_path: Path) -> None:
    """What an ERROR and a final record said is in the files, though the process had no moment more."""
    assert run(write_and_die, tmp_path) == [-signal.SIGKILL]
    error, record = read_log(tmp_path)
    assert error["message"] == "the last error"
    assert record["context"]["total_ms"] == 777
    assert messages(read_log(tmp_path, "error")) == ["the last error"]
    assert messages(read_log(tmp_path, "debug")) == ["the last error", "chat finished"]


def chat_and_die(folder: Path, _number: int) -> None:
    open_log_files(folder)
    asyncio.run(_chat_until_killed(folder))


async def _chat_until_killed(folder: Path) -> None:
    factory = ScriptedFactory(make_settings(folder).providers)
    factory.scripted["gpt"].enqueue(*answer("Hel")[:1], silence)
    gateway = Gateway(
        factory,
        system_prompt=None,
        health_cache_seconds=30,
        max_prompt_bytes=2**20,
        states=MemoryStateStore(1, 1),
        sinks=[GatewayLog()],
    )
    async for _batch in gateway.stream_chat(
        "gpt", ask("Hello?"), ChatIdentity("gpt-1", "c-1", "r-1")
    ):
        os.kill(os.getpid(), signal.SIGKILL)


def test_chat_that_is_killed_midway_leaves_its_opening_record(tmp_path: Path) -> None:
    """The log shows that there was a chat, its client, and that it has no end."""
    assert run(chat_and_die, tmp_path) == [-signal.SIGKILL]
    (line,) = read_log(tmp_path)
    assert line["message"] == "chat started"
    assert line["context"] == {"provider": "gpt", "id": "gpt-1", "messages": 1}
