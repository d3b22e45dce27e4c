"""Redacts values for logs and Sentry: secrets become `***`, and exceptions lose their messages.

An exception's message may quote a prompt or a vendor's body, so exceptions are reported by type and
stack frames. Only the messages of operating system errors are kept.

This module imports no other module of the gateway.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any
from urllib.parse import quote

import msgspec

_MAX_FRAMES = 30  # of a traceback, the innermost
_MAX_DEPTH = 8  # of nested values
_MIN_SECRET = 8  # characters; replacing shorter ones would make lines unreadable
_MAX_SECRET = 10_000  # characters
_WORDS = frozenset({NoneType, bool, str})
_SCALARS = _WORDS | {int}
_KEYS = frozenset({str})
_NUMBERS = (int, float)
_ELLIPSIS = "…".encode()
_LARGE = 1e15  # floats from here on are written with an exponent
# Characters that are escaped in a line: controls, line ends, lone surrogates, and characters that
# are invisible or change the text direction: soft hyphens, joiners, fillers, direction marks and
# overrides, tags.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


@dataclass
class _Secrets:
    """The secrets of this process, as plain text and as escaped in JSON."""

    plain: tuple[str, ...] = ()
    in_json: tuple[bytes, ...] = ()


_secrets = _Secrets()


def hide_secrets(values: Iterable[str]) -> None:
    """Replace these strings, and no others, by `***` in all log lines and Sentry events.

    They are found in plain and in URL-quoted form. Strings of less than 8 characters are ignored.
    """
    plain = {value for value in values if len(value) >= _MIN_SECRET}
    quoted = {quote(value, safe) for value in plain for safe in ("", "/")}
    forms = sorted(plain | quoted, key=len, reverse=True)
    _secrets.plain = tuple(forms)
    _secrets.in_json = tuple(_dump(form)[1:-1] for form in forms)


def hide(text: str) -> str:
    """The text without secrets."""
    for secret in _secrets.plain:
        if secret in text:
            text = text.replace(secret, "***")
    return text


def json_line(value: Any) -> bytes:
    """The value without secrets, as JSON in one line."""
    line = _dump(value)
    for secret in _secrets.in_json:
        if secret in line:
            line = line.replace(secret, b"***")
    return line


def text_line(text: str) -> str:
    """The text in one line, with control and invisible characters and directions escaped."""
    return text if text.isascii() and text.isprintable() else _CONTROLS.sub(_escape, text)


def cut(text: str, longest: int) -> str:
    """The text; if it is too long, its beginning without secrets, and its full length."""
    if len(text) <= longest:
        return text
    beginning = text[: longest + _MAX_SECRET]
    hidden = hide(beginning)
    if len(beginning) < len(text):
        hidden = hidden[:-_MAX_SECRET]  # it may hold the beginning of a secret that ends after it
    return f"{hidden[:longest]}… (cut: {len(text)} characters)"


def exception_text(error: BaseException) -> str:
    """The chain of exceptions, first cause first: stack frames and types, without messages."""
    return "\n".join(_chain(error, set()))


def _chain(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier and id(earlier) not in seen:
        yield from _chain(earlier, seen)
        yield "which led to:"
    for frame in traceback.format_tb(error.__traceback__, limit=-_MAX_FRAMES):
        yield frame.rstrip("\n")
    yield name_exception(error)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            if id(member) not in seen:
                yield "which holds:"
                yield from _chain(member, seen)


def name_exception(error: BaseException | None) -> str:
    """The exception's type; for an operating system error also its message."""
    name = type(error).__qualname__
    return (
        f"{name}: {text_of(error)}"
        if isinstance(error, OSError) and error.errno is not None
        else name
    )


def _dump(value: Any) -> bytes:
    """Any value as JSON in one line; values that JSON cannot represent become strings."""
    try:
        if _is_json(value):
            line = msgspec.json.format(msgspec.json.encode(value), indent=0)
            # Every other control character is escaped already. Of the long lines, those with a cut
            # text, most are ASCII but for its ellipsis.
            is_ascii = line.isascii() or line.replace(_ELLIPSIS, b"").isascii()
            if is_ascii and b"\x7f" not in line:
                return line
            text = line.decode()
        else:
            text = _encoder.encode(value)
    except Exception:  # noqa: BLE001 - odd keys, lone surrogates, cycles, depth: encode them slowly
        text = json.dumps(plain(value), ensure_ascii=False)
    return text_line(text).encode()


def _is_json(value: Any, depth: int = 0) -> bool:
    """Whether the value has types of JSON alone: msgspec then writes it as the standard library."""
    kind = type(value)
    if kind is float:
        return bool(-_LARGE < value < _LARGE)  # not NaN
    if kind is dict:
        if not _KEYS.issuperset(map(type, value)):
            return False
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind in _SCALARS
    # A loop instead of `all`: a generator would take as long as the encoding of the line.
    for member in value:
        if type(member) in _SCALARS:
            continue
        if depth == _MAX_DEPTH or not _is_json(member, depth + 1):
            return False
    return True


def plain(value: Any, depth: int = 0) -> Any:
    """The value in JSON types: exceptions as their name, values nested too deep as an ellipsis."""
    if type(value) in _WORDS or isinstance(value, str):
        return value
    if isinstance(value, _NUMBERS) and abs(value) < 2**63:
        return value
    if isinstance(value, BaseException):
        return name_exception(value)
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return text_of(value)
    if depth == _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        items = [
            (key, item if type(item) in _WORDS else plain(item, depth + 1))
            for key, item in value.items()
        ]
        return {key if type(key) is str else text_of(key): item for key, item in items}
    return [plain(item, depth + 1) for item in value]


def text_of(value: Any) -> str:
    """`str(value)`, or the type's name if that fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a line with a broken object must not be lost
        return f"<{type(value).__qualname__}>"


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    if "\ud800" <= character <= "\udfff":
        return "\N{REPLACEMENT CHARACTER}"
    return json.dumps(character)[1:-1] if character >= "\x80" else f"\\u{ord(character):04x}"


_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, default=plain
)  # json.dumps would create one for each call
