"""When a streaming response has to do what, by its state alone."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.stream_timeouts import Action, Due, State, StreamTimeouts, next_check, next_due

TIMEOUTS = StreamTimeouts(hold=10, heartbeat=15, send=30)
SILENT = StreamTimeouts(hold=inf, heartbeat=inf, send=30)


@pytest.mark.parametrize(
    ("state", "due", "silent"),
    [
        (State.HELD, Due(110, Action.HEARTBEAT), Due(inf, Action.HEARTBEAT)),
        (State.OPEN, Due(115, Action.HEARTBEAT), Due(inf, Action.HEARTBEAT)),
        (State.WRITING, Due(130, Action.DROP), Due(130, Action.DROP)),
        (State.OVER, Due(inf, Action.NONE), Due(inf, Action.NONE)),
    ],
)
def test_each_state_has_one_deadline(state: State, due: Due, silent: Due) -> None:
    """A held or silent response gets a heartbeat, a client that does not read is dropped."""
    assert next_due(state, 100, TIMEOUTS) == due
    assert next_due(state, 100, SILENT) == silent


seconds = st.floats(0.01, 1e6) | st.just(inf)


@given(
    hold=seconds,
    heartbeat=seconds,
    send=st.floats(0.01, 1e6),
    waited=st.floats(0, 1e6),
    state=st.sampled_from(State),
    later=st.sampled_from([State.OPEN, State.WRITING]),
)
def test_no_deadline_is_missed(
    hold: float, heartbeat: float, send: float, waited: float, state: State, later: State
) -> None:
    """A response is looked at before its deadline, and before that of a state it may have entered."""
    timeouts = StreamTimeouts(hold, heartbeat, send)
    due = next_due(state, -waited, timeouts)
    check = next_check(due, 0, timeouts)
    assert check <= due.at
    assert check <= next_due(later, 0, timeouts).at
