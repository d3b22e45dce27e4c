"""The gateway over scripted providers: at its own port, without HTTP, and whole on a socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from aiproviders import Gateway
from cluster.state_store import MemoryStateStore
from models import Chat, ChatIdentity, Text, Turn
from providers.factory import ProviderFactory
from streams.failure import Failure
from telemetry.sinks.conversation_log import ConversationLog
from telemetry.sinks.gateway_log import GatewayLog
from telemetry.sinks.sentry_reports import SentryReports
from tests.clients.plain_http import make_client
from tests.gateways.loopback import RunningGateway, make_settings, running_gateway
from tests.vendors.scripted_provider import ScriptedProvider, answer, silence
from tests.vendors.scripted_provider import make_settings as make_provider_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from configuration import ProviderSettings
    from models import Event
    from telemetry.chat_record import ChatSink
    from tests.vendors.scripted_provider import Step

__all__ = [
    "PortGateway",
    "ScriptedFactory",
    "ScriptedGateway",
    "answer",
    "ask",
    "scripted_gateway",
    "silence",
]

IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")


def ask(*questions: str, **fields: Any) -> Chat:
    """A chat in which the user says this; the fields are those of `Chat`."""
    return Chat(turns=tuple(Turn("user", (Text(words),)) for words in questions), **fields)


QUESTION = ask("How far is the moon?")


class ScriptedFactory(ProviderFactory):
    """Every configured provider is a scripted one, there from the start; no vendor's SDK is imported."""

    def __init__(self, settings: Iterable[ProviderSettings]) -> None:
        every = list(settings)
        super().__init__(every)
        self.scripted = {
            provider.name: ScriptedProvider(**dict(provider))
            for provider in every
            if provider.configured
        }
        self.built.update(self.scripted)

    async def warm(self) -> None:
        """There is nothing to import."""


class PortGateway(Gateway):
    """A gateway asked at its port: `gpt` plays the scripts, `claude` what is enqueued for it, `groq` has no key.

    `generic_prompt` is SYSTEM_PROMPT; the options are `gpt`'s settings.
    """

    def __init__(
        self,
        *scripts: list[Step],
        generic_prompt: str | None = None,
        health_cache_seconds: float = 30.0,
        max_prompt_bytes: int = 2**28,
        sinks: Sequence[ChatSink] = (GatewayLog(), ConversationLog("full"), SentryReports()),
        **options: Any,
    ) -> None:
        gpt, claude = make_provider_settings(**options), make_provider_settings(name="claude")
        factory = ScriptedFactory([gpt, claude, make_provider_settings(name="groq", api_key=None)])
        super().__init__(
            factory,
            system_prompt=generic_prompt,
            health_cache_seconds=health_cache_seconds,
            max_prompt_bytes=max_prompt_bytes,
            states=MemoryStateStore(max_entries=100, max_bytes=2**20),
            sinks=sinks,
        )
        self.gpt, self.claude = factory.scripted["gpt"], factory.scripted["claude"]
        for script in scripts:
            self.gpt.enqueue(*script)

    async def read_batches(self, asked: Chat = QUESTION, name: str = "gpt") -> list[list[Event]]:
        """The batches of a chat that ends well."""
        return [batch async for batch in self.stream_chat(name, asked, IDENTITY)]

    async def fail(self, asked: Chat = QUESTION, name: str = "gpt") -> tuple[list[Event], Failure]:
        """The events of a chat up to its failure, and the failure."""
        events: list[Event] = []

        async def take() -> None:
            async for batch in self.stream_chat(name, asked, IDENTITY):
                events.extend(batch)

        with pytest.raises(Failure) as raised:
            await take()
        return events, raised.value

    async def leave(self) -> None:
        """A chat with `gpt` whose client goes away as soon as the vendor says nothing any more."""
        chat = asyncio.create_task(self.read_batches())
        async with asyncio.timeout(10):
            await self.gpt.silent.wait()
        chat.cancel()
        with pytest.raises(asyncio.CancelledError):
            await chat


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
        make_client(running.url) as client,
    ):
        yield ScriptedGateway(running, factory.scripted["gpt"], client)
