"""A console that is not read and a disk that stands still: neither chats nor /health nor the stop wait for them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from io import FileIO
from typing import TYPE_CHECKING

import httpx
import pytest

from simulator import Scripted, Simulator
from tests.clients.plain_http import make_client
from tests.clients.simple_client import read_events
from tests.gateways.log_files import parse_lines
from tests.gateways.served import Served, groq_at, served
from tests.vendors.simulated_vendor import QUESTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

CHATS = 40
CHAT_SECONDS = 20.0  # on a busy machine
HEALTH_SECONDS = 1.0
STOP_SECONDS = 15.0
PIPE_BYTES = 4096  # the smallest that Linux makes


@contextmanager
def small_pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """A pipe that is full after a few lines: what is read, and what is written."""
    reading, writing = os.pipe()
    with FileIO(reading) as reader, FileIO(writing, "w") as writer:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        yield reader, writer


async def chat(client: httpx.AsyncClient, number: int) -> str:
    """The last event of a chat."""
    response = await client.post(
        "/chat/groq", json=QUESTION, headers={"X-Request-ID": f"chat-{number}"}
    )
    return str(read_events(response.text)[-1])


@asynccontextmanager
async def answering(
    folder: Path, console: int | None = None, **variables: Path
) -> AsyncIterator[Served]:
    """A gateway whose `groq` says hello, and whose console is the descriptor."""
    async with (
        Simulator(default=Scripted(("Hello",))) as simulator,
        served(
            folder, None, console, drain_grace_seconds=0, **groq_at(simulator), **variables
        ) as gateway,
    ):
        yield gateway


async def chat_in_time(gateway: Served) -> None:
    """Many chats end well, and /health answers meanwhile and afterwards."""
    async with make_client(gateway.url, timeout=CHAT_SECONDS) as client:
        chats = [asyncio.create_task(chat(client, number)) for number in range(CHATS)]
        while not all(task.done() for task in chats):
            assert (await client.get("/health", timeout=HEALTH_SECONDS)).status_code == 200
            await asyncio.wait(chats, timeout=0.1)
        assert {task.result() for task in chats} == {"[DONE]"}
        assert (await client.get("/health", timeout=HEALTH_SECONDS)).status_code == 200


async def test_console_that_is_not_read_stops_nothing(tmp_path: Path) -> None:
    """More lines than the pipe takes: chats and /health go on, the files have all lines, and the gateway ends."""
    with small_pipe() as (_, writer):
        async with answering(tmp_path, writer.fileno()) as gateway:
            await chat_in_time(gateway)
            gateway.process.terminate()
            assert await gateway.ended(STOP_SECONDS) == 0
    assert gateway.log().count("chat finished") == CHATS
    assert gateway.log("audit.log").count('"signal": "SIGTERM"') == 1


async def test_standard_output_that_is_not_read_stops_nothing(tmp_path: Path) -> None:
    """LOG_DIR=-: there are no files to fall back on, and chats, /health and the stop do not wait."""
    with small_pipe() as (_, writer):
        async with (
            Simulator(default=Scripted(("Hello",))) as simulator,
            served(
                tmp_path,
                None,
                None,
                signal.SIG_DFL,
                writer.fileno(),
                log_dir="-",
                log_format="json",
                drain_grace_seconds=0,
                **groq_at(simulator),
            ) as gateway,
        ):
            await chat_in_time(gateway)
            gateway.process.terminate()
            assert await gateway.ended(STOP_SECONDS) == 0
    assert os.listdir(tmp_path) == ["console"]


async def test_standard_output_of_two_workers_has_whole_lines(tmp_path: Path) -> None:
    """Every line is JSON; each chat has its first and its final one, its access and its conversation."""
    with small_pipe() as (reader, writer):
        reading = asyncio.create_task(asyncio.to_thread(reader.readall))
        async with (
            Simulator(default=Scripted(("Hello " * 2_000,))) as simulator,
            served(
                tmp_path,
                None,
                None,
                signal.SIG_DFL,
                writer.fileno(),
                log_dir="-",
                log_format="json",
                conversation_log="full",
                workers=2,
                drain_grace_seconds=0,
                **groq_at(simulator),
            ) as gateway,
        ):
            writer.close()  # so that the gateway's end is the pipe's
            await chat_in_time(gateway)
            gateway.process.terminate()
            assert await gateway.ended(STOP_SECONDS) == 0
        lines = parse_lines(await reading)
    counted = Counter(line["message"] for line in lines)
    named = ("chat started", "chat finished", "access", "conversation")
    assert [counted[message] for message in named] == [CHATS] * 4
    assert sum("cut_from_bytes" in line for line in lines) == CHATS


async def test_console_that_is_read_again_has_every_line(tmp_path: Path) -> None:
    """What its reader did not take is kept for it, in order."""
    with small_pipe() as (reader, writer):
        async with answering(tmp_path, writer.fileno()) as gateway:
            writer.close()  # so that the gateway's end is the pipe's
            await chat_in_time(gateway)
            console = asyncio.create_task(asyncio.to_thread(reader.readall))
            gateway.process.terminate()
            assert await gateway.ended(STOP_SECONDS) == 0
            lines = (await console).decode().splitlines()
    for number in range(CHATS):
        own = [line for line in lines if f"[chat-{number}]" in line]
        assert len(own) == 2
        assert "chat started" in own[0]
        assert "chat finished" in own[1]


def run(*command: str | Path) -> None:
    """Run a command of the system; its output is in the exception if it fails."""
    subprocess.run(command, check=True, capture_output=True, timeout=30)


@contextmanager
def file_system(folder: Path) -> Iterator[Path]:
    """A small file system that a test can freeze. Skips the test if none can be mounted."""
    if os.geteuid() or not all(
        shutil.which(tool) for tool in ("mkfs.ext4", "mount", "umount", "fsfreeze")
    ):
        pytest.skip("mounting and freezing a file system needs root and its tools")
    image, mounted = folder / "image", folder / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(32 * 2**20)
    run("mkfs.ext4", "-q", image)
    try:
        run("mount", "-o", "loop", image, mounted)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop device can be mounted: {error.stderr.decode().strip()}")
    try:
        yield mounted
    finally:
        run("umount", mounted)


@contextmanager
def frozen(mounted: Path) -> Iterator[None]:
    """Every write to the file system waits for the block's end, as on a disk that stands still."""
    run("fsfreeze", "--freeze", mounted)
    try:
        yield
    finally:
        run("fsfreeze", "--unfreeze", mounted)


async def test_disk_that_stands_still_stops_nothing(tmp_path: Path) -> None:
    """Chats and /health go on while it does; afterwards the files have every line."""
    with file_system(tmp_path) as mounted:
        async with answering(tmp_path, log_dir=mounted / "logs") as gateway:
            with frozen(mounted):
                await chat_in_time(gateway)
            gateway.process.terminate()
            assert await gateway.ended(STOP_SECONDS) == 0
        lines = (mounted / "logs" / "app.log").read_text().splitlines()
    finished = [line for line in lines if "chat finished" in line]
    assert [
        f'"chat-{number}"'
        for number in range(CHATS)
        if not any(f'"chat-{number}"' in line for line in finished)
    ] == []
