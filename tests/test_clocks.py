"""The clocks of a chat, each with its reason; Gemini's settling; and that whoever leaves closes the vendor's stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from models import Delta, End, Event, GatewayError, Prompt, Start
from providers.base import BaseProvider
from providers.chat_completions import ChatCompletionsDecoder
from providers.vendor_stream import Batch, read_batches
from tests.scripted_provider import (
    ScriptedProvider,
    Step,
    collect,
    end_of,
    finish,
    joined,
    silence,
    stream,
    text,
)
from tests.scripted_response import ScriptedResponse

SHORT = 0.03  # seconds: a clock that is to ring; all others are far away
LONG = 0.25  # seconds: a clock that is not to ring yet, however busy the machine
ANSWER: list[Step] = [[text("Hel")], [text("lo"), finish()]]


async def fail(provider: BaseProvider) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        await asyncio.wait_for(collect(provider), 10)
    return raised.value


async def test_connect_clock_is_told_as_such() -> None:
    """A connection that cannot be made in time is an `upstream_timeout` of its own reason."""
    error = await fail(ScriptedProvider([TimeoutError()], model_fallback=None))
    assert (error.code, error.reason) == ("upstream_timeout", "connect")


async def test_silent_model_gives_way_to_the_next() -> None:
    """First content, while another model remains: the silent one is left, once, and its stream closed."""
    provider = ScriptedProvider([silence], ANSWER, first_content=SHORT)
    events = await collect(provider)
    assert joined(events) == "Hello"
    assert provider.history == provider.closed == ["first", "second"]
    start = events[0]
    assert isinstance(start, Start)
    assert start.fallback
    assert start.fallback.reason == "upstream_timeout"


async def test_last_model_has_a_patience_of_its_own() -> None:
    """The last model of the chain waits by its own clock, not by the first's."""
    error = await fail(ScriptedProvider([silence], [silence], first_content=SHORT, last_first_content=SHORT * 2))
    assert (error.code, error.stage) == ("upstream_timeout", "before_content")
    assert [(attempt.model, attempt.reason) for attempt in error.attempts] == [
        ("first", "first_content"),
        ("second", "first_content"),
    ]


async def test_patient_last_model_may_be_slow() -> None:
    """What is too slow for the first model is not too slow for the last."""
    provider = ScriptedProvider([silence], [SHORT * 3, *ANSWER], first_content=SHORT)
    assert joined(await collect(provider)) == "Hello"


async def test_reasoning_is_first_content() -> None:
    """A model that thinks aloud is not silent."""
    script: list[Step] = [[Delta(reasoning="hm")], SHORT * 3, *ANSWER]
    assert joined(await collect(ScriptedProvider(script, first_content=SHORT, last_first_content=SHORT))) == "Hello"


async def test_stalled_answer_is_given_up() -> None:
    """Idle after content: `stalled`, with what the client has, and no other model's text."""
    provider = ScriptedProvider([[text("Hel")], silence], ANSWER, idle=SHORT)
    error = await fail(provider)
    assert (error.code, error.reason, error.stage) == ("upstream_timeout", "stalled", "after_content")
    assert (error.partial_chars, provider.history, provider.closed) == (3, ["first"], ["first"])


async def test_content_resets_the_idle_clock() -> None:
    """An answer that goes on, however slowly in all, is not stalled."""
    slowly: list[Step] = [[text("a")], LONG / 5]
    assert joined(await collect(ScriptedProvider([*slowly * 6, [finish()]], idle=LONG))) == "aaaaaa"


async def test_whole_clock_ends_an_endless_answer() -> None:
    """Content all the time, and no end: `whole`."""
    talking: list[Step] = [[text("a")], SHORT / 10]
    error = await fail(ScriptedProvider(talking * 1000, total=SHORT))
    assert (error.code, error.reason, error.stage) == ("upstream_timeout", "whole", "after_content")


async def test_whole_clock_counts_before_content_too() -> None:
    """No patience for one model outlasts the whole, whatever the other clocks say; nor do further models."""
    error = await fail(ScriptedProvider([silence], [silence], total=SHORT))
    assert {attempt.reason for attempt in error.attempts} == {"whole"}


class PingingResponse(ScriptedResponse):
    """Sends the given events, then pings for ever: comments, empty deltas, unknown events."""

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        async for event in super().aiter_raw():
            yield event
        while True:
            await asyncio.sleep(SHORT / 10)
            yield b": keep-alive\n\n"
            yield b'data: {"choices": [{"index": 0, "delta": {"content": ""}}]}\n\n'
            yield b'data: {"choices": [], "usage": null}\n\n'


class PingingProvider(ScriptedProvider):
    """Its one model answers with the given events, and pings."""

    def __init__(self, *events: bytes, **clocks: float) -> None:
        super().__init__(model_fallback=None, **clocks)
        self._events = events

    def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        return read_batches(PingingResponse(*self._events).open, ChatCompletionsDecoder(), 1000)


async def test_pings_are_no_first_content() -> None:
    """A vendor that pings and says nothing is silent."""
    error = await fail(PingingProvider(last_first_content=SHORT))
    assert (error.code, error.reason) == ("upstream_timeout", "first_content")


async def test_pings_do_not_reset_the_idle_clock() -> None:
    """Nor is one alive that pings after its content."""
    error = await fail(PingingProvider(b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n', idle=SHORT))
    assert (error.code, error.reason, error.partial_chars) == ("upstream_timeout", "stalled", 3)


# --- settling: text may follow a finish that is not the last ---------------------------------------


SETTLING: dict[str, list[Step]] = {
    "silence after the finish": [[text("Hello"), finish(settling=LONG)], silence],
    "end after the finish": [[text("Hello"), finish(settling=LONG)]],
    "text after the finish": [
        [text("Hel"), finish("length", settling=LONG)],
        [text("lo"), finish(settling=LONG)],
        silence,
    ],
    "text without a second finish": [[text("Hel"), finish(settling=LONG)], LONG / 5, [text("lo")], silence],
    "finish alone": [[text("Hello")], LONG * 2, [finish(settling=LONG)], silence],
    "finish repeated": [
        [text("Hello"), finish(settling=LONG)],
        [finish(settling=LONG)],
        [finish(settling=LONG)],
        silence,
    ],
}


@pytest.mark.parametrize("script", SETTLING.values(), ids=SETTLING)
async def test_finish_settles_in_silence(script: list[Step]) -> None:
    """Gemini's finish reason is believed at the stream's end or after a second of silence; text in between counts."""
    provider = ScriptedProvider(script)
    events = await asyncio.wait_for(collect(provider), 10)
    assert joined(events) == "Hello"
    assert end_of(events).finish_reason == "stop"
    assert provider.closed == ["first"]


async def test_failure_within_the_settling_is_a_failure() -> None:
    """A connection that breaks before the silence has proved the end leaves the answer unproved."""
    error = await fail(ScriptedProvider([[text("Hello"), finish(settling=LONG)], ConnectionResetError()]))
    assert (error.code, error.stage) == ("upstream_unavailable", "after_content")


async def read_slowly(provider: BaseProvider, pause: float) -> list[Event]:
    """A client that takes its time over each batch."""
    events: list[Event] = []
    async for batch in stream(provider):
        events.extend(batch)
        await asyncio.sleep(pause)
    return events


async def test_slow_client_loses_no_text_after_a_finish() -> None:
    """The silence that proves an end is the vendor's, not the client's."""
    provider = ScriptedProvider([[text("Hel"), finish(settling=LONG)], [text("lo"), finish(settling=LONG)]])
    assert joined(await read_slowly(provider, LONG * 2)) == "Hello"


async def test_slow_client_does_not_make_the_vendor_idle() -> None:
    """A client that pauses longer than the idle clock gets the vendor's next text when it comes back."""
    assert joined(await read_slowly(ScriptedProvider(ANSWER, idle=SHORT), SHORT * 3)) == "Hello"


# --- whoever opens closes --------------------------------------------------------------------------


async def test_client_leaving_closes_the_vendor_stream() -> None:
    """Closing the chat between two batches closes what the model says, and asks no other."""
    provider = ScriptedProvider(ANSWER, ANSWER)
    chat = stream(provider)
    assert await anext(chat)
    await chat.aclose()
    assert provider.history == provider.closed == ["first"]


@pytest.mark.parametrize("script", [[silence], [[text("Hel")], silence]], ids=["before content", "after content"])
async def test_client_leaving_in_a_silence_closes_the_vendor_stream(script: list[Step]) -> None:
    """Cancelled while the model is silent: its stream is closed, no fallback starts, nothing counts against it."""
    provider = ScriptedProvider(script, ANSWER)
    task = asyncio.create_task(collect(provider))
    await provider.silent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.history == provider.closed == ["first"]
    assert provider.health.newest is None


async def test_client_leaving_in_a_pause_starts_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while waiting to ask again: nobody is asked again."""
    monkeypatch.setattr("providers.attempts._RETRY_JITTER", (60, 60))
    provider = ScriptedProvider([ConnectionResetError()], ANSWER)
    task = asyncio.create_task(collect(provider))
    while not provider.closed:  # noqa: ASYNC110 - one turn of the loop at a time
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.history == ["first"]


async def test_chats_of_one_provider_share_nothing() -> None:
    """A chat that breaks leaves the one beside it alone."""

    class Shared(ScriptedProvider):
        async def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
            yield [text(message_id)]
            await asyncio.sleep(SHORT)
            if message_id == "bad":
                raise ConnectionResetError
            yield [text(message_id), finish()]

    async def chat(name: str) -> list[Event]:
        return [event async for batch in stream(provider, name) for event in batch]

    provider = Shared()
    good, bad, other = await asyncio.gather(chat("a"), chat("bad"), chat("b"), return_exceptions=True)
    assert isinstance(bad, GatewayError)
    assert isinstance(good, list)
    assert isinstance(other, list)
    assert (joined(good), joined(other)) == ("aa", "bb")
    assert [type(events[-1]) for events in (good, other)] == [End, End]


# --- health checks ---------------------------------------------------------------------------------


async def test_free_check_asks_for_the_model() -> None:
    """Without a test message nothing is generated."""
    provider = ScriptedProvider()
    await provider.health_check("first")
    assert (provider.checked, provider.sent) == (["first"], [])


async def test_deep_check_reads_a_whole_answer_and_closes() -> None:
    """With a test message the model answers, and its stream is closed."""
    provider = ScriptedProvider(ANSWER)
    await provider.health_check("first", "Say OK.")
    assert provider.history == provider.closed == ["first"]


async def test_failing_check_is_a_gateway_error() -> None:
    """What the vendor's SDK raised, in our codes."""
    provider = ScriptedProvider()
    provider.check = [ConnectionRefusedError()]
    with pytest.raises(GatewayError, match="upstream_unavailable"):
        await provider.health_check("first")


async def test_silent_check_ends() -> None:
    """A check waits no longer than a chat for its first content."""
    provider = ScriptedProvider([silence], first_content=SHORT)
    with pytest.raises(GatewayError, match="upstream_timeout"):
        await provider.health_check("first", "Say OK.")
    assert provider.closed == ["first"]
