"""Opaque states in a chat's history: those that a client dropped, and those of other models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from cluster.state_store import KeptState, state_key
from models import Chat, Part, Prompt, Reasoning, State, Text, ToolCall, Turn


def stateless_calls(chat: Chat) -> list[ToolCall]:
    """The calls of the turns in which the client sent no state back."""
    calls: list[ToolCall] = []
    for turn in chat.turns:
        if not any(_state_of(part) for part in turn.parts):
            calls += [part for part in turn.parts if isinstance(part, ToolCall)]
    return calls


def restore_states(chat: Chat, kept: Mapping[str, KeptState], scope: str) -> Chat:
    """The chat with the kept states, which go by the keys of their calls, in their places.

    Each is restored once, to the newest of the calls that are the same: a short body could ask for
    a large state a thousand times.
    """
    left = dict(kept)
    turns = [
        turn
        if any(_state_of(part) for part in turn.parts)
        else Turn(turn.role, tuple(_restore(turn.parts, left, scope)))
        for turn in reversed(chat.turns)
    ]
    return msgspec.structs.replace(chat, turns=tuple(reversed(turns)))


def drop_foreign_states(prompt: Prompt, provider: str, model: str) -> Prompt:
    """The prompt without the states of other models, which this one could not read."""
    turns = tuple(
        Turn(turn.role, tuple(_drop_foreign(turn.parts, provider, model))) for turn in prompt.turns
    )
    return prompt._replace(turns=tuple(turn for turn in turns if turn.parts))


def has_states(prompt: Prompt) -> bool:
    """Whether any part of the prompt has a state."""
    return any(_state_of(part) for turn in prompt.turns for part in turn.parts)


def _state_of(part: Part) -> State | None:
    return part.state if isinstance(part, Reasoning | ToolCall) else None


def _restore(parts: tuple[Part, ...], left: dict[str, KeptState], scope: str) -> Iterator[Part]:
    """The parts with the states of their calls: those before a call stand where they arrived.

    The states are taken out of those that are left.
    """
    found = {
        part.id: entry
        for part in parts
        if isinstance(part, ToolCall) and (entry := left.pop(state_key(part, scope), None))
    }
    before = [
        (place, state, call_id)
        for call_id, kept_state in found.items()
        for place, state in kept_state.before
    ]
    chars = 0
    for part in parts:
        match part:
            case Text(text):
                while before and before[0][0] < chars + len(text):
                    place, state, _ = before.pop(0)
                    if head := text[: max(place - chars, 0)]:
                        yield Text(head)
                    yield Reasoning("", state)
                    chars, text = chars + len(head), text[len(head) :]
                if text:
                    yield Text(text)
                chars += len(text)
            case ToolCall(call_id, name, arguments):
                own = found.pop(call_id, None)
                while before and before[0][2] == call_id:
                    yield Reasoning("", before.pop(0)[1])
                yield ToolCall(call_id, name, arguments, own.own if own else None)
            case _:
                yield part


def _drop_foreign(parts: tuple[Part, ...], provider: str, model: str) -> Iterator[Part]:
    for part in parts:
        state = _state_of(part)
        if state is None or (state.provider, state.model) == (provider, model):
            yield part
        elif isinstance(part, ToolCall):
            yield msgspec.structs.replace(part, state=None)
