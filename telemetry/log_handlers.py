"""`logging` handlers for the files and for a stream. They pass lines to a `LogWriter`.

Records of level ERROR and up, or with a true `is_awaited`, are written when the call returns,
unless the disk is slow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from telemetry.log_file import LogFile, RotationError
from telemetry.log_line import log_line
from telemetry.log_stream import LogStream
from telemetry.log_writer import LogWriter
from telemetry.redaction import name_exception

_FLUSH_SECONDS = 1.0

LineFormat = Callable[[logging.LogRecord], bytes]


class LogFileLines:
    """A log file as a destination of lines.

    `report` is called with a problem's cause, and optionally a headline.
    """

    def __init__(
        self, path: Path, max_bytes: int, backup_count: int, report: Callable[..., None]
    ) -> None:
        self._file = LogFile(path, max_bytes=max_bytes, backup_count=backup_count)
        self._report = report
        try:
            self._file.check()
        except OSError as error:
            report(name_exception(error), f"{path.name} IS NOT WRITTEN")

    def write(self, lines: Sequence[bytes]) -> int:
        """Write the lines. Returns how many were lost."""
        written = 0
        while written < len(lines):
            try:
                written += self._file.write(*lines[written:])
            except RotationError as error:
                written += error.lines
                self._report(name_exception(error.__cause__), "A LOG CANNOT BE ROTATED AND GROWS")
            except Exception as error:  # noqa: BLE001 - the writer's thread must go on
                self._report(name_exception(error))
                return len(lines) - written
        return 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FileHandler(logging.Handler):
    """Passes each line to the files of its level."""

    def __init__(self, writer: LogWriter, files: Sequence[tuple[int, LogFileLines]]) -> None:
        """`files` are pairs of the lowest level and the file."""
        super().__init__()
        self._writer = writer
        self._files = files

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record's line to the writer."""
        files = [file for level, file in self._files if record.levelno >= level]
        is_awaited = record.levelno >= logging.ERROR or getattr(record, "is_awaited", False)
        self._writer.write(log_line(record), files, wait=is_awaited)

    def flush(self) -> None:
        """Wait up to a second for remaining lines.

        `logging` calls this at exit, even if the logs were not closed.
        """
        self._writer.flush(_FLUSH_SECONDS)


class StreamHandler(logging.Handler):
    """Passes each line to a stream, in a format.

    Only errors wait until they are written, unless there are no files (`is_only`): then also the
    lines that would wait for a file.
    """

    def __init__(
        self, writer: LogWriter, stream: LogStream, line_format: LineFormat, *, is_only: bool
    ) -> None:
        super().__init__()
        self._writer = writer
        self._stream = stream
        self._format = line_format
        self._is_only = is_only

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record's line to the writer."""
        is_awaited = self._is_only and getattr(record, "is_awaited", False)
        wait = is_awaited or record.levelno >= logging.ERROR
        self._writer.write(self._format(record), [self._stream], wait=wait)

    def flush(self) -> None:
        """Wait up to a second for remaining lines."""
        self._writer.flush(_FLUSH_SECONDS)


def loss_line(line_format: LineFormat, lines: int) -> bytes:
    """The line that states how many lines were lost."""
    return line_format(_own_record(logging.WARNING, "lines were lost", lines=lines))


def problem_line(line_format: LineFormat, problem: str, cause: str) -> bytes:
    """The line that states a problem of the logs themselves."""
    return line_format(_own_record(logging.ERROR, problem, cause=cause))


def _own_record(level: int, message: str, **context: object) -> logging.LogRecord:
    fields = {"name": "gateway", "levelno": level, "levelname": logging.getLevelName(level)}
    return logging.makeLogRecord({**fields, "msg": message, "context": context})
