"""What a connection waits for and until when, as dialogues with its state: no socket, no loop, no time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from server.connection_limits import ConnectionLimits
from server.connection_state import Action, ConnectionState, Phase, next_deadline

LIMITS = ConnectionLimits(head_seconds=10, body_seconds=30, linger_seconds=2)
IDLE_SECONDS = 75

connect, begin_head, end_head = (
    ConnectionState.connect,
    ConnectionState.begin_head,
    ConnectionState.end_head,
)
end_request, end_response = ConnectionState.end_request, ConnectionState.end_response
stop, linger, close, time_out = (
    ConnectionState.stop,
    ConnectionState.linger,
    ConnectionState.close,
    ConnectionState.time_out,
)


class Step(NamedTuple):
    """At this second something happens. Then the connection is in this phase, and has this deadline."""

    now: float
    event: Callable[[ConnectionState, float], Action | None]
    phase: Phase
    deadline: float | None
    action: Action | None = None


DIALOGUES = {
    "a request, and another on the same connection": [
        Step(0, connect, Phase.CONNECTED, 10),
        Step(3, begin_head, Phase.HEAD, 13),
        Step(4, end_head, Phase.BODY, 36),
        Step(5, end_request, Phase.ANSWERING, None),
        Step(9, end_response, Phase.IDLE, 84),
        Step(20, begin_head, Phase.HEAD, 30),
        Step(20, end_head, Phase.BODY, 52),
        Step(20, end_request, Phase.ANSWERING, None),
    ],
    "nothing is sent": [
        Step(0, connect, Phase.CONNECTED, 10),
        Step(10, time_out, Phase.CONNECTED, 10, Action.CLOSE),
    ],
    "half a head": [
        Step(0, connect, Phase.CONNECTED, 10),
        Step(3, begin_head, Phase.HEAD, 13),
        Step(13, time_out, Phase.HEAD, 13, Action.REFUSE),
        Step(13, linger, Phase.LINGERING, 15),
        Step(15, time_out, Phase.LINGERING, 15, Action.ABORT),
    ],
    "half a body, for which the app has not answered in time": [
        Step(0, begin_head, Phase.HEAD, 10),
        Step(1, end_head, Phase.BODY, 33),
        Step(33, time_out, Phase.BODY, 33, Action.ABORT),
    ],
    "a response that is complete before its request": [
        Step(0, begin_head, Phase.HEAD, 10),
        Step(1, end_head, Phase.BODY, 33),
        Step(2, linger, Phase.LINGERING, 4),
        Step(2, end_response, Phase.LINGERING, 4),
    ],
    "no further request": [
        Step(0, begin_head, Phase.HEAD, 10),
        Step(0, end_head, Phase.BODY, 32),
        Step(0, end_request, Phase.ANSWERING, None),
        Step(1, end_response, Phase.IDLE, 76),
        Step(76, time_out, Phase.IDLE, 76, Action.CLOSE),
        Step(76, close, Phase.CLOSED, None),
    ],
    "a request that arrives during another one's response": [
        Step(0, begin_head, Phase.HEAD, 10),
        Step(0, end_head, Phase.BODY, 32),
        Step(0, end_request, Phase.ANSWERING, None),
        Step(5, begin_head, Phase.HEAD, 15),
        Step(6, end_response, Phase.HEAD, 15),
        Step(7, end_head, Phase.BODY, 39),
        Step(8, end_request, Phase.ANSWERING, None),
        Step(9, end_response, Phase.IDLE, 84),
    ],
    "two requests at once": [
        Step(0, begin_head, Phase.HEAD, 10),
        Step(0, end_head, Phase.BODY, 32),
        Step(0, end_request, Phase.ANSWERING, None),
        Step(0, begin_head, Phase.HEAD, 10),
        Step(0, end_head, Phase.BODY, 32),
        Step(0, end_request, Phase.ANSWERING, None),
        Step(1, end_response, Phase.ANSWERING, None),
        Step(2, end_response, Phase.IDLE, 77),
    ],
    "half a head during another request's response": [
        Step(0, begin_head, Phase.HEAD, 10),
        Step(0, end_head, Phase.BODY, 32),
        Step(0, end_request, Phase.ANSWERING, None),
        Step(5, begin_head, Phase.HEAD, 15),
        Step(15, time_out, Phase.OVERDUE, None, Action.NOTHING),
        Step(40, end_response, Phase.OVERDUE, None),
        Step(40, linger, Phase.LINGERING, 42),
    ],
    "half a body during another request's response": [
        Step(0, begin_head, Phase.HEAD, 10),
        Step(0, end_head, Phase.BODY, 32),
        Step(0, end_request, Phase.ANSWERING, None),
        Step(5, begin_head, Phase.HEAD, 15),
        Step(5, end_head, Phase.BODY, 37),
        Step(37, time_out, Phase.OVERDUE, None, Action.UNQUEUE),
        Step(40, end_response, Phase.OVERDUE, None),
    ],
    "the server stops before the first request": [
        Step(0, connect, Phase.CONNECTED, 10),
        Step(2, stop, Phase.STOPPING, 3),
        Step(2.5, begin_head, Phase.HEAD, 12.5),
        Step(2.5, end_head, Phase.BODY, 34.5),
        Step(2.5, end_request, Phase.ANSWERING, None),
    ],
    "the server stops, and no request comes": [
        Step(0, connect, Phase.CONNECTED, 10),
        Step(2, stop, Phase.STOPPING, 3),
        Step(3, time_out, Phase.STOPPING, 3, Action.CLOSE),
    ],
    "the server stops after half a head": [
        Step(0, connect, Phase.CONNECTED, 10),
        Step(1, begin_head, Phase.HEAD, 11),
        Step(2, stop, Phase.STOPPING, 3),
        Step(2.5, end_head, Phase.BODY, 34.5),
    ],
}


@pytest.mark.parametrize("steps", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_connection_waits_for(steps: list[Step]) -> None:
    """Each event leads to a phase, and each phase has its deadline."""
    state = ConnectionState()
    for now, event, phase, deadline, action in steps:
        assert event(state, now) is action
        assert (state.phase, next_deadline(state, LIMITS, IDLE_SECONDS)) == (phase, deadline)


@pytest.mark.parametrize("steps", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_connection_counts_the_requests_without_a_response(steps: list[Step]) -> None:
    """The number is never negative; a connection with none is not waiting for the app."""
    state = ConnectionState()
    for step in steps:
        step.event(state, step.now)
        assert 0 <= state.unanswered <= state.requests
        assert state.unanswered or state.phase is not Phase.ANSWERING


def test_overdue_connection_knows_when_its_turn_has_come() -> None:
    """The late request is not counted: without another response to wait for, it is refused."""
    state = ConnectionState()
    for step in DIALOGUES["half a body during another request's response"]:
        step.event(state, step.now)
    assert (state.requests, state.unanswered) == (2, 0)


@pytest.mark.parametrize(
    ("phase", "is_reading"),
    [
        (Phase.CONNECTED, True),
        (Phase.STOPPING, True),
        (Phase.HEAD, True),
        (Phase.BODY, True),
        (Phase.ANSWERING, True),
        (Phase.IDLE, True),
        (Phase.OVERDUE, False),
        (Phase.LINGERING, False),
        (Phase.CLOSED, False),
    ],
)
def test_received_data_is_parsed_in_these_phases(phase: Phase, is_reading: bool) -> None:
    state = ConnectionState()
    state.phase = phase
    assert state.is_reading is is_reading
