"""Each vendor's failures, by its real SDK over loopback: before content the fallback answers, after it no other model.

The promises hold alike for all vendors: only their wires and SDKs differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from configuration import VALID_PROVIDERS
from simulator import WIRES, Behaviour, Error, Raw, Replay, Scripted, Silence
from tests.clients.simple_client import join_text, read_events
from tests.exhaustive import repetitions_marked
from tests.vendors.simulated_vendor import DEFAULT, FALLBACK, simulated_vendor

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

SHORT = 0.3  # seconds: the timeout of a silent model; only silence waits for it
ANSWER = Scripted(("I am ", "the other ", "model."))
ANSWER_TEXT = "I am the other model."
PIECES = ("One, ", "two, ", "three, ")
QUIET = b": quiet\n\n"  # a comment: what comes after it takes no delta away that is on its way
PACE = 0.01  # seconds between the pieces


class Failure(NamedTuple):
    """How a model fails: its behaviour, the code of it, how often it is asked, the timeouts that are short for it."""

    behaviour: Behaviour
    code: str
    asked: int = 1
    timeouts: dict[str, Any] = {}  # noqa: RUF012 - never changed


BEFORE_CONTENT = {
    "error 503": Failure(Error(503), "upstream_unavailable", 2),
    "error 429 with a long wait": Failure(Error(429, {"retry-after": "60"}), "rate_limited"),
    "no such model": Failure(Error(404), "upstream_model_not_found"),
    "silence": Failure(Silence(), "upstream_timeout", 1, {"first_content_timeout_seconds": SHORT}),
    "silence after the headers": Failure(
        Silence("events"), "upstream_timeout", 1, {"first_content_timeout_seconds": SHORT}
    ),
    "heartbeats alone": Failure(
        Silence("content", heartbeat=SHORT / 10),
        "upstream_timeout",
        1,
        {"first_content_timeout_seconds": SHORT},
    ),
    "nothing at all": Failure(Replay(b""), "upstream_bad_response"),
    "no content and no end mark": Failure(Scripted(("",), then="close"), "upstream_truncated"),
    "cut off after the headers": Failure(Scripted((), then="cut"), "upstream_truncated"),
    "reset": Failure(Raw(then="reset"), "upstream_unavailable", 2),
    "reset after the headers": Failure(
        Scripted((QUIET,), PACE, then="reset"), "upstream_unavailable", 2
    ),
}
FAILURES = {
    f"{provider}, {name}": (provider, failure)
    for provider in VALID_PROVIDERS
    for name, failure in BEFORE_CONTENT.items()
}


def is_repetition(provider: str, failure: Failure) -> bool:
    """Whether a timeout has to pass, and for `gpt` passes too."""
    return provider != "gpt" and bool(failure.timeouts)


@pytest.mark.parametrize(("provider", "failure"), repetitions_marked(is_repetition, FAILURES))
async def test_fallback_answers_what_fails_before_content(
    tmp_path: Path, provider: str, failure: Failure
) -> None:
    """The client gets the fallback's whole answer, and headers, start, end and record name its model."""
    async with simulated_vendor(tmp_path, provider, **failure.timeouts) as vendor:
        vendor.simulator.behaviours |= {DEFAULT: failure.behaviour, FALLBACK: ANSWER}
        response = await vendor.chat()
        record = await vendor.final_record()
    start, *deltas, end, done = read_events(response.text)
    assert response.status_code == 200
    assert vendor.asked == [DEFAULT] * failure.asked + [FALLBACK]
    assert (start["type"], end["type"], done) == ("start", "end", "[DONE]")
    assert join_text(deltas) == ANSWER_TEXT
    fallback = {"from": DEFAULT, "to": FALLBACK, "reason": failure.code}
    assert start["fallback"] == end["fallback"] == record["fallback"] == fallback
    assert (
        start["model"]
        == end["model"]
        == record["model"]
        == response.headers["x-gateway-model"]
        == FALLBACK
    )
    assert {delta["delta"]["model"] for delta in deltas} == {FALLBACK}
    assert response.headers["x-gateway-provider"] == provider
    assert response.headers["x-gateway-fallback"] == f"{DEFAULT}; reason={failure.code}"
    assert end["attempts"] == record["attempts"] == failure.asked + 1
    assert record["outcome"] == "fallback_ok"


@pytest.mark.parametrize("provider", VALID_PROVIDERS)
async def test_sound_default_is_asked_alone(tmp_path: Path, provider: str) -> None:
    """If the default model answers, nothing mentions a fallback."""
    async with simulated_vendor(tmp_path, provider) as vendor:
        vendor.simulator.behaviours[DEFAULT] = ANSWER
        response = await vendor.chat()
        record = await vendor.final_record()
    start, *deltas, end, done = read_events(response.text)
    assert (vendor.asked, join_text(deltas), done) == ([DEFAULT], ANSWER_TEXT, "[DONE]")
    assert start["fallback"] is end["fallback"] is record["fallback"] is None
    assert "x-gateway-fallback" not in response.headers
    assert (record["outcome"], record["attempts"]) == ("ok", 1)


def speak(*last: bytes) -> Scripted:
    """Three deltas, then these events, without an end."""
    return Scripted((*PIECES, *last), PACE, then="hang")


def breaks(provider: str) -> dict[str, Failure]:
    """How a vendor's answer breaks after three deltas."""
    error = b"data: %b\n\n" % msgspec.json.encode(WIRES[provider].error_body(500))
    return {
        "closed": Failure(Scripted((*PIECES, QUIET), PACE, then="close"), "upstream_truncated"),
        "cut": Failure(Scripted((*PIECES, QUIET), PACE, then="cut"), "upstream_truncated"),
        "reset": Failure(Scripted((*PIECES, QUIET), PACE, then="reset"), "upstream_unavailable"),
        "stalled": Failure(speak(), "upstream_timeout", 1, {"idle_timeout_seconds": SHORT}),
        "error event": Failure(speak(error), "upstream_unavailable"),
        "nonsense": Failure(speak(b"data: {nonsense\n\n"), "upstream_bad_event"),
    }


BREAKS = {
    f"{provider}, {name}": (provider, failure)
    for provider in VALID_PROVIDERS
    for name, failure in breaks(provider).items()
}


@pytest.mark.parametrize(("provider", "failure"), repetitions_marked(is_repetition, BREAKS))
async def test_answer_that_breaks_is_never_continued_by_another_model(
    tmp_path: Path, provider: str, failure: Failure
) -> None:
    """After three deltas a healthy fallback is not even asked: the stream ends in an error that counts what came."""
    response, record, asked = await break_answer(tmp_path, provider, failure)
    start, *deltas, last = read_events(response.text)
    assert response.status_code == 200
    assert asked == [DEFAULT]
    assert join_text(deltas) == "".join(PIECES)
    assert (start["model"], start["fallback"], last["type"]) == (DEFAULT, None, "error")
    error = last["error"]
    assert (error["code"], error["stage"], error["model"]) == (
        failure.code,
        "after_content",
        DEFAULT,
    )
    assert error["partial_chars"] == len("".join(PIECES))
    assert "[DONE]" not in response.text
    assert "other" not in response.text
    assert (record["outcome"], record["error_code"]) == ("upstream_error_after", failure.code)


@pytest.mark.parametrize(("provider", "failure"), repetitions_marked(is_repetition, BREAKS))
async def test_client_that_asked_for_it_gets_a_restart(
    tmp_path: Path, provider: str, failure: Failure
) -> None:
    """One restart event says what to throw away; after it comes the next model's whole answer, with a good end."""
    response, record, asked = await break_answer(tmp_path, provider, failure, on_break="restart")
    events = read_events(response.text)
    (place,) = (place for place, event in enumerate(events[:-1]) if event["type"] == "restart")
    restart, end = events[place], events[-2]
    assert asked == [DEFAULT, FALLBACK]
    assert (join_text(events[:place]), join_text(events[place:])) == ("".join(PIECES), ANSWER_TEXT)
    fallback = {"from": DEFAULT, "to": FALLBACK, "reason": failure.code}
    assert restart["fallback"] == end["fallback"] == record["fallback"] == fallback
    assert (restart["partial_chars"], restart["model"]) == (len("".join(PIECES)), FALLBACK)
    assert (end["type"], events[-1]) == ("end", "[DONE]")
    assert record["outcome"] == "fallback_ok"


async def break_answer(
    log_dir: Path, provider: str, failure: Failure, **fields: Any
) -> tuple[httpx.Response, dict[str, Any], list[str]]:
    """A chat whose default model breaks while the fallback is healthy: response, final record, models asked."""
    async with simulated_vendor(log_dir, provider, **failure.timeouts) as vendor:
        vendor.simulator.behaviours |= {DEFAULT: failure.behaviour, FALLBACK: ANSWER}
        response = await vendor.chat(**fields)
        return response, await vendor.final_record(), vendor.asked
