"""Opaque state as one string, for the fields that other protocols have for it."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from models import State
from web.doors.json_fields import check_chars

# So that state that comes from elsewhere, such as a conversation that a client began with the
# vendor itself, is recognised: no model is sent it.
_PREFIX = "gw1."
_OF_CALL = "gw1c."  # of a call, where a protocol has a field for the state of reasoning alone
_FIELDS = tuple[str, str, str]


def write_state(state: State, *, of_call: bool = False) -> str:
    """The state as a string that `read_state` reads.

    With `of_call` the string says that the state is that of the call which follows.
    """
    data = msgspec.json.encode(msgspec.structs.astuple(state))
    return (_OF_CALL if of_call else _PREFIX) + urlsafe_b64encode(data).decode()


def is_of_call(token: str) -> bool:
    """Whether the string was written with `of_call`."""
    return token.startswith(_OF_CALL)


def read_state(token: str, longest: int) -> State | None:
    """The state, or None if the gateway did not write the string.

    A client may have changed it: its data is some JSON, and nothing more is known of it. Raises
    GatewayError if that has more characters than MAX_MESSAGE_CHARS, which is `longest`.
    """
    prefix, dot, text = token.partition(".")
    if prefix + dot not in (_PREFIX, _OF_CALL):
        return None
    try:
        state = State(*msgspec.json.decode(urlsafe_b64decode(text), type=_FIELDS))
        # Raw: it may have a million values, which are of no use here.
        msgspec.json.decode(state.data, type=msgspec.Raw)
    except (binascii.Error, ValueError, RecursionError):
        return None
    check_chars(len(state.data), longest)
    return state
