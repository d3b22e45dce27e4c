"""A standard stream as a destination of lines: a terminal, a pipe, a file, or a replacement."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TextIO


class LogStream:
    """Writes lines to a text stream, directly to its file descriptor if it has one.

    This avoids the stream's lock. Python acquires it at exit, and a thread with a blocked write
    must not hold it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Without a stream, as in a process without a console, lines are discarded."""
        self._stream = stream
        self._descriptor: int | None = None
        # Without a descriptor it is closed, or not a file.
        with suppress(OSError, ValueError, AttributeError):
            self._descriptor = stream.fileno() if stream else None

    def write(self, lines: Sequence[bytes]) -> int:
        """Write the lines, without a timeout. Returns how many were lost."""
        written = 0
        try:
            for piece in _in_pieces(lines):
                self._write(b"".join(piece))
                written += len(piece)
        except (OSError, ValueError):  # there is no other place to report this
            return len(lines) - written
        return 0

    def close(self) -> None:
        """Do nothing: the stream belongs to the process."""

    def _write(self, text: bytes) -> None:
        if self._descriptor is None:
            if self._stream:
                self._stream.write(text.decode())
                self._stream.flush()
            return
        while text:
            try:
                text = text[os.write(self._descriptor, text) :]
            except BlockingIOError:  # another process that shares the pipe has made it non-blocking
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll()


def _in_pieces(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Groups of whole lines that a pipe accepts atomically: other processes cannot split one."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > select.PIPE_BUF:
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield piece
