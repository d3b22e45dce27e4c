"""Decodes single fields of a body, with error messages for a person.

A message has the path of the value, and no value that the client sent.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Any

import msgspec
from msgspec import Raw

from models import GatewayError
from web.json_scan import over_limit

_BYTES_PER_CHAR = 12  # at most: a character outside the basic plane as two \\u escapes
ABSENT = Raw(b"null")  # the default of a field: absent and null mean the same

_WORDS = {
    "str": "a string",
    "array": "a list",
    "object": "an object",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
}


def decode_field(raw: bytes | Raw, kind: Any, place: str) -> Any:
    """The value, of a type that msgspec knows. Raises GatewayError with its place in the body."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        steps = re.sub(r"\[(\d+)\]", r".\1", path.rstrip("`"))
        if problem.startswith(("Expected", "Object missing")):
            problem = problem[0].lower() + re.sub(r"`([^`]*)`", _name_types, problem[1:])
        else:  # it may quote a value of the client
            problem = "is not one of the values that are allowed"
        raise invalid(f"{place}{steps}".strip("."), problem) from None
    except (msgspec.DecodeError, RecursionError):
        raise GatewayError("invalid_json") from None


def read_text(raw: Raw, place: str, longest: int) -> str:
    """A text of at most MAX_MESSAGE_CHARS, which is `longest`; a longer one is not decoded."""
    if size_of(raw) > _BYTES_PER_CHAR * longest + 2:
        raise over_limit(
            "characters in a message", f"more than {longest}", "MAX_MESSAGE_CHARS", longest
        )
    text: str = decode_field(raw, str, place)
    check_chars(len(text), longest)
    return text


def check_chars(chars: int, longest: int) -> None:
    """Raise GatewayError if a message has more characters than MAX_MESSAGE_CHARS."""
    if chars > longest:
        raise over_limit("characters in a message", chars, "MAX_MESSAGE_CHARS", longest)


def check_messages(messages: Sized, most: int, place: str = "messages") -> None:
    """Raise GatewayError if there are no messages, or more than MAX_MESSAGES, which is `most`."""
    if not messages:
        raise invalid(place, "is empty")
    if len(messages) > most:
        raise over_limit("messages", len(messages), "MAX_MESSAGES", most)


def read_string(raw: Raw, place: str, longest: int) -> str:
    """A short string that is not empty, such as an id."""
    if size_of(raw) > _BYTES_PER_CHAR * longest + 2:
        raise invalid(place, f"has more than {longest} characters, the most that are allowed")
    text: str = decode_field(raw, str, place)
    if len(text) > longest:
        raise invalid(place, f"has {len(text)} characters; {longest} are allowed")
    if not text:
        raise invalid(place, "is empty")
    return text


def read_id(raw: Raw, place: str, longest: int = 128) -> str | None:
    """A string that a client has chosen, or None if it is absent or empty."""
    if is_absent(raw) or bytes(memoryview(raw)[:2]) == b'""':
        return None
    return read_string(raw, place, longest)


def is_absent(raw: Raw) -> bool:
    """Whether the field is absent or null."""
    return raw is ABSENT or bytes(memoryview(raw)[:5]) == b"null"


def size_of(raw: Raw) -> int:
    """Its bytes."""
    return len(memoryview(raw))


def first_byte(raw: Raw) -> bytes:
    """Its first byte, which shows what kind of value it is."""
    return bytes(memoryview(raw)[:1])


def invalid(place: str, problem: str) -> GatewayError:
    """The error for a value that is not valid."""
    return GatewayError("invalid_request", f"{place or 'the body'}: {problem}.")


def _name_types(found: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(kind, kind) for kind in found[1].split(" | "))
