"""A reader of server-sent events that have names, as strict as the strictest client."""

from __future__ import annotations

import json
from typing import Any


def read_named(stream: str) -> list[dict[str, Any]]:
    """The data of each event, whose name must be its type; comments are skipped."""
    events: list[dict[str, Any]] = []
    for block in stream.split("\n\n"):
        if not block or block.startswith(":"):
            continue
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events
