"""The gateway's logs: files of JSON lines, and the console.

`app.log` and the console have the lines of `LogSettings.level` (default INFO) and up. `error.log`
has ERROR and up, `debug.log` has everything regardless of the level. Questions and answers are in
`conversation.log` only, and accesses in `audit.log` only. A line is one JSON object.

With LOG_FORMAT=json the lines on the console are the same JSON objects. With LOG_DIR=- there are no
files, and the lines of all logs go to standard output.

Lines are written by two threads, one for the files and one for the console, see
`telemetry/log_writer.py`. If the disk responds within 50 ms, an ERROR and a chat's final line have
reached the operating system when the call returns, and a chat's first line before its first content
is sent; other lines follow within milliseconds. A log that cannot be written or rotated is reported
on stderr once a minute, and never affects a chat.

Exceptions are logged without their messages, see `telemetry/redaction.py`. Other libraries are
logged from WARNING up (their DEBUG lines contain prompts and keys), uvicorn's server from INFO.
Their own loggers, levels and handlers are not changed.

This module does not import the configuration or any layer above it: its settings are passed in.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from telemetry.log_handlers import (
    FileHandler,
    LineFormat,
    LogFileLines,
    StreamHandler,
    loss_line,
    problem_line,
)
from telemetry.log_line import json_format, log_line, text_format
from telemetry.log_record import log_with_context
from telemetry.log_stream import LogStream
from telemetry.log_writer import LogWriter, WaitBudget
from telemetry.once_per_minute import OncePerMinute
from telemetry.redaction import name_exception

logger = logging.getLogger("gateway")
_conversation_logger = logging.getLogger("gateway.conversation")
_audit_logger = logging.getLogger("gateway.audit")
for _own in (_conversation_logger, _audit_logger):
    _own.propagate = False  # their lines are in no other log, even if their own is not open

_CLOSE_SECONDS = 1.0  # for each writer, to write its remaining lines


@dataclass(frozen=True)
class LogSettings:
    """How to log. `level` is the name of a level; files rotate at `max_bytes`.

    Without a directory all lines go to standard output. `is_shared`: other processes write to the
    same streams.
    """

    level: str
    directory: Path | None
    max_bytes: int
    backup_count: int
    conversation_log: Literal["full", "metadata", "off"]
    is_json: bool = False  # on the console, as the files always are
    is_shared: bool = False


class _Console(NamedTuple):
    """The stream that has lines for a person, or all lines."""

    writer: LogWriter
    stream: LogStream
    line_format: LineFormat


@dataclass
class _State:
    """The open logs and the settings of this process."""

    closing: ExitStack = field(default_factory=ExitStack)
    problem_reports: OncePerMinute = field(default_factory=OncePerMinute)
    console: _Console | None = None
    awaited: LogWriter | None = None  # of the files, or else of standard output
    writers: list[LogWriter] = field(default_factory=list)


_state = _State()


# ---------------------------------------------------------------- logging


def debug_with_context(logger: logging.Logger, message: str, /, **context: Any) -> None:
    """Log at DEBUG, with the keywords as the line's `context`."""
    log_with_context(logger, logging.DEBUG, message, context)


def audit(action: str, **context: Any) -> None:
    """Write to audit.log: the use of a guarded route, a start, a stop or a signal."""
    log_with_context(_audit_logger, logging.INFO, action, context)


def newest_line() -> int:
    """The number of the newest line in the files, for `wait_for_line`."""
    return _state.awaited.newest if _state.awaited else 0


def wait_for_line(number: int) -> None:
    """Return when this line has reached the operating system, if the disk responds in time."""
    if _state.awaited:
        _state.awaited.wait_for(number)


# ---------------------------------------------------------------- opening and closing


def configure_logging(settings: LogSettings) -> None:
    """Open the logs, and close those open before. Raises ValueError for an unknown level."""
    level = logging.getLevelNamesMapping().get(settings.level)
    if level is None:
        raise ValueError(f"unknown level: {settings.level}")
    shutdown_logging()
    _state.problem_reports = OncePerMinute()
    budget = WaitBudget()
    _state.closing.callback(logger.setLevel, logger.level)
    logger.setLevel(logging.DEBUG)
    _open_stream(budget, level, settings)
    if settings.directory:
        _open_files(budget, level, settings, settings.directory)


def _open_stream(budget: WaitBudget, level: int, settings: LogSettings) -> None:
    """The console; without files standard output, which then has the lines of all logs."""
    is_only = settings.directory is None
    stream = LogStream(sys.stdout if is_only else sys.stderr)
    line_format = json_format(is_shared=settings.is_shared) if settings.is_json else text_format
    loss = partial(loss_line, line_format)
    writer = _open_writer(LogWriter(budget, loss_line=loss, report_full=lambda: None))
    _state.console = _Console(writer, stream, line_format)
    _state.closing.callback(setattr, _state, "console", None)
    sources = [(logging.getLogger(), level)]
    if is_only:
        _state.awaited = writer
        _state.closing.callback(setattr, _state, "awaited", None)
        sources.append((_audit_logger, logging.INFO))
        if settings.conversation_log != "off":
            sources.append((_conversation_logger, logging.INFO))
    for source, lowest in sources:
        _attach(source, StreamHandler(writer, stream, line_format, is_only=is_only), lowest)


def _open_files(budget: WaitBudget, level: int, settings: LogSettings, directory: Path) -> None:
    def open_file(name: str) -> LogFileLines:
        path = directory / name
        return LogFileLines(path, settings.max_bytes, settings.backup_count, _report_problem)

    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _report_problem(name_exception(error))
    report_full = partial(_report_problem, "the disk does not take them in time")
    loss = partial(loss_line, log_line)
    writer = _open_writer(LogWriter(budget, loss_line=loss, report_full=report_full))
    _state.awaited = writer
    _state.closing.callback(setattr, _state, "awaited", None)
    levels = {"app.log": level, "error.log": logging.ERROR, "debug.log": logging.DEBUG}
    files = [(lowest, open_file(name)) for name, lowest in levels.items()]
    _attach(logging.getLogger(), FileHandler(writer, files), logging.DEBUG)
    _attach(
        _audit_logger, FileHandler(writer, [(logging.INFO, open_file("audit.log"))]), logging.INFO
    )
    if settings.conversation_log != "off":
        conversations = FileHandler(writer, [(logging.INFO, open_file("conversation.log"))])
        _attach(_conversation_logger, conversations, logging.INFO)


def shutdown_logging() -> None:
    """Close the logs. Remaining lines are written within a second or two, or dropped."""
    _state.closing.close()


def flush_logs(seconds: float = _CLOSE_SECONDS) -> bool:
    """Wait until all lines are written. Returns False if any writer takes longer than `seconds`."""
    return all(writer.flush(seconds) for writer in _state.writers)


def _restart_writers() -> None:
    for writer in _state.writers:
        writer.restart()


os.register_at_fork(after_in_child=_restart_writers)


def _open_writer(writer: LogWriter) -> LogWriter:
    _state.writers.append(writer)
    _state.closing.callback(writer.close, _CLOSE_SECONDS)
    _state.closing.callback(_state.writers.remove, writer)
    return writer


def _attach(source: logging.Logger, handler: logging.Handler, level: int) -> None:
    handler.setLevel(level)
    handler.addFilter(_should_log)
    source.addHandler(handler)
    _state.closing.callback(handler.close)
    _state.closing.callback(source.removeHandler, handler)


def _should_log(record: logging.LogRecord) -> bool:
    """Whether to log a line: the gateway's own ones, and others from WARNING up.

    A filter of the handlers, because SDKs set the levels of their loggers.
    """
    source = record.name.partition(".")[0]
    if source == "gateway":
        return True
    if source == "urllib3":
        return False  # Sentry's transport warns about each retry while Sentry is down
    return record.levelno >= (logging.INFO if record.name == "uvicorn.error" else logging.WARNING)


def _report_problem(cause: str, problem: str = "LOG LINES ARE BEING LOST") -> None:
    """Report a problem of the logs on stderr, each at most once a minute."""
    if _state.problem_reports.allows(problem) and (console := _state.console):
        if console.line_format is text_format:
            line = f"{problem}: {cause}\n".encode(errors="backslashreplace")
        else:
            line = problem_line(console.line_format, problem, cause)
        console.writer.write(line, [console.stream])
