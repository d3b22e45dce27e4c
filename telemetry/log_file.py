"""A log file that several processes append to and rotate, without waiting for each other.

Lines are appended in one write, which a local file system keeps together. So only rotation takes a
lock: one process renames the files, and the others keep writing. Before each write a process checks
whether its open file still has the name. If it is renamed between the check and the write, the
lines are in the backup. They would be lost only if all backups were rotated away at that moment.

A line that was torn by a crash or a full disk is terminated by the next process that opens the
file, or by the process that met the full disk, before its next line. A process that already has the
file open does not check this: its line can follow the torn one.

This module knows nothing of the content of lines.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path

_LINE_SECONDS = 0.001  # far longer than a write of a line takes
# Follow no link, and do not wait for a pipe's other end.
_SAFE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK
_TRIES = 10  # to terminate a torn line, _LINE_SECONDS each


class RotationError(Exception):
    """Lines were written, but the file is full and cannot be rotated. The cause is the OSError."""

    def __init__(self, lines: int) -> None:
        """`lines` is the number of written lines."""
        super().__init__()
        self.lines = lines


class LogFile:
    """A log file, readable by its owner only. Not thread-safe.

    It must be a regular file: links, pipes and devices are not written to. It is rotated at
    `max_bytes`, or emptied if `backup_count` is 0.
    """

    __slots__ = ("_descriptor", "_identity", "_is_trusted", "_max_bytes", "_names", "_size")

    def __init__(self, path: Path, *, max_bytes: int, backup_count: int) -> None:
        path = path.absolute()
        self._names = [str(path), *(f"{path}.{number}" for number in range(1, backup_count + 1))]
        self._max_bytes = max_bytes
        self._descriptor = -1
        self._size = 0  # at the last check
        self._identity: tuple[int, int] | None = None  # None: not open
        self._is_trusted = False  # whether the file is known to end with a whole line

    def check(self) -> None:
        """Raise OSError if the file's name belongs to something other than a regular file."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._check(os.lstat(self._names[0]))

    def write(self, *lines: bytes) -> int:
        """Append lines until the file is full, but at least one. Returns their number.

        The operating system has them when this returns. Raises OSError if not even the first one
        could be written, and RotationError if they were written to a full file that cannot be
        rotated.
        """
        written = 0
        try:
            obstacle = self._prepare()
            taken: list[bytes] = []
            size = self._size
            for line in lines:
                if taken and size >= self._max_bytes:
                    break
                taken.append(line)
                size += len(line)
            text = b"".join(taken)
            while written < len(text):
                written += os.write(self._descriptor, text[written:] if written else text)
        except OSError:
            self.close()
            self._is_trusted = False
            if written and (whole := text.count(b"\n", 0, written)):
                return whole  # the line after them is torn, and will be written again
            raise
        if obstacle:
            raise RotationError(len(taken)) from obstacle
        return len(taken)

    def close(self) -> None:
        """Close the file. The next write opens it again."""
        if self._identity:
            self._identity = None
            with suppress(OSError):  # failed writes have been reported already
                os.close(self._descriptor)

    def _prepare(self) -> OSError | None:
        """Open the current file, rotated if it is full. Returns the error if rotating fails."""
        try:
            seen = os.lstat(self._names[0])
        except FileNotFoundError:
            self._open()
            return None
        if (seen.st_dev, seen.st_ino) != self._identity:
            self._check(seen)  # first, because opening a device can have effects
            self._open()
        self._size = seen.st_size
        if seen.st_size < self._max_bytes:
            return None
        obstacle: OSError | None = None
        try:
            self._rotate()
        except (BlockingIOError, FileNotFoundError):
            pass  # another process is rotating
        except OSError as error:
            obstacle = error  # a file that grows is better than lost lines
        self._open()
        return obstacle

    def _check(self, found: os.stat_result) -> None:
        """Raise OSError for a directory, a pipe, a device, or a link, which may be to any file."""
        if stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, "is a symbolic link, which is not followed", self._names[0])
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._names[0])
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", self._names[0])

    def _open(self) -> None:
        self.close()
        descriptor = os.open(
            self._names[0], os.O_RDWR | os.O_APPEND | os.O_CREAT | _SAFE_FLAGS, 0o600
        )
        opened = os.fstat(descriptor)
        self._descriptor = descriptor
        self._identity = (opened.st_dev, opened.st_ino)
        self._check(opened)  # it may have been replaced since the check
        self._size = opened.st_size
        with suppress(OSError):  # the file belongs to another user
            os.fchmod(self._descriptor, 0o600)
        if not self._is_trusted:
            self._end_torn_line()
            self._is_trusted = True

    def _end_torn_line(self) -> None:
        """Terminate a torn last line, unless another process is writing it at this moment."""
        for _ in range(_TRIES):
            size = os.fstat(self._descriptor).st_size
            if not size or os.pread(self._descriptor, 1, size - 1) == b"\n":
                return
            time.sleep(_LINE_SECONDS)
            with suppress(BlockingIOError):  # another process does it
                flock(self._descriptor, LOCK_EX | LOCK_NB)
                if os.fstat(self._descriptor).st_size == size:
                    os.write(self._descriptor, b"\n")
                flock(self._descriptor, LOCK_UN)

    def _rotate(self) -> None:
        """Rename the files, oldest first, under a lock on the newest: one process at a time."""
        # Opened again, because the lock of an open file is shared with forked processes.
        file = os.open(self._names[0], os.O_WRONLY | _SAFE_FLAGS)
        try:
            flock(file, LOCK_EX | LOCK_NB)
            found, names = os.fstat(file), self._names
            if not os.path.samestat(found, os.lstat(names[0])) or found.st_size < self._max_bytes:
                return  # another process has rotated it
            if len(names) == 1:
                os.ftruncate(file, 0)
                return
            missing = (place for place, name in enumerate(names) if not os.path.exists(name))
            for place in range(next(missing, len(names) - 1), 0, -1):
                os.replace(names[place - 1], names[place])
        finally:
            os.close(file)
