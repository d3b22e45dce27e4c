"""Rules 6 and 7 of a prompt: each call has one result, right after it, by an id that every vendor accepts."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Chat, Part, Prompt, Text, ToolCall, ToolResult, Turn
from prompt_engineering import build_prompt

FITTING = re.compile(r"[A-Za-z0-9_-]{1,40}")
NONE = ToolResult("a", (Text("The tool returned no result."),), is_error=True)


def call(call_id: str) -> ToolCall:
    return ToolCall(call_id, "look", "{}")


def result(call_id: str, text: str = "2") -> ToolResult:
    return ToolResult(call_id, (Text(text),))


def build(*turns: Turn) -> Prompt:
    return build_prompt(Chat(turns=turns), "")


def ask(*parts: Part) -> Turn:
    return Turn("user", parts or (Text("How is it?"),))


def step(calls: tuple[Part, ...], answered: tuple[Part, ...]) -> tuple[Turn, Turn]:
    """What a step of these calls and the user's turn after it are in the prompt."""
    _, asked, following = build(ask(), Turn("assistant", calls), ask(*answered)).turns
    return asked, following


@pytest.mark.parametrize(
    ("calls", "answered", "expected"),
    [
        ("a", (result("a"),), (result("a"),)),
        ("ab", (result("b"), result("a")), (result("a"), result("b"))),
        ("a", (Text("So?"), result("a")), (result("a"), Text("So?"))),
        ("a", (Text("So?"),), (NONE, Text("So?"))),
        ("a", (result("a", "1"), result("a", "2")), (result("a", "1"), Text("2"))),
        ("a", (result("x", "1"), result("a", "2")), (result("a", "2"), Text("1"))),
        ("a", (ToolResult("x", ()), result("a")), (result("a"), NONE.parts[0])),
    ],
    ids=[
        "a result",
        "in the order of the calls",
        "before what the user says",
        "none",
        "of several the first",
        "of no call",
        "empty, and of no call",
    ],
)
def test_results_are_the_first_parts_after_their_calls(
    calls: str, answered: tuple[Part, ...], expected: tuple[Part, ...]
) -> None:
    """One for each call; what else the client sent is not lost."""
    assert step(tuple(map(call, calls)), answered)[1].parts == expected


def test_result_before_any_call_is_what_the_user_says() -> None:
    """As if the client had left out old turns."""
    assert build(ask(result("a", "1"), Text("So?"))).turns == (ask(Text("1"), Text("So?")),)


def test_calls_of_adjacent_turns_are_one_step() -> None:
    """Some clients send a message for each call."""
    turns = (Turn("assistant", (call("a"),)), Turn("assistant", (call("b"),)))
    prompt = build(ask(), *turns, ask(result("b")), ask(result("a")))
    assert prompt.turns[1].parts == (call("a"), call("b"))
    assert prompt.turns[2].parts == (result("a"), result("b"))


def test_call_at_the_end_has_no_result_and_is_left_out() -> None:
    """Like any final turn of the assistant."""
    assert build(ask(), Turn("assistant", (call("a"),))).turns == (ask(),)


@pytest.mark.parametrize("call_id", ["functions.look:0", "", "x" * 41, "ä", "a b"])
def test_id_that_does_not_fit_is_replaced_in_both(call_id: str) -> None:
    """By the same one each time, so that a vendor can cache the history."""
    asked, following = step((call(call_id),), (result(call_id),))
    assert (asked, following) == step((call(call_id),), (result(call_id),))
    (sent,) = asked.parts
    assert isinstance(sent, ToolCall)
    assert FITTING.fullmatch(sent.id)
    assert following.parts == (result(sent.id),)


def test_id_of_an_earlier_step_is_replaced() -> None:
    """Servers number the calls of each answer anew. Each call keeps its own result."""
    turns = (Turn("assistant", (call("a"),)), ask(result("a", "1")))
    prompt = build(ask(), *turns, Turn("assistant", (call("a"),)), ask(result("a", "2")))
    first, second = prompt.turns[1].parts[0], prompt.turns[3].parts[0]
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.id == "a" != second.id
    assert prompt.turns[2].parts == (result("a", "1"),)
    assert prompt.turns[4].parts == (result(second.id, "2"),)


def test_ids_that_a_client_chose_to_collide_are_replaced_all_the_same() -> None:
    """A client can compute how an id is replaced; the replacement is replaced, too."""
    ids = ["a", *(f"call_{sha256(f'a {n}'.encode()).hexdigest()[:24]}" for n in range(2, 10)), "a"]
    asked, _ = step(tuple(map(call, ids)), ())
    sent = [part.id for part in asked.parts if isinstance(part, ToolCall)]
    assert len(set(sent)) == len(ids)


IDS = st.sampled_from(["a", "b", "c", "", "x.y", "x" * 50])
ANSWERED = st.lists(st.builds(result, IDS, st.sampled_from("123")) | st.just(Text("So?")))
STEPS = st.lists(st.tuples(st.lists(IDS.map(call) | st.just(Text("I look."))), ANSWERED))


@given(STEPS)
def test_any_calls_have_one_result_each(steps: list[tuple[list[Part], list[Part]]]) -> None:
    """In their order, by unique ids that fit; no text of a result is lost; the same each time."""
    turns = [ask()]
    for asked, answered in steps:
        turns += [Turn("assistant", tuple(asked)), Turn("user", tuple(answered))]
    prompt = build(*turns, ask(Text("end")))
    assert prompt == build(*turns, ask(Text("end")))
    ids: list[str] = []
    for before, after in zip(prompt.turns[1::2], prompt.turns[2::2], strict=True):
        asked_ids = [part.id for part in before.parts if isinstance(part, ToolCall)]
        kinds = [isinstance(part, ToolResult) for part in after.parts]
        assert kinds == [True] * len(asked_ids) + [False] * (len(kinds) - len(asked_ids))
        assert asked_ids == [part.call_id for part in after.parts if isinstance(part, ToolResult)]
        ids += asked_ids
    assert len(set(ids)) == len(ids)
    assert all(map(FITTING.fullmatch, ids))
    texts = "".join(_texts(part) for turn in prompt.turns for part in turn.parts)
    for text in "123":
        given_texts = sum(_texts(part) == text for turn in turns for part in turn.parts)
        assert texts.count(text) == given_texts


def _texts(part: Part) -> str:
    match part:
        case Text(text):
            return text
        case ToolResult(parts=inner):
            return "".join(text.text for text in inner if isinstance(text, Text))
        case _:
            return ""


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("look", "look"),
        ("Look-up_2", "Look-up_2"),
        ("functions.look", "functions_look"),
        ("mcp:look at", "mcp_look_at"),
        ("ä", "_"),
        ("x" * 65, "x" * 64),
    ],
)
def test_name_that_a_model_made_up_is_one_that_every_vendor_accepts(name: str, sent: str) -> None:
    """Else a single call would have every later turn of the conversation refused."""
    asked, _ = step((ToolCall("a", name, "{}"),), (result("a"),))
    assert asked.parts == (ToolCall("a", sent, "{}"),)
