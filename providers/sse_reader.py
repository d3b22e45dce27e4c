"""Bytes to vendor events: frames a server-sent stream under a size limit, whatever its cuts and line ends.

Follows the event-stream format of the HTML standard (BOM, CR, LF and CRLF, comments, data without a space), with two
additions for what vendors do: a block that begins with a brace is a bare JSON body (Gemini reports an error in
mid-stream so), and at the end of the stream a last event counts without its blank line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from models import GatewayError

_BOM = b"\xef\xbb\xbf"


class Frame(NamedTuple):
    """One event of a vendor: its data, and its name where it has one."""

    data: bytes
    name: bytes = b""


class SSEReader:
    """Feed it what was read; it gives the events that are complete. One stream each."""

    __slots__ = ("_after_cr", "_at_start", "_buffer", "_limit", "_searched")

    def __init__(self, max_event_bytes: int) -> None:
        self._limit = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0  # no blank line begins before this place
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Take bytes as they came; give the events that they complete.

        Raises GatewayError `event_too_large`, after the events before it.
        """
        is_between = not (self._buffer or self._after_cr or self._at_start)
        if is_between and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            return self._parse(chunk[:-2])  # whole events, as nearly every read brings, need no buffer
        self._buffer += self._with_plain_line_ends(chunk)
        if self._at_start and not self._skip_bom():
            return iter(())
        end = self._buffer.rfind(b"\n\n", self._searched)
        if end < 0:
            self._check_size(self._buffer)
            self._searched = max(0, len(self._buffer) - 1)
            return iter(())
        complete = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._searched = max(0, len(self._buffer) - 1)
        return self._parse(complete)

    def close(self) -> Iterator[Frame]:
        """At a clean end of the stream: the last event, if its blank line is missing."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return self._parse(rest)

    def _with_plain_line_ends(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _skip_bom(self) -> bool:
        """Whether the stream's first bytes are settled: a BOM may come in pieces."""
        if len(self._buffer) < len(_BOM) and _BOM.startswith(bytes(self._buffer)):
            return False
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
        self._at_start = False
        return True

    def _parse(self, text: bytes) -> Iterator[Frame]:
        for block in text.split(b"\n\n"):
            if len(block) > self._limit:
                self._check_size(block)
            # What nearly every event looks like costs no loop over lines.
            if block.startswith(b"data: ") and b"\n" not in block and len(block) > 6:
                yield Frame(block[6:])
            elif frame := _parse_block(block):
                yield frame

    def _check_size(self, block: bytes | bytearray) -> None:
        """Further line ends, which a cut may leave before an event or after it, are none of its bytes."""
        if (size := len(block.strip(b"\n"))) > self._limit:
            raise GatewayError("event_too_large", detail={"bytes": size, "limit": self._limit})


def _parse_block(block: bytes) -> Frame | None:
    block = block.strip(b"\n")
    if block.startswith((b"{", b"[")):
        return Frame(block)
    name, data = b"", []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    joined = b"\n".join(data)
    return Frame(joined, name) if joined else None
