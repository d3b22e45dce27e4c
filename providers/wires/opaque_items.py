"""Opaque state that goes back to a vendor: as an item of its own, or as fields of a message.

A client sends it back, so it may be anything. An item of another type could have the vendor fetch a
URL, or bring a file of the account; so could one that has two types, of which the vendor may read
the other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from models import State


class _Item(msgspec.Struct):
    type: str


def read_item(
    state: State | None, kinds: Mapping[str, tuple[str, ...]]
) -> dict[str, msgspec.Raw] | None:
    """The item with the fields that its type has, in their order, their values byte for byte.

    None if it is not of these types, or lacks the last one of the fields, which is the opaque text.
    """
    if state is None:
        return None
    try:
        kind = msgspec.json.decode(state.data, type=_Item).type
    except (msgspec.MsgspecError, RecursionError):
        return None
    if kind not in kinds:
        return None
    names = ("type", *kinds[kind])
    given = msgspec.json.decode(state.data, type=dict[str, msgspec.Raw])
    fields = {name: value for name, value in given.items() if name in names}
    opaque = bytes(fields.get(names[-1], b""))
    return fields if opaque.startswith(b'"') and opaque != b'""' else None


def read_fields(state: State, names: Iterable[str]) -> dict[str, msgspec.Raw]:
    """Those of the state's fields that have these names."""
    try:
        fields = msgspec.json.decode(state.data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return {name: fields[name] for name in names if name in fields}
