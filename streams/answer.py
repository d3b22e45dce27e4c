"""A whole answer, gathered from the events of a chat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from models import (
    End,
    Event,
    Reasoning,
    Refusal,
    Restart,
    Start,
    State,
    Text,
    ToolCall,
    ToolCallDelta,
)


class Answer(NamedTuple):
    """What a chat answered, and how it ended. `states` are those of its reasoning."""

    text: str
    reasoning: str
    refusal: str
    states: list[State]
    tool_calls: list[ToolCall]
    end: End


@dataclass(slots=True)
class _Pieces:
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    tool_calls: list[ToolCallDelta] = field(default_factory=list)


class GatheredAnswer:
    """Gathers the pieces of the newest answer; those of one that broke are dropped."""

    def __init__(self) -> None:
        self._pieces = _Pieces()

    def add(self, batch: list[Event]) -> Answer | None:
        """Add a batch. Returns the answer if the batch ends it."""
        for event in batch:
            match event:
                case Text(text):
                    self._pieces.text.append(text)
                case Reasoning(text, state):
                    self._pieces.reasoning.append(text)
                    if state:
                        self._pieces.states.append(state)
                case Refusal(text):
                    self._pieces.refusal.append(text)
                case ToolCallDelta():
                    self._pieces.tool_calls.append(event)
                case Start() | Restart():
                    self._pieces = _Pieces()
                case End():
                    pieces = self._pieces
                    return Answer(
                        text="".join(pieces.text),
                        reasoning="".join(pieces.reasoning),
                        refusal="".join(pieces.refusal),
                        states=pieces.states,
                        tool_calls=join_tool_calls(pieces.tool_calls),
                        end=event,
                    )
                case _:
                    assert_never(event)
        return None


def join_tool_calls(pieces: list[ToolCallDelta]) -> list[ToolCall]:
    """The calls, each of its pieces: the first has its id and its name."""
    calls: dict[int, tuple[ToolCallDelta, list[str]]] = {}
    for piece in pieces:
        calls.setdefault(piece.index, (piece, []))[1].append(piece.arguments)
    return [
        ToolCall(first.id or "", first.name or "", "".join(arguments), first.state)
        for first, arguments in calls.values()
    ]
