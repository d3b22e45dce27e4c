"""The states of a streaming response, and its next deadline: pure functions of state and time."""

from __future__ import annotations

from enum import Enum, auto
from math import inf
from typing import NamedTuple, assert_never


class StreamTimeouts(NamedTuple):
    """The timeouts of a stream, in seconds; infinite if there is none."""

    hold: float  # for the first frame, before the status line is sent without it
    heartbeat: float  # of silence, until a heartbeat is sent
    send: float  # for a write, before the client counts as not reading

    @property
    def shortest(self) -> float:
        """The earliest that a deadline can be after a write."""
        return min(self.heartbeat, self.send)


class State(Enum):
    """What a response is doing."""

    HELD = auto()  # nothing is sent: the status line waits for the first frame
    OPEN = auto()  # all frames so far are sent
    WRITING = auto()  # a write waits for the client to read
    OVER = auto()  # nothing more is written


class Action(Enum):
    """What a deadline is for."""

    HEARTBEAT = auto()
    DROP = auto()
    NONE = auto()


class Due(NamedTuple):
    """A deadline: a time of the loop, and what is done at it."""

    at: float
    action: Action


def next_due(state: State, since: float, timeouts: StreamTimeouts) -> Due:
    """The deadline of a response that entered its state, or wrote last, at `since`."""
    match state:
        case State.HELD:
            return Due(since + timeouts.hold, Action.HEARTBEAT)
        case State.OPEN:
            return Due(since + timeouts.heartbeat, Action.HEARTBEAT)
        case State.WRITING:
            return Due(since + timeouts.send, Action.DROP)
        case State.OVER:
            return Due(inf, Action.NONE)
        case _:
            assert_never(state)


def next_check(due: Due, now: float, timeouts: StreamTimeouts) -> float:
    """When to look at the response again.

    A write changes the state without setting a timer, which saves a call for each delta. So the
    response is looked at before any deadline that a later state could have.
    """
    return min(due.at, now + timeouts.shortest)
