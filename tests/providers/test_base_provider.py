"""The commit rule: until the first content a failure is invisible, after it no other model's text is spliced in."""

from __future__ import annotations

import gc
import weakref

import pytest

from models import (
    Delta,
    End,
    Event,
    Fallback,
    GatewayError,
    Reasoning,
    Refusal,
    Restart,
    Start,
    State,
    Text,
    ToolCallDelta,
    Usage,
)
from providers.base import BaseProvider
from providers.errors import vendor_error
from providers.refusals import VendorRefusalError
from providers.wires.finish_reasons import Finish
from streams.failure import FailedAttempt, Failure
from tests.vendors.scripted_provider import (
    PROMPT,
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

pytestmark = pytest.mark.usefixtures("no_jitter")
ANSWER: list[Step] = [[text("Hel")], [text("lo"), finish()]]


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """No random pause before a retry."""
    monkeypatch.setattr("providers.policy._RETRY_WAIT", 0)
    monkeypatch.setattr("providers.policy._RETRY_JITTER", 0)


async def fail(provider: BaseProvider, *, restart: bool = False) -> tuple[list[Event], Failure]:
    """The events of a chat up to its failure, and the failure."""
    events: list[Event] = []

    async def take() -> None:
        async for batch in stream(provider, restart=restart):
            events.extend(batch)

    with pytest.raises(Failure) as raised:
        await take()
    return events, raised.value


def refusal_of(parameter: str) -> GatewayError:
    return VendorRefusalError("rejected_by_provider", places=[parameter], texts=[])


async def test_answer_is_start_deltas_end() -> None:
    """Start comes in the write of the first content, and names the model that answers; batches stay what they were."""
    provider = ScriptedProvider(ANSWER)
    batches = [batch async for batch in stream(provider)]
    assert batches[:2] == [[Start("gpt", "first"), text("Hel")], [text("lo")]]
    assert [type(event) for event in batches[2]] == [End]
    assert (provider.history, provider.closed) == (["first"], ["first"])


async def test_end_has_the_vendors_word_and_usage() -> None:
    """Finish reason, the vendor's own word for it, and tokens, as the adapter gave them last."""
    usage = Usage(input_tokens=9, output_tokens=12)
    provider = ScriptedProvider([[text("a"), finish()], [Finish("length", "max_tokens", usage)]])
    end = end_of(await collect(provider))
    assert (end.finish_reason, end.raw_finish_reason, end.usage) == ("length", "max_tokens", usage)
    assert (end.model, end.fallback, end.attempts, end.dropped_params) == ("first", None, 1, ())


async def test_answer_without_text_is_an_end() -> None:
    """A stream that ended well without content is a whole answer; Start comes just before its end."""
    events = await collect(ScriptedProvider([[finish("content_filter")]]))
    assert [type(event) for event in events] == [Start, End]


FAILURES: dict[str, list[Step]] = {
    "refused": [ConnectionRefusedError()],
    "timeout": [TimeoutError()],
    "limited": [GatewayError("rate_limited")],
    "model not found": [GatewayError("upstream_model_not_found")],
    "too long": [GatewayError("context_length_exceeded")],
    "unreadable": [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x")],
    "ended without a finish": [],
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_failure_before_content_is_invisible(failure: list[Step]) -> None:
    """The next model answers; the client sees one Start that says from where, to where and why."""
    again = [failure] if isinstance(next(iter(failure), None), ConnectionError) else []
    provider = ScriptedProvider(failure, *again, ANSWER)
    events = await collect(provider)
    start = events[0]
    assert isinstance(start, Start)
    assert start.model == "second"
    assert start.fallback
    assert (start.fallback.from_model, start.fallback.to_model) == ("first", "second")
    assert joined(events) == "Hello"
    assert end_of(events).fallback == start.fallback
    assert end_of(events).attempts == len(provider.history) == 2 + len(again)


@pytest.mark.parametrize(
    "code", ["rejected_by_provider", "content_filtered", "upstream_auth", "upstream_quota"]
)
async def test_error_that_no_other_model_can_avoid_ends_the_chat_at_once(code: str) -> None:
    """No second request for what would fail again."""
    provider = ScriptedProvider([GatewayError(code)], ANSWER)
    events, error = await fail(provider)
    assert (events, error.code, error.stage, provider.history) == (
        [],
        code,
        "before_content",
        ["first"],
    )


async def test_our_own_bug_does_not_count_against_the_vendor() -> None:
    """A bug in an adapter starts no fallback and does not count against the vendor."""
    provider = ScriptedProvider([KeyError("bug")], ANSWER)
    _, error = await fail(provider)
    assert (error.code, provider.history, provider.health.newest) == (
        "internal_error",
        ["first"],
        None,
    )


CONTENTS = {
    "text": text("a"),
    "reasoning": Reasoning("a"),
    "refusal": Refusal("a"),
    "tool call": ToolCallDelta(0, "call_1", "f"),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
async def test_any_content_commits(content: Delta) -> None:
    """Text, reasoning, a refusal or a piece of a tool call: after it no other model is asked."""
    provider = ScriptedProvider([[content], ConnectionResetError()], ANSWER)
    events, error = await fail(provider)
    assert events == [Start("gpt", "first"), content]
    assert (error.code, error.stage, provider.history) == (
        "upstream_unavailable",
        "after_content",
        ["first"],
    )


async def test_partial_chars_count_text_alone() -> None:
    """What the client has of the answer: characters, not bytes, without reasoning."""
    script: list[Step] = [[Reasoning("hmm"), text("Hé")], [text("l😀")], ConnectionResetError()]
    _, error = await fail(ScriptedProvider(script))
    assert error.sent_chars == 4


async def test_text_of_the_failing_read_is_sent_first() -> None:
    """An answer that stops without a finish is truncated, and the part of it that came was sent."""
    events, error = await fail(ScriptedProvider([[text("Hel")]], ANSWER))
    assert joined(events) == "Hel"
    assert (error.code, error.stage, error.sent_chars) == ("upstream_truncated", "after_content", 3)


async def test_restart_discards_and_begins_again() -> None:
    """Only a client that asked for it gets the next model's whole answer, after a Restart that says so."""
    provider = ScriptedProvider([[text("Hal")], ConnectionResetError()], ANSWER)
    events = await collect(provider, restart=True)
    left = Fallback("first", "second", "upstream_unavailable")
    assert events[:3] == [Start("gpt", "first"), text("Hal"), Restart("gpt", "second", left, 3)]
    assert joined(events[3:]) == "Hello"
    assert end_of(events).fallback == left
    assert sum(isinstance(event, Start | Restart) for event in events) == 2


async def test_restart_that_fails_before_content_keeps_what_the_client_has() -> None:
    """The client still has the first answer's text: no Restart was sent."""
    scripts: list[list[Step]] = [[[text("Hal")], ConnectionResetError()], [TimeoutError()]]
    events, error = await fail(ScriptedProvider(*scripts), restart=True)
    assert not any(isinstance(event, Restart) for event in events)
    assert (error.code, error.stage, error.sent_chars) == ("upstream_timeout", "after_content", 3)
    assert [attempt.model for attempt in error.attempts] == ["first", "second"]


async def test_restart_that_breaks_counts_its_own_text() -> None:
    """After a Restart the client has discarded what it had."""
    scripts: list[list[Step]] = [
        [[text("Hal")], ConnectionResetError()],
        [[text("H")], ConnectionResetError()],
    ]
    _, error = await fail(ScriptedProvider(*scripts), restart=True)
    assert (error.stage, error.sent_chars) == ("after_content", 1)


async def test_failure_lists_all_attempts() -> None:
    """Each request with its model, code and reason; the error names provider and model."""
    provider = ScriptedProvider(
        [ConnectionRefusedError()], [ConnectionResetError()], [TimeoutError()]
    )
    _, error = await fail(provider)
    assert error.attempts == (
        FailedAttempt("first", "upstream_unavailable", "refused"),
        FailedAttempt("first", "upstream_unavailable", "reset"),
        FailedAttempt("second", "upstream_timeout", "connect"),
    )
    assert (error.provider, error.stage, error.sent_chars) == ("gpt", "before_content", 0)


async def test_refused_parameter_is_dropped_and_remembered() -> None:
    """The model is asked once more without it, at once; the next chat does not send it, and both say so."""
    provider = ScriptedProvider([refusal_of("temperature")], ANSWER, ANSWER)
    ends = [end_of(await collect(provider)) for _ in range(2)]
    assert provider.sent == [
        {"temperature": 1, "effort": "low"},
        {"effort": "low"},
        {"effort": "low"},
    ]
    assert provider.history == ["first"] * 3
    assert [end.dropped_params for end in ends] == [("temperature",)] * 2
    assert [end.attempts for end in ends] == [2, 1]


@pytest.mark.parametrize("status", [403, 404])
async def test_missing_model_that_is_a_refused_parameter_counts_nowhere(status: int) -> None:
    """OpenRouter answers 404 if none of its servers takes a parameter; the model is there."""
    message = "No endpoints found that support the requested parameter: effort"
    provider = ScriptedProvider(
        [vendor_error({"error": {"message": message}}, status=status)], ANSWER
    )
    assert end_of(await collect(provider)).dropped_params == ("effort",)
    assert (provider.history, provider.health.state) == (["first"] * 2, "OK")
    assert provider.breaker_states()["first"] == "closed"


async def test_parameter_within_another_is_dropped_with_it() -> None:
    """`effort.level` is refused: `effort` is what can be left out."""
    provider = ScriptedProvider([refusal_of("effort.level")], ANSWER)
    assert end_of(await collect(provider)).dropped_params == ("effort",)


@pytest.mark.parametrize("parameter", ["messages", "", "messages[0].role"])
async def test_what_cannot_be_left_out_is_rejected(parameter: str) -> None:
    """A request without messages is no request."""
    provider = ScriptedProvider([refusal_of(parameter)], ANSWER)
    _, error = await fail(provider)
    assert (error.code, provider.history) == ("rejected_by_provider", ["first"])


async def test_same_parameter_refused_twice_ends_the_chain() -> None:
    """A model that refuses what was not sent is not asked again and again."""
    provider = ScriptedProvider([refusal_of("effort")], [refusal_of("effort")], ANSWER)
    _, error = await fail(provider)
    assert (error.code, len(provider.history)) == ("rejected_by_provider", 2)


async def test_refusal_is_remembered_only_if_leaving_it_out_helped() -> None:
    """A text that quotes the prompt may name a parameter: the chat fails, and the next one still sends it."""
    quoting = VendorRefusalError(
        "rejected_by_provider", places=[], texts=["bad content: 'what is the temperature?'"]
    )
    again = VendorRefusalError("rejected_by_provider", places=["messages"], texts=[])
    provider = ScriptedProvider([quoting], [again], ANSWER)
    _, error = await fail(provider)
    assert (error.code, len(provider.history)) == ("rejected_by_provider", 2)
    assert end_of(await collect(provider)).dropped_params == ()
    assert provider.sent[-1] == {"temperature": 1, "effort": "low"}


async def test_each_refused_parameter_is_dropped_in_its_turn() -> None:
    """Two refusals, one after the other, cost two more requests, even with a single attempt configured."""
    provider = ScriptedProvider(
        [refusal_of("effort")], [refusal_of("temperature")], ANSWER, max_attempts=1
    )
    assert end_of(await collect(provider)).dropped_params == ("effort", "temperature")
    assert provider.sent == [{"temperature": 1, "effort": "low"}, {"temperature": 1}, {}]


async def test_deep_check_drops_what_is_refused() -> None:
    """A test message meets the same refusal as a chat, and is answered like it."""
    provider = ScriptedProvider([refusal_of("effort")], ANSWER, ANSWER)
    await provider.health_check("first", "hi")
    assert end_of(await collect(provider)).dropped_params == ("effort",)


async def test_refused_system_role_is_folded_into_the_first_turn() -> None:
    """A chat template without a system role gets the same words as the user's, and is not asked with it again."""
    refusal = vendor_error({"message": "System role not supported", "code": 400}, status=400)
    provider = ScriptedProvider([refusal], ANSWER, ANSWER)
    prompt = PROMPT._replace(system="Be brief.")
    for _ in range(2):
        events = [event async for batch in stream(provider, prompt=prompt) for event in batch]
        assert end_of(events).dropped_params == ("system_role",)
    assert [asked.prompt.system for asked in provider.history] == ["Be brief.", "", ""]
    folded = provider.history[1].prompt.turns
    assert [part.text for part in folded[0].parts if isinstance(part, Text)] == ["Be brief.\n\nhi"]


async def test_prompt_without_a_system_loses_none() -> None:
    """What was not there is not reported as left out."""
    provider = ScriptedProvider(ANSWER)
    provider.remember("first", {"system_role": True})
    assert end_of(await collect(provider)).dropped_params == ()


async def test_refusal_is_the_models_own() -> None:
    """What one model refuses another may take."""
    provider = ScriptedProvider([refusal_of("effort")], [TimeoutError()], ANSWER)
    assert end_of(await collect(provider)).dropped_params == ()
    assert provider.sent[2] == {"temperature": 1, "effort": "low"}


async def test_refusal_after_content_splices_nothing() -> None:
    """Even if leaving a parameter out would help: after content there is no second answer."""
    provider = ScriptedProvider([[text("Hal")], refusal_of("effort")], ANSWER)
    events, error = await fail(provider)
    assert (joined(events), error.stage, provider.history) == ("Hal", "after_content", ["first"])


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        ("upstream_timeout", True),
        ("upstream_auth", True),
        ("rejected_by_provider", False),
        ("content_filtered", False),
    ],
)
async def test_only_the_vendors_failures_count_in_its_health(code: str, counts: bool) -> None:
    """What a client did wrong says nothing of the vendor."""
    provider = ScriptedProvider([GatewayError(code)], [GatewayError(code)])
    await fail(provider)
    assert provider.health.state == ("ERROR" if counts else "UNKNOWN")


async def test_answer_counts_in_the_health() -> None:
    """A whole answer is an observation from traffic."""
    provider = ScriptedProvider(ANSWER)
    await collect(provider)
    assert (provider.health.state, provider.health.newest and provider.health.newest.source) == (
        "OK",
        "traffic",
    )


KINDS: dict[str, Delta] = {
    "text": Text("12345"),
    "reasoning": Reasoning("12345"),
    "refusal": Refusal("12345"),
    "arguments": ToolCallDelta(0, arguments="12345"),
    "state": Reasoning("", State("p", "m", "12345")),
}


@pytest.mark.parametrize("delta", KINDS.values(), ids=KINDS)
async def test_an_answer_over_the_limit_is_cut_before_what_exceeds_it(delta: Delta) -> None:
    """Every kind of content counts, but only text as sent; what would exceed the limit is not."""
    opening = [ToolCallDelta(0, "call_1", "f")] if type(delta) is ToolCallDelta else []
    batches: list[Step] = [[*opening, delta], [delta], [delta], [delta]]
    provider = ScriptedProvider(batches, max_answer_chars=12 + len("call_1f") * len(opening))
    events, failure = await fail(provider)
    assert (failure.code, failure.reason) == ("event_too_large", "answer_chars")
    assert events[1:] == [*opening, delta, delta]
    assert failure.sent_chars == (10 if type(delta) is Text else 0)
    assert provider.closed == ["first"]


@pytest.mark.parametrize(
    "call",
    [
        ToolCallDelta(0, "call_12345", "f"),
        ToolCallDelta(0, "call_1", "f_of_12345"),
        ToolCallDelta(0, "call_1", "f", state=State("p", "m", "12345")),
    ],
    ids=["id", "name", "state"],
)
async def test_all_of_a_call_counts_towards_the_limit(call: ToolCallDelta) -> None:
    """Else calls without arguments could go on for as long as the chat."""
    events = await collect(ScriptedProvider([[call]], ANSWER, max_answer_chars=10))
    assert end_of(events).model == "second"


async def test_an_answer_that_begins_over_the_limit_is_another_models() -> None:
    """Nothing of it was sent."""
    provider = ScriptedProvider([[text("far too long")]], ANSWER, max_answer_chars=10)
    events = await collect(provider)
    assert joined(events) == "Hello"
    assert end_of(events).model == "second"


class Request:
    """What a failing SDK has in its frames."""


async def test_failure_keeps_nothing_of_its_request() -> None:
    """While the next model answers, however long: not in a traceback, nor in the SDK's exception."""
    kept: list[weakref.ref[Request]] = []

    async def refuse() -> None:
        request = Request()
        kept.append(weakref.ref(request))
        raise TimeoutError(request)

    chat = stream(ScriptedProvider([refuse], [[text("Hello")], silence]))
    gc.disable()
    try:
        await anext(chat)
        assert [request() for request in kept] == [None]
    finally:
        gc.enable()
        await chat.aclose()
