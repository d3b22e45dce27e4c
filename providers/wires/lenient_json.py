"""Lenient decoding of JSON, field by field: a value of the wrong type counts as absent.

Decoders try msgspec first, which reads nearly every event. This module reads what msgspec rejects:
`NaN` in an unused field, a number as a string, a list with one invalid item.
"""

from __future__ import annotations

import json
import re
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from models import GatewayError
from providers.wires.surrogates import replace_surrogates

T = TypeVar("T", bound=msgspec.Struct)

# A number of tokens: some servers write -1 for one that they do not know.
Count = Annotated[int, msgspec.Meta(ge=0)]

_ABSENT: Any = object()
PLAIN_BYTES = 2**14  # so much JSON is quick to read whatever it holds
_READ_BYTES = 2**20  # of JSON that msgspec rejects: the standard library takes ten times as long
_MAX_VALUES = 10_000
_MAX_VALUES_OF_ALL = 50_000
_LONGEST_NUMBER = 18  # digits: no count has more
_HAS_JSON = re.compile(rb'[{}]|":')
_NUMBER = re.compile(r"\d{1,18}(\.0*)?")


def read_json(data: bytes) -> Any:
    """Parse JSON, with `NaN`, lone surrogates and control characters allowed. Raises ValueError."""
    return json.loads(data.decode(), parse_int=_parse_int, strict=False)


def write_json(value: object) -> str:
    """A value as JSON: pairs of surrogates are joined, lone ones replaced."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return replace_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def check_structure(data: bytes, max_values: int = _MAX_VALUES) -> None:
    """Check that a large JSON text has few values: reading many would hold up the event loop.

    Raises GatewayError `event_too_large`.
    """
    # In whatever text they are, they are no fewer than the values, and quick to count.
    if len(data) <= PLAIN_BYTES or _count_marks(data) <= max_values:
        return
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    values = data.count(b'"') // 4
    if values <= max_values:
        outside = b"".join(data.split(b'"')[::2])
        values = _count_marks(outside)
    if values > max_values:
        raise GatewayError(
            "event_too_large", reason="values", detail={"values": values, "limit": max_values}
        )


def _count_marks(data: bytes) -> int:
    return data.count(b",") + data.count(b"{") + data.count(b"[")


def check_list_structure(data: bytes) -> None:
    """The same for a list of events, each of which is checked by itself, too."""
    check_structure(data, _MAX_VALUES_OF_ALL)


def check_readable(data: bytes) -> None:
    """Check that JSON is short enough to be read without msgspec.

    Raises GatewayError `event_too_large`.
    """
    if len(data) > _READ_BYTES:
        raise GatewayError(
            "event_too_large", reason="odd_event", detail={"bytes": len(data), "limit": _READ_BYTES}
        )


def is_damaged_json(data: bytes) -> bool:
    """Whether invalid JSON looks like damaged JSON, rather than a text such as `ping`."""
    return _HAS_JSON.search(data) is not None


def fit(value: object, kind: type[T]) -> T | None:
    """A struct of the fields of `value` that have the right type; None if it is not an object."""
    fitted = _fit(value, kind)
    return None if fitted is _ABSENT else fitted


def _parse_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


@cache
def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, str, Any]]:
    return [(field.encode_name, field.name, field.type) for field in msgspec.structs.fields(kind)]


def _fit(value: object, kind: Any) -> Any:
    if get_origin(kind) in (UnionType, Union):
        fits = (_fit(value, option) for option in get_args(kind) if option is not type(None))
        return next((fitted for fitted in fits if fitted is not _ABSENT), _ABSENT)
    if kind is Any:
        return value
    if kind is msgspec.Raw:
        return msgspec.Raw(json.dumps(value).encode())
    if kind is int:
        return _to_int(value)
    if kind == Count:
        count = _to_int(value)
        return count if count is not _ABSENT and count >= 0 else _ABSENT
    if kind is str:
        return _to_text(value)
    if get_origin(kind) is list:
        return _fit_list(value, get_args(kind)[0])
    if issubclass(kind, msgspec.Struct):
        return _fit_object(value, kind)
    return value if type(value) is kind else _ABSENT


def _fit_list(value: object, kind: Any) -> Any:
    """A list's items that fit; an object alone is a list of it."""
    if isinstance(value, dict) and value:
        value = [value]
    if not isinstance(value, list):
        return _ABSENT
    return [fitted for item in value if (fitted := _fit(item, kind)) is not _ABSENT]


def _fit_object(value: object, kind: type[msgspec.Struct]) -> Any:
    """An object's fields that fit; a list of one object is that object."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return _ABSENT
    read = ((name, _fit(value[key], field)) for key, name, field in _fields(kind) if key in value)
    return kind(**{name: fitted for name, fitted in read if fitted is not _ABSENT})


def _to_text(value: object) -> Any:
    """A text as such, in pieces, or as the `value` of an object."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "".join(value)
    if isinstance(value, dict):
        value = value.get("value")
    return value if isinstance(value, str) else _ABSENT


def _to_int(value: object) -> Any:
    """An integer, from an int or from a float or string with an integral value."""
    if type(value) is int:
        return value
    if isinstance(value, float):
        value = repr(value)
    return int(float(value)) if isinstance(value, str) and _NUMBER.fullmatch(value) else _ABSENT
