"""A provider at our own port, whose models say what a test wrote down: no vendor, no wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

from configuration import Clocks, ProviderSettings
from models import Delta, End, Event, Finish, FinishReason, Prompt, TextPart, Turn
from providers.base import BaseProvider
from providers.vendor_stream import Batch

FAR = 60.0  # seconds: longer than any test lasts
PROMPT = Prompt("", (Turn("user", (TextPart(type="text", text="hi"),)),))
SILENCE = None  # as a step: the model says nothing any more

Step = Batch | Exception | float | None


def make_settings(**options: Any) -> ProviderSettings:
    """Settings of a provider with two models, whose clocks ring only where a test sets them."""
    clocks = {"connect": FAR, "first_content": FAR, "last_first_content": FAR, "idle": FAR, "total": FAR}
    chosen: dict[str, Any] = {
        "name": "gpt",
        "prefix": "OPENAI",
        "api_key": "key-of-the-test",
        "model_default": "first",
        "model_fallback": "second",
        "max_event_bytes": 2**20,
        "max_attempts": 4,
        "max_connections": 10,
    }
    clocks |= {name: options.pop(name) for name in list(options) if name in clocks}
    return ProviderSettings(**(chosen | options), clocks=Clocks(**clocks))


def text(words: str) -> Delta:
    return Delta(words)


def finish(reason: FinishReason = "stop", *, settling: float | None = None) -> Finish:
    """A vendor's word that it has finished; with seconds of settling, one that something may still follow."""
    return Finish(reason, f"raw {reason}", sure=settling is None, settling=settling)


class ScriptedProvider(BaseProvider):
    """Answers each request with the next script; `history` has what was asked, `closed` whose streams were closed.

    A step of a script is a batch, an exception to raise, a number of seconds to wait, or SILENCE.
    """

    optional_parameters: ClassVar[tuple[str, ...]] = ("temperature", "effort")

    def __init__(self, *scripts: list[Step], **options: Any) -> None:
        super().__init__(make_settings(**options))
        self._scripts = list(scripts)
        self.history: list[str] = []
        self.sent: list[dict[str, object]] = []
        self.closed: list[str] = []
        self.silent = asyncio.Event()
        self.missing_model: Exception | None = None

    async def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        assert self.history == self.closed, "an earlier request's stream is still open"
        self.history.append(model)
        self.sent.append(self.accepted(model, {"temperature": 1, "effort": "low"}))
        try:
            for step in self._scripts.pop(0):
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, list):
                    yield list(step)
                elif step is None:
                    self.silent.set()
                    await asyncio.get_running_loop().create_future()
                else:
                    await asyncio.sleep(step)
        finally:
            self.closed.append(model)

    async def retrieve_model(self, model: str) -> None:
        self.history.append(model)
        if self.missing_model:
            raise self.missing_model

    async def aclose(self) -> None:
        self.closed.append("client")


async def collect(provider: BaseProvider, *, restart: bool = False) -> list[Event]:
    """All events of one chat."""
    return [event async for batch in provider.stream(PROMPT, "id", restart=restart) for event in batch]


def joined(events: list[Event]) -> str:
    return "".join(event.content for event in events if isinstance(event, Delta))


def end_of(events: list[Event]) -> End:
    end = events[-1]
    assert isinstance(end, End)
    return end
