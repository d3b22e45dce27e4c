"""Prompts are let go with the first content, and kept in bounds before it."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw

from aiproviders import Gateway
from cluster.state_store import MemoryStateStore
from models import (
    AnswerOptions,
    Chat,
    ChatIdentity,
    File,
    GatewayError,
    Image,
    JsonSchema,
    Reasoning,
    State,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.factory import ProviderFactory
from streams.kept_chat import KeptChat, PromptBudget
from telemetry.cut_chats import estimate_media
from tests.gateways.scripted import PortGateway, answer, ask
from tests.providers.http.test_connection import silence as hold
from tests.providers.http.test_connection import then, vendor
from tests.providers.test_provider_requests import EVERY_VENDOR, STREAMS, identify
from tests.vendors.loopback_vendor import response
from tests.vendors.scripted_provider import finish, make_settings, silence, text
from web.doors.reminders import remind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from models import Event
    from tests.vendors.scripted_provider import Step

IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")
LARGE = 4_000_000
QUESTION = "How far is the moon?"


def make_chat(**fields: Any) -> Chat:
    """A large text before a short question."""
    return ask("x" * LARGE, QUESTION, **fields)


async def open_chat(
    gateway: Gateway, asked: Chat, name: str = "gpt"
) -> AsyncGenerator[list[Event], None]:
    """A chat that has had its first content."""
    chat = gateway.stream_chat(name, asked, IDENTITY)
    await anext(chat)
    return chat


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@EVERY_VENDOR
async def test_nothing_of_a_prompt_is_kept_after_the_first_content(name: str) -> None:
    """Not by the gateway, nor by the vendor's SDK, nor by its connection: not the text, not the body made of it."""
    first_event = STREAMS[name].split(b"\n\n")[0] + b"\n\n"
    stream = then(response(first_event), hold)

    async def answer_to_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = LARGE - 65_536  # has been read
        while left > 0:
            left -= len(await reader.read(65_536))
        await stream(reader, writer)

    async with asyncio.timeout(60), vendor(answer_to_all) as to:
        base_url = f"http://127.0.0.1:{to.origin.port}" + (
            "/v1" if name in ("gpt", "responses", "local") else ""
        )
        chosen = identify(name)
        settings = make_settings(
            **chosen, base_url=base_url, model_default="some/model", model_fallback=None
        )
        gateway = Gateway(
            ProviderFactory([settings]),
            system_prompt=None,
            health_cache_seconds=30,
            max_prompt_bytes=2**23,
            states=MemoryStateStore(1, 1),
            sinks=(),
        )
        gateway.factory.get(chosen["name"])
        with traced():
            before, _ = tracemalloc.get_traced_memory()
            chat = await open_chat(gateway, make_chat(), chosen["name"])
            assert tracemalloc.get_traced_memory()[1] - before > LARGE
            gc.collect()
            while tracemalloc.get_traced_memory()[0] - before > LARGE / 4:  # noqa: ASYNC110 - until the socket has it
                await asyncio.sleep(0.01)
        await chat.aclose()
        await gateway.aclose()


@pytest.mark.parametrize(
    ("fields", "is_kept"),
    [
        ({}, False),
        ({"on_break": "error"}, False),
        ({"on_break": "restart"}, True),
        ({"on_break": "hold"}, True),
    ],
)
async def test_request_is_kept_only_if_another_model_may_be_asked(
    fields: dict[str, Any], is_kept: bool
) -> None:
    """After the first content; at the chat's end nothing of it is left either way."""
    gateway = PortGateway([[text("Hel")], silence])
    asked = make_chat(**fields)
    gone = weakref.ref(asked)
    chat = await open_chat(gateway, asked)
    del asked
    gc.collect()
    assert (gone() is not None) == is_kept
    await chat.aclose()
    del chat
    gc.collect()
    assert gone() is None


async def test_restart_still_has_the_prompt() -> None:
    """Another model is asked the same."""
    gateway = PortGateway([[text("Hel")], GatewayError("upstream_truncated")], answer("Hello"))
    await gateway.read_batches(make_chat(on_break="restart"))
    first, second = gateway.gpt.history
    assert first.prompt == second.prompt


async def test_last_question_stays_for_the_conversation_log() -> None:
    """It is all of the chat that the end of the chat needs."""
    kept = KeptChat(make_chat(), PromptBudget(2**23))
    kept.release()
    assert kept.question == QUESTION
    with pytest.raises(RuntimeError):
        _ = kept.chat


@pytest.mark.parametrize("ending", ["content", "close", "failure"])
async def test_reserved_memory_is_given_back(ending: str) -> None:
    """All of it but the question's with the first content, all at the end, however it ends."""
    scripts: dict[str, list[Step]] = {
        "content": [[text("Hel")], silence],
        "close": [silence],
        "failure": [GatewayError("content_filtered")],
    }
    gateway = PortGateway(*[scripts[ending]] * 6, max_prompt_bytes=2 * LARGE)
    for _ in range(6):
        asking = asyncio.ensure_future(consume(gateway, make_chat()))
        if ending == "failure":
            with pytest.raises(GatewayError):
                await asking
            continue
        await gateway.gpt.silent.wait()
        gateway.gpt.silent.clear()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def consume(gateway: Gateway, asked: Chat) -> None:
    async with aclosing(gateway.stream_chat("gpt", asked, IDENTITY)) as chat:
        async for _ in chat:
            pass


async def test_chat_over_the_memory_limit_is_overloaded() -> None:
    """With the time to come back, before any vendor is asked; the chats under way go on."""
    gateway = PortGateway([silence], [[text("Hello")], [finish()]], max_prompt_bytes=LARGE + 1_000)
    first = asyncio.ensure_future(consume(gateway, make_chat()))
    await gateway.gpt.silent.wait()
    _, error = await gateway.fail(make_chat())
    assert (error.code, error.retry_after, len(gateway.gpt.history)) == ("overloaded", 1, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert await gateway.read_batches(make_chat())


def test_images_files_and_parts_are_counted() -> None:
    """Whatever a chat is made of."""
    budget = PromptBudget(10**6)
    image = Image("image/png", "aGk9" * 1_000)
    file = File("application/pdf", "JVBERi0x" * 1_000, "a.pdf")
    turn = Turn("user", (Text("x" * 1_000), image, file))
    kept = KeptChat(Chat(turns=(turn,), system=("y" * 1_000,)), budget)
    free = budget.free_bytes
    kept.reserve()
    assert 14_000 <= free - budget.free_bytes < 15_000
    assert (kept.kinds, kept.text_bytes < 3_000) == ({"images", "files"}, True)
    assert (kept.images, kept.file_sizes) == (1, [6_000])
    assert estimate_media(kept.images, kept.file_sizes) == 4_600
    assert estimate_media(0, [500_000, 1]) == 33_000
    kept.release()
    assert 1_000 <= free - budget.free_bytes < 2_000
    kept.close()
    kept.close()
    assert budget.free_bytes == free


def test_opaque_states_are_counted() -> None:
    """Those of reasoning and those of calls: a client can make them as long as its body."""
    budget = PromptBudget(10**6)
    state = State("claude", "haiku", "x" * 200_000)
    call = ToolCall("call_1", "f", "{}", state)
    kept = KeptChat(Chat(turns=(Turn("assistant", (Reasoning("", state), call)),)), budget)
    kept.reserve()
    assert 400_000 <= 10**6 - budget.free_bytes < 401_000
    assert kept.is_large


def test_question_is_the_last_text_of_the_user() -> None:
    """In a loop of tools the newest turn has nothing but results, or a system message of the client."""
    call = ToolCall("call_1", "clock", "{}")
    turns = (
        Turn("user", (Text("What time is it?"),)),
        Turn("assistant", (call,)),
        Turn("user", (ToolResult("call_1", (Text("noon"),)),)),
        Turn("user", (remind("Be brief."),)),
    )
    kept = KeptChat(Chat(turns=turns), PromptBudget(10**6))
    assert kept.question == "What time is it?"
    kept.release()
    assert kept.question == "What time is it?"


def test_schemas_are_counted() -> None:
    """Those of the tools, and that of the answer."""
    budget = PromptBudget(10**6)
    schema = Raw(b'{"description":"' + b"x" * 2_000 + b'"}')
    options = AnswerOptions(tools=(Tool("a", schema),), output=JsonSchema("b", schema))
    turns = (Turn("user", (Text("Hello"),)),)
    KeptChat(Chat(turns=turns, options=options), budget).reserve()
    assert 4_000 <= 10**6 - budget.free_bytes < 5_000


def asking(**options: Any) -> Chat:
    """A question, and what is asked of its answer."""
    return ask("Hi", options=AnswerOptions(**options))


def schema(size: int) -> Raw:
    """A schema of about so many bytes."""
    return Raw(b'{"type":"object","description":"%b"}' % (b"x" * size))


WEIGHTS = {
    "nothing": (ask("Hi"), False),
    "a text": (ask("x" * 200_000), False),
    "texts": (ask(*["x" * 200_000] * 2), True),
    "parts": (ask(*["x"] * 500), False),
    "many parts": (ask(*["x"] * 2_000), True),
    "a schema": (asking(tools=(Tool("f", schema(5_000)),)), False),
    "schemas": (asking(tools=(Tool("f", schema(5_000)), Tool("g", schema(5_000)))), True),
    "a large schema of the answer": (asking(output=JsonSchema("a", schema(10_000))), True),
}


@pytest.mark.parametrize(("chat", "is_large"), WEIGHTS.values(), ids=WEIGHTS)
def test_chat_is_large_if_its_request_takes_long_to_make(chat: Chat, *, is_large: bool) -> None:
    """By its bytes, by its parts, or by the schemas, which are adapted to the vendor."""
    kept = KeptChat(chat, PromptBudget(2**30))
    kept.reserve()
    assert kept.is_large is is_large
