"""The simplest client of the native wire that the contract allows: what a front end does in five lines."""

from __future__ import annotations

import json
from typing import Any


def read_events(stream: str) -> list[Any]:
    """Split at blank lines, skip what is no `data: `, cut that off, parse. `[DONE]` comes back as itself."""
    blocks = [block for block in stream.split("\n\n") if block.startswith("data: ")]
    return [block[6:] if block[6:] == "[DONE]" else json.loads(block[6:]) for block in blocks]


def join_text(events: list[Any]) -> str:
    """The visible text of all events."""
    return "".join(event["delta"]["content"] for event in events if event != "[DONE]")
