"""Joins the arguments of a call that Gemini streams in pieces: values with JSON paths."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import msgspec

from models import GatewayError, ToolCallDelta
from providers.wires.lenient_json import read_json, write_json
from providers.wires.surrogates import replace_escapes

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d{1,4})\]|\[['\"]([^'\"]*)['\"]\]")
_MAX_STEPS = 64
_VALUE_SIZE = 200  # bytes, about: of an object or a list, with its place in another


class PartialValue(msgspec.Struct, rename="camel", gc=False):
    """A piece of a value at a path such as `$.steps[1]`.

    A string is appended to the value, another type replaces it.
    """

    json_path: str | None = None
    string_value: str | None = None
    number_value: float | int | None = None
    bool_value: bool | None = None
    null_value: Any = msgspec.UNSET


class _Pieces:
    """A string that is not complete."""

    __slots__ = ("texts",)

    def __init__(self) -> None:
        self.texts: list[str] = []


class PartialArguments:
    """The arguments of one call. A string's pieces are joined once, at the end."""

    __slots__ = ("_given", "_values", "index", "size")

    def __init__(self, index: int, given: bytes) -> None:
        self.index = index  # of the call within the answer
        self.size = 0  # characters of all values, about
        self._given = given  # arguments that arrived in one piece, as JSON
        self._values: dict[str, Any] = {}

    def add(self, piece: PartialValue) -> None:
        """Set the value at the piece's path.

        Raises GatewayError `upstream_bad_event` for an invalid path.
        """
        self.size += len(piece.string_value or "")
        path = (piece.json_path or "").removeprefix("$")
        steps = [
            int(index) if index else name or quoted for name, index, quoted in _STEP.findall(path)
        ]
        if len(steps) > _MAX_STEPS:
            raise GatewayError("upstream_bad_event", reason="partial_arguments")
        holder: Any = self._values
        try:
            for step, following in pairwise(steps):
                holder = self._enter(holder, step, [] if isinstance(following, int) else {})
            last = steps[-1]
            before = self._enter(holder, last, None)
            if piece.string_value is not None:
                if not isinstance(before, _Pieces):
                    before = holder[last] = _Pieces()
                before.texts.append(piece.string_value)
            elif piece.number_value is not None:
                holder[last] = piece.number_value
            else:
                holder[last] = piece.bool_value
        except (AttributeError, IndexError, KeyError, TypeError):
            raise GatewayError("upstream_bad_event", reason="partial_arguments") from None

    def close(self, *, is_cut: bool = False) -> ToolCallDelta:
        """The arguments as one piece; `{}` if there are none. What `is_cut` is no whole JSON."""
        if self._values:
            text = write_json(_join(self._values))
            return ToolCallDelta(self.index, arguments=text[:-1] if is_cut else text)
        if is_cut:
            return ToolCallDelta(self.index)
        text = replace_escapes(self._given.decode())
        if text.startswith('"'):  # JSON text in place of the object
            text = str(read_json(text.encode()))
        return ToolCallDelta(self.index, arguments="{}" if text in ("", "null", "[]") else text)

    def _enter(self, holder: Any, step: str | int, missing: Any) -> Any:
        """The holder's value at this step; `missing` is inserted at a new name or next index."""
        if isinstance(step, int):
            if step == len(holder):
                self.size += _VALUE_SIZE
                holder.append(missing)
            return holder[step]
        if step not in holder:
            self.size += _VALUE_SIZE + len(step)
        return holder.setdefault(step, missing)


def _join(value: Any) -> Any:
    """The value with its strings. It is at most _MAX_STEPS deep."""
    match value:
        case _Pieces():
            return "".join(value.texts)
        case dict():
            return {name: _join(inner) for name, inner in value.items()}
        case list():
            return [_join(inner) for inner in value]
        case _:
            return value
