"""A vendor that is asked for a whole answer, as Groq is for a schema: by its real SDK, to a client's stream."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Behaviour, Error, Raw, Scripted
from simulator.plan import head
from tests.clients.simple_client import join_text, read_events
from tests.vendors.simulated_vendor import DEFAULT, FALLBACK, SimulatedVendor, simulated_vendor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
TEXT = '{"city": "Rome"}'
JSON = {"content-type": "application/json"}


def whole_body() -> bytes:
    """Another answer than the fallback's."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": '{"city": "Oslo"}'},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    answer = {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}
    return json.dumps(answer).encode()


WHOLE = whole_body()
PLACES = {
    "within its text": WHOLE.index(b"Oslo"),
    "after its text": WHOLE.index(b"finish_reason"),
    "after its finish reason": WHOLE.index(b"prompt_tokens"),
    "before its last brace": len(WHOLE) - 1,
}
CUTS: dict[str, tuple[Behaviour, str]] = {
    **{
        f"{name}, in a complete response": (Error(200, body=WHOLE[:place]), "upstream_bad_response")
        for name, place in PLACES.items()
    },
    **{
        f"{name}, with the connection": (
            Raw(head(200, {**JSON, "content-length": str(len(WHOLE))}) + WHOLE[:place]),
            "upstream_truncated",
        )
        for name, place in PLACES.items()
    },
    "by a reset": (Scripted(("Oslo",), then="reset"), "upstream_unavailable"),
    "without a finish reason": (Scripted(("Oslo",), finish=False), "upstream_bad_response"),
}


@asynccontextmanager
async def groq_with_schemas(folder: Path) -> AsyncIterator[SimulatedVendor]:
    """Groq, whose models luna and nova take schemas, but not in a stream."""
    rows = folder / "capabilities.toml"
    rows.write_text("[groq.default]\nschema = true\n")
    async with simulated_vendor(folder, "groq", capabilities_file=rows) as vendor:
        yield vendor


def ways_asked(vendor: SimulatedVendor) -> set[tuple[bool, bool]]:
    """Whether the vendor was asked for a stream, and whether with a schema."""
    bodies: list[dict[str, Any]] = [call.body for call in vendor.simulator.calls]
    return {(body["stream"], "response_format" in body) for body in bodies}


@pytest.mark.parametrize(("behaviour", "code"), CUTS.values(), ids=CUTS)
async def test_answer_that_is_cut_is_never_whole(
    tmp_path: Path, behaviour: Behaviour, code: str
) -> None:
    """Nothing of it reaches the client: the fallback answers, as before any content."""
    async with groq_with_schemas(tmp_path) as vendor:
        vendor.simulator.behaviours |= {DEFAULT: behaviour, FALLBACK: Scripted((TEXT,))}
        response = await vendor.chat(response_format=FORMAT)
        assert ways_asked(vendor) == {(False, True)}
    start, *deltas, end, done = read_events(response.text)
    assert (join_text(deltas), end["finish_reason"], done) == (TEXT, "stop", "[DONE]")
    assert start["fallback"] == {"from": DEFAULT, "to": FALLBACK, "reason": code}


async def test_body_that_is_not_cut_is_an_answer(tmp_path: Path) -> None:
    """What is wrong with the others is the cut alone."""
    async with groq_with_schemas(tmp_path) as vendor:
        vendor.simulator.behaviours[DEFAULT] = Error(200, body=WHOLE)
        response = await vendor.chat(response_format=FORMAT)
    assert join_text(read_events(response.text)[:-1]) == '{"city": "Oslo"}'


async def test_text_of_a_whole_answer_is_one_event(tmp_path: Path) -> None:
    """With the usage that came with it. A chat without a schema has a stream."""
    pieces = tuple(TEXT)
    async with groq_with_schemas(tmp_path) as vendor:
        vendor.simulator.behaviours[DEFAULT] = Scripted(pieces)
        response = await vendor.chat(response_format=FORMAT)
        await vendor.chat()
        assert ways_asked(vendor) == {(False, True), (True, False)}
    _, delta, end, _ = read_events(response.text)
    assert delta["delta"]["content"] == TEXT
    assert end["usage"]["output_tokens"] == len(pieces)
    assert end["dropped_params"] == []
