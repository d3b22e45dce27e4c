"""The timeouts of a chat and their reasons, settling, and that a client disconnect closes the vendor's stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from models import End, Event, GatewayError, Prompt, Reasoning, Start, ToolCall, ToolCallDelta
from providers.base import BaseProvider
from providers.wires.chat_completions import ChatCompletionsDecoder
from providers.wires.decoder import Batch
from providers.wires.vendor_stream import read_batches
from streams.answer import join_pieces
from streams.failure import Failure
from tests.vendors.scripted_provider import (
    ScriptedProvider,
    Step,
    collect,
    early,
    end_of,
    finish,
    joined,
    silence,
    stream,
    text,
)
from tests.vendors.scripted_response import ScriptedResponse
from tests.virtual_time import in_virtual_time

SHORT = 0.03  # seconds: a timeout that is to expire; all others are far longer
LONG = 0.25  # seconds: a timeout that is not to expire yet, however busy the machine
ANSWER: list[Step] = [[text("Hel")], [text("lo"), finish()]]


async def fail(provider: BaseProvider) -> Failure:
    with pytest.raises(Failure) as raised:
        await asyncio.wait_for(collect(provider), 10)
    return raised.value


async def test_connect_timeout_has_its_own_reason() -> None:
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


async def test_last_model_has_its_own_timeout() -> None:
    """The last model of the chain has its own timeout, not that of the models before it."""
    error = await fail(
        ScriptedProvider([silence], [silence], first_content=SHORT, last_first_content=SHORT * 2)
    )
    assert (error.code, error.stage) == ("upstream_timeout", "before_content")
    assert [(attempt.model, attempt.reason) for attempt in error.attempts] == [
        ("first", "first_content"),
        ("second", "first_content"),
    ]


async def test_patient_last_model_may_be_slow() -> None:
    """What is too slow for the first model is not too slow for the last."""
    provider = ScriptedProvider([silence], [SHORT * 3, *ANSWER], first_content=SHORT)
    assert joined(await collect(provider)) == "Hello"


class WholeAnswers(ScriptedProvider):
    """Answers without a stream: nothing comes before all of it."""

    def streams(self, prompt: Prompt, model: str) -> bool:
        return False


@in_virtual_time
async def test_model_that_cannot_stream_has_the_time_of_the_last() -> None:
    """It is not silent but writing: its whole answer would be paid for and thrown away."""
    scripts: list[list[Step]] = [[59, *ANSWER]] * 5  # so many failures would open the breaker
    provider = WholeAnswers(*scripts, first_content=12, last_first_content=60)
    for _ in scripts:
        assert joined(await collect(provider)) == "Hello"
    assert provider.history == ["first"] * 5
    assert provider.breaker_states()["first"] == "closed"


@in_virtual_time
async def test_silent_model_that_cannot_stream_gives_way_to_the_next() -> None:
    """It may wait longer, but not without end."""
    provider = WholeAnswers([silence], ANSWER, first_content=12, last_first_content=60, total=600)
    assert joined(await collect(provider)) == "Hello"
    assert provider.history == provider.closed == ["first", "second"]
    assert asyncio.get_running_loop().time() == 60


async def test_reasoning_is_first_content() -> None:
    """A model that thinks aloud is not silent."""
    script: list[Step] = [[Reasoning("hm")], SHORT * 3, *ANSWER]
    assert (
        joined(
            await collect(ScriptedProvider(script, first_content=SHORT, last_first_content=SHORT))
        )
        == "Hello"
    )


async def test_stalled_answer_is_given_up() -> None:
    """Idle after content: `stalled`, with what the client has, and no other model's text."""
    provider = ScriptedProvider([[text("Hel")], silence], ANSWER, idle=SHORT)
    error = await fail(provider)
    assert (error.code, error.reason, error.stage) == (
        "upstream_timeout",
        "stalled",
        "after_content",
    )
    assert (error.sent_chars, provider.history, provider.closed) == (3, ["first"], ["first"])


async def test_content_resets_the_idle_timeout() -> None:
    """An answer that goes on, however slowly in all, is not stalled."""
    slowly: list[Step] = [[text("a")], LONG / 5]
    assert joined(await collect(ScriptedProvider([*slowly * 6, [finish()]], idle=LONG))) == "aaaaaa"


async def test_total_timeout_ends_an_endless_answer() -> None:
    """Content all the time, and no end: `whole`."""
    talking: list[Step] = [[text("a")], SHORT / 10]
    error = await fail(ScriptedProvider(talking * 1000, total=SHORT))
    assert (error.code, error.reason, error.stage) == ("upstream_timeout", "whole", "after_content")


async def test_total_timeout_counts_before_content_too() -> None:
    """The total timeout limits the first-content timeouts, and further models too."""
    error = await fail(ScriptedProvider([silence], [silence], total=SHORT))
    assert {attempt.reason for attempt in error.attempts} == {"whole"}


class PingingResponse(ScriptedResponse):
    """Sends the given events, then pings without end: comments, empty deltas, unknown events."""

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

    def __init__(self, *events: bytes, **timeouts: float) -> None:
        super().__init__(model_fallback=None, **timeouts)
        self._events = events

    def stream_response(
        self, prompt: Prompt, model: str, message_id: str
    ) -> AsyncGenerator[Batch, None]:
        return read_batches(PingingResponse(*self._events).open, ChatCompletionsDecoder, 1000)


async def test_pings_are_no_first_content() -> None:
    """A vendor that pings and says nothing is silent."""
    error = await fail(PingingProvider(last_first_content=SHORT))
    assert (error.code, error.reason) == ("upstream_timeout", "first_content")


async def test_pings_do_not_reset_the_idle_timeout() -> None:
    """Nor is one alive that pings after its content."""
    error = await fail(
        PingingProvider(b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n', idle=SHORT)
    )
    assert (error.code, error.reason, error.sent_chars) == ("upstream_timeout", "stalled", 3)


# --- settling: text may follow a finish that is not the last ---------------------------------------


SETTLING: dict[str, list[Step]] = {
    "silence after the finish": [[text("Hello"), finish()], silence],
    "end after the finish": [[text("Hello"), finish()]],
    "text after the finish": [
        [text("Hel"), finish("length")],
        [text("lo"), finish()],
        silence,
    ],
    "text without a second finish": [[text("Hel"), finish()], LONG / 5, [text("lo")], silence],
    "finish alone": [[text("Hello")], LONG * 2, [finish()], silence],
    "finish repeated": [
        [text("Hello"), finish()],
        [finish()],
        [finish()],
        silence,
    ],
}


async def test_calls_that_waited_are_sent_if_the_end_mark_never_comes() -> None:
    """Silence after the finish reason proves the answer, its calls too."""
    calls = [ToolCallDelta(0, "call_0", "look"), ToolCallDelta(1, "call_1", "stop", "{")]
    script: list[Step] = [[*calls, ToolCallDelta(1, arguments="}")], [finish()], silence]
    events = await asyncio.wait_for(collect(ScriptedProvider(script, settle=SHORT)), 10)
    pieces = [event for event in events if isinstance(event, ToolCallDelta)]
    assert join_pieces(pieces) == [
        ToolCall("call_0", "look", "{}"),
        ToolCall("call_1", "stop", "{}"),
    ]
    assert isinstance(events[-1], End)


@pytest.mark.parametrize("script", SETTLING.values(), ids=SETTLING)
async def test_finish_settles_in_silence(script: list[Step]) -> None:
    """A finish reason is believed at the stream's end or after a silence; text in between counts."""
    provider = ScriptedProvider(script, settle=LONG)
    events = await asyncio.wait_for(collect(provider), 10)
    assert joined(events) == "Hello"
    assert end_of(events).finish_reason == "stop"
    assert provider.closed == ["first"]


EARLY: dict[str, list[Step]] = {
    "then text": [[early()], LONG, [text("Hello")], [finish()]],
    "then text and no other": [[early()], LONG, [text("Hello")]],
    "then text with pauses": [[early()], [text("Hel")], LONG, [text("lo")], [finish()]],
    "repeated": [[early()], LONG / 2, [early()], LONG / 2, [text("Hello"), finish()]],
}


@pytest.mark.parametrize("script", EARLY.values(), ids=EARLY)
async def test_finish_before_any_content_starts_no_wait(script: list[Step]) -> None:
    """Some models send a finish reason first, and their text seconds later: silence between proves nothing."""
    events = await asyncio.wait_for(collect(ScriptedProvider(script, settle=SHORT)), 10)
    assert joined(events) == "Hello"


async def test_finish_without_any_content_is_waited_for_as_for_content() -> None:
    """A model that says no more is silent, and the next one is asked."""
    provider = ScriptedProvider([[early()], silence], ANSWER, first_content=SHORT)
    assert joined(await collect(provider)) == "Hello"
    assert provider.history == provider.closed == ["first", "second"]


async def test_repeated_finishes_do_not_prolong_the_wait() -> None:
    """Only content does: a model that sends nothing but finish reasons has finished."""
    repeated: list[Step] = [[finish()], SHORT / 3] * 1000
    events = await asyncio.wait_for(
        collect(ScriptedProvider([[text("Hello")], *repeated], settle=SHORT)), 10
    )
    assert end_of(events).finish_reason == "stop"


async def test_finish_waits_as_long_as_its_timeout_says() -> None:
    """Without a wait in the Finish, it is SETTLE_SECONDS, not the idle timeout."""
    script: list[Step] = [[text("Hello"), finish()], silence]
    begun = asyncio.get_running_loop().time()
    events = await asyncio.wait_for(collect(ScriptedProvider(script, settle=SHORT)), 10)
    assert (joined(events), end_of(events).finish_reason) == ("Hello", "stop")
    assert asyncio.get_running_loop().time() >= begun + SHORT


async def test_failure_within_the_settling_is_a_failure() -> None:
    """A connection that breaks before the silence has proved the end leaves the answer unproved."""
    error = await fail(
        ScriptedProvider([[text("Hello"), finish()], ConnectionResetError()], settle=LONG)
    )
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
    provider = ScriptedProvider([[text("Hel"), finish()], [text("lo"), finish()]], settle=LONG)
    assert joined(await read_slowly(provider, LONG * 2)) == "Hello"


async def test_slow_client_does_not_make_the_vendor_idle() -> None:
    """A client that pauses longer than the idle timeout gets the vendor's next text when it comes back."""
    assert joined(await read_slowly(ScriptedProvider(ANSWER, idle=SHORT), SHORT * 3)) == "Hello"


# --- what opens a stream closes it --------------------------------------------------------------------------


async def test_client_disconnect_closes_the_vendor_stream() -> None:
    """Closing the chat between two batches closes what the model says, and asks no other."""
    provider = ScriptedProvider(ANSWER, ANSWER)
    chat = stream(provider)
    assert await anext(chat)
    await chat.aclose()
    assert provider.history == provider.closed == ["first"]


@pytest.mark.parametrize(
    "script", [[silence], [[text("Hel")], silence]], ids=["before content", "after content"]
)
async def test_client_disconnect_in_a_silence_closes_the_vendor_stream(script: list[Step]) -> None:
    """Cancelled while the model is silent: its stream is closed, no fallback starts, nothing counts against it."""
    provider = ScriptedProvider(script, ANSWER)
    task = asyncio.create_task(collect(provider))
    await provider.silent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.history == provider.closed == ["first"]
    assert provider.health.newest is None


async def test_client_disconnect_in_a_pause_starts_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cancelled while waiting to ask again: no model is asked again."""
    monkeypatch.setattr("providers.policy._RETRY_WAIT", 60)
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
        async def stream_response(
            self, prompt: Prompt, model: str, message_id: str
        ) -> AsyncGenerator[Batch, None]:
            yield [text(message_id)]
            await asyncio.sleep(SHORT)
            if message_id == "bad":
                raise ConnectionResetError
            yield [text(message_id), finish()]

    async def chat(name: str) -> list[Event]:
        return [event async for batch in stream(provider, name) for event in batch]

    provider = Shared()
    good, bad, other = await asyncio.gather(
        chat("a"), chat("bad"), chat("b"), return_exceptions=True
    )
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
