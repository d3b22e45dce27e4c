"""Opaque state that goes back to a vendor: as an item of its own, or as fields of a message.

A client sends it back, so it may be anything. An item of another type could have the vendor fetch a
URL, or bring a file of the account.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import msgspec

from models import State


class _Item(msgspec.Struct):
    type: str


def read_item(state: State | None, kinds: Container[str]) -> msgspec.Raw | None:
    """The item, byte for byte; None if it is not of these types."""
    if state is None:
        return None
    try:
        kind = msgspec.json.decode(state.data, type=_Item).type
    except msgspec.MsgspecError:
        return None
    return msgspec.Raw(state.data.encode()) if kind in kinds else None


def read_fields(state: State, names: Iterable[str]) -> dict[str, msgspec.Raw]:
    """Those of the state's fields that have these names."""
    try:
        fields = msgspec.json.decode(state.data, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return {}
    return {name: fields[name] for name in names if name in fields}
