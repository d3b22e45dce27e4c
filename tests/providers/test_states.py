"""Opaque states are put back where they were, and are sent to no other model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state_store import KeptState, state_key, state_scope
from models import (
    Chat,
    Delta,
    Part,
    Prompt,
    Reasoning,
    State,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Turn,
)
from providers.answer_calls import AnswerCalls
from providers.states import drop_foreign_states, has_states, restore_states, stateless_calls

QUESTION = Turn("user", (Text("How is it?"),))

SCOPE = state_scope("key a", "Hi")


def state(name: str, model: str = "m") -> State:
    return State("p", model, name)


def thought(name: str) -> Reasoning:
    return Reasoning("", state(name))


def call(number: int, own: str | None = None) -> ToolCall:
    return ToolCall(f"call_{number}", "look", "{}", state(own) if own else None)


def answer(parts: Sequence[Part]) -> tuple[list[Part], dict[str, KeptState]]:
    """What a client that keeps no state has of an answer, and what is kept of its calls."""
    calls = AnswerCalls((), 0)
    numbers = iter(range(len(parts)))
    deltas: list[Delta] = []
    for part in parts:
        match part:
            case ToolCall(call_id, name, arguments, own):
                deltas.append(ToolCallDelta(next(numbers), call_id, name, arguments, own))
            case Text() | Reasoning():
                deltas.append(part)
    calls.arrange(deltas)
    calls.close()
    kept = {state_key(one, SCOPE): entry for one, entry in calls.kept()}
    return [bare(part) for part in parts if not isinstance(part, Reasoning)], kept


def bare(part: Part) -> Part:
    """The part without its state."""
    return ToolCall(part.id, part.name, part.arguments) if isinstance(part, ToolCall) else part


def restored(parts: Sequence[Part], kept: dict[str, KeptState]) -> tuple[Part, ...]:
    """The parts of the turn with the kept states in it."""
    chat = Chat(turns=(QUESTION, Turn("assistant", tuple(parts))))
    return restore_states(chat, kept, SCOPE).turns[1].parts


@pytest.mark.parametrize(
    "parts",
    [
        [thought("A"), call(1)],
        [thought("A"), Text("I look."), call(1)],
        [Text("I look."), thought("A"), call(1)],
        [thought("A"), call(1), thought("B"), call(2)],
        [thought("A"), Text("I look."), call(1), thought("B"), call(2)],
        [thought("A"), Text("I look."), call(1), call(2), thought("B"), call(3)],
        [thought("A"), thought("B"), Text("I look."), thought("C"), call(1, "own")],
        [call(1, "own"), call(2), thought("B"), call(3, "other")],
    ],
)
def test_states_are_where_they_were(parts: list[Part]) -> None:
    """Before the text and the calls that followed them: Claude and OpenAI check it."""
    sent, kept = answer(parts)
    assert list(restored(sent, kept)) == parts


def test_state_within_a_text_divides_it() -> None:
    """Clients join the texts of an answer."""
    sent, kept = answer([Text("ab"), thought("A"), Text("cd"), call(1)])
    assert sent == [Text("ab"), Text("cd"), call(1)]
    expected = (Text("ab"), thought("A"), Text("cd"), call(1))
    assert restored([Text("abcd"), call(1)], kept) == expected


def test_state_is_before_its_call_if_the_text_is_shorter_than_it_was() -> None:
    """Clients cut white space off, or leave the text out."""
    _, kept = answer([Text("I look.\n\n"), thought("A"), call(1)])
    assert restored([Text("I look."), call(1)], kept) == (Text("I look."), thought("A"), call(1))
    assert restored([call(1)], kept) == (thought("A"), call(1))


def test_states_of_a_call_that_the_client_left_out_stay_out() -> None:
    """Those of the others are in their places."""
    _, kept = answer([thought("A"), call(1), thought("B"), call(2)])
    assert restored([call(2)], kept) == (thought("B"), call(2))


def test_turn_whose_states_the_client_sent_is_as_it_is() -> None:
    """What the client keeps goes before what the gateway keeps."""
    parts = (thought("mine"), call(1))
    _, kept = answer([thought("A"), call(1)])
    chat = Chat(turns=(QUESTION, Turn("assistant", parts)))
    assert stateless_calls(chat) == []
    assert restored(parts, kept) == parts


def test_state_is_restored_once_to_the_newest_of_equal_calls() -> None:
    """Some servers number their calls anew in each answer; and a client may repeat one at will."""
    _, kept = answer([thought("A"), call(1, "own")])
    bare_call, question = call(1), Turn("user", (Text("Hi"),))
    turn = Turn("assistant", (bare_call, bare_call))
    turns = restore_states(Chat(turns=(question, turn, question, turn)), kept, SCOPE).turns
    assert turns[1].parts == (bare_call, bare_call)
    assert turns[3].parts == (thought("A"), call(1, "own"), bare_call)


PARTS = st.lists(st.sampled_from(["text", "thought", "call", "own"]), min_size=1, max_size=8).map(
    lambda kinds: [make_part(kind, place) for place, kind in enumerate(kinds)]
)


def make_part(kind: str, place: int) -> Part:
    match kind:
        case "text":
            return Text(f"text {place}. ")
        case "thought":
            return thought(f"state {place}")
        case _:
            return call(place, "own" if kind == "own" else None)


@given(PARTS)
def test_any_answer_has_its_states_back_in_order(parts: list[Part]) -> None:
    """All states up to the last call, each before what followed it."""
    sent, kept = answer(parts)
    last = max(
        (place for place, part in enumerate(parts) if isinstance(part, ToolCall)), default=-1
    )
    expected = [
        part for place, part in enumerate(parts) if place < last or not isinstance(part, Reasoning)
    ]
    assert list(restored(sent, kept)) == expected


def test_other_models_states_are_dropped() -> None:
    """No other model could read them; calls and texts stay, and no turn is empty."""
    foreign = ToolCall("call_1", "look", "{}", state("A", "other"))
    turns = (
        QUESTION,
        Turn("assistant", (Reasoning("", state("B", "other")), thought("C"), foreign)),
        Turn("user", (ToolResult("call_1", ()),)),
    )
    dropped = drop_foreign_states(Prompt("", turns, is_plain=False), "p", "m")
    assert dropped.turns[1].parts == (thought("C"), ToolCall("call_1", "look", "{}"))
    assert has_states(dropped)
    assert not has_states(drop_foreign_states(dropped, "q", "m"))
