"""The newest warnings and errors, of the log files or kept in memory, without what may be private.

A line there can quote a vendor's answer in its context. Only codes, names and ids are taken of it,
and the messages of the gateway's own lines, which are constants.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from telemetry.log_line import log_line
from telemetry.redaction import cut

_TAILS = {"error.log": 2**17, "app.log": 2**19}  # bytes that are read of each
_LEVELS = ("WARNING", "ERROR", "CRITICAL")
_NEEDED = ("timestamp", "level", "logger", "message")  # a line without one is not the gateway's
_FIELDS = ("timestamp", "level", "request_id", "conversation_id", "client")
_CONTEXT = ("code", "error_code", "reason", "outcome", "provider", "model")
_LONGEST_TEXT = 200
_KEPT = 50  # in the memory of one process


def newest_problems(folder: Path, limit: int) -> list[dict[str, str]]:
    """The newest lines of all processes, the newest first, each once. Reads the disk."""
    found: dict[bytes, dict[str, str]] = {}
    for name, size in _TAILS.items():
        for line in _tail(folder / name, size):
            if line not in found and (problem := _problem(line)):
                found[line] = problem
    newest = sorted(found.values(), key=lambda problem: problem["timestamp"], reverse=True)
    return newest[:limit]


class KeptProblems(logging.Handler):
    """Keeps the newest ones of this process, for a gateway without log files."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: deque[dict[str, str]] = deque(maxlen=_KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of the log."""
        if problem := _problem(log_line(record)):
            self._kept.append(problem)

    def take(self) -> tuple[dict[str, str], ...]:
        """Those since the last call, the oldest first."""
        taken = tuple(self._kept)
        self._kept.clear()
        return taken

    def attach(self) -> None:
        """Keep the gateway's lines from now on. It may be attached already."""
        logging.getLogger("gateway").addHandler(self)

    def detach(self) -> None:
        """Keep no more."""
        logging.getLogger("gateway").removeHandler(self)


def _tail(path: Path, size: int) -> Iterator[bytes]:
    """The lines at the end of a file, with those of its newest backup if it has just begun."""
    for file in (path, path.with_name(f"{path.name}.1")):
        if size <= 0:
            return
        try:
            with open(file, "rb", opener=_open_file) as opened:
                length = opened.seek(0, 2)
                opened.seek(max(0, length - size))
                lines = opened.read(size).splitlines()
        except OSError:  # there is none, or it is not the gateway's
            return
        yield from lines if length <= size else lines[1:]
        size -= length


def _open_file(path: str, flags: int) -> int:
    """Open what is a file: links lead out of the folder, and a pipe would be waited for."""
    opened = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    raise OSError(errno.EINVAL, "no regular file", path)


def _problem(line: bytes) -> dict[str, str] | None:
    if not any(level.encode() in line for level in _LEVELS):
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None  # torn, being written, or not the gateway's
    if not isinstance(fields, dict) or fields.get("level") not in _LEVELS:
        return None
    if not all(isinstance(fields.get(name), str) for name in _NEEDED):
        return None
    context = fields.get("context")
    taken = {name: fields.get(name) for name in _FIELDS}
    taken["message"] = _message(fields)
    if isinstance(context, dict):
        taken |= {name: context.get(name) for name in _CONTEXT}
    return {name: cut(str(value), _LONGEST_TEXT) for name, value in taken.items() if value}


def _message(fields: Mapping[str, Any]) -> str:
    logger = str(fields.get("logger"))
    is_own = logger.partition(".")[0] == "gateway"
    return str(fields.get("message")) if is_own else f"a line of {logger}"
