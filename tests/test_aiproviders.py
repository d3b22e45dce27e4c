"""The gateway's `stream_chat` at our own port, and its closing; the commit rule as a whole chat has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from models import (
    End,
    Fallback,
    GatewayError,
    Prompt,
    Restart,
    Start,
    Text,
    Timing,
    Usage,
)
from prompt_engineering import GENERIC_SYSTEM_PROMPT
from streams.failure import FailedAttempt
from tests.gateways.scripted import IDENTITY, QUESTION, PortGateway, ask
from tests.vendors.scripted_provider import (
    ScriptedProvider,
    answer,
    end_of,
    finish,
    joined,
    silence,
    text,
)

if TYPE_CHECKING:
    pass

PAUSE = 0.05  # seconds that a model takes, in tests that measure them
BLANK = ask(" ")


async def test_chat_is_start_deltas_end() -> None:
    """Start comes with the first content, deltas in the batches in which they came, End last."""
    opening, more, end = await PortGateway(answer("Hel", "lo")).read_batches()
    assert opening == [Start("gpt", "first"), Text("Hel")]
    assert more == [Text("lo")]
    assert [type(event) for event in end] == [End]
    assert end_of(end).usage == Usage(input_tokens=9, output_tokens=12)


async def test_batch_is_passed_on_at_once() -> None:
    """No batch waits for a later one."""
    gate = asyncio.Event()
    chat = PortGateway([[text("Hel")], gate.wait, [text("lo"), finish()]]).stream_chat(
        "gpt", QUESTION, IDENTITY
    )
    assert await anext(chat) == [Start("gpt", "first"), Text("Hel")]
    gate.set()
    assert await anext(chat) == [Text("lo")]
    await chat.aclose()


async def test_end_has_the_durations() -> None:
    """First content and whole, in milliseconds since the chat began."""
    *_, end = await PortGateway([PAUSE, [text("Hel")], PAUSE, [finish()]]).read_batches()
    timing = end_of(end).timing
    assert isinstance(timing, Timing)
    assert timing.first_content_ms is not None
    assert PAUSE * 1000 - 1 <= timing.first_content_ms <= timing.total_ms - PAUSE * 1000 + 1


async def test_end_without_content_has_no_first_content() -> None:
    """An answer that ended well without content: no time for what never came."""
    ((start, end),) = await PortGateway([[finish()]]).read_batches()
    assert isinstance(start, Start)
    assert isinstance(end, End)
    assert end.timing
    assert end.timing.first_content_ms is None


async def test_fallback_is_named() -> None:
    """Before the first content a failure is invisible, but Start and End say which model answers, and why."""
    gateway = PortGateway([GatewayError("upstream_timeout")], answer("Hi"))
    events = [event for batch in await gateway.read_batches() for event in batch]
    fallback = Fallback("first", "second", "upstream_timeout")
    assert events[:2] == [Start("gpt", "second", fallback), Text("Hi")]
    assert (end_of(events).fallback, end_of(events).attempts) == (fallback, 2)
    assert gateway.gpt.history == gateway.gpt.closed == ["first", "second"]


async def test_nothing_is_spliced_in() -> None:
    """After the first content no other model is asked; the failure says what the client has."""
    gateway = PortGateway(
        [[text("Hel")], [text("lo")], GatewayError("upstream_truncated")], answer("never")
    )
    events, error = await gateway.fail()
    assert joined(events) == "Hello"
    assert (error.code, error.stage, error.sent_chars) == ("upstream_truncated", "after_content", 5)
    assert error.attempts == (FailedAttempt("first", "upstream_truncated"),)
    assert gateway.gpt.history == gateway.gpt.closed == ["first"]


async def test_restart_is_sent_only_if_the_client_asked_for_it() -> None:
    """With `on_break: restart` the next model's whole answer follows a Restart, and the End has its timing."""
    request = msgspec.structs.replace(QUESTION, on_break="restart")
    gateway = PortGateway([[text("Hel")], GatewayError("upstream_truncated")], answer("Hi"))
    *_, opening, end = await gateway.read_batches(request)
    assert opening == [
        Restart("gpt", "second", Fallback("first", "second", "upstream_truncated"), 3),
        Text("Hi"),
    ]
    assert end_of(end).timing


async def test_failure_has_all_attempts() -> None:
    """If no model answers: one GatewayError, with its stage, and what was tried."""
    gateway = PortGateway(
        [GatewayError("upstream_timeout", reason="connect")], [GatewayError("event_too_large")]
    )
    events, error = await gateway.fail()
    assert (events, error.provider, error.stage, error.sent_chars) == (
        [],
        "gpt",
        "before_content",
        0,
    )
    assert error.attempts == (
        FailedAttempt("first", "upstream_timeout", "connect"),
        FailedAttempt("second", "event_too_large"),
    )


@pytest.mark.parametrize(
    ("name", "code"), [("unheard-of", "unknown_provider"), ("groq", "provider_not_configured")]
)
async def test_provider_that_cannot_be_asked_is_an_error(name: str, code: str) -> None:
    """No vendor is called, and the stage says so."""
    events, error = await PortGateway().fail(name=name)
    assert (events, error.code, error.stage, error.attempts) == ([], code, "request", ())


async def test_chat_without_a_question_asks_no_model() -> None:
    """A request of blanks is the client's mistake."""
    gateway = PortGateway()
    _, error = await gateway.fail(BLANK)
    assert (error.code, error.stage, gateway.gpt.history) == ("invalid_request", "request", [])


class BrokenProvider(ScriptedProvider):
    """A provider with a bug of ours above its adapter, at which nothing translates it."""

    def dropped_params(self, asked: Prompt, model: str) -> tuple[str, ...]:
        """Called for the End."""
        raise RuntimeError("bug")


async def test_our_own_bug_says_what_the_client_has() -> None:
    """Whatever goes wrong is a GatewayError, true in its stage too."""
    gateway = PortGateway()
    gateway.factory.built["gpt"] = BrokenProvider(answer("Hel", "lo"))
    events, error = await gateway.fail()
    assert joined(events) == "Hello"
    assert (error.code, error.provider) == ("internal_error", "gpt")
    assert (error.stage, error.sent_chars) == ("after_content", 5)


async def test_client_disconnect_between_batches_closes_the_vendor_stream() -> None:
    """No other model is asked, and nothing counts against the provider."""
    gateway = PortGateway(answer("Hel", "lo"), answer("never"))
    chat = gateway.stream_chat("gpt", QUESTION, IDENTITY)
    await anext(chat)
    await chat.aclose()
    assert gateway.gpt.history == gateway.gpt.closed == ["first"]
    assert gateway.gpt.health.newest is None


@pytest.mark.parametrize("opening", [[], [[text("Hel")]]], ids=["before content", "after content"])
async def test_client_disconnect_in_a_silence_closes_the_vendor_stream(opening: list[Any]) -> None:
    """A cancellation stays one, and what the vendor says is closed by then."""
    gateway = PortGateway([*opening, silence], answer("never"))
    await gateway.leave()
    assert gateway.gpt.history == gateway.gpt.closed == ["first"]


@pytest.mark.parametrize(
    ("opening", "stage", "chars"),
    [([], "before_content", 0), ([[text("Hel")]], "after_content", 3)],
    ids=str,
)
async def test_drain_ends_a_silent_chat(opening: list[Any], stage: str, chars: int) -> None:
    """A chat that waits for its vendor when the instance stops fails with `draining`, its stream closed."""
    gateway = PortGateway([*opening, silence], answer("never"))
    chat = asyncio.create_task(gateway.fail())
    await gateway.gpt.silent.wait()
    gateway.end_chats()
    events, error = await asyncio.wait_for(chat, 10)
    assert joined(events) == "Hel"[:chars]
    assert (error.code, error.stage, error.sent_chars) == ("draining", stage, chars)
    assert gateway.gpt.history == gateway.gpt.closed == ["first"]


async def test_drain_waits_for_a_batch_that_is_being_written() -> None:
    """No event is cut: the chat ends when its client has taken what it was given."""
    gateway = PortGateway(answer("Hel", "lo"))
    chat = gateway.stream_chat("gpt", QUESTION, IDENTITY)
    assert await anext(chat) == [Start("gpt", "first"), Text("Hel")]
    gateway.end_chats()
    await asyncio.sleep(0)
    with pytest.raises(GatewayError, match="draining"):
        await anext(chat)
    assert gateway.gpt.closed == ["first"]


async def test_drain_adds_nothing_to_an_end() -> None:
    """A chat whose End is being written when the instance stops has ended well, and says nothing after it."""
    gateway = PortGateway(answer("Hello"))
    chat = gateway.stream_chat("gpt", QUESTION, IDENTITY)
    async for batch in chat:
        if isinstance(batch[-1], End):
            gateway.end_chats()
    with pytest.raises(StopAsyncIteration):
        await anext(chat)


async def test_client_that_leaves_during_a_drain_is_gone() -> None:
    """A cancellation from outside stays one, whatever the drain does."""
    gateway = PortGateway([silence])
    chat = asyncio.create_task(gateway.read_batches())
    await gateway.gpt.silent.wait()
    gateway.end_chats()
    chat.cancel()
    with pytest.raises(asyncio.CancelledError):
        await chat
    assert gateway.gpt.closed == ["first"]


@pytest.mark.parametrize(
    ("own", "generic", "system"),
    [
        ("Be Gpt.", "Be anybody.", "Be Gpt.\n\nBe brief."),
        (None, "Be anybody.", "Be anybody.\n\nBe brief."),
        (None, None, f"{GENERIC_SYSTEM_PROMPT}\n\nBe brief."),
        ("", "Be anybody.", "Be brief."),
        (None, "", "Be brief."),
    ],
    ids=[
        "the provider's",
        "the gateway's",
        "the generic one",
        "none for the provider",
        "none at all",
    ],
)
async def test_system_prompt_is_the_nearest(
    own: str | None, generic: str | None, system: str
) -> None:
    """The provider's own if it is set, else the gateway's, else the generic one; the client's follows."""
    gateway = PortGateway(answer("Hi"), generic_prompt=generic, system_prompt=own)
    await gateway.read_batches(ask("How far?", system=("Be brief.",)))
    (asked,) = gateway.gpt.history
    assert asked.prompt.system == system


async def test_provider_gets_the_turns_and_the_answers_id() -> None:
    """What the client said, under the id that the client sees."""
    gateway = PortGateway(answer("Hi"))
    await gateway.read_batches()
    (asked,) = gateway.gpt.history
    (turn,) = asked.prompt.turns
    assert (turn.role, turn.parts) == ("user", (Text("How far is the moon?"),))
    assert asked.message_id == IDENTITY.id


async def test_closing_closes_the_providers() -> None:
    """The caller that makes a gateway closes it, and with it every vendor's client."""
    gateway = PortGateway()
    await gateway.aclose()
    assert (gateway.gpt.is_closed, gateway.claude.is_closed) == (True, True)


async def test_closing_cancels_the_checks() -> None:
    """A check in flight neither delays the stop nor leaves a caller waiting."""
    gateway = PortGateway()
    gateway.gpt.check = [silence]
    asker = asyncio.create_task(gateway.check_health("gpt"))
    await gateway.gpt.silent.wait()
    await asyncio.wait_for(gateway.aclose(), 10)
    assert (await asyncio.wait_for(asker, 10))["status"] == "UNKNOWN"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert gateway.gpt.is_closed
