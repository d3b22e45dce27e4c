"""The chain beyond one provider: other vendors if the operator names them, and models known to be down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from models import Fallback, GatewayError, Restart, Start
from tests.gateways.chat_records import KeptRecords
from tests.gateways.scripted import IDENTITY, QUESTION, PortGateway
from tests.vendors.scripted_provider import answer, end_of, joined, silence, text

if TYPE_CHECKING:
    from models import Event
    from tests.vendors.scripted_provider import Step

DOWN = GatewayError("upstream_timeout")
REFUSED_KEY = GatewayError("upstream_auth")


def with_claude(*scripts: list[Step], **options: Any) -> PortGateway:
    """A gateway whose `gpt` falls back to `claude`, which answers "Bonjour"."""
    gateway = PortGateway(*scripts, fallback_providers=("claude",), **options)
    gateway.claude.enqueue(*answer("Bon", "jour"))
    return gateway


async def events_of(gateway: PortGateway, **fields: Any) -> list[Event]:
    return [
        event
        for batch in await gateway.read_batches(msgspec.structs.replace(QUESTION, **fields))
        for event in batch
    ]


async def open_breaker(gateway: PortGateway, *models: str) -> None:
    """Let these models fail five times."""
    for _ in range(5):
        for model in models:
            gateway.gpt.enqueue(DOWN, model=model)
        if len(models) == 1:
            gateway.gpt.enqueue(*answer("meanwhile"), model="second")
            await gateway.read_batches()
        else:
            await gateway.fail()


async def test_other_provider_answers_if_both_models_fail() -> None:
    """The chain goes on with the next provider's default model, and the client learns which one answered."""
    gateway = with_claude([DOWN], [DOWN])
    events = await events_of(gateway)
    fallback = Fallback("first", "first", "upstream_timeout")
    assert events[0] == Start("claude", "first", fallback)
    assert joined(events) == "Bonjour"
    assert (end_of(events).provider, end_of(events).attempts) == ("claude", 3)


async def test_refused_key_goes_to_the_other_provider_at_once() -> None:
    """The second model of a vendor that refuses the key is not asked."""
    gateway = with_claude([REFUSED_KEY])
    assert joined(await events_of(gateway)) == "Bonjour"
    assert gateway.gpt.history == ["first"]


async def test_other_provider_gets_its_own_system_prompt() -> None:
    """Each provider's prompt is its own, whichever provider was asked first."""
    gateway = with_claude([DOWN], [DOWN], system_prompt="You are gpt.")
    await gateway.read_batches()
    assert [asked.prompt.system for asked in gateway.gpt.history] == ["You are gpt."] * 2
    assert "gpt" not in gateway.claude.history[0].prompt.system


async def test_nothing_of_another_provider_is_spliced_in() -> None:
    """After the first content the commit rule holds between providers too."""
    gateway = with_claude([[text("Hel")], DOWN])
    events, error = await gateway.fail()
    assert (joined(events), error.stage, gateway.claude.history) == ("Hel", "after_content", [])


async def test_restart_may_go_to_another_provider() -> None:
    """A client that asked for restarts gets the other provider's whole answer after a Restart that names it."""
    gateway = with_claude([[text("Hel")], DOWN], [DOWN])
    events = await events_of(gateway, on_break="restart")
    restart = next(event for event in events if isinstance(event, Restart))
    assert (restart.provider, restart.partial_chars) == ("claude", 3)
    assert joined(events[events.index(restart) :]) == "Bonjour"


async def test_failure_of_all_providers_lists_every_attempt() -> None:
    """One error, with what was tried at each."""
    gateway = PortGateway([DOWN], [DOWN], fallback_providers=("claude",))
    gateway.claude.enqueue(DOWN)
    gateway.claude.enqueue(GatewayError("rate_limited", retry_after=9))
    _, error = await gateway.fail()
    assert (error.code, error.provider, error.retry_after) == ("rate_limited", "claude", 9)
    assert [attempt.code for attempt in error.attempts] == ["upstream_timeout"] * 3 + [
        "rate_limited"
    ]


async def test_unconfigured_provider_is_left_out() -> None:
    """A provider without a key is no fallback."""
    gateway = PortGateway([DOWN], [DOWN], fallback_providers=("groq",))
    _, error = await gateway.fail()
    assert (error.code, len(error.attempts)) == ("upstream_timeout", 2)


async def test_dead_default_is_asked_no_more() -> None:
    """After five failures the fallback is asked first: one request a chat, and the answer says why."""
    gateway = PortGateway()
    await open_breaker(gateway, "first")
    asked = len(gateway.gpt.history)
    gateway.gpt.enqueue(*answer("Hi"), model="second")
    events = await events_of(gateway)
    assert events[0] == Start("gpt", "second", Fallback("first", "second", "upstream_timeout"))
    assert gateway.gpt.history[asked:] == ["second"]
    assert (await gateway.check_health("gpt"))["breaker"] == {"first": "open", "second": "closed"}


async def test_no_model_is_asked_if_all_are_known_to_be_down() -> None:
    """The error is sent at once, with the time after which a retry is worth it."""
    gateway = PortGateway()
    await open_breaker(gateway, "first", "second")
    asked = len(gateway.gpt.history)
    _, error = await gateway.fail()
    assert (error.code, error.reason, error.stage) == (
        "upstream_timeout",
        "breaker_open",
        "before_content",
    )
    assert error.retry_after == pytest.approx(5, abs=1)
    assert len(gateway.gpt.history) == asked


@pytest.mark.parametrize(
    "code", ["rejected_by_provider", "content_filtered", "context_length_exceeded"]
)
async def test_what_clients_do_wrong_opens_no_breaker(code: str) -> None:
    """Many bad requests do not block the model for other clients."""
    scripts: list[list[Step]] = [[GatewayError(code)] for _ in range(24)]
    gateway = PortGateway(*scripts)
    for _ in range(12):
        await gateway.fail()
    assert set((await gateway.check_health("gpt"))["breaker"].values()) == {"closed"}


async def test_client_disconnects_open_no_breaker() -> None:
    """Nor does a client that gives up."""
    scripts: list[list[Step]] = [[[text("Hel")], silence] for _ in range(12)]
    gateway = PortGateway(*scripts)
    for _ in range(12):
        chat = gateway.stream_chat("gpt", QUESTION, IDENTITY)
        await anext(chat)
        await chat.aclose()
    assert set((await gateway.check_health("gpt"))["breaker"].values()) == {"closed"}


async def test_client_that_has_left_before_its_chat_begins_costs_no_request() -> None:
    """No model is asked, no breaker counts it, and the chat leaves its record."""
    records = KeptRecords()
    gateway = PortGateway(answer("Hello"), sinks=(records,))
    chat = asyncio.create_task(gateway.read_batches())
    await asyncio.sleep(0)
    chat.cancel()
    with pytest.raises(asyncio.CancelledError):
        await chat
    assert gateway.gpt.history == []
    (record,) = records.records
    assert (record.outcome, record.attempts) == ("client_gone", 0)


async def test_chat_that_is_ended_before_its_first_request_costs_none() -> None:
    """If the instance stops at that moment, the chat fails with `draining`, and no attempt is recorded."""
    records = KeptRecords()
    gateway = PortGateway(answer("Hello"), sinks=(records,))
    chat = asyncio.create_task(gateway.fail())
    await asyncio.sleep(0)
    gateway.end_chats()
    _, error = await chat
    assert (error.code, error.stage) == ("draining", "before_content")
    assert gateway.gpt.history == []
    (record,) = records.records
    assert (record.outcome, record.attempts) == ("drained", 0)
