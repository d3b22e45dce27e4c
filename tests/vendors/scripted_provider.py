"""A provider that plays a script, in place of a vendor: one of the two seams at which tests use a fake.

The other seam is the wire. All above our own port (chain, commit rule, timeouts, gateway, web) is the real thing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any, ClassVar

from cluster.state_store import MemoryStateStore
from configuration import ProviderSettings, Timeouts
from models import Chat, End, Event, FinishReason, Prompt, Text, Turn, Usage
from providers.base import BaseProvider
from providers.chain import RunningChat, run_chat
from providers.model_options import ModelOptions
from providers.policy import Link, arrange
from providers.wires.decoder import Batch
from providers.wires.finish_reasons import Finish
from streams.kept_chat import KeptChat, PromptBudget
from tests.gateways.chat_records import make_recorder

FAR = 60.0  # seconds: longer than any test lasts
PROMPT = Prompt("", (Turn("user", (Text("hi"),)),))
STOP = Finish("stop", "stop", Usage(input_tokens=9, output_tokens=12))

Step = Batch | Exception | float | Callable[[], Awaitable[object]]


async def silence() -> None:
    """A step of a script: nothing more comes, until the stream is closed."""
    await asyncio.get_running_loop().create_future()


def text(words: str) -> Text:
    return Text(words)


def finish(reason: FinishReason = "stop") -> Finish:
    """A vendor's finish reason, after content."""
    return Finish(reason, f"raw {reason}")


def early() -> Finish:
    """A finish reason before any content."""
    return Finish("stop", "raw stop", follows_content=False)


def answer(*texts: str, finish: Finish = STOP) -> list[Step]:
    """The script of a whole answer: a batch a text, then the end."""
    steps: list[Step] = [[Text(words)] for words in texts]
    return [*steps, [finish]]


def make_settings(**options: Any) -> ProviderSettings:
    """Settings of a provider with two models, whose timeouts expire only if a test sets them."""
    timeouts = {
        "connect": FAR,
        "first_content": FAR,
        "last_first_content": FAR,
        "idle": FAR,
        "total": FAR,
        "settle": FAR,
    }
    timeouts |= {name: options.pop(name) for name in list(options) if name in timeouts}
    chosen: dict[str, Any] = {
        "name": "gpt",
        "prefix": "OPENAI",
        "api_key": "key-of-the-test",
        "model_default": "first",
        "model_fallback": "second",
        "timeouts": Timeouts(**timeouts),
        "max_event_bytes": 2**20,
        "max_answer_chars": 4_000_000,
        "max_attempts": 4,
        "max_connections": 10,
    }
    return ProviderSettings(**(chosen | options))


class Asked(str):
    """One request that the provider got. It equals its model's name: a history reads as the models asked.

    `closed` is set once the request's stream has been closed, however it ended.
    """

    prompt: Prompt
    message_id: str
    closed: asyncio.Event

    def __new__(cls, model: str, prompt: Prompt, message_id: str) -> Asked:
        asked = super().__new__(cls, model)
        asked.prompt, asked.message_id, asked.closed = prompt, message_id, asyncio.Event()
        return asked

    @property
    def model(self) -> str:
        """The model that was asked."""
        return str(self)


class ScriptedProvider(BaseProvider):
    """Plays the next script for each request, `check` for each free call; the options are those of `make_settings`.

    A step of a script is a batch, an exception to raise, a number of seconds to wait, or something to await.
    `history` has the requests, `closed` those whose streams were closed, `checked` the
    models of the free checks. A prompt that is in `counted` has `tokens`.
    """

    parameter_names: ClassVar[Mapping[str, tuple[str, ...]]] = {"effort": ("thinking",)}

    def __init__(self, *scripts: list[Step], **options: Any) -> None:
        super().__init__(make_settings(**options))
        self.tokens: int | None = None
        self.counted: list[tuple[str, Prompt]] = []
        self.history: list[Asked] = []
        self.closed: list[Asked] = []
        self.sent: list[dict[str, object]] = []
        self.silent = asyncio.Event()
        self.check: list[Step] = []
        self.checked: list[str] = []
        self.has_free_call = True
        self.is_closed = False
        self._scripts: defaultdict[str | None, deque[list[Step]]] = defaultdict(
            deque, {None: deque(scripts)}
        )
        self._arrivals: asyncio.Queue[Asked] = asyncio.Queue()

    def parameters(self, options: ModelOptions) -> Mapping[str, object]:
        """Two, so that one can be refused."""
        return {"temperature": 1, "effort": "low"}

    def enqueue(self, *steps: Step, model: str | None = None) -> None:
        """The script of one more request: to this model, or without one to whichever has none of its own."""
        self._scripts[model].append(list(steps))

    async def next_asked(self) -> Asked:
        """The next request not yet returned, as soon as it arrives."""
        return await self._arrivals.get()

    async def stream_response(
        self, prompt: Prompt, model: str, message_id: str
    ) -> AsyncGenerator[Batch, None]:
        """Play the script."""
        asked = self._take(prompt, model, message_id)
        try:
            for step in self._next_script(model):
                if isinstance(step, list):
                    yield list(step)  # the reader of a batch may change it
                else:
                    await self._play(step)
        finally:
            self.closed.append(asked)
            asked.closed.set()

    async def has_model(self, model: str) -> bool:
        """Play the check."""
        self.checked.append(model)
        await self._play_check()
        return self.has_free_call

    async def request_count(self, prompt: Prompt, model: str) -> int | None:
        """Play the check."""
        self.counted.append((model, prompt))
        await self._play_check()
        return self.tokens

    async def aclose(self) -> None:
        """Note the close."""
        self.is_closed = True

    def _take(self, prompt: Prompt, model: str, message_id: str) -> Asked:
        chat = [asked for asked in self.history if asked.message_id == message_id]
        assert all(asked.closed.is_set() for asked in chat), (
            "an earlier request's stream is still open"
        )
        asked = Asked(model, prompt, message_id)
        self.history.append(asked)
        self.sent.append(self.accepted(prompt, model))
        self._arrivals.put_nowait(asked)
        return asked

    def _next_script(self, model: str) -> list[Step]:
        scripts = self._scripts[model] or self._scripts[None]
        if not scripts:
            raise LookupError(f"no script is left for {model}")
        return scripts.popleft()

    async def _play_check(self) -> None:
        for step in self.check:
            assert not isinstance(step, list), "a check yields nothing"
            await self._play(step)

    async def _play(self, step: Exception | float | Callable[[], Awaitable[object]]) -> None:
        if isinstance(step, Exception):
            raise step
        if isinstance(step, int | float):
            await asyncio.sleep(step)
        else:
            if step is silence:
                self.silent.set()
            await step()


def stream(
    provider: BaseProvider, name: str = "id", *, restart: bool = False, prompt: Prompt = PROMPT
) -> AsyncGenerator[list[Event], None]:
    """The batches of one chat with one provider, which begins now."""
    settings = provider.settings
    links = [Link(provider.name, model) for model in settings.chain]
    chain = arrange(links, {}, settings.max_attempts, "restart" if restart else "error")
    until = asyncio.get_running_loop().time() + settings.timeouts.total
    kept = KeptChat(Chat(turns=prompt.turns), PromptBudget(2**28))
    states = MemoryStateStore(1, 1)
    chat = RunningChat(
        chain, kept, lambda _: (provider, prompt), states, make_recorder(), name, until
    )
    return run_chat(nullcontext(chat))


async def collect(provider: BaseProvider, *, restart: bool = False) -> list[Event]:
    """All events of one chat."""
    return [event async for batch in stream(provider, restart=restart) for event in batch]


def joined(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def end_of(events: list[Event]) -> End:
    end = events[-1]
    assert isinstance(end, End)
    return end
