"""The running gateway, the simulated vendors before it, its logs and what Sentry gets, for many cells at once.

Each cell has a provider of its own, of its vendor's real class, and model names of its own: nothing that is learned of
a model in one cell (a breaker, a refused parameter) reaches another.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from configuration import ProviderSettings, Settings, load_settings
from logging_config import flush_logs
from providers.base import BaseProvider
from providers.factory import ProviderFactory, _provider_class
from simulator import WIRES, Scripted, Simulator
from simulator.endpoints import ENDPOINTS
from tests.clients.plain_http import make_client
from tests.fault_matrix.cells import provider_of
from tests.gateways.log_files import read_log
from tests.gateways.loopback import RunningGateway, running_gateway
from tests.telemetry.sentry_envelopes import KeptEnvelopes, reporting_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from tests.fault_matrix.cells import Cell

HEALTHY = ("What the ", "fallback says: ", "naïve — 🧀.")
CANARY_KEY = "canary-key-5f0c9a"
CANARY_PROMPT = "canary-prompt-8c1d7b"
HOST = "127.0.0.1"

_PATIENT_HOLD = 30.0  # seconds: no status line goes out before the verdict
_SHORT_HOLD = 0.2
_LIMITS = {
    "connect_timeout_seconds": 1,
    "first_content_timeout_seconds": 1.5,
    "last_first_content_timeout_seconds": 1.5,
    "idle_timeout_seconds": 1.5,
    "total_timeout_seconds": 6,
    # so that an event over the limit is noticed long before the timeouts, on a slow machine too
    "max_event_bytes": 2**20,
}


class _ProviderPerCell(ProviderFactory):
    """Gives each cell a provider of its own, built as the gateway would build it."""

    def __init__(self, settings: Settings, cells: dict[str, ProviderSettings]) -> None:
        super().__init__(cells.values())
        self._vendors = ProviderFactory(settings.providers)

    def get(self, name: str) -> BaseProvider:
        """The provider of a cell, built at the first call."""
        if name not in self.built:
            build = _provider_class(provider_of(name.partition("-")[0]))
            self.built[name] = build(self.settings(name))
        return self.built[name]

    async def warm(self) -> None:
        """Build the four vendors: loads their SDKs."""
        await self._vendors.warm()

    async def close_one(self, name: str) -> None:
        """Close a cell's provider, if it was asked at all."""
        if provider := self.built.pop(name, None):
            await provider.aclose()

    async def aclose(self) -> None:
        """Close all."""
        await super().aclose()
        await self._vendors.aclose()


class Rig:
    """All that a run of cells works with."""

    def __init__(
        self, simulator: Simulator, gateway: RunningGateway, factory: _ProviderPerCell, logs: Path
    ) -> None:
        self.simulator = simulator
        self.client = make_client(
            gateway.url, timeout=60, limits=httpx.Limits(max_connections=None)
        )
        self.factory = factory
        self._gateway = gateway
        self.sentry = KeptEnvelopes()
        self._logs = logs

    def count_sentry_events(self) -> Counter[str]:
        """How many errors and messages Sentry got, by request."""
        return Counter(event["tags"]["request_id"] for event in self.sentry.events)

    def read_lines(self) -> dict[str, list[dict[str, Any]]]:
        """Every line of debug.log, by request."""
        lines: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in read_log(self._logs, "debug"):
            lines[line["request_id"]].append(line)
        return lines

    def find_leaks(self, canaries: Iterable[str]) -> list[str]:
        """Places with canaries that must have none: any log but the conversations', any event of Sentry."""
        flush_logs()
        places = {
            file.name: file.read_text()
            for file in self._logs.glob("*.log")
            if "conversation" not in file.name
        }
        places["Sentry"] = json.dumps(
            [envelope.decode() for envelope in self.sentry.sent], ensure_ascii=False
        )
        return [
            f"{canary} in {place}"
            for place, text in places.items()
            for canary in canaries
            if canary in text
        ]

    async def find_leftovers(self) -> list[str]:
        """What is still open when all chats are over: places for streams, connections to vendors."""
        await self.client.aclose()
        await self._gateway.settle()
        calls = [
            call for call in self.simulator.calls if not await self.simulator.wait_closed(call)
        ]
        streams = self._gateway.app.state.services.streams.open
        return [f"{streams} streams"] * bool(streams) + [
            f"a connection of {call.model}" for call in calls
        ]


@asynccontextmanager
async def open_rig(cells: list[Cell], logs: Path, *, past_hold: bool) -> AsyncIterator[Rig]:
    """The gateway with a provider for each of the cells."""
    keys = {f"{WIRES[name].key_variable.lower()}_api_key": f"{CANARY_KEY}-{name}" for name in WIRES}
    hold = _SHORT_HOLD if past_hold else _PATIENT_HOLD
    settings = load_settings(
        None, log_dir=str(logs), log_max_bytes=10**9, status_hold_seconds=hold, **_LIMITS, **keys
    )
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            Simulator(default=Scripted(HEALTHY), remembered=10_000)
        )
        faulty = {cell.fault for cell in cells} & ENDPOINTS.keys()
        origins = {
            fault: await stack.enter_async_context(ENDPOINTS[fault](HOST, 0)) for fault in faulty
        }
        addresses = {
            cell.name: origins[cell.fault] + WIRES[provider_of(cell.vendor)].base_path
            if cell.fault in origins
            else base_url
            for cell in cells
            for base_url in [simulator.base_urls[provider_of(cell.vendor)]]
        }
        providers = {cell.name: _provider(settings, cell, addresses[cell.name]) for cell in cells}
        factory = _ProviderPerCell(settings, providers)
        gateway = await stack.enter_async_context(running_gateway(settings, factory))
        rig = Rig(simulator, gateway, factory, logs)
        stack.enter_context(reporting_to(rig.sentry))
        yield rig


def _provider(settings: Settings, cell: Cell, base_url: str) -> ProviderSettings:
    default, fallback = cell.models
    names = {
        "name": cell.name,
        "model_default": default,
        "model_fallback": fallback,
        "base_url": base_url,
        "openai_api": "responses" if cell.vendor == "responses" else "chat",
    }
    return settings.provider(provider_of(cell.vendor)).model_copy(update=names)
