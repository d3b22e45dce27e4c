"""Finds errors within a stream, in the shapes that servers use.

`providers.errors` classifies them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from models import GatewayError
from providers.errors import vendor_error
from providers.wires.lenient_json import PLAIN_BYTES, check_readable, read_json

# such as `response.failed`
_NAME: Final = re.compile("error|exception|fail(?!_?over)|time_?out", re.IGNORECASE)
_NAME_OF_EVENT: Final = re.compile(f"{_NAME.pattern}|abort|cancel", re.IGNORECASE)
# Names of fields are compared in lower case.
_KEYS: Final = ("error", "errors", "error_message", "error_msg", "errormessage")
# Bedrock names exceptions, each with its kind; Apigee has a fault.
_OTHER_KEY: Final = re.compile(r"err|fault|failure|traceback|\w*exception")
_WITHIN: Final = ("x_groq", "response", "base_resp")  # objects that may hold one
_PIECES: Final = ("choices", "candidates")  # lists of what may hold one, too
_CODES: Final = ("code", "status_code", "statuscode", "error_code", "errorcode")
_NOTHING: Final = (
    "",
    "0",
    "200",
    "false",
    "null",
    "none",
    "nil",
    "ok",
    "success",
    "succeeded",
    "done",
)
# `102` is the status of a request in progress; a vendor's own error numbers are in `error_code`.
_GOOD_STATUS: Final = re.compile("[12][0-9][0-9]")
_ERROR_STATUS: Final = re.compile("[45][0-9][0-9]")
_PROGRESS: Final = re.compile(
    r"\W*(loading|queued|waiting|warming|starting|processing|initiali[sz]ing)\b", re.IGNORECASE
)
_ERROR_TEXT: Final = re.compile(
    rb"<|(?!\{|\[\{).*?"
    rb"(error|exception|traceback|failed|failure|time(d )?out|bad gateway|unavailable)",
    re.IGNORECASE | re.DOTALL,
)
# A JSON object with none of these has no error in any shape. To search its bytes takes a tenth of
# the time of reading it.
_SIGNS: Final = (
    *(
        b"error",
        b"exception",
        b"fail",
        b"timeout",
        b"time_out",
        b"code",
        b'"detail"',
        b'"success"',
        b'"ok"',
        b'"status"',
        b'"err"',
        b'"fault"',
        b"traceback",
    ),
    b"\\",  # any of them may be escaped
)
_READ_BYTES: Final = 1_000  # of a text
_NAMED_BYTES: Final = 2**18  # of an error's data
_DEPTH: Final = 4


def is_error_name(name: bytes) -> bool:
    """Whether an event with this name is an error, whatever its data."""
    return _NAME_OF_EVENT.search(name.decode(errors="replace")) is not None


def is_error_text(data: bytes) -> bool:
    """Whether data that is not JSON is a sentence or a page about an error: others are pings."""
    return _ERROR_TEXT.match(data.lstrip()[:_READ_BYTES]) is not None


def text_error(data: bytes) -> GatewayError:
    """The error of such a text."""
    if data.lstrip().startswith(b"<"):
        return GatewayError("upstream_bad_response", reason="content_type")
    return vendor_error({"message": data.lstrip()[:_READ_BYTES].decode(errors="replace")})


def named_error(data: bytes) -> GatewayError:
    """The error of an event that is an error by its name; its data may be anything."""
    try:
        value = read_json(data[:_NAMED_BYTES])
    except ValueError:
        value = None
    if isinstance(value, str):
        value = {"message": value}
    return vendor_error(find_error(value) or value)


def raise_error(value: object) -> None:
    """Raise a GatewayError if a JSON value is or contains an error of any shape."""
    if error := find_error(value):
        raise vendor_error(error)


def raise_error_in(data: bytes) -> None:
    """The same for JSON as bytes, in which the fields not in use may be unreadable."""
    check_readable(data)
    lower = data.lower()
    if any(sign in lower for sign in _SIGNS):
        raise_error(read_json(data.decode(errors="replace").encode()))


def raise_error_beside(data: bytes) -> None:
    """The same for an event that has a place for content, and none in it.

    A long one is not read: it holds something that the gateway does not pass on, such as an image.
    """
    if len(data) <= PLAIN_BYTES:
        raise_error_in(data)


def find_error(value: Any, depth: int = _DEPTH) -> dict[str, Any] | None:
    """The error body that a JSON value is or contains; None if there is none.

    An empty error (`{}`, null, "", false, an object of nulls) is ignored: servers send one with a
    good answer.
    """
    if not depth:
        return None
    if isinstance(value, list):
        return next((found for item in value if (found := find_error(item, depth - 1))), None)
    if isinstance(value, str):
        return _find_in_text(value, depth)
    if not isinstance(value, dict):
        return None
    fields = _lower(value)
    if key := _find_key(fields):
        return _as_body(fields, key)
    if _has_content(fields.get("detail")) and not _is_progress(fields):
        return _as_body(fields, "detail")
    if _is_bare_error(fields):
        return fields
    inner = (fields[key] for key in _WITHIN if isinstance(fields.get(key), dict))
    found = next((found for item in inner if (found := find_error(item, depth - 1))), None)
    return found or _find_in_pieces(fields)


def _find_in_pieces(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error in the first choice or candidate, or in its delta or message.

    It counts by its name alone: the words in a piece of an answer may be about anything.
    """
    lists = [fields[name] for name in _PIECES if isinstance(fields.get(name), list)]
    pieces = [item for each in lists for item in each if isinstance(item, dict)]
    for piece in pieces:
        if piece.get("index"):
            continue
        for holder in (piece, piece.get("delta"), piece.get("message")):
            if isinstance(holder, dict) and (key := _find_key(lower := _lower(holder))):
                return _as_body(lower, key)
    return None


def _find_key(fields: Mapping[str, Any]) -> str | None:
    """The name of an error among the fields; None if there is none, or it is empty."""
    keys = (*_KEYS, *filter(_OTHER_KEY.fullmatch, fields))
    return next((key for key in keys if _has_content(fields.get(key))), None)


def _find_in_text(text: str, depth: int) -> dict[str, Any] | None:
    """The error that a text is: a sentence, or JSON that was encoded twice."""
    if is_error_text(text.encode(errors="replace")):
        return {"message": text}
    if not text.lstrip().startswith("{"):
        return None
    try:
        inner = read_json(text.encode(errors="replace"))
    except ValueError:
        return None
    return find_error(inner, depth - 1)


def _lower(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its names in lower case, as most servers write them."""
    return {name.lower(): item for name, item in value.items()}


def _as_body(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    """`{"error": …}` with an object. A text becomes its message, beside the frame's codes."""
    inner = value[key]
    if isinstance(inner, list):
        inner = next((item for item in inner if isinstance(item, dict)), None) or {
            "message": str(inner)
        }
    if not isinstance(inner, dict):
        beside = {
            name: value[name] for name in ("code", "type", "status", "message") if name in value
        }
        inner = {"message": str(inner)} | {
            name: known for name, known in beside.items() if _has_content(known)
        }
    return {"error": _lower(inner)}


def _is_bare_error(value: Mapping[str, Any]) -> bool:
    words = [value.get(name) for name in ("type", "__type", "object", "status", "event")]
    if any(isinstance(word, str) and _NAME.search(word) for word in words):
        return True
    if value.get("success") is False or value.get("ok") is False:
        return True
    if any(_ERROR_STATUS.fullmatch(str(value.get(name))) for name in (*_CODES, "status")):
        return True
    texts = [value.get(name) for name in ("message", "msg", "status_msg")]
    has_text = any(isinstance(text, str) and text for text in texts)
    return any(_is_error_code(name, value.get(name), has_text=has_text) for name in _CODES)


def _is_error_code(name: str, code: object, *, has_text: bool) -> bool:
    if not isinstance(code, int | str) or not _has_content(code):
        return False
    return name.startswith("error") or (has_text and _GOOD_STATUS.fullmatch(str(code)) is None)


def _is_progress(value: Mapping[str, Any]) -> bool:
    """Whether `detail` is a server's word on what it does before it answers."""
    detail = value["detail"]
    return isinstance(detail, str) and ("event" in value or _PROGRESS.match(detail) is not None)


def _has_content(value: object) -> bool:
    values = [value]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif value is not None and str(value).strip().lower() not in _NOTHING:
            return True
    return False
