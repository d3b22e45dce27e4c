"""Answers of which nothing is shown before they are whole: a break goes to the next model, and is not seen."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from models import ChatIdentity, Delta, End, Fallback, GatewayError, Reasoning, Refusal, Start, Text
from tests.clients.simple_client import join_text, read_events
from tests.gateways.scripted import QUESTION, PortGateway, answer, scripted_gateway
from tests.vendors.scripted_provider import joined, text
from web.doors import NATIVE
from web.doors.base import Reply
from web.doors.held import HeldEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from models import Event

HELD = msgspec.structs.replace(QUESTION, on_break="hold")
BREAKS = [
    GatewayError("upstream_truncated"),
    GatewayError("upstream_timeout", reason="stalled"),
    GatewayError("upstream_unavailable", reason="reset"),
    GatewayError("upstream_bad_event"),
    GatewayError("event_too_large"),
    GatewayError("rate_limited", retry_after=1),
]
CONTENTS: list[Delta] = [Text("Hel"), Reasoning("Hm"), Refusal("No")]
IDENTITY = ChatIdentity("gpt-1", "c-1", "r-1")


def broken(failure: GatewayError, content: Delta = CONTENTS[0]) -> list[Any]:
    return [
        [content],
        GatewayError(failure.code, reason=failure.reason, retry_after=failure.retry_after),
    ]


@pytest.mark.parametrize("content", CONTENTS, ids=["text", "reasoning", "refusal"])
@pytest.mark.parametrize("failure", BREAKS, ids=lambda failure: failure.code)
async def test_break_of_a_held_answer_asks_the_next_model(
    failure: GatewayError, content: Delta
) -> None:
    """Like a failure before the first content, but that the same model is not asked again."""
    gateway = PortGateway(broken(failure, content), answer("Bonjour"))
    batches = await gateway.read_batches(HELD)
    events = [event for batch in batches for event in batch]
    newest = max(place for place, event in enumerate(events) if isinstance(event, Start))
    assert events[newest] == Start("gpt", "second", Fallback("first", "second", failure.code))
    assert joined(events[newest:]) == "Bonjour"
    end = events[-1]
    assert isinstance(end, End)
    assert (end.attempts, end.model) == (2, "second")
    assert gateway.gpt.history == ["first", "second"]


async def test_failure_of_a_held_answer_is_one_before_content() -> None:
    """Nothing was shown: no stage after content, no characters, and the most actionable of all errors."""
    gateway = PortGateway(broken(GatewayError("rate_limited", retry_after=9)), broken(BREAKS[0]))
    _, error = await gateway.fail(HELD)
    assert (error.code, error.stage, error.sent_chars, error.retry_after) == (
        "rate_limited",
        "before_content",
        0,
        9,
    )
    assert [attempt.code for attempt in error.attempts] == ["rate_limited", "upstream_truncated"]


async def test_broken_held_answers_are_bounded_in_number() -> None:
    """Breaks count as attempts: after MAX_ATTEMPTS none is made."""
    gateway = PortGateway(broken(BREAKS[0]), max_attempts=1)
    _, error = await gateway.fail(HELD)
    assert (error.code, len(error.attempts)) == ("upstream_truncated", 1)


async def test_broken_held_answers_are_bounded_in_time() -> None:
    """The whole chat has one deadline, whatever the number of models."""
    gateway = PortGateway([[text("Hel")], 5.0], [[text("Hel")], 5.0], total=0.05)
    async with asyncio.timeout(4):
        _, error = await gateway.fail(HELD)
    assert (error.code, error.reason) == ("upstream_timeout", "whole")


async def test_chat_log_has_the_answer_that_was_shown() -> None:
    """Its timing, and no characters of the one that broke."""
    gateway = PortGateway([[text("Hel")], 0.05, BREAKS[0]], answer("Bonjour"))
    batches = await gateway.read_batches(HELD)
    end = batches[-1][-1]
    assert isinstance(end, End)
    assert end.timing
    assert end.timing.first_content_ms is not None
    assert end.timing.first_content_ms >= 50


async def test_answer_that_is_shown_still_ends_with_its_break() -> None:
    """Only what was not shown can be replaced."""
    gateway = PortGateway(broken(BREAKS[0]))
    events, error = await gateway.fail()
    assert (joined(events), error.stage, error.sent_chars) == ("Hel", "after_content", 3)


async def test_held_stream_is_sent_whole(tmp_path: Path) -> None:
    """The events of the answer alone, numbered from 0, and the model that gave it in the headers."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*broken(BREAKS[0]))
        gateway.gpt.enqueue(*answer("Bon", "jour"))
        response = await gateway.chat(on_break="hold")
    *events, done = read_events(response.text)
    assert done == "[DONE]"
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events] == ["start", "delta", "delta", "end"]
    assert join_text(events) == "Bonjour"
    assert response.headers["X-Gateway-Model"] == "nova"
    assert response.headers["X-Gateway-Fallback"] == "luna; reason=upstream_truncated"


async def test_whole_answer_replaces_a_broken_one(tmp_path: Path) -> None:
    """A status of 200 and the second model's text, for which a 502 would be no help."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*broken(BREAKS[0]))
        gateway.gpt.enqueue(*answer("Bonjour"))
        response = await gateway.chat(stream=False)
    assert (response.status_code, response.json()["content"], response.json()["attempts"]) == (
        200,
        "Bonjour",
        2,
    )
    assert response.headers["X-Gateway-Model"] == "nova"


async def test_held_stream_that_fails_has_its_true_status(tmp_path: Path) -> None:
    """Nothing was written, so the error is a response."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*broken(BREAKS[0]))
        gateway.gpt.enqueue(*broken(BREAKS[0]))
        response = await gateway.chat(on_break="hold")
    assert (response.status_code, response.json()["error"]["stage"]) == (502, "before_content")


async def test_held_stream_gets_heartbeats_alone(tmp_path: Path) -> None:
    """Past the hold of the status line the response is open, and silent but for them; then all comes at once."""
    whole = asyncio.Event()
    times = {"status_hold_seconds": 0.02, "heartbeat_seconds": 0.02}
    async with scripted_gateway(tmp_path, **times) as gateway:
        gateway.gpt.enqueue([text("Bon")], whole.wait, [text("jour")], *answer())
        body = {"messages": [{"role": "user", "content": "Hello?"}], "on_break": "hold"}
        async with gateway.client.stream("POST", "/chat/gpt", json=body) as response:
            pieces = response.aiter_text()
            assert await anext(pieces) == ": keep-alive\n\n"
            assert await anext(pieces) == ": keep-alive\n\n"
            whole.set()
            rest = "".join([piece async for piece in pieces])
    assert "X-Gateway-Model" not in response.headers
    assert join_text(read_events(rest)) == "Bonjour"


@pytest.mark.parametrize(("on_break", "stages"), [("error", ["after_content"]), ("hold", [])])
async def test_default_is_the_operators(tmp_path: Path, on_break: str, stages: list[str]) -> None:
    """ON_BREAK holds for a client that says nothing, or null."""
    async with scripted_gateway(tmp_path, on_break=on_break) as gateway:
        for fields in ({}, {"on_break": None}):
            gateway.gpt.enqueue(*broken(BREAKS[0]))
            if on_break == "hold":
                gateway.gpt.enqueue(*answer("Bonjour"))
            events = read_events((await gateway.chat(**fields)).text)
            assert [event["error"]["stage"] for event in events if "error" in event] == stages


def test_error_of_a_held_stream_is_its_first_event() -> None:
    """What was kept of a broken answer leaves no gap in the numbers."""
    encoder = HeldEncoder(partial(NATIVE.encoder, Reply(IDENTITY)))
    batch: list[Event] = [Start("gpt", "first"), text("Hel")]
    assert encoder.encode(batch) == b""
    error = encoder.encode_error(GatewayError("upstream_truncated"))
    assert json.loads(error.removeprefix(b"data: "))["seq"] == 0
