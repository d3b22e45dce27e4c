"""Logs of several processes, and of one that is killed: no line is lost or torn."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiproviders import Gateway
from logging_config import logger, record_chat
from models import ChatIdentity, ChatRequest
from tests.log_files import logs_in, messages, open_log_files, read_log
from tests.loopback import make_settings
from tests.scripted import ScriptedFactory, answer, silence
from tests.test_logging_files import make_record

WRITERS, LINES = 4, 500
SPAWN = multiprocessing.get_context("spawn")


def run(work: Callable[..., None], *arguments: Any, copies: int = 1) -> list[int | None]:
    """Do the work in processes of their own, at the same time; their exit statuses."""
    processes = [SPAWN.Process(target=work, args=(*arguments, number)) for number in range(copies)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def write_lines(folder: Path, writer: int) -> None:
    with logs_in(folder, max_bytes=20_000, backup_count=1_000):
        for number in range(LINES):
            logger.error("%d/%d", writer, number, extra={"context": {"filling": "é" * (number % 100)}})


def test_no_line_of_several_processes_is_lost_or_torn(tmp_path: Path) -> None:
    """While four workers write and rotate, each line arrives whole, once, and in its worker's order."""
    assert run(write_lines, tmp_path, copies=WRITERS) == [0] * WRITERS
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
    record_chat(make_record(total_ms=777))
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
    gateway = Gateway(factory, system_prompt=None, health_cache_seconds=30)
    request = ChatRequest.model_validate({"messages": [{"role": "user", "content": "Hello?"}]})
    async for _batch in gateway.stream_chat("gpt", request, ChatIdentity("gpt-1", "c-1", "r-1")):
        os.kill(os.getpid(), signal.SIGKILL)


def test_chat_that_is_killed_midway_leaves_its_opening_record(tmp_path: Path) -> None:
    """The log shows that there was a chat, of whom, and that it has no end."""
    assert run(chat_and_die, tmp_path) == [-signal.SIGKILL]
    (line,) = read_log(tmp_path)
    assert line["message"] == "chat started"
    assert line["context"] == {"provider": "gpt", "id": "gpt-1", "messages": 1}
