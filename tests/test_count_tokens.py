"""`Gateway.count_tokens`, over scripted providers: what is counted, for which model, and how it fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from models import (
    AnswerOptions,
    Chat,
    GatewayError,
    JsonObject,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.model_names import AskedModel
from tests.gateways.scripted import QUESTION, PortGateway, ask, silence

GPT = AskedModel("gpt")
FOREIGN = State("claude", "haiku", "{}")
OWN = State("gpt", "first", "{}")


def counting(tokens: int | None = 42, **options: Any) -> PortGateway:
    """A gateway whose `gpt` counts so many tokens in each prompt."""
    gateway = PortGateway(**options)
    gateway.gpt.tokens = tokens
    return gateway


async def test_first_model_is_the_one_that_counts() -> None:
    """No model answers."""
    gateway = counting()
    count = await gateway.count_tokens(GPT, ask("Hello?", system=("Be brief.",)))
    assert count == (42, "gpt", "first")
    ((model, prompt),) = gateway.gpt.counted
    assert model == "first"
    assert prompt.turns == (Turn("user", (Text("Hello?"),)),)
    assert prompt.system.endswith("Be brief.")
    assert gateway.gpt.history == []


async def test_model_that_was_asked_for_counts() -> None:
    """As it would answer."""
    gateway = counting()
    count = await gateway.count_tokens(AskedModel("gpt", "third"), QUESTION)
    assert (count.model, gateway.gpt.counted[0][0]) == ("third", "third")


async def test_states_of_other_models_are_not_counted() -> None:
    """They would not be sent."""
    gateway = counting()
    call = ToolCall("call_1", "search", "{}", FOREIGN)
    chat = Chat(
        turns=(
            Turn("user", (Text("Hello?"),)),
            Turn("assistant", (Reasoning("", OWN), Reasoning("", FOREIGN), call)),
            Turn("user", (ToolResult("call_1", (Text("found"),)),)),
        )
    )
    await gateway.count_tokens(GPT, chat)
    assert gateway.gpt.counted[0][1].turns[1].parts == (
        Reasoning("", OWN),
        ToolCall("call_1", "search", "{}"),
    )


class Noting(tuple[Turn, ...]):
    """Turns that note the threads in which they are read."""

    readers: set[threading.Thread]

    def __iter__(self) -> Iterator[Turn]:
        self.readers.add(threading.current_thread())
        return super().__iter__()


@pytest.mark.parametrize("length", [1, 2**19])
async def test_prompt_of_a_large_chat_is_made_in_a_thread(length: int) -> None:
    """It would hold the event loop; a thread would delay the usual ones."""
    turns = Noting([Turn("user", (Text("x" * length),))])
    turns.readers = set()
    await counting().count_tokens(GPT, Chat(turns=turns))
    is_large = length > 2**18
    assert bool(turns.readers - {threading.current_thread()}) is is_large


async def test_provider_without_such_a_call_is_not_found() -> None:
    """The error names the provider."""
    with pytest.raises(GatewayError) as raised:
        await counting(None).count_tokens(GPT, QUESTION)
    assert (raised.value.code, raised.value.provider) == ("not_found", "gpt")


@pytest.mark.parametrize(
    ("asked", "code"),
    [("groq", "provider_not_configured"), ("unheard-of", "unknown_provider")],
)
async def test_provider_that_cannot_be_asked_is_an_error(asked: str, code: str) -> None:
    """The same as that of a chat."""
    with pytest.raises(GatewayError) as raised:
        await counting().count_tokens(AskedModel(asked), QUESTION)
    assert raised.value.code == code


async def test_chat_that_no_model_can_answer_is_not_counted() -> None:
    """Its prompt would not be sent."""
    chat = ask("Hello?", options=AnswerOptions(output=JsonObject()))
    gateway = counting()
    gateway.claude.tokens = 42
    with pytest.raises(GatewayError) as raised:
        await gateway.count_tokens(AskedModel("claude"), chat)
    assert (raised.value.code, gateway.claude.counted) == ("unsupported", [])


async def test_failure_names_the_model_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It says nothing of the provider's health: chats may be well."""
    gateway = counting()
    gateway.gpt.check = [GatewayError("upstream_auth", detail={"vendor_status": 401})]
    with pytest.raises(GatewayError) as raised:
        await gateway.count_tokens(GPT, QUESTION)
    error = raised.value
    assert (error.code, error.provider, error.model) == ("upstream_auth", "gpt", "first")
    (line,) = [record for record in caplog.records if "not counted" in record.message]
    assert line.__dict__["context"]["vendor_status"] == 401
    assert gateway.states()["gpt"] == "UNKNOWN"


async def test_silent_vendor_is_a_timeout() -> None:
    """A count has the time that a chat has for its first content."""
    gateway = counting(first_content=0.01)
    gateway.gpt.check = [silence]
    with pytest.raises(GatewayError) as raised:
        await gateway.count_tokens(GPT, QUESTION)
    assert (raised.value.code, raised.value.reason) == ("upstream_timeout", "first_content")


async def test_prompts_that_are_counted_take_from_the_same_memory() -> None:
    """And give it back."""
    gateway = counting(max_prompt_bytes=1_000)
    with pytest.raises(GatewayError) as raised:
        await gateway.count_tokens(GPT, ask("x" * 2_000))
    assert raised.value.code == "overloaded"
    for _ in range(3):
        assert (await gateway.count_tokens(GPT, ask("x" * 900))).tokens == 42
