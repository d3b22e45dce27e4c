"""A file of lines that several processes write and rotate, and no line waits for another process.

A line is one write at the file's end, which a local file system keeps whole beside those of other processes. So only
rotating takes a lock: one process renames, the others write on meanwhile. Before each line a process looks whether its
file is still the one of that name. If it is renamed between that look and the write, the line stands in the backup; it
would be lost only if in that very moment every backup were rotated away.

A line that a crash or a full disk has cut short is ended by the next process that opens the file, or by the one that
met the full disk, with its next line. Another process that has the file open does not look: its line can stand behind
the torn one.

Knows nothing of what a line says.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path

_LINE_SECONDS = 0.001  # far more than the system takes for a line
_TRIES = 10  # to end a torn line, of as long each


class RotationError(Exception):
    """A line has been written, but its file is full and cannot be rotated; the cause is what the system said."""


class LogFile:
    """Lines in the file of a path, readable by its owner alone. For one thread at a time.

    `max_bytes` is its size from which on it rotates; with a `backup_count` of 0 it is emptied then.
    """

    __slots__ = ("_descriptor", "_identity", "_is_trusted", "_max_bytes", "_names")

    def __init__(self, path: Path, *, max_bytes: int, backup_count: int) -> None:
        path = path.absolute()
        self._names = [str(path), *(f"{path}.{number}" for number in range(1, backup_count + 1))]
        self._max_bytes = max_bytes
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None  # None: not open
        self._is_trusted = False  # whether the file is known to end with a whole line

    def write(self, line: bytes) -> None:
        """Append a line. The operating system has all of it when this returns; else OSError is raised.

        It has all of it, too, where RotationError is raised.
        """
        try:
            obstacle = self._look()
            while (written := os.write(self._descriptor, line)) < len(line):
                line = line[written:]
        except OSError:
            self.close()
            self._is_trusted = False
            raise
        if obstacle:
            raise RotationError from obstacle

    def close(self) -> None:
        """Let go of the file. The next line opens it again."""
        if self._identity:
            self._identity = None
            with suppress(OSError):  # what it has not taken has been told already
                os.close(self._descriptor)

    def _look(self) -> OSError | None:
        """Have the file open that stands under its name, and is not full; else return why it cannot be rotated."""
        try:
            seen = os.stat(self._names[0])
        except FileNotFoundError:
            self._open()
            return None
        if (seen.st_dev, seen.st_ino) != self._identity:
            self._open()
        if seen.st_size < self._max_bytes:
            return None
        obstacle = self._try_to_rotate()
        self._open()
        return obstacle

    def _open(self) -> None:
        self.close()
        self._descriptor = os.open(self._names[0], os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        opened = os.fstat(self._descriptor)
        self._identity = (opened.st_dev, opened.st_ino)
        with suppress(OSError):  # it is another user's, who decides
            os.fchmod(self._descriptor, 0o600)
        if not self._is_trusted:
            self._end_torn_line()
            self._is_trusted = True

    def _end_torn_line(self) -> None:
        """End a line that a crash or a full disk has cut short: once, and none that is being written just now."""
        for _ in range(_TRIES):
            size = os.fstat(self._descriptor).st_size
            if not size or os.pread(self._descriptor, 1, size - 1) == b"\n":
                return
            time.sleep(_LINE_SECONDS)
            with suppress(BlockingIOError):  # another process is at it
                self._end_line_at(size)

    def _end_line_at(self, size: int) -> None:
        flock(self._descriptor, LOCK_EX | LOCK_NB)
        if os.fstat(self._descriptor).st_size == size:
            os.write(self._descriptor, b"\n")
        flock(self._descriptor, LOCK_UN)

    def _try_to_rotate(self) -> OSError | None:
        try:
            self._rotate()
        except (BlockingIOError, FileNotFoundError):  # another process rotates
            return None
        except OSError as error:  # a file that grows is better than a lost line
            return error
        return None

    def _rotate(self) -> None:
        """Rename, oldest first. Who renames the file holds a lock on it, so there is one at a time."""
        file = os.open(self._names[0], os.O_WRONLY)  # anew: an open file's lock is shared with forked processes
        try:
            flock(file, LOCK_EX | LOCK_NB)
            found = os.fstat(file)
            if os.path.samestat(found, os.stat(self._names[0])) and found.st_size >= self._max_bytes:
                self._rename(file)
        finally:
            os.close(file)

    def _rename(self, file: int) -> None:
        if len(self._names) == 1:
            os.ftruncate(file, 0)
            return
        oldest = len(self._names) - 1
        free = next((place for place, name in enumerate(self._names) if not os.path.exists(name)), oldest)
        for place in range(free, 0, -1):
            os.replace(self._names[place - 1], self._names[place])
