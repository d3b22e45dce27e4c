"""The gateway's logs: files of JSON lines, and the console.

`app.log` has lines of `LogSettings.level` (INFO unless set) and up, as has the console; `error.log` ERROR and up;
`debug.log` everything, whatever the level; `conversation.log` alone has what users ask and models answer. A line is
one JSON object, and has been handed to the operating system when the call returns. A log that cannot be written or
rotated costs a line on stderr a minute, and never the chat.

Exceptions are written without what they say, see `redaction.py`. Other libraries are heard from WARNING up (their DEBUG
lines hold prompts and keys), uvicorn's server from INFO.

Knows nothing of the configuration or of any room above it: it is given its settings.
"""

from __future__ import annotations

import logging
import math
import os
import resource
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, process_time
from typing import Any, Literal, TextIO

import msgspec

from log_file import LogFile, RotationError
from log_line import ConsoleFormatter, log_line
from redaction import name_exception

logger = logging.getLogger("gateway")
_conversation_logger = logging.getLogger("gateway.conversation")
_chat_logger = logging.getLogger("gateway.chat")

_MINUTE = 60.0
_STATM_BYTES = 256  # more than its seven numbers take
_PAGE_BYTES = resource.getpagesize()
_UNUSED = ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")


@dataclass(frozen=True)
class LogSettings:
    """How to log. `level` is a level's name; `max_bytes` is a file's size at which it rotates."""

    level: str
    directory: Path
    max_bytes: int
    backup_count: int
    conversation_log: Literal["full", "metadata", "off"]


class ChatRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What one chat came to. Times are milliseconds since its request."""

    provider: str
    model: str | None
    fallback: Mapping[str, str] | None
    outcome: str
    error_code: str | None
    reason: str | None
    status: int
    first_content_ms: int | None
    total_ms: int
    input_tokens: int | None
    output_tokens: int | None
    attempts: int | None
    dropped_params: list[str]


class OncePerMinute:
    """Allows each subject once a minute. The clock gives seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._allowed: dict[tuple[str | None, ...], float] = {}

    def allows(self, *subject: str | None) -> bool:
        """Whether a minute has passed since the subject was allowed; if so, it is allowed now."""
        now = self._clock()
        if now - self._allowed.get(subject, -math.inf) < _MINUTE:
            return False
        self._allowed[subject] = now
        return True


@dataclass
class _State:
    """What is open and set in this process."""

    closing: ExitStack = field(default_factory=ExitStack)
    conversation_log: str = "off"
    complaints: OncePerMinute = field(default_factory=OncePerMinute)
    statm: int = -1  # the open file in which Linux tells a process's memory


_state = _State()


# ---------------------------------------------------------------- what rooms call to log


def debug_with_context(logger: logging.Logger, message: str, /, **context: Any) -> None:
    """Log at DEBUG, with the keywords as the line's `context`."""
    logger.debug(message, extra={"context": context})


def record_chat(record: ChatRecord) -> None:
    """Write a chat's one final record. ERROR where it met a bug of ours, WARNING where the vendors failed it."""
    level = logging.INFO
    if record.outcome == "internal_error":
        level = logging.ERROR
    elif record.outcome.startswith("upstream_error"):
        level = logging.WARNING
    context = msgspec.structs.asdict(record) | {"cpu_seconds": round(process_time(), 3), "memory_mb": _memory_mb()}
    _chat_logger.log(level, "chat finished", extra={"context": context})


def log_conversation(*, provider: str, model: str | None, query: str, answer: str, outcome: str) -> None:
    """Write what was asked and answered to conversation.log, or its lengths alone, as the settings say."""
    if _state.conversation_log == "off":
        return
    context: dict[str, Any] = {"provider": provider, "model": model, "outcome": outcome}
    if _state.conversation_log == "full":
        context |= {"query": query, "answer": answer}
    else:
        context |= {"query_chars": len(query), "answer_chars": len(answer)}
    _conversation_logger.info("conversation", extra={"context": context})


def _memory_mb() -> float:
    """Resident memory now; the peak on systems that have no /proc."""
    try:
        pages = int(os.pread(_state.statm, _STATM_BYTES, 0).split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / (1 if sys.platform == "darwin" else 1 / 1024) / 2**20, 1)
    return round(pages * _PAGE_BYTES / 2**20, 1)


# ---------------------------------------------------------------- opening and closing


def configure_logging(settings: LogSettings) -> None:
    """Open the logs; what was open before is closed. Raises ValueError for an unknown level."""
    shutdown_logging()
    _state.complaints = OncePerMinute()
    try:
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _complain(error)
    _leave_out_what_no_line_has()
    _open_statm()
    root, uvicorn_logger = logging.getLogger(), logging.getLogger("uvicorn")
    for source, level in ((root, logging.WARNING), (uvicorn_logger, logging.INFO), (logger, logging.DEBUG)):
        _state.closing.callback(source.setLevel, source.level)
        source.setLevel(level)
    _attach(root, _Console(), settings.level)
    _attach(root, _FileHandler("app.log", settings), settings.level)
    _attach(root, _FileHandler("error.log", settings), "ERROR")
    _attach(root, _FileHandler("debug.log", settings), "DEBUG")
    _conversation_logger.propagate = False
    _state.conversation_log = settings.conversation_log
    if settings.conversation_log != "off":
        _attach(_conversation_logger, _FileHandler("conversation.log", settings), "INFO")


def shutdown_logging() -> None:
    """Close the logs."""
    _state.conversation_log = "off"
    _state.closing.close()


def _leave_out_what_no_line_has() -> None:
    """Of each record the caller's place, its thread, process and task, as Python's manual of logging tells."""
    for name in _UNUSED:
        if hasattr(logging, name):  # logAsyncioTasks is from Python 3.12 on
            _state.closing.callback(setattr, logging, name, getattr(logging, name))
            setattr(logging, name, None)


def _open_statm() -> None:
    with suppress(OSError):
        _state.statm = os.open("/proc/self/statm", os.O_RDONLY)
        _state.closing.callback(os.close, _state.statm)
        _state.closing.callback(setattr, _state, "statm", -1)


def _attach(source: logging.Logger, handler: logging.Handler, level: str) -> None:
    handler.setLevel(level)
    handler.addFilter(_is_fit_to_log)
    source.addHandler(handler)
    _state.closing.callback(handler.close)
    _state.closing.callback(source.removeHandler, handler)


def _is_fit_to_log(record: logging.LogRecord) -> bool:
    """Ours, or at least a WARNING. A filter of handlers, for an SDK may set its own loggers' levels."""
    source = record.name.partition(".")[0]
    if source == "gateway":
        return True
    if source == "urllib3":
        return False  # Sentry's transport, which complains of each of its retries while Sentry is down
    return record.levelno >= (logging.INFO if record.name == "uvicorn.error" else logging.WARNING)


def _complain(error: BaseException | None, trouble: str = "LOG LINES ARE BEING LOST") -> None:
    """Say on stderr, each trouble once a minute at most, that the logs cannot be written or rotated."""
    if not _state.complaints.allows(trouble):
        return
    with suppress(OSError, ValueError):  # a stderr that is closed leaves nowhere to say it
        print(f"{trouble}: {name_exception(error)}", file=sys.stderr, flush=True)


class _FileHandler(logging.Handler):
    """Writes JSON lines to a file of the settings' folder."""

    def __init__(self, name: str, settings: LogSettings) -> None:
        super().__init__()
        self._file = LogFile(
            settings.directory / name, max_bytes=settings.max_bytes, backup_count=settings.backup_count
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line."""
        try:
            self._file.write(log_line(record))
        except RotationError as error:
            _complain(error.__cause__, "A LOG CANNOT BE ROTATED AND GROWS")
        except Exception as error:  # noqa: BLE001 - whatever it is, the chat goes on
            _complain(error)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class _Console(logging.StreamHandler[TextIO]):
    """Lines for a person, on stderr."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(ConsoleFormatter())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: stderr itself has failed, and the files have the line."""
