"""Opaque state as one string, for the fields that other protocols have for it."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

from models import State

# So that state that comes from elsewhere, such as a conversation that a client began with the
# vendor itself, is recognised: no model is sent it.
_PREFIX = "gw1."
_FIELDS = tuple[str, str, str]


def write_state(state: State) -> str:
    """The state as a string that `read_state` reads."""
    data = msgspec.json.encode(msgspec.structs.astuple(state))
    return _PREFIX + urlsafe_b64encode(data).decode()


def read_state(token: str) -> State | None:
    """The state, or None if the gateway did not write the string.

    A client may have changed it: its data is some JSON, and nothing more is known of it.
    """
    if not token.startswith(_PREFIX):
        return None
    try:
        state = State(*msgspec.json.decode(urlsafe_b64decode(token[len(_PREFIX) :]), type=_FIELDS))
        msgspec.json.decode(state.data, type=Any)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return state
