"""Chooses the reader of a body.

Without an event stream's content type, its first byte decides: events, JSON, or a page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol

from models import GatewayError
from providers.wires.lenient_json import check_list_structure, check_structure, read_json
from providers.wires.sse_reader import Frame, SSEReader

_BLANKS = b"\xef\xbb\xbf \t\r\n"  # and a byte order mark


class BodyReader(Protocol):
    """Takes bytes and returns frames."""

    def feed(self, chunk: bytes) -> Iterator[Frame]: ...
    def close(self) -> Iterator[Frame]: ...


def make_body_reader(media_type: str, max_event_bytes: int) -> BodyReader:
    """The reader of a body, by its media type; without an event stream's, by its first byte."""
    reader = SSEReader(max_event_bytes)
    return (
        reader
        if media_type == "text/event-stream"
        else _Undecided(media_type, max_event_bytes, reader)
    )


class _Undecided:
    """Decides by the first byte that is not white space what the body is."""

    __slots__ = ("_events", "_limit", "_media_type", "_reader")

    def __init__(self, media_type: str, max_event_bytes: int, events: SSEReader) -> None:
        self._media_type = media_type
        self._limit = max_event_bytes
        self._events = events
        self._reader: BodyReader | None = None

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Return a chunk's frames. Raises GatewayError `upstream_bad_response` for an HTML page."""
        if self._reader is None:
            start = chunk.lstrip(_BLANKS)
            if not start:
                return iter(())
            self._reader = self._choose(start[:1])
        return self._reader.feed(chunk)

    def close(self) -> Iterator[Frame]:
        return self._reader.close() if self._reader else iter(())

    def _choose(self, first: bytes) -> BodyReader:
        if first == b"<":
            raise GatewayError(
                "upstream_bad_response",
                reason="content_type",
                detail={"content_type": self._media_type},
            )
        return _JSONBody(self._limit) if first in b"{[" else self._events


class _JSONBody:
    """Reads one JSON value: a frame for it, or one for each object of a list."""

    __slots__ = ("_body", "_limit")

    def __init__(self, max_bytes: int) -> None:
        self._body = bytearray()
        self._limit = max_bytes

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        self._body += chunk
        if len(self._body) > self._limit:
            raise GatewayError(
                "event_too_large", detail={"bytes": len(self._body), "limit": self._limit}
            )
        return iter(())

    def close(self) -> Iterator[Frame]:
        body = bytes(self._body).strip(_BLANKS)
        if not body.startswith(b"["):
            return iter((_checked(body),))
        check_list_structure(body)
        try:
            values = read_json(body)
        except ValueError:
            return iter((Frame(body),))
        return (_checked(json.dumps(value).encode()) for value in values if isinstance(value, dict))


def _checked(body: bytes) -> Frame:
    check_structure(body)
    return Frame(body)
