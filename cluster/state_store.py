"""Keeps the opaque state of tool calls for clients that send none back.

Vendors need their state back in the next turn, and most clients keep nothing but a call's id. The
port has one implementation: the memory of this process. One that instances share fits in its place.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from sys import getsizeof
from typing import Protocol

import msgspec

from models import State, ToolCall


class KeptState(msgspec.Struct, frozen=True):
    """The states that belong to one call.

    `before` are those since the call before it, each with the number of characters of the answer's
    text that it follows; `own` is that of the call itself.
    """

    before: tuple[tuple[int, State], ...] = ()
    own: State | None = None

    @property
    def size(self) -> int:
        """Its bytes in memory, about."""
        states = [state for _, state in self.before] + ([self.own] if self.own else [])
        return _ENTRY_BYTES + sum(_STATE_BYTES + getsizeof(state.data) for state in states)


_FLOAT = re.compile(r"\d[.eE]")  # found in every text that has one
_ENTRY_BYTES = 300
_STATE_BYTES = 100


class StateStore(Protocol):
    """Where states are kept, by the keys of their calls. Any may be lost at any time."""

    async def put(self, states: Mapping[str, KeptState]) -> None:
        """Keep the states."""

    async def get(self, keys: Sequence[str]) -> Mapping[str, KeptState]:
        """The states that are kept, by their keys."""


def state_scope(owner: str, question: str) -> str:
    """The scope of the keys of one client's calls after one question.

    Servers number their calls, so that the ids of two clients' calls may be the same. A vendor
    needs the states of the newest question's calls only.
    """
    return sha256(msgspec.json.encode((owner, question))).hexdigest()


def state_key(call: ToolCall, scope: str) -> str:
    """The key of a call.

    Servers number their calls anew in each answer, so the key depends on the whole call. Clients
    write the arguments anew, so it depends on their values alone.
    """
    try:
        values = msgspec.json.decode(call.arguments)
        if _FLOAT.search(call.arguments):
            values = _plain(values)
        parts = msgspec.json.encode((scope, call.id, call.name, values), order="sorted")
    except (msgspec.MsgspecError, RecursionError):  # no JSON, or too many lists within lists
        parts = msgspec.json.encode((scope, call.id, call.name, call.arguments))
    return sha256(parts).hexdigest()


def _plain(value: object) -> object:
    """The value as JavaScript writes it, too: 1.0 is 1."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


class MemoryStateStore:
    """Keeps the newest states in memory, up to a number and a size of all together."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._states: OrderedDict[str, KeptState] = OrderedDict()
        self._bytes = 0

    async def put(self, states: Mapping[str, KeptState]) -> None:
        """Keep the states, and drop those that were used least recently if there are too many.

        One that is larger than all may be together is not kept.
        """
        for key, state in states.items():
            self._drop(key)
            if state.size > self._max_bytes:
                continue
            self._states[key] = state
            self._bytes += state.size
        while len(self._states) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._states)))

    async def get(self, keys: Sequence[str]) -> Mapping[str, KeptState]:
        """The states that are kept, by their keys."""
        found = {key: self._states[key] for key in keys if key in self._states}
        for key in found:
            self._states.move_to_end(key)
        return found

    def _drop(self, key: str) -> None:
        if state := self._states.pop(key, None):
            self._bytes -= state.size
