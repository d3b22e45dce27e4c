"""What a client got of one chat, whatever the door."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """The whole body, its events or its error, and what is dishonest about them."""

    http_status: int
    body: str
    events: list[dict[str, Any]] = field(default_factory=list)
    is_done: bool = False
    error: dict[str, Any] | None = None
    is_refused: bool = False
    is_unnamed: bool = False  # an error that is only a text for a person
    text: str = ""
    tools: dict[int, str] = field(default_factory=dict)  # the tool calls by index
    complaints: list[str] = field(default_factory=list)

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1] if self.events else {}
