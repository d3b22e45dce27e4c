"""A gateway of four providers in a separate process, and the resources that it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.processes import NO_VARIABLES, Process, gateway
from resilience.load import tick
from resilience.watched import Report, read_report
from simulator import Behaviour, Simulator

PROVIDERS = {"gpt": "OPENAI", "claude": "ANTHROPIC", "gemini": "GEMINI", "groq": "GROQ"}
DEFAULT, FALLBACK = "default", "fallback"
_SETTLE_SECONDS = 30.0
_EXPIRY_SECONDS = 90.0  # 60 for an idle connection, and the time of the last stalled chat


@dataclass(frozen=True)
class Holdings:
    """What a gateway at rest holds.

    `sockets` are its open files without idle vendor connections.
    """

    streams: int
    at_vendors: int
    sockets: int
    memory_mb: float
    alive: Report


@dataclass(frozen=True)
class RunningGateway:
    """The gateway's process, and its vendors."""

    process: Process
    simulator: Simulator
    folder: Path

    @property
    def port(self) -> int:
        """The port of the gateway."""
        return self.process.port

    @property
    def console(self) -> str:
        """The output on the console so far."""
        return (self.folder / "console").read_text(encoding="utf-8")

    async def sleep(self) -> Holdings:
        """What it holds once its idle vendor connections have expired too, after a minute."""
        async for second in tick(1):
            if second > _EXPIRY_SECONDS or not self.simulator.summary()["open_connections"]:
                break
        return await self.rest()

    async def rest(self) -> Holdings:
        """What it holds once no chat is open, or after half a minute."""
        deadline = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", trust_env=False
        ) as client:
            while asyncio.get_running_loop().time() < deadline:
                if not await _open_streams(client) and not self.simulator.summary()["open_streams"]:
                    break
                await asyncio.sleep(0.2)
            await asyncio.sleep(1)  # for the last sockets to be closed
            streams = await _open_streams(client)
        report = await asyncio.to_thread(read_report, self.process, self.folder / "report.json")
        at_vendors = self.simulator.summary()
        return Holdings(
            streams=streams,
            at_vendors=int(str(at_vendors["open_streams"])),
            sockets=self.process.open_files() - int(str(at_vendors["open_connections"])),
            memory_mb=self.process.memory_mb(),
            alive=report,
        )


async def _open_streams(client: httpx.AsyncClient) -> int:
    return int((await client.get("/health")).json()["streams"]["open"])


@asynccontextmanager
async def start_gateway(
    folder: Path,
    behaviours: Mapping[str, Behaviour | list[Behaviour]],
    variables: Mapping[str, str] = NO_VARIABLES,
) -> AsyncIterator[RunningGateway]:
    """Start a gateway. `behaviours` are those of the default and the fallback model."""
    models = dict.fromkeys(PROVIDERS.values(), DEFAULT)
    fallbacks = {f"{prefix}_MODEL_FALLBACK": FALLBACK for prefix in PROVIDERS.values()}
    command = ("-m", "resilience.watched", str(folder / "report.json"))
    async with Simulator(behaviours=behaviours, remembered=0) as simulator:
        with gateway(
            simulator.port, models, folder, fallbacks | dict(variables), command
        ) as process:
            yield RunningGateway(process, simulator, folder)
