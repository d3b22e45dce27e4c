"""Checks the limits of a JSON text on its bytes, before any object is built from it.

A small text, as nearly every body is, is read by the standard library instead, in a fifth of the
time. What that finds fault with is then checked on its bytes, too, for the right error.

The check copies the text once, and no single call holds the GIL for more than a few milliseconds,
so it can run in a thread next to the event loop. It does not validate: invalid JSON may pass here,
and is refused by the decoder.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from models import GatewayError

_SMALL_BYTES = 2**15  # of a text, whose objects take at most a megabyte
_LONG_NUMBER = 300  # digits; a float has at most 309 before its point
_SLICE = 2**18  # bytes; processing a slice takes about a millisecond
# a string without escapes, and what follows it up to the next one
_STRING = re.compile(rb'"[^"]*"([^"]*)')
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_MAX_GROUP = 10_000  # keys of an object that are compared in one step
_WHITE_SPACE = b" \t\r\n"
_NUMBER_SLICE = 2**16  # bytes; a search over them takes some milliseconds at most
_MAX_NUMBER_CHARS = 10_000
_NUMBER_END = re.compile(rb"[-+.0-9eE]*+")
# Numbers that may be beyond the range of a float: long ones, and those whose exponent has three
# digits or more. The lookbehind leaves one attempt for each number, so that the search takes linear
# time.
_EXTREME_NUMBER = re.compile(
    rb"[-0-9](?<![-+.0-9eE].)(?:[-+.0-9eE]{199,}+|[.0-9]*+[eE]\+?[0-9]{3,}+)"
)
_SHORTEST_EXTREME = len(b"1e999")


def check_json(body: bytes, *, max_values: int, max_depth: int) -> None:
    """Check the encoding, the number of values, the depth, finite numbers and duplicate keys.

    Raises GatewayError `invalid_json` or `invalid_request`.
    """
    if len(body) <= min(_SMALL_BYTES, max_values) and _is_sound(body, max_depth):
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(body), _SLICE):
            decoder.decode(body[start : start + _SLICE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise GatewayError("invalid_json") from None
    text = _mask_escapes(body)
    structure = _Structure(max_values, max_depth)
    structure.read(text[: text.find(b'"')] if b'"' in text else text)
    for string in _STRING.finditer(text):
        after = string[1]
        if after[:1] == b":" or after.lstrip(_WHITE_SPACE)[:1] == b":":
            structure.add_key(body[string.start() + 1 : string.start(1) - 1])
        structure.read(after)
        structure.add_string()
    structure.finish()


def count_values(text: str) -> int:
    """How many values a JSON text has; of a text that is no JSON, about as many."""
    outside = b"".join(_mask_escapes(text.encode()).split(b'"')[::2])
    return 1 + sum(map(outside.count, (b",", b"[", b"{")))


def _is_sound(body: bytes, max_depth: int) -> bool:
    """Whether a small text is certainly valid and within the limits."""
    if b"\\u" in body:
        return False
    # the brackets, including any within strings, may be `max_depth` deep
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(max_depth // 2):  # a step removes one level, or two
        if not brackets:
            break
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        return False
    try:
        _read_small(body.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")


def _refuse_infinity(number: str) -> None:
    if math.isinf(float(number)):
        raise ValueError("beyond the range of a float")


def _refuse_long_integer(digits: str) -> None:
    if len(digits) >= _LONG_NUMBER:
        raise ValueError("too long")


_read_small = json.JSONDecoder(
    object_pairs_hook=_refuse_repeated_keys,
    parse_float=_refuse_infinity,
    parse_int=_refuse_long_integer,
).decode


def _mask_escapes(body: bytes) -> bytes:
    """The text with `\\\\` and `\\"` overwritten: each remaining quote begins or ends a string."""
    if b"\\" not in body:
        return body
    masked, start = bytearray(), 0
    while start < len(body):
        piece = body[start : start + _SLICE]
        backslashes = len(piece) - len(piece.rstrip(b"\\"))
        if backslashes % 2 and start + len(piece) < len(body):
            piece = piece[:-1]  # its second half is in the next piece
        masked += piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        start += len(piece)
    return bytes(masked)


class _Structure:
    """The open arrays and objects, and the counts so far."""

    def __init__(self, max_values: int, max_depth: int) -> None:
        self._max_values = max_values
        self._max_depth = max_depth
        self._values = 1
        self._numbers = 0
        self._strings = 0
        self._deepest = 0
        # hashes of an object's keys; None: an array, or what is too deep
        self._open: list[array[int] | None] = []

    def read(self, text: bytes) -> None:
        """Process the text between two strings."""
        self._values += text.count(b",")
        if len(text) == 1 and text in b",:":
            self._check_values()
            return
        brackets = text.translate(None, _NO_BRACKETS)
        self._values += brackets.count(b"[") + brackets.count(b"{")
        self._check_values()
        if len(text) >= _SHORTEST_EXTREME:
            self._check_numbers(text)
        for bracket in brackets:
            if bracket in b"[{":
                has_keys = bracket == ord("{") and len(self._open) < self._max_depth
                self._open.append(array("q") if has_keys else None)
                self._deepest = max(self._deepest, len(self._open))
            elif self._open:
                groups = group_hashes(self._open.pop() or ())
                if any(len(set(group)) < len(group) for group in groups):
                    raise GatewayError("invalid_json", "The body has a key twice in one object.")
            else:
                raise GatewayError("invalid_json")

    def _check_numbers(self, text: bytes) -> None:
        for number in _find_extreme_numbers(text):
            self._numbers += 1  # each is a value; what has more of them is not JSON
            if self._numbers > self._max_values:
                raise self._too_many()
            if len(number) > _MAX_NUMBER_CHARS:
                raise GatewayError(
                    "invalid_request", f"A number has more than {_MAX_NUMBER_CHARS} characters."
                )
            try:
                is_infinite = math.isinf(float(number))
            except ValueError:
                continue  # not JSON
            if is_infinite:
                raise GatewayError(
                    "invalid_request", "The body has a number that is beyond the range of a float."
                )

    def add_key(self, key: bytes) -> None:
        """Add a key, still escaped, to the innermost object."""
        keys = self._open[-1] if self._open else None
        if keys is None:
            if len(self._open) > self._max_depth:
                return
            raise GatewayError("invalid_json")
        if b"\\" in key:
            try:
                key = msgspec.json.decode(b'"%b"' % key, type=str).encode()
            except msgspec.DecodeError:
                raise GatewayError("invalid_json") from None
        keys.append(hash(key))  # 64 bits, salted: a set of the keys would take ten times the text

    def add_string(self) -> None:
        """Count a string: a value, or the key of one. So there are at most two for each value."""
        self._strings += 1
        if self._strings > 2 * self._max_values:
            raise self._too_many()

    def finish(self) -> None:
        """Check the conditions that depend on the whole text."""
        if self._open:
            raise GatewayError("invalid_json")
        if self._deepest > self._max_depth:
            raise over_limit("levels of nesting", self._deepest, "MAX_JSON_DEPTH", self._max_depth)

    def _check_values(self) -> None:
        if self._values > self._max_values:
            raise self._too_many()

    def _too_many(self) -> GatewayError:
        return over_limit(
            "JSON values", f"more than {self._max_values}", "MAX_JSON_VALUES", self._max_values
        )


def group_hashes(hashes: Sequence[int]) -> Sequence[Sequence[int]]:
    """The hashes in groups, equal ones in one group, so that no step over a group takes long.

    A group has about half of _MAX_GROUP different ones, for they are evenly distributed.
    """
    if len(hashes) <= _MAX_GROUP:
        return [hashes]
    number = len(hashes) // (_MAX_GROUP // 2) + 1
    groups = [array("q") for _ in range(number)]
    for value in hashes:
        groups[(value >> 32) % number].append(value)  # a set places its members by the lower bits
    return groups


def _find_extreme_numbers(text: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(text):
        end = min(start + _NUMBER_SLICE, len(text))
        # the end of a number that the slice would cut
        rest = _NUMBER_END.match(text, end, end + _MAX_NUMBER_CHARS)
        end = rest.end() if rest else end
        yield from _EXTREME_NUMBER.findall(text, start, end)
        start = end


def over_limit(what: str, seen: object, variable: str, limit: int) -> GatewayError:
    """The error for a body that exceeds a limit."""
    return GatewayError("invalid_request", f"{seen} {what}; {variable} is {limit}.")
