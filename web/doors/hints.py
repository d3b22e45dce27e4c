"""Hints of other protocols: parameters without which an answer is as good. None is sent on."""

from __future__ import annotations

from collections.abc import Mapping

from web.doors.json_fields import is_absent


def find_hints(fields: object, hints: Mapping[str, tuple[bytes, ...]]) -> tuple[str, ...]:
    """The hints that a body gives. They go by their names, each with values that ask for nothing.

    The fields are undecoded.
    """
    raws = {name: getattr(fields, name) for name in hints}
    return tuple(
        name
        for name, raw in raws.items()
        if not is_absent(raw) and bytes(memoryview(raw)) not in hints[name]
    )
