"""A driver's process: takes jobs, and gives back what its client saw."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from dataclasses import asdict
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

from tests.compat.environments import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.compat.drivers.jobs import Job

_START_SECONDS = 120  # a client that imports much, on a busy machine
_JOB_SECONDS = 240
_LIMIT = 2**26  # bytes of one line

_NOWHERE = "http://127.0.0.1:9"
# What this machine has set up for clients of vendors must not count, and no client reaches a network.
_VARIABLES = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
    "HTTP_PROXY": _NOWHERE,
    "HTTPS_PROXY": _NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
}


class DriverError(Exception):
    """The driver has ended, or does not answer."""


class Driver:
    """A running driver. `versions` are those of what it drives, once it has started."""

    def __init__(self, process: asyncio.subprocess.Process, at_once: int) -> None:
        assert process.stdin
        assert process.stdout
        self.versions: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._input, self._output = process.stdin, process.stdout
        self._slots = asyncio.Semaphore(at_once)
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def read(self) -> None:
        """Give each answer to its job, until the driver ends."""
        async for line in self._output:
            seen = json.loads(line)
            if self.versions.done():
                self._waiting.pop(seen.pop("name")).set_result(seen)
            else:
                self.versions.set_result(seen)
        for waiting in (self.versions, *self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(DriverError("the driver has ended"))

    async def ask(self, job: Job, places: asyncio.Semaphore) -> dict[str, Any]:
        """Run a job; what the client saw. It has one of the `places` meanwhile. Raises DriverError."""
        async with self._slots, places:
            answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
            self._waiting[job.name] = answer
            self._input.write(json.dumps(asdict(job)).encode() + b"\n")
            try:
                async with asyncio.timeout(_JOB_SECONDS):
                    return await answer
            except TimeoutError:
                raise DriverError("the driver does not answer") from None


@asynccontextmanager
async def start_driver(command: list[str], at_once: int) -> AsyncIterator[Driver]:
    """Start a driver; it is killed at the end. Raises DriverError."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=_VARIABLES, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LIMIT
    )
    driver = Driver(process, at_once)
    reader = asyncio.create_task(driver.read())
    try:
        async with asyncio.timeout(_START_SECONDS):
            await driver.versions
        yield driver
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader
