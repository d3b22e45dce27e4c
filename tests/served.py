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

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_PROJECT = Path(__file__).parents[1]
_READY_SECONDS = 40.0
_KEPT = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")


@dataclass(frozen=True)
class Served:
    """A started gateway: its process, where it answers, and where its logs are."""

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


@asynccontextmanager
async def served(
    folder: Path, limits: Mapping[int, int] | None = None, /, **variables: str | float | Path
) -> AsyncIterator[Served]:
    """Serve with these variables, in lower case, and nothing else of this environment; killed at the end.

    The console goes to the folder, and the logs do where the variables say nothing else. The limits are the system's,
    soft and hard alike: `{resource.RLIMIT_NOFILE: 64}`.
    """
    port = _free_port()
    chosen = {"port": port, "log_dir": folder, **variables}
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {name.upper(): str(value) for name, value in chosen.items()}
    with (folder / "console").open("ab") as console:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "main.py",
            cwd=_PROJECT,
            env=environment,
            stdout=console,
            stderr=console,
            preexec_fn=partial(_limit, limits or {}),
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


def _limit(limits: Mapping[int, int]) -> None:
    for limited, most in limits.items():
        resource.setrlimit(limited, (most, most))


async def _wait_until_ready(gateway: Served) -> None:
    async with asyncio.timeout(_READY_SECONDS), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                await client.get(f"{gateway.url}/health/live")
            except httpx.TransportError:
                assert gateway.process.returncode is None, gateway.log("console")
                await asyncio.sleep(0.05)  # until it listens: there is nothing to be told by
            else:
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
