"""What of a value may leave sideways: any value as JSON, exceptions without what they say, secrets as `***`.

An exception's message may quote a prompt or a vendor's body. So an exception is told as its types and frames; the
message is kept of errors that come from the operating system alone.

Knows nothing of where the text goes, and of no other room.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_FRAMES_SHOWN = 30  # the innermost of a traceback
_DEPTH_SHOWN = 8  # of what a value nests
_SHORTEST_SECRET = 8  # characters; hiding shorter ones would tear lines apart
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass
class _Secrets:
    """What to hide in this process, as it is and as JSON writes it."""

    plain: tuple[str, ...] = ()
    in_json: tuple[str, ...] = ()


_secrets = _Secrets()


def hide_secrets(values: Iterable[str]) -> None:
    """From now on these strings, and no others, leave as `***` in any log line or Sentry event.

    They are found as they are and as URLs quote them. Strings of less than 8 characters are not searched for.
    """
    plain = {value for value in values if len(value) >= _SHORTEST_SECRET}
    quoted = {quote(value, safe) for value in plain for safe in ("", "/")}
    forms = sorted(plain | quoted, key=len, reverse=True)
    _secrets.plain = tuple(forms)
    _secrets.in_json = tuple(_dump(form)[1:-1] for form in forms)


def hide(text: str) -> str:
    """The text without secrets."""
    return _replace(text, _secrets.plain)


def json_line(value: Any) -> str:
    """The value without secrets, as JSON in one line."""
    return _replace(_dump(value), _secrets.in_json)


def text_line(text: str) -> str:
    """The text in one line: control characters as escapes."""
    return text if text.isprintable() else _CONTROLS.sub(_escape, text)


def exception_text(error: BaseException) -> str:
    """The chain of exceptions in lines, first cause first: frames and types, without what the exceptions say."""
    return "\n".join(_chain(error, set()))


def _chain(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier and id(earlier) not in seen:
        yield from _chain(earlier, seen)
        yield "which led to:"
    for frame in traceback.format_tb(error.__traceback__, limit=-_FRAMES_SHOWN):
        yield frame.rstrip("\n")
    yield name_exception(error)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            if id(member) not in seen:
                yield "which holds:"
                yield from _chain(member, seen)


def name_exception(error: BaseException | None) -> str:
    """Its type; of an operating system's error also what it says."""
    name = type(error).__qualname__
    return f"{name}: {text_of(error)}" if isinstance(error, OSError) and error.errno is not None else name


def _dump(value: Any) -> str:
    """JSON in one line, whatever the value: what JSON has no word for becomes a string."""
    try:
        line = _encoder.encode(value)
    except Exception:  # noqa: BLE001 - odd keys, NaN, circles, depth: all have the slower way
        line = json.dumps(plain(value), ensure_ascii=False)
    return text_line(line)


def plain(value: Any, depth: int = 0) -> Any:
    """The value in what JSON has words for; exceptions by name, what nests too deep as an ellipsis."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and abs(value) < 2**63:
        return value
    if isinstance(value, BaseException):
        return name_exception(value)
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return text_of(value)
    if depth == _DEPTH_SHOWN:
        return "…"
    if isinstance(value, Mapping):
        return {text_of(key): plain(item, depth + 1) for key, item in value.items()}
    return [plain(item, depth + 1) for item in value]


def text_of(value: Any) -> str:
    """The value as `str` gives it, or its type where it fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an object that cannot be described must not lose the line
        return f"<{type(value).__qualname__}>"


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return "\N{REPLACEMENT CHARACTER}" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"


def _replace(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, "***")
    return text


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=plain)  # json.dumps makes one each time
