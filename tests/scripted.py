"""A provider that plays what it is told, in place of a vendor: one of the two seams at which tests use a fake.

The other seam is the wire. All above the port (chain, commit rule, clocks, gateway, web) is the real thing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from models import Delta, Finish, Usage
from providers.base import BaseProvider
from providers.factory import ProviderFactory
from tests.loopback import RunningGateway, make_settings, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
    from pathlib import Path

    from configuration import ProviderSettings
    from models import Prompt
    from providers.vendor_stream import Batch

    Step = Batch | Exception | Callable[[], Awaitable[object]]

STOP = Finish("stop", "stop", Usage(input_tokens=9, output_tokens=12))


async def silence() -> None:
    """A step of a script: nothing more comes, until the stream is closed."""
    await asyncio.Event().wait()


def answer(*texts: str, finish: Finish = STOP) -> list[Step]:
    """The script of a whole answer: a batch a text, then the end."""
    steps: list[Step] = [[Delta(text)] for text in texts]
    return [*steps, [finish]]


@dataclass
class Asked:
    """One request that the provider got; `closed` is set once its stream has been closed, however it ended."""

    prompt: Prompt
    model: str
    message_id: str
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class ScriptedProvider(BaseProvider):
    """Plays, for each request to a model, the next script enqueued for it; a check plays `check`."""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self.history: list[Asked] = []
        self.checked: list[str] = []  # the models that the free check asked for
        self.check: list[Step] = []
        self.is_closed = False
        self._scripts: defaultdict[str, deque[list[Step]]] = defaultdict(deque)
        self._arrivals: asyncio.Queue[Asked] = asyncio.Queue()

    def enqueue(self, *steps: Step, model: str | None = None) -> None:
        """The script of one more request to a model (the default one): batches, failures, things to wait for."""
        self._scripts[model or self.settings.models[0]].append(list(steps))

    async def next_asked(self) -> Asked:
        """The next request not yet told, as soon as it arrives."""
        return await self._arrivals.get()

    async def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        """Play the script."""
        asked = Asked(prompt, model, message_id)
        self.history.append(asked)
        self._arrivals.put_nowait(asked)
        try:
            for step in self._next_script(model):
                if isinstance(step, list):
                    yield list(step)  # whoever reads a batch may change it
                else:
                    await _play(step)
        finally:
            asked.closed.set()

    def _next_script(self, model: str) -> list[Step]:
        if not self._scripts[model]:
            raise LookupError(f"no script is left for {model}")
        return self._scripts[model].popleft()

    async def retrieve_model(self, model: str) -> None:
        """Play the check."""
        self.checked.append(model)
        for step in self.check:
            assert not isinstance(step, list), "a check yields nothing"
            await _play(step)

    async def aclose(self) -> None:
        """Note the close."""
        self.is_closed = True


async def _play(step: Exception | Callable[[], Awaitable[object]]) -> None:
    if isinstance(step, Exception):
        raise step
    await step()


class ScriptedFactory(ProviderFactory):
    """Every configured provider is a scripted one, there from the start; no vendor's SDK is imported."""

    def __init__(self, settings: Iterable[ProviderSettings]) -> None:
        every = list(settings)
        super().__init__(every)
        self.scripted = {provider.name: ScriptedProvider(provider) for provider in every if provider.configured}
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
