"""The gateway over scripted providers: a factory that builds no others, and a whole gateway on a socket with one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from providers.factory import ProviderFactory
from tests.loopback import RunningGateway, make_settings, running_gateway
from tests.scripted_provider import ScriptedProvider, answer, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from configuration import ProviderSettings

__all__ = ["ScriptedFactory", "ScriptedGateway", "answer", "scripted_gateway", "silence"]


class ScriptedFactory(ProviderFactory):
    """Every configured provider is a scripted one, there from the start; no vendor's SDK is imported."""

    def __init__(self, settings: Iterable[ProviderSettings]) -> None:
        every = list(settings)
        super().__init__(every)
        self.scripted = {provider.name: ScriptedProvider(**dict(provider)) for provider in every if provider.configured}
        self.built.update(self.scripted)

    async def warm(self) -> None:
        """There is nothing to import."""


@dataclass(frozen=True)
class ScriptedGateway:
    """A running gateway whose `gpt` is scripted, and a client of it."""

    running: RunningGateway
    gpt: ScriptedProvider
    client: httpx.AsyncClient

    async def chat(self, *, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """The whole response to a chat with `gpt`; the fields are those of the request's body."""
        body = {"messages": [{"role": "user", "content": "Hello?"}]} | fields
        return await self.client.post("/chat/gpt", json=body, headers=headers)


@asynccontextmanager
async def scripted_gateway(log_dir: Path, **options: Any) -> AsyncIterator[ScriptedGateway]:
    """A gateway on a real socket with a scripted provider; the options are fields of Settings."""
    settings = make_settings(log_dir, **options)
    factory = ScriptedFactory(settings.providers)
    async with (
        running_gateway(settings, factory) as running,
        httpx.AsyncClient(base_url=running.url, trust_env=False) as client,
    ):
        yield ScriptedGateway(running, factory.scripted["gpt"], client)
