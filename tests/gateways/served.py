"""The gateway in processes of its own, as `python main.py` starts it; for what a process alone can show."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.clients.plain_http import make_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from simulator import Simulator

_PROJECT = Path(__file__).parents[2]
_READY_SECONDS = 40.0
_LOGGED_SECONDS = 60.0  # a writer is late on a busy machine
# A vendor that no chat reaches. Without any, demo mode serves and loads all the SDKs: 2 s of CPU more.
UNASKED_VENDOR: dict[str, str | float | Path] = {
    "groq_api_key": "key-of-a-test",
    "groq_base_url": "http://127.0.0.1:9",
}
_KEPT = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")


def groq_at(simulator: Simulator) -> dict[str, str]:
    """The variables for `groq` at a simulator; of all the vendors' SDKs its own loads in the shortest time."""
    return {"groq_api_key": "key-of-a-test", "groq_base_url": simulator.base_urls["groq"]}


@dataclass(frozen=True)
class Served:
    """A started gateway: its process, its port, and the folder of its logs."""

    process: asyncio.subprocess.Process
    port: int
    log_dir: Path

    @property
    def url(self) -> str:
        """The address to ask, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    async def ended(self, seconds: float) -> int:
        """The exit status, within so many seconds. Raises TimeoutError."""
        return await asyncio.wait_for(self.process.wait(), seconds)

    def log(self, name: str = "app.log") -> str:
        """A log file's text so far."""
        return (self.log_dir / name).read_text(encoding="utf-8")

    async def wait_logged(self, words: str, times: int = 1, name: str = "app.log") -> None:
        """Until the log has the words so many times. Raises TimeoutError."""
        async with asyncio.timeout(_LOGGED_SECONDS):
            while self.log(name).count(words) < times:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)


@asynccontextmanager
async def served(
    folder: Path,
    limits: Mapping[int, int] | None = None,
    stderr: int | None = None,
    hangup: signal.Handlers = signal.SIG_DFL,
    stdout: int | None = None,
    /,
    **variables: str | float | Path,
) -> AsyncIterator[Served]:
    """Serve with these variables, in lower case, and nothing else of this environment; killed at the end.

    The output goes to the folder, unless `stderr` and `stdout` are descriptors for it, and so do the logs unless the
    variables say otherwise. The limits are the system's, soft and hard alike: `{resource.RLIMIT_NOFILE: 64}`.
    `hangup` is what the process inherits for SIGHUP, whatever these tests themselves have inherited: `SIG_IGN` as
    under nohup.
    """
    chosen = {"port": (port := _free_port()), "log_dir": folder, **variables}
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "ENV_FILE": os.devnull
    }
    environment |= {name.upper(): str(value) for name, value in chosen.items()}
    with (folder / "console").open("ab") as console:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "main.py",
            cwd=_PROJECT,
            env=environment,
            stdout=console if stdout is None else stdout,
            stderr=console if stderr is None else stderr,
            preexec_fn=partial(_prepare, limits or {}, hangup),
            start_new_session=True,
        )
    try:
        gateway = Served(process, port, folder)
        await _wait_until_ready(gateway)
        yield gateway
    finally:
        with suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)  # its workers, too, which would outlive it
        await process.wait()


def _prepare(limits: Mapping[int, int], hangup: signal.Handlers) -> None:
    signal.signal(signal.SIGHUP, hangup)
    for limited, most in limits.items():
        resource.setrlimit(limited, (most, most))


async def _wait_until_ready(gateway: Served) -> None:
    async with asyncio.timeout(_READY_SECONDS), make_client() as client:
        while True:
            try:
                await client.get(f"{gateway.url}/health/live")
            except httpx.TransportError:
                assert gateway.process.returncode is None, gateway.log("console")
                await asyncio.sleep(0.05)  # until it listens: it sends no signal when it does
            else:
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
