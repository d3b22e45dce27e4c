"""Counts the bytes of a request that are not part of its body."""

from __future__ import annotations

from models import GatewayError

_FRAMING_PER_BODY_BYTE = 8  # a chunk of one byte has five bytes of framing


class RequestBytes:
    """Counts the bytes of each state of the parser: around and in a head, in trailers.

    The parser itself has no limit: it buffers an unfinished header of any length, and skips ignored
    bytes endlessly.
    """

    __slots__ = ("_body", "_body_in_read", "_entered_state_in_read", "_framing", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._framing = 0
        self._body = 0
        self._body_in_read = 0
        self._entered_state_in_read = False

    def enter_state(self) -> None:
        """Reset the counts.

        The rest of the current read is not counted in the new state: a read is bounded anyway.
        """
        self._framing = self._body = 0
        self._entered_state_in_read = True

    def add_body(self, size: int) -> None:
        """Exclude `size` bytes of the current read: the body has a separate limit."""
        self._body_in_read += size

    def finish_read(self, size: int) -> None:
        """Count a read of `size` bytes. Raises GatewayError `headers_too_large`."""
        if not self._entered_state_in_read:
            self._framing += size - self._body_in_read
        self._body += self._body_in_read
        self._body_in_read = 0
        self._entered_state_in_read = False
        if self._framing > self._limit + _FRAMING_PER_BODY_BYTE * self._body:
            raise GatewayError("headers_too_large")
