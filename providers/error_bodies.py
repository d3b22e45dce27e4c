"""Finds the error objects in a vendor's error body of any shape, and reads their fields.

Shapes in use: `{"error": {…}}`, `{"error": "text"}`, a bare object, any of them in a list or
nested, JSON as the text of a message (Gemini, OpenRouter's `metadata.raw`), also after the name of
an exception, or as a Python dict, `{"detail": [{"loc": …, "msg": …}]}` (FastAPI, Mistral). Fields
that quote the client's text (`input`, `failed_generation`, `flagged_input`) are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

_NESTED = (
    "error",
    "errors",
    "message",
    "detail",
    "details",
    "metadata",
    "raw",
    "response",
    "fieldViolations",
)
_DEEPEST = 6
_MOST_OBJECTS = 50
_LONGEST_JSON = 100_000  # characters of JSON within a text

# `litellm.BadRequestError: AnthropicException - {"type":…`, `Error code: 400 - {'error': …`
_BEFORE_JSON = re.compile(
    r"(?:[\w.]*(?:error|exception)[\w.]*(?: code: \d{3})?(?:(?: -|:) ?| )){1,5}"
    r"(?:b['\"])?(?=[{\[])",
    re.IGNORECASE,
)
_LONGEST_LEAD = 200  # characters before the JSON
_REPR_ITEM = re.compile(
    r"""'(message|code|type|param)': (?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\d{1,6}))""",
    re.DOTALL,
)
_LONGEST_REPR = 4000  # characters

ErrorObject = Mapping[str, Any]


class QuotedObject(dict[str, Any]):
    """An object within a message, which may be JSON that the client has sent."""


def find_objects(body: object) -> list[ErrorObject]:
    """Every object that may describe the error, the innermost first.

    A plain text becomes a message.
    """
    return list(islice(_walk(body, 0, is_text_own=True, is_quoted=False), _MOST_OBJECTS))


def _walk(
    value: object, depth: int, *, is_text_own: bool, is_quoted: bool
) -> Iterator[ErrorObject]:
    """`is_text_own`: JSON in a text here is of the vendor itself, or of the one behind it."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        inner = _decode(value)
        if inner is not None:
            is_quoted |= not (is_text_own and _is_json(value))
            yield from _walk(inner, depth + 1, is_text_own=is_text_own, is_quoted=is_quoted)
        elif depth == 0:
            yield {"message": value}
    elif isinstance(value, list):
        for item in value[:_MOST_OBJECTS]:
            yield from _walk(item, depth + 1, is_text_own=is_text_own, is_quoted=is_quoted)
    elif isinstance(value, dict):
        is_googles = isinstance(value.get("code"), int) and isinstance(value.get("status"), str)
        for key in _NESTED:
            is_own = is_googles or key == "raw"
            yield from _walk(value.get(key), depth + 1, is_text_own=is_own, is_quoted=is_quoted)
        yield QuotedObject(value) if is_quoted else value


def _is_json(text: str) -> bool:
    return text.lstrip().startswith(("{", "["))


def _decode(text: str) -> object:
    """The value of a text that is JSON, at once or after the name of an exception; else None."""
    lead = _BEFORE_JSON.match(text, 0, _LONGEST_LEAD)
    if (lead is None and not _is_json(text)) or len(text) > _LONGEST_JSON:
        return None
    tail = text if lead is None else text[lead.end() : max(text.rfind("}"), text.rfind("]")) + 1]
    try:
        return msgspec.json.decode(tail)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        if lead is None:
            return None  # a sentence that starts with a bracket
        # a Python dict as text: the innermost value of each key
        items = _REPR_ITEM.finditer(tail[:_LONGEST_REPR])
        return {item[1]: item[2] or item[3] or item[4] for item in items}


def words_of(error: ErrorObject) -> Iterator[object]:
    """The codes and types of one object, the most specific first."""
    for key in ("reason", "error_code", "code", "type", "error_type", "status"):
        yield error.get(key)


def messages_of(error: ErrorObject) -> Iterator[str]:
    """The messages of one object."""
    for key in ("message", "msg", "error", "detail", "raw"):
        text = error.get(key)
        if isinstance(text, str):
            yield text


def places_of(error: ErrorObject) -> Iterator[str]:
    """The parts of the request that an object is about, as dotted names.

    From `param`, FastAPI's `loc`, Google's `field`.
    """
    for key in ("param", "loc", "field"):
        place = error.get(key)
        if isinstance(place, list):
            yield ".".join(str(step) for step in place[:_MOST_OBJECTS])
        elif isinstance(place, str):
            yield place
