"""Splits a stream of server-sent events into frames, under a size limit.

Follows the event-stream format of the HTML standard (BOM, CR, LF and CRLF, comments, data without a
space), with these additions for what vendors send:

- A block that starts with a brace is bare JSON (an error of Gemini within the stream), one that
  starts with `<` a page.
- A field `error` is an event of that name (llama.cpp). That name, or Anthropic's `message_stop`,
  needs no data.
- A data line with a complete JSON object or `[DONE]` is a separate event if more data follows
  without a blank line.
- At the end of the stream the last event counts without its blank line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from models import GatewayError
from providers.wires.lenient_json import PLAIN_BYTES, check_structure

_BOM = b"\xef\xbb\xbf"
_MORE_DATA = b"\ndata:"
_MARK = b"[DONE]"
_NAMES_WITHOUT_DATA = (b"error", b"message_stop")
_MAX_LINES = 1_000  # of an event
_WINDOW = 4_096
_NO_ERROR = (b"", b"null", b"false", b"{}", b'""')


class Frame(NamedTuple):
    """One event of a vendor: its data, and its name if it has one."""

    data: bytes
    name: bytes = b""


class SSEReader:
    """Takes the bytes of one stream and returns its complete events."""

    __slots__ = ("_after_cr", "_at_start", "_buffer", "_limit", "_plain", "_searched")

    def __init__(self, max_event_bytes: int) -> None:
        self._limit = max_event_bytes
        self._plain = min(max_event_bytes, PLAIN_BYTES)
        self._buffer = bytearray()
        self._searched = 0  # no blank line begins before this index
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Return the events that the chunk completes.

        Raises GatewayError `event_too_large` after the events before.
        """
        is_between = not (self._buffer or self._after_cr or self._at_start)
        if is_between and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            # complete events, as in nearly every read, need no buffer
            return self._parse(chunk[:-2])
        self._buffer += self._with_plain_line_ends(chunk)
        if self._at_start and not self._skip_bom():
            return iter(())
        end, width = self._buffer.rfind(b"\n\n", self._searched), 2
        if end < 0:
            end, width = self._find_line_end(), 1
        if end < 0:
            self._check_size(self._buffer)
            self._searched = max(0, len(self._buffer) - 1)
            return iter(())
        complete = bytes(self._buffer[:end])
        del self._buffer[: end + width]
        self._searched = max(0, len(self._buffer) - 1)
        return self._parse(complete)

    def close(self) -> Iterator[Frame]:
        """Return the last event at a clean end of the stream, if its blank line is missing."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return self._parse(rest)

    def _find_line_end(self) -> int:
        """The last line end that separates two events without a blank line; -1 if there is none."""
        end = self._buffer.rfind(_MORE_DATA, max(0, self._searched - len(_MORE_DATA)))
        return _find_boundary(self._buffer, end) if end >= 0 else -1

    def _with_plain_line_ends(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _skip_bom(self) -> bool:
        """Remove a BOM. False if more bytes are needed to recognise it."""
        if len(self._buffer) < len(_BOM) and _BOM.startswith(bytes(self._buffer)):
            return False
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
        self._at_start = False
        return True

    def _parse(self, text: bytes) -> Iterator[Frame]:
        # Nearly every event is one line of data, perhaps with its name in a line before. These need
        # no loop over lines, and no call of the NamedTuple's constructor, which is Python.
        are_plain, make = len(text) <= self._plain, tuple.__new__
        for block in text.split(b"\n\n"):
            name, data = b"", block
            if not data.startswith(b"data: "):
                name, _, data = block.partition(b"\n")
                if not (name.startswith(b"event: ") and data.startswith(b"data: ")):
                    data = b""
            if b"\n" not in data and (value := data[6:]):
                if not are_plain:
                    self._check(block)
                yield make(Frame, (value, name[7:]))
                continue
            for event in _split(block):
                self._check(event)
                yield from _parse_block(event)

    def _check(self, event: bytes) -> None:
        if len(event) > self._plain:
            self._check_size(event)
            check_structure(event)

    def _check_size(self, block: bytes | bytearray) -> None:
        """Raise GatewayError if the event, without the line ends around it, is too large."""
        if len(block) > self._limit and (size := len(block.strip(b"\n"))) > self._limit:
            raise GatewayError("event_too_large", detail={"bytes": size, "limit": self._limit})


def _parse_block(block: bytes) -> Iterator[Frame]:
    block = block.strip(b"\n")
    if block.startswith((b"{", b"[")):
        yield Frame(block)
        return
    _check_lines(block.count(b"\n"))
    name, data, error = b"", [], b""
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif field.lower() == b"error" and value.strip() not in _NO_ERROR:
            error = value
        elif line.startswith(b"<") and not data:
            data.append(line)
            break
    if (joined := b"\n".join(data)) or name in _NAMES_WITHOUT_DATA:
        yield Frame(joined, name)
    if error:
        yield Frame(error, b"error")


def _check_lines(count: int) -> None:
    if count > _MAX_LINES:
        raise GatewayError("event_too_large", reason="lines", detail={"limit": _MAX_LINES})


def _is_whole_event(line: bytes) -> bool:
    """Whether the line is a complete event: data that is one JSON object, or the end mark."""
    value = line.removeprefix(b"data:").strip()
    if value == _MARK and line.startswith(b"data:"):
        return True
    if not (line.startswith(b"data:") and value.startswith(b"{") and value.endswith(b"}")):
        return False
    try:
        msgspec.json.decode(value, type=msgspec.Raw)  # builds nothing
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _line_before(text: bytes | bytearray, end: int) -> tuple[bytes, int]:
    """The last non-empty line before the index `end`, and the index of its start."""
    while end > 0 and text[end - 1] in b" \t\n":
        start = max(0, end - _WINDOW)
        end = start + len(text[start:end].rstrip(b" \t\n"))
    start = text.rfind(b"\n", 0, max(0, end)) + 1
    return bytes(text[start : max(0, end)]), start


def _find_boundary(text: bytes | bytearray, end: int) -> int:
    """The line end between two events, the second with its data after `end`; -1 if it is one."""
    line, start = _line_before(text, end)
    if line.startswith(b"event:"):
        end = start - 1
        line, start = _line_before(text, end)
    if not _is_whole_event(line):
        return -1
    before, _ = _line_before(text, start - 1)
    is_continued = before.startswith(b"data:") and not _is_whole_event(before)
    return -1 if is_continued else end


def _split(block: bytes) -> Iterator[bytes]:
    """The events of a block; several if no blank lines separate them."""
    start = place = lines = 0
    while (place := block.find(_MORE_DATA, place)) >= 0:
        _check_lines(lines := lines + 1)
        if (end := _find_boundary(block, place)) >= start:
            yield block[start:end]
            start, lines = end + 1, 0
        place += 1
    yield block[start:]
