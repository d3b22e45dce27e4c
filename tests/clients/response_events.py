"""The events of an OpenAI response, read strictly."""

from __future__ import annotations

from typing import Any

from tests.clients.named_events import read_named


def read_events(stream: str) -> list[dict[str, Any]]:
    """The events, whose numbers have no gap."""
    events = read_named(stream)
    assert stream.endswith("\n\n"), "the last event is not ended"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """What the events are, without the beginning that all but one have."""
    return [event["type"].removeprefix("response.") for event in events]


def join_deltas(events: list[dict[str, Any]], kind: str = "output_text") -> str:
    """The text of all deltas of one kind."""
    return "".join(event["delta"] for event in events if event["type"] == f"response.{kind}.delta")
