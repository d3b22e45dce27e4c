"""The running gateway of a scenario, and the simulated vendors behind it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from configuration import GatewayKey, load_settings
from providers.breaker import Breaker
from simulator import SIMULATED_KEY, WIRES, Checked, Demo, Error, Scripted, Silence, Simulator
from simulator.faults import ANSWER, DELTAS_BEFORE, fault_behaviour
from tests.gateways.log_files import read_log
from tests.gateways.loopback import RunningGateway, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from simulator import Behaviour, Plan, Wire
    from tests.compat.cells import Cell, Scenario

WHOLE = "".join(ANSWER)
PARTIAL = "".join(ANSWER[:DELTAS_BEFORE])
FALLBACK = ("What the ", "fallback says: ", "naïve — 🧀.")
RETRY_AFTER = 3  # seconds: longer than the gateway itself waits
_LATE_SECONDS = 1.5
_LEAVING_SECONDS = 20


@dataclass(frozen=True)
class AtFirst:
    """Behaves in one way to the first request with a question, and in another to the others."""

    first: Behaviour
    then: Behaviour
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def plan(self, wire: Wire) -> Plan:
        question = wire.model, wire.prompt.question
        self.asked[question] += 1
        return (self.first if self.asked[question] == 1 else self.then).plan(wire)


class PatientBreaker(Breaker):
    """Never opens: no cell learns from the failures of another."""

    def failed(
        self, code: str, retry_after: float | None, asked_at: float, now: float
    ) -> float | None:
        """Keep nothing."""
        return None


def make_behaviour(name: str) -> Behaviour:
    """What a model does, by its name in a scenario."""
    limit = Error(429, {"retry-after": str(RETRY_AFTER)})
    behaviours: dict[str, Behaviour] = {
        "answer": Scripted(ANSWER),
        "fallback": Scripted(FALLBACK),
        "demo": Demo(pace=0, first=0),
        "late": Scripted(ANSWER, first=_LATE_SECONDS),
        "silence": Silence("content"),
        "limited-at-first": AtFirst(limit, Scripted(ANSWER)),
    }
    found = behaviours.get(name) or fault_behaviour(name)
    assert found, name
    return Checked(found)


class Rig:
    """A scenario's gateway. Each cell has a key of its own, by which its chats are found in the log."""

    def __init__(
        self,
        simulator: Simulator,
        gateway: RunningGateway,
        keys: dict[str, str],
        models: dict[str, tuple[str, ...]],
        logs: Path,
    ) -> None:
        self.simulator = simulator
        self.url = gateway.url
        self.keys = keys
        self.models = models  # of each provider: the default, the fallback
        self._gateway = gateway
        self._logs = logs

    async def read_records(self) -> dict[str, list[dict[str, Any]]]:
        """The final records of the chats so far, by cell; of one that does not end there is none."""
        if tasks := self._gateway.server.server_state.tasks:
            await asyncio.wait(tasks, timeout=_LEAVING_SECONDS)
        records: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in read_log(self._logs):
            if line["message"] == "chat finished":
                records[line["context"]["client"]].append(line["context"])
        return records

    async def find_leftovers(self) -> list[str]:
        """Connections to vendors that are still open for a chat."""
        unfinished = [call for call in self.simulator.calls if not call.finished]
        return [
            f"a connection to {call.model}"
            for call in unfinished
            if not await self.simulator.wait_closed(call, _LEAVING_SECONDS)
        ]


@asynccontextmanager
async def open_rig(scenario: Scenario, cells: Iterable[Cell], logs: Path) -> AsyncIterator[Rig]:
    """Start the scenario's gateway, with all vendors behind it."""
    keys = {f"c{number}": secrets.token_hex(16) for number, _ in enumerate(cells)}
    hashes = [
        GatewayKey(name, hashlib.sha256(key.encode()).hexdigest()) for name, key in keys.items()
    ]
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(remembered=100_000))
        vendors: dict[str, Any] = {}
        for provider, wire in WIRES.items():
            prefix = wire.key_variable.lower()
            vendors[f"{prefix}_api_key"] = SIMULATED_KEY
            vendors[f"{prefix}_base_url"] = simulator.base_urls[provider]
        settings = load_settings(
            None,
            demo="off",
            log_dir=str(logs),
            log_max_bytes=10**9,
            openai_api="responses",  # as on OpenAI's own host
            **{"status_hold_seconds": 60} | scenario.settings | vendors,
        ).model_copy(update={"gateway_api_keys": tuple(hashes)})
        models = {provider.name: provider.chain for provider in settings.providers}
        gateway = await stack.enter_async_context(running_gateway(settings))
        for provider in gateway.app.state.services.gateway.factory.built.values():
            provider.breakers.default_factory = PatientBreaker
        for default, *others in filter(None, models.values()):
            simulator.behaviours[default] = make_behaviour(scenario.default)
            for fallback in others:
                simulator.behaviours[fallback] = make_behaviour(scenario.fallback)
        yield Rig(simulator, gateway, keys, models, logs)
