"""A whole answer, gathered from batches of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models import (
    End,
    Fallback,
    Reasoning,
    Refusal,
    Restart,
    Start,
    State,
    Text,
    ToolCall,
    ToolCallDelta,
)
from streams.answer import Answer, AnswerPart, GatheredAnswer

if TYPE_CHECKING:
    from models import Event

START = Start("gpt", "luna")
FALLBACK = Fallback("luna", "nova", "upstream_truncated")
END = End(
    provider="gpt",
    model="luna",
    fallback=None,
    finish_reason="stop",
    raw_finish_reason="stop",
    usage=None,
    attempts=1,
)
BROKEN: list[Event] = [
    START,
    Text("Hel"),
    Reasoning("Hm"),
    Refusal("No"),
    ToolCallDelta(0, "call_0", "search"),
]


def gather(*batches: list[Event]) -> Answer | None:
    """What the last batch gives; those before it must give nothing."""
    gathered = GatheredAnswer()
    *early, last = [gathered.add(batch) for batch in batches]
    assert not any(early)
    return last


def test_pieces_are_joined_in_their_order() -> None:
    """Text, reasoning and refusal each on their own, over all batches."""
    answer = gather([START, Reasoning("H"), Text("Hel")], [Text("lo"), Reasoning("m")], [END])
    parts: list[AnswerPart] = [Reasoning("H"), Text("Hello"), Reasoning("m")]
    assert answer == Answer("Hello", "Hm", "", [], [], END, parts)


def test_parts_are_in_the_order_in_which_they_came() -> None:
    """A state ends its part of the reasoning; a call is one part, at the place of its first piece."""
    first, second = State("claude", "haiku", "1"), State("claude", "haiku", "2")
    answer = gather(
        [START, Reasoning("H"), Reasoning("m"), Reasoning("", first), Reasoning("", second)],
        [Text("Let me"), Text(" see."), Reasoning("Hm"), ToolCallDelta(0, "call_0", "search")],
        [ToolCallDelta(0, arguments="{}"), ToolCallDelta(1, "call_1", "add", "{}"), END],
    )
    assert answer
    assert answer.parts == [
        Reasoning("Hm", first),
        Reasoning("", second),
        Text("Let me see."),
        Reasoning("Hm"),
        ToolCall("call_0", "search", "{}"),
        ToolCall("call_1", "add", "{}"),
    ]
    assert (answer.text, answer.reasoning) == ("Let me see.", "HmHm")
    assert answer.states == [first, second]


def test_answer_needs_its_end() -> None:
    """Without one there is no answer, however much has arrived."""
    assert gather([START, Text("Hello")]) is None


def test_tool_calls_are_joined_by_their_index() -> None:
    """Each call comes out whole, with the state of its first piece."""
    state = State("gemini", "pro", '"c2ln"')
    pieces = [
        ToolCallDelta(0, "call_0", "search", state=state),
        ToolCallDelta(0, arguments='{"q":'),
        ToolCallDelta(0, arguments=' "x"}'),
        ToolCallDelta(1, "call_1", "add"),
        ToolCallDelta(1, arguments='{"a": 1}'),
    ]
    answer = gather([START, *pieces], [END])
    assert answer
    assert answer.tool_calls == [
        ToolCall("call_0", "search", '{"q": "x"}', state),
        ToolCall("call_1", "add", '{"a": 1}'),
    ]


def test_nothing_is_left_of_a_broken_answer() -> None:
    """A restart, or the start of another model's answer, drops what was gathered."""
    for opening in (Restart("gpt", "nova", FALLBACK, 3), Start("gpt", "nova", FALLBACK)):
        answer = gather(BROKEN, [opening, Text("Hi")], [END])
        assert answer == Answer("Hi", "", "", [], [], END, [Text("Hi")])
