"""The whole gateway on loopback with one vendor behind it: the real SDK, and at its other end the simulator."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions
from simulator import Simulator
from tests.loopback import RunningGateway, make_settings, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DEFAULT, FALLBACK = "luna", "nova"
QUESTION = {"messages": [{"role": "user", "content": "Hello?"}]}


@dataclass(frozen=True)
class SimulatedVendor:
    """A running gateway, a client of it, and the simulator that its one configured provider asks."""

    provider: str
    simulator: Simulator
    gateway: RunningGateway
    client: httpx.AsyncClient
    log_dir: Path

    @property
    def asked(self) -> list[str]:
        """The models that were asked, in their order."""
        return [call.model for call in self.simulator.calls]

    async def chat(self, **fields: Any) -> httpx.Response:
        """The whole response to a chat; the fields are those of the request's body."""
        return await self.client.post(f"/chat/{self.provider}", json=QUESTION | fields)

    async def final_record(self) -> dict[str, Any]:
        """What the only chat so far came to, as app.log tells it, once the request is over."""
        await self.gateway.settle()
        lines = [json.loads(line) for line in (self.log_dir / "app.log").read_text().splitlines()]
        (record,) = (line["context"] for line in lines if line["message"] == "chat finished")
        return dict(record)


@asynccontextmanager
async def simulated_vendor(
    log_dir: Path, provider: str, *, fallback: str | None = FALLBACK, **options: Any
) -> AsyncIterator[SimulatedVendor]:
    """A gateway whose `provider` has the models luna and nova at a simulator; the options are fields of Settings."""
    async with Simulator() as simulator:
        vendor = ProviderOptions(
            api_key=SecretStr("key-of-a-test"),
            base_url=simulator.base_urls[provider],
            model_default=DEFAULT,
            model_fallback=fallback,
        )
        vendors = {name: ProviderOptions() for name in VALID_PROVIDERS} | {provider: vendor}
        settings = make_settings(log_dir, vendors=vendors, **options)
        async with (
            running_gateway(settings) as gateway,
            httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=30) as client,
        ):
            yield SimulatedVendor(provider, simulator, gateway, client, log_dir)
