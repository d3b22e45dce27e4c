"""The calls of one answer: ids, and pieces in an order that every client takes, whatever a vendor sends."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Delta, Event, GatewayError, Reasoning, State, Text, ToolCall, ToolCallDelta
from providers.answer_calls import AnswerCalls
from streams.answer import join_pieces

FITTING = re.compile(r"[A-Za-z0-9_-]{1,40}")


def piece(
    index: int, arguments: str = "", call_id: str | None = None, name: str | None = None
) -> ToolCallDelta:
    return ToolCallDelta(index, call_id, name, arguments)


def begin(index: int, arguments: str = "") -> ToolCallDelta:
    """The first piece of a call."""
    return piece(index, arguments, f"call_{index}", f"tool_{index}")


def arrange(*batches: Sequence[Delta], taken: Sequence[str] = ()) -> list[list[Event]]:
    """What is sent of each batch, and at the end."""
    calls = AnswerCalls(taken, 0)
    return [*(calls.arrange(batch) for batch in batches), calls.close()]


def sent_calls(*deltas: Delta, taken: Sequence[str] = ()) -> list[ToolCall]:
    """The calls as a client puts them together. Each delta is a batch."""
    events = [
        event for batch in arrange(*[[delta] for delta in deltas], taken=taken) for event in batch
    ]
    pieces = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [index for index, _ in groupby(pieces, key=lambda one: one.index)] == sorted(
        {one.index for one in pieces}
    ), "pieces of a call are not contiguous"
    opened: set[int] = set()
    for one in pieces:
        is_first = one.index not in opened
        opened.add(one.index)
        assert (one.id is not None, one.name is not None) == (is_first, is_first)
        assert bool(one.arguments) != is_first
    return [part for part in join_pieces(pieces) if isinstance(part, ToolCall)]


def test_pieces_of_one_call_are_sent_as_they_come() -> None:
    """Nothing waits."""
    assert arrange([begin(0)], [piece(0, '{"a"')], [piece(0, ":1}")]) == [
        [begin(0)],
        [piece(0, '{"a"')],
        [piece(0, ":1}")],
        [],
    ]


def test_first_piece_has_no_arguments() -> None:
    """Some clients leave out the arguments of the piece that opens a call."""
    assert arrange([begin(0, "{}")])[0] == [begin(0), piece(0, "{}")]


def test_call_waits_until_the_one_before_it_is_complete() -> None:
    """By its arguments, which are one JSON object."""
    batches = arrange(
        [begin(0), begin(1, "{")], [piece(0, '{"a":{}')], [piece(1, "}")], [piece(0, "}")]
    )
    assert batches == [
        [begin(0)],
        [piece(0, '{"a":{}')],
        [],
        [piece(0, "}"), begin(1), piece(1, "{"), piece(1, "}")],
        [],
    ]


def test_calls_that_never_complete_wait_for_the_end() -> None:
    """Their arguments are what the model wrote, and `{}` if it wrote none."""
    assert arrange([begin(0), begin(1, "[1"), begin(2)]) == [
        [begin(0)],
        [piece(0, "{}"), begin(1), piece(1, "[1"), begin(2), piece(2, "{}")],
    ]


@pytest.mark.parametrize("blank", ["", " "])
def test_call_that_is_cut_before_its_arguments_is_no_whole_one(blank: str) -> None:
    """Of an answer that reached its length, the last call may lack arguments that it needs."""
    calls = AnswerCalls((), 0)
    calls.arrange([begin(0), begin(1, blank)])
    blanks = [piece(1, blank)] if blank else []
    cut = [piece(0, "{}"), begin(1), *blanks, piece(1, "{")]
    assert calls.close(is_cut=True) == cut
    calls = AnswerCalls((), 0)
    calls.arrange([begin(0), begin(1, "[1]")])
    assert calls.close(is_cut=True) == [piece(0, "{}"), begin(1), piece(1, "[1]")]


def test_indexes_are_places_among_the_calls() -> None:
    """Whatever numbers the decoder has."""
    assert [(one.id, one.arguments) for one in sent_calls(begin(7, "{}"), begin(3, "{}"))] == [
        ("call_7", "{}"),
        ("call_3", "{}"),
    ]


def test_name_and_id_may_come_later() -> None:
    """A call begins once it has a name, and an id or arguments."""
    late = sent_calls(piece(0, '{"a":'), piece(0, "1}", None, "look"))
    assert [(one.name, one.arguments) for one in late] == [("look", '{"a":1}')]
    assert sent_calls(piece(0, name="look"), piece(0, "{}", "call_9"))[0].id == "call_9"


def test_call_without_a_name_is_a_failure() -> None:
    """No client could run it."""
    with pytest.raises(GatewayError, match="upstream_bad_event"):
        arrange([piece(0, "{}", "call_0")])


def test_white_space_after_a_complete_call_is_left_out() -> None:
    """The next call has begun; the arguments mean the same."""
    assert [
        one.arguments for one in sent_calls(begin(0, "{}"), begin(1, "{}"), piece(0, "\n"))
    ] == [
        "{}",
        "{}",
    ]


def test_call_that_goes_on_after_it_was_complete_is_a_failure() -> None:
    """Its arguments would be no JSON, and its pieces not contiguous."""
    with pytest.raises(GatewayError, match="upstream_bad_event"):
        arrange([begin(0, "{}"), begin(1, "{}"), piece(0, '{"a": 1}')])


@pytest.mark.parametrize("call_id", [None, "", "call_old"])
def test_id_is_made_if_there_is_none_of_its_own(call_id: str | None) -> None:
    """Also if the conversation has it already: servers number their calls anew in each answer."""
    (made,) = sent_calls(piece(0, "{}", call_id, "look"), taken=["call_old"])
    assert FITTING.fullmatch(made.id)
    assert made.id != "call_old"


def test_id_that_does_not_fit_has_always_the_same_replacement() -> None:
    """So that a repeated answer has the same ids."""
    ids = {sent_calls(piece(0, "{}", "functions.look:0", "look"))[0].id for _ in range(3)}
    assert len(ids) == 1
    assert FITTING.fullmatch(ids.pop())


def test_many_pieces_beside_a_waiting_call_take_little_time() -> None:
    """Each look at arguments reads them all, so there are few."""
    calls = AnswerCalls((), 0)
    calls.arrange([begin(0, '{"a":['), begin(1, "{}")])
    for _ in range(20_000):
        calls.arrange([piece(0, '{"b": "' + "x" * 100 + '"},')])
        calls.arrange([piece(0, "{}")])
    assert [event for event in calls.close() if isinstance(event, ToolCallDelta)][-1].index == 1


@pytest.mark.parametrize(("size", "is_noticed"), [(1_000, True), (1_100_000, False)])
def test_long_arguments_are_not_read_again_and_again(size: int, *, is_noticed: bool) -> None:
    """Whether they are complete is then known at the end of the answer."""
    calls = AnswerCalls((), 0)
    calls.arrange([begin(0, '{"a":"' + "x" * size), begin(1, "{}")])
    calls.arrange([piece(0, "}")])  # it ends as if it were complete
    sent = calls.arrange([piece(0, '"}')])
    assert ToolCallDelta(1, "call_1", "tool_1") in (sent if is_noticed else calls.close())


def test_number_of_calls_is_limited() -> None:
    """Each takes memory, even if it has no arguments."""
    calls = AnswerCalls((), 0)
    calls.arrange([begin(index) for index in range(1_000)])
    with pytest.raises(GatewayError, match="event_too_large"):
        calls.arrange([begin(1_000)])


def test_states_belong_to_the_call_after_them() -> None:
    """With the characters of text before them."""
    first, second, own = (State("p", "m", name) for name in "ABC")
    calls = AnswerCalls((), 5)
    calls.arrange([Reasoning("Hm.", first), Text("ab"), begin(0, "{}"), Reasoning("", second)])
    calls.arrange([ToolCallDelta(1, "call_1", "tool_1", "{}", own), begin(2, "{}")])
    calls.close()
    assert [(call.id, kept.before, kept.own) for call, kept in calls.kept()] == [
        ("call_0", ((5, first),), None),
        ("call_1", ((7, second),), own),
    ]


ARGUMENTS = st.one_of(
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=6), max_size=3).map(
        json.dumps
    ),
    st.sampled_from(["", "{", "no JSON", "[1, 2]", "12", "{}", '{"a": "}"}']),
)


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[str], list[ToolCallDelta]]:
    """The arguments of some calls, and their pieces in any order that keeps that of each call."""
    arguments = draw(st.lists(ARGUMENTS, min_size=1, max_size=4))
    queues: list[list[ToolCallDelta]] = []
    for index, whole in enumerate(arguments):
        cuts = sorted(draw(st.sets(st.integers(0, len(whole)), max_size=3)) | {0, len(whole)})
        pieces = [piece(index, whole[a:b]) for a, b in pairwise(cuts)]
        queues.append([piece(index, "", f"call_{index}", f"tool_{index}"), *pieces])
    mixed: list[ToolCallDelta] = [queue.pop(0) for queue in queues]
    while rest := [queue for queue in queues if queue]:
        mixed.append(draw(st.sampled_from(rest)).pop(0))
    return arguments, mixed


@given(interleaved())
def test_no_piece_of_an_argument_is_lost(made: tuple[list[str], list[ToolCallDelta]]) -> None:
    """However the pieces of several calls are mixed: whole, contiguous, in the order of the calls."""
    arguments, deltas = made
    expected: list[Any] = [
        (f"call_{index}", f"tool_{index}", whole if whole.strip() else whole + "{}")
        for index, whole in enumerate(arguments)
    ]
    assert [(one.id, one.name, one.arguments) for one in sent_calls(*deltas)] == expected


@given(
    st.lists(st.sampled_from([None, "", "a", "b", "functions.add:0", "x" * 60]), max_size=8),
    st.sets(st.sampled_from(["a", "b", "c"])),
)
def test_ids_are_unique_and_fit(ids: list[str | None], taken: set[str]) -> None:
    """Within the answer, and within the conversation."""
    deltas = [piece(index, "{}", call_id, "look") for index, call_id in enumerate(ids)]
    sent = [one.id for one in sent_calls(*deltas, taken=sorted(taken))]
    assert len({*sent, *taken}) == len(sent) + len(taken)
    assert all(FITTING.fullmatch(call_id) for call_id in sent)


def test_text_waits_until_the_open_call_is_complete() -> None:
    """A protocol with blocks cannot go back to a call after a text."""
    assert arrange([begin(0, '{"a"'), Text("so")], [piece(0, ":1}"), Text("on")], [begin(1)]) == [
        [piece(0, "", "call_0", "tool_0"), piece(0, '{"a"')],
        [piece(0, ":1}"), Text("so"), Text("on")],
        [piece(1, "", "call_1", "tool_1")],
        [piece(1, "{}")],
    ]


def test_text_after_a_complete_call_is_sent_at_once() -> None:
    """Nothing can follow in that call."""
    whole = [piece(0, "", "call_0", "tool_0"), piece(0, "{}")]
    assert arrange([begin(0, "{}")], [Text("so")]) == [whole, [Text("so")], []]


def test_text_after_a_call_without_arguments_comes_at_the_end() -> None:
    """Its arguments may still come."""
    assert arrange([begin(0)], [Text("so")], [piece(0, "{}")]) == [
        [begin(0)],
        [],
        [piece(0, "{}"), Text("so")],
        [],
    ]
    assert arrange([begin(0)], [Text("so")]) == [[begin(0)], [], [piece(0, "{}"), Text("so")]]


def test_text_comes_after_calls_that_waited_for_the_open_one() -> None:
    """The order among calls and texts is kept as far as blocks allow."""
    sent = arrange([begin(0), begin(1, "{}"), Text("so")], [piece(0, "{}")])
    assert [type(event) for event in sent[1]][-1] is Text
    assert [event.index for event in sent[1][:-1] if isinstance(event, ToolCallDelta)] == [0, 1, 1]


def test_call_that_is_sent_once_more_is_one_call() -> None:
    """Some servers repeat a complete call after the text that follows it."""
    again = [begin(0), piece(0, '{"a"'), piece(0, ":1}")]
    sent = arrange([begin(0, '{"a":1}'), Text("so")], again, [Text("on")])
    assert [event for batch in sent for event in batch] == [
        piece(0, "", "call_0", "tool_0"),
        piece(0, '{"a":1}'),
        Text("so"),
        Text("on"),
    ]


@pytest.mark.parametrize(
    "again",
    [
        [piece(0, '{"a":{"b":1}}')],
        [piece(0, '{"a":'), piece(0, '{"b":1}'), piece(0, "}\n")],
        [begin(0, ' {"a":{"b":1}}')],
    ],
)
def test_call_that_is_sent_once_more_at_once_is_one_call(again: list[Delta]) -> None:
    """Some servers end a call, or the answer, with the whole call."""
    (call,) = sent_calls(begin(0, '{"a":'), piece(0, '{"b":1}'), piece(0, "}"), *again)
    assert call.arguments == '{"a":{"b":1}}'
    first, second = sent_calls(begin(0, '{"a":{"b":1}}'), *again, begin(1, "{}"))
    assert (first.arguments, second.arguments) == ('{"a":{"b":1}}', "{}")


@pytest.mark.parametrize("more", ['{"b":1}', "{", '{"a":1}{"a":1}'])
def test_arguments_that_are_more_than_an_object_are_sent_as_the_model_wrote_them(more: str) -> None:
    """They are no JSON, which the client sees."""
    call, *_ = sent_calls(begin(0, '{"a":1}'), piece(0, more))
    assert call.arguments == '{"a":1}' + more
    call, other = sent_calls(begin(0, '{"a":1}'), piece(0, more), begin(1, "{}"))
    assert (call.arguments, other.arguments) == ('{"a":1}' + more, "{}")


@pytest.mark.parametrize("more", [[piece(0, "{}")], [begin(0), piece(0, '{"a":2}')]])
def test_complete_call_that_goes_on_after_text_fails(more: list[Delta]) -> None:
    """Its arguments are not what was sent."""
    with pytest.raises(GatewayError, match="unreadable") as raised:
        arrange([begin(0, '{"a":1}'), Text("so")], more)
    assert raised.value.reason == "call_goes_on"
