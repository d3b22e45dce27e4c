"""The whole gateway on loopback with one vendor behind it: the real SDK, and at its other end the simulator."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions
from simulator import Simulator
from tests.clients.plain_http import make_client
from tests.gateways.log_files import read_log
from tests.gateways.loopback import RunningGateway, make_settings, running_gateway

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
        """The final record of the only chat so far in app.log, once the request is over."""
        await self.gateway.settle()
        (record,) = (
            line["context"] for line in read_log(self.log_dir) if line["message"] == "chat finished"
        )
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
            make_client(gateway.url, timeout=30) as client,
        ):
            yield SimulatedVendor(provider, simulator, gateway, client, log_dir)
