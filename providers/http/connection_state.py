"""The states of a connection to a vendor.

    IDLE ──► HEAD ──────► BODY ──────► IDLE … or COMPLETE ──► CLOSED
              └► ODD_HEAD ─┘└► REST ─┘
              any of these four ──► LOST

Pure: there is no socket and no event loop here.
"""

from __future__ import annotations

from enum import Enum, auto

from models import GatewayError


class State(Enum):
    """What the connection is doing."""

    IDLE = auto()  # a request may be sent: it is the first, or the last response was complete
    HEAD = auto()  # a request was sent; the head of its response is awaited
    ODD_HEAD = auto()  # the same; the head breaks HTTP/1.1, and is rewritten once it is complete
    BODY = auto()
    REST = auto()  # a body that is not needed is discarded
    COMPLETE = auto()  # the response was complete, but another request must not be sent
    CLOSED = auto()  # no response was in progress
    LOST = auto()  # closed before the response was complete


_RECEIVING = (State.HEAD, State.ODD_HEAD, State.BODY, State.REST)
_ENDED = (State.CLOSED, State.LOST)


def is_receiving(state: State) -> bool:
    """Whether a response is in progress."""
    return state in _RECEIVING


def close(state: State) -> State:
    """The state once the connection has been closed."""
    if state in _RECEIVING:
        return State.LOST
    return state if state in _ENDED else State.CLOSED


def explain_end(state: State, head: bytes | bytearray) -> Exception:
    """The failure if the vendor closes the connection in this state, with so much of a head."""
    if state in (State.BODY, State.REST):
        return GatewayError("upstream_truncated", reason="short_body")
    if head:
        return GatewayError("upstream_bad_response", reason="protocol")
    return closed_before_answer()


def closed_before_answer() -> OSError:
    """The failure if the connection has been closed without a byte of a response."""
    return ConnectionResetError("closed before an answer")
