"""The states of a client's connection, and until when it waits in each of them.

Pure: there is no socket and no event loop here.

    CONNECTED ──► HEAD ──► BODY ──► ANSWERING ──► IDLE ──► HEAD …
                   │         │
                   └────┬────┘ too late, behind another response
                        ▼
                     OVERDUE ──► LINGERING ──► CLOSED

A client may send its next requests before it has the response to an earlier one (pipelining). The
phase is then that of the request being received, and `unanswered` counts the requests whose
responses are not complete.
"""

from __future__ import annotations

from enum import Enum, auto

from server.connection_limits import ConnectionLimits

_FIRST_REQUEST_SECONDS = 1.0  # for the first request of a new connection at shutdown


class Phase(Enum):
    """What the connection is waiting for."""

    CONNECTED = auto()  # the first request
    STOPPING = auto()  # the first request: the server has stopped, but it may be in flight
    HEAD = auto()  # the rest of a request's head
    BODY = auto()  # the rest of a request's body, while the app already has the request
    ANSWERING = auto()  # the app: all that was received is a number of complete requests
    IDLE = auto()  # the next request
    OVERDUE = auto()  # the app: the request behind this one is late, and gets an error in its turn
    LINGERING = auto()  # the client, to read the last response; what it sends is discarded
    CLOSED = auto()  # the client, to read what is left in the write buffer


# Python 3.11 takes a quarter of a microsecond to find a member of an enum.
_CONNECTED, _STOPPING, _HEAD, _BODY, _ANSWERING, _IDLE, _OVERDUE, _LINGERING, _CLOSED = Phase
_NOT_READING = (_OVERDUE, _LINGERING, _CLOSED)


class Action(Enum):
    """What the protocol does when a deadline has passed."""

    CLOSE = auto()
    ABORT = auto()
    REFUSE = auto()  # answer the request with an error, and linger
    UNQUEUE = auto()  # drop the newest request, whose response has not begun
    NOTHING = auto()


class ConnectionState:
    """One connection. The methods are the events that change it; `now` is the loop's time."""

    __slots__ = ("phase", "requests", "since", "unanswered")

    def __init__(self) -> None:
        self.phase = _CONNECTED
        self.since = 0.0  # when the phase began
        self.requests = 0  # whose head is complete
        self.unanswered = 0

    @property
    def is_reading(self) -> bool:
        """Whether what the client sends is parsed."""
        return self.phase not in _NOT_READING

    @property
    def is_waiting_for_first(self) -> bool:
        """Whether no request has been received up to the end of its head, or refused."""
        return self.requests == 0 and self.is_reading

    def connect(self, now: float) -> None:
        """The connection was made."""
        self._enter(_CONNECTED, now)

    def begin_head(self, now: float) -> None:
        """The first byte of a request was received."""
        self._enter(_HEAD, now)

    def end_head(self, now: float) -> None:
        """A head is complete: the app gets the request, now or after those before it."""
        self.requests += 1
        self.unanswered += 1
        self._enter(_BODY, now)

    def end_request(self, now: float) -> None:
        """A request is complete."""
        self._enter(_ANSWERING, now)

    def end_response(self, now: float) -> None:
        """The oldest unanswered request has its response."""
        self.unanswered -= 1
        if self.phase is _ANSWERING and not self.unanswered:
            self._enter(_IDLE, now)

    def linger(self, now: float) -> None:
        """The last response was sent, but the client may still be sending."""
        self._enter(_LINGERING, now)

    def stop(self, now: float) -> None:
        """The server has stopped accepting, and the first request is not here."""
        self._enter(_STOPPING, now)

    def close(self, now: float) -> None:
        """The connection was closed, by either side."""
        self._enter(_CLOSED, now)

    def time_out(self, now: float) -> Action:
        """The deadline has passed."""
        if self.phase is _HEAD and not self.unanswered:
            return Action.REFUSE
        if self.phase is _HEAD:
            self._enter(_OVERDUE, now)
            return Action.NOTHING
        if self.phase is _BODY and self.unanswered > 1:
            self.unanswered -= 1
            self._enter(_OVERDUE, now)
            return Action.UNQUEUE
        if self.phase in (_BODY, _LINGERING):
            return Action.ABORT
        return Action.CLOSE

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase = phase
        self.since = now


def next_deadline(
    state: ConnectionState, limits: ConnectionLimits, idle_seconds: float
) -> float | None:
    """When the connection has waited too long for its client. None: it waits for the app alone."""
    phase, since = state.phase, state.since
    if phase is _ANSWERING:
        return None
    if phase is _IDLE:
        return since + idle_seconds
    if phase in (_CONNECTED, _HEAD):
        return since + limits.head_seconds
    if phase is _BODY:
        # later than the app's own deadline, so that the app can answer first
        return since + limits.body_seconds + limits.linger_seconds
    if phase is _STOPPING:
        return since + _FIRST_REQUEST_SECONDS
    if phase is _LINGERING:
        return since + limits.linger_seconds
    return None  # OVERDUE, CLOSED
