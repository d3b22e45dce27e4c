"""A whole answer, gathered from the events of a chat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, assert_never

from models import (
    Delta,
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

AnswerPart = Text | Reasoning | Refusal | ToolCall


class Answer(NamedTuple):
    """What a chat answered, and how it ended. `states` are those of its reasoning.

    `parts` are the same in the order in which they came; a state ends its part of the reasoning.
    """

    text: str
    reasoning: str
    refusal: str
    states: list[State]
    tool_calls: list[ToolCall]
    end: End
    parts: list[AnswerPart]


class GatheredAnswer:
    """Gathers the pieces of the newest answer; those of one that broke are dropped."""

    def __init__(self) -> None:
        self._pieces: list[Delta] = []

    def add(self, batch: list[Event]) -> Answer | None:
        """Add a batch. Returns the answer if the batch ends it."""
        for event in batch:
            match event:
                case Text() | Reasoning() | Refusal() | ToolCallDelta():
                    self._pieces.append(event)
                case Start() | Restart():
                    self._pieces = []
                case End():
                    parts = join_pieces(self._pieces)
                    return Answer(
                        text="".join(part.text for part in parts if isinstance(part, Text)),
                        reasoning="".join(
                            part.text for part in parts if isinstance(part, Reasoning)
                        ),
                        refusal="".join(part.text for part in parts if isinstance(part, Refusal)),
                        states=[
                            part.state
                            for part in parts
                            if isinstance(part, Reasoning) and part.state
                        ],
                        tool_calls=[part for part in parts if isinstance(part, ToolCall)],
                        end=event,
                        parts=parts,
                    )
                case _:
                    assert_never(event)
        return None


def join_pieces(pieces: Iterable[Delta]) -> list[AnswerPart]:
    """The parts of an answer: adjacent pieces of one kind, or all pieces of one call."""
    groups: dict[tuple[type, int], list[Delta]] = {}
    kind, run = None, 0
    for piece in pieces:
        run += kind is not type(piece)
        kind = type(piece)
        place = piece.index if isinstance(piece, ToolCallDelta) else run
        groups.setdefault((kind, place), []).append(piece)
        if isinstance(piece, Reasoning) and piece.state:
            kind = None
    return [_join(group) for group in groups.values()]


def _join(pieces: list[Delta]) -> AnswerPart:
    """One part. The first piece of a call has its id, its name and its state."""
    text = "".join(piece.text for piece in pieces if not isinstance(piece, ToolCallDelta))
    match pieces[-1]:
        case Text():
            return Text(text)
        case Refusal():
            return Refusal(text)
        case Reasoning(state=state):
            return Reasoning(text, state)
        case ToolCallDelta():
            calls = [piece for piece in pieces if isinstance(piece, ToolCallDelta)]
            arguments = "".join(piece.arguments for piece in calls)
            first = calls[0]
            return ToolCall(first.id or "", first.name or "", arguments, first.state)
        case other:
            assert_never(other)
