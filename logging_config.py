"""Everything that leaves the gateway sideways: log files, the console, Sentry.

`app.log` has lines of `LogSettings.level` (INFO unless set) and up, as has the console; `error.log` ERROR and up;
`debug.log` everything, whatever the level; `conversation.log` alone has what users ask and models answer. A line is
one JSON object, and has been handed to the operating system when the call returns. A log that cannot be written costs
a line on stderr a minute, and never the chat.

An exception's message may quote a prompt or a vendor's body. So an exception is written as its types and frames; the
message is kept of errors that come from the operating system alone, and Sentry gets none. Other libraries are heard
from WARNING up (their DEBUG lines hold prompts and keys), uvicorn's server from INFO.

Knows nothing of the configuration or of any other room: it is given its settings.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import resource
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from time import monotonic, process_time
from typing import Any, Literal, TextIO
from urllib.parse import quote

import sentry_sdk
from concurrent_log_handler import ConcurrentRotatingFileHandler
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.transport import Transport
from sentry_sdk.types import Event, Hint

request_id_context: ContextVar[str] = ContextVar("request_id", default="-")
conversation_id_context: ContextVar[str | None] = ContextVar("conversation_id", default=None)

logger = logging.getLogger("gateway")
_conversation_logger = logging.getLogger("gateway.conversation")

_MINUTE = 60.0
_FRAMES_SHOWN = 30  # the innermost of a traceback
_DEPTH_SHOWN = 8  # of what a context nests
_SHORTEST_SECRET = 8  # characters; hiding shorter ones would tear lines apart
_SENTRY_CLOSE_SECONDS = 1.0
_SENTRY_HEADERS = frozenset({"user-agent", "content-type", "content-length", "host", "x-request-id"})
_LINE_BREAKERS = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # what json.dumps leaves as it is
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class LogSettings:
    """How to log. `level` is a level's name; `max_bytes` is a file's size at which it rotates."""

    level: str
    directory: Path
    max_bytes: int
    backup_count: int
    conversation_log: Literal["full", "metadata", "off"]


@dataclass(frozen=True)
class SentrySettings:
    """How to report to Sentry; without a `dsn` nothing is reported. The rates are shares from 0 to 1."""

    dsn: str | None
    environment: str
    traces_sample_rate: float
    profiles_sample_rate: float
    release: str


@dataclass(frozen=True)
class ChatRecord:
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


@dataclass
class _State:
    """What is open and set in this process."""

    closing: ExitStack = field(default_factory=ExitStack)
    conversation_log: str = "off"
    secrets: tuple[str, ...] = ()
    secrets_in_json: tuple[str, ...] = ()
    complained: float = -math.inf
    reported: dict[tuple[str | None, ...], float] = field(default_factory=dict)


_state = _State()


# ---------------------------------------------------------------- what rooms call to log


def debug_with_context(logger: logging.Logger, message: str, /, **context: Any) -> None:
    """Log at DEBUG, with the keywords as the line's `context`."""
    logger.debug(message, extra={"context": context}, stacklevel=2)


def record_chat(record: ChatRecord) -> None:
    """Write a chat's one final record. ERROR where it met a bug of ours, WARNING where the vendors failed it."""
    level = logging.INFO
    if record.outcome == "internal_error":
        level = logging.ERROR
    elif record.outcome.startswith("upstream_error"):
        level = logging.WARNING
    context = {**vars(record), "cpu_seconds": round(process_time(), 3), "memory_mb": _memory_mb()}
    logging.getLogger("gateway.chat").log(level, "chat finished", extra={"context": context})


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


def hide_secrets(values: Iterable[str]) -> None:
    """From now on these strings, and no others, leave as `***` in any log line or Sentry event.

    They are found as they are and as URLs quote them. Strings of less than 8 characters are not searched for.
    """
    plain = {value for value in values if len(value) >= _SHORTEST_SECRET}
    forms = sorted(plain | {quote(value, safe="") for value in plain}, key=len, reverse=True)
    _state.secrets = tuple(forms)
    _state.secrets_in_json = tuple(_dump(form)[1:-1] for form in forms)


def _memory_mb() -> float:
    """Resident memory now; the peak on systems that have no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / (1 if sys.platform == "darwin" else 1 / 1024) / 2**20, 1)
    return round(pages * resource.getpagesize() / 2**20, 1)


# ---------------------------------------------------------------- opening and closing


def configure_logging(settings: LogSettings) -> None:
    """Open the logs; what was open before is closed. Raises ValueError for an unknown level."""
    _close_logs()
    _make_directory(settings.directory)
    root, uvicorn_logger = logging.getLogger(), logging.getLogger("uvicorn")
    for source, level in ((root, logging.WARNING), (uvicorn_logger, logging.INFO), (logger, logging.DEBUG)):
        _state.closing.callback(source.setLevel, source.level)
        source.setLevel(level)
    _attach(root, _Console(), settings.level)
    _attach(root, _LogFile("app.log", settings), settings.level)
    _attach(root, _LogFile("error.log", settings), "ERROR")
    _attach(root, _LogFile("debug.log", settings), "DEBUG")
    _conversation_logger.propagate = False
    _state.conversation_log = settings.conversation_log
    if settings.conversation_log != "off":
        _attach(_conversation_logger, _LogFile("conversation.log", settings), "INFO")


def shutdown_logging() -> None:
    """Close the logs, and Sentry, which gets a second for what it has yet to send."""
    client = sentry_sdk.get_client()
    if client.is_active():
        client.close(timeout=_SENTRY_CLOSE_SECONDS)
        sentry_sdk.get_global_scope().set_client(None)
    _close_logs()


def _close_logs() -> None:
    _state.conversation_log = "off"
    _state.closing.close()


def _attach(source: logging.Logger, handler: logging.Handler, level: str) -> None:
    handler.setLevel(level)
    handler.addFilter(_is_fit_to_log)
    source.addHandler(handler)
    _state.closing.callback(handler.close)
    _state.closing.callback(source.removeHandler, handler)


def _is_fit_to_log(record: logging.LogRecord) -> bool:
    """Ours, or at least a WARNING. A filter of handlers, for an SDK may set its own loggers' levels."""
    if record.levelno >= logging.WARNING or record.name.partition(".")[0] == "gateway":
        return True
    return record.name == "uvicorn.error" and record.levelno >= logging.INFO


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _complain(error)


def _complain(error: BaseException | None) -> None:
    """Say on stderr, once a minute at most, that the logs cannot be written."""
    if monotonic() - _state.complained < _MINUTE:
        return
    _state.complained = monotonic()
    with suppress(OSError, ValueError):  # a stderr that is closed leaves nowhere to say it
        print(f"LOG LINES ARE BEING LOST: {_name_exception(error)}", file=sys.stderr, flush=True)


class _LogFile(ConcurrentRotatingFileHandler):
    """A file of JSON lines that several processes write and rotate, under a lock file; readable by its owner alone."""

    def __init__(self, name: str, settings: LogSettings) -> None:
        super().__init__(
            settings.directory / name,
            maxBytes=settings.max_bytes,
            backupCount=settings.backup_count,
            encoding="utf-8",
            chmod=0o600,
        )
        self.setFormatter(_JsonFormatter())

    def do_open(self, mode: str | None = None) -> TextIOWrapper:
        """Open the file; a line that was cut short by a full disk or a crash is ended first."""
        stream = super().do_open(mode)
        with open(self.baseFilename, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            if size and file.read() != b"\n":
                stream.write("\n")
        return stream

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        """Let go of the stream: what a failed write left in its buffer would be written again, and grow."""
        stream, self.stream = self.stream, None
        if stream:
            with suppress(OSError, ValueError):  # it has failed already
                stream.close()
        _complain(sys.exception())


class _Console(logging.StreamHandler[TextIO]):
    """Lines for a person, on stderr."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_ConsoleFormatter())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: stderr itself has failed, and the files have the line."""


# ---------------------------------------------------------------- a record to a line


class _JsonFormatter(logging.Formatter):
    """A record as one JSON object. All files get the same line, so it is made once, and kept on the record."""

    def format(self, record: logging.LogRecord) -> str:
        line: str | None = record.__dict__.get("json_line")
        if line is None:
            line = _hide(_dump(_fields(record)), _state.secrets_in_json)
            record.__dict__["json_line"] = line
        return line


class _ConsoleFormatter(logging.Formatter):
    """A record as `time LEVEL logger [request id] message key=value`, and an exception's lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        context = fields.get("context", {})
        pairs = context.items() if isinstance(context, Mapping) else [("context", context)]
        words = [fields["timestamp"], fields["level"], fields["logger"], f"[{fields['request_id']}]", fields["message"]]
        words += [f"{_text(key)}={_text(value)}" for key, value in pairs]
        line = _CONTROLS.sub(_escape, " ".join(words))
        if "exception" in fields:
            line = f"{line}\n{fields['exception']}"
        return _hide(line, _state.secrets)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": _message(record),
        "request_id": request_id_context.get(),
    }
    if (conversation_id := conversation_id_context.get()) is not None:
        fields["conversation_id"] = conversation_id
    if (context := getattr(record, "context", None)) is not None:
        fields["context"] = context
    if record.exc_info and record.exc_info[1]:
        fields["exception"] = "\n".join(_exception_lines(record.exc_info[1], set()))
    return fields


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that don't fit their message must not lose the line
        message = _text(record.msg)
    if record.name == "asyncio":
        return message.partition("\n")[0]  # the lines below quote exceptions with their messages
    return message


def _exception_lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    """The chain of exceptions, first cause first: frames and types, without what the exceptions say."""
    seen.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier and id(earlier) not in seen:
        yield from _exception_lines(earlier, seen)
        yield "which led to:"
    for frame in traceback.format_tb(error.__traceback__, limit=-_FRAMES_SHOWN):
        yield frame.rstrip("\n")
    yield _name_exception(error)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            if id(member) not in seen:
                yield "which holds:"
                yield from _exception_lines(member, seen)


def _name_exception(error: BaseException | None) -> str:
    name = type(error).__qualname__
    return f"{name}: {_text(error)}" if isinstance(error, OSError) and error.errno is not None else name


def _dump(value: Any) -> str:
    """JSON in one line, whatever the value: what JSON has no word for becomes a string."""
    try:
        line = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_describe)
    except Exception:  # noqa: BLE001 - odd keys, NaN, circles, depth: all have the slower way
        line = json.dumps(_plain(value), ensure_ascii=False)
    return _LINE_BREAKERS.sub(_escape, line)


def _plain(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and abs(value) < 2**63:
        return value
    if isinstance(value, Mapping) and depth < _DEPTH_SHOWN:
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < _DEPTH_SHOWN:
        return [_plain(item, depth + 1) for item in value]
    return _describe(value)


def _describe(value: Any) -> str:
    return _name_exception(value) if isinstance(value, BaseException) else _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an object that cannot be described must not lose the line
        return f"<{type(value).__qualname__}>"


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return "\N{REPLACEMENT CHARACTER}" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"


def _hide(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, "***")
    return text


# ---------------------------------------------------------------- Sentry


def configure_sentry(settings: SentrySettings, transport: Transport | None = None) -> None:
    """Report to Sentry from now on, if there is a DSN, by a thread of the SDK's own: one that is dead changes nothing.

    Only integrations named here are on: no AI, HTTP client or logging ones, which would send prompts.
    """
    _state.reported.clear()
    if not settings.dsn:
        return
    try:
        sentry_sdk.init(
            dsn=settings.dsn,
            transport=transport,
            environment=settings.environment,
            release=settings.release,
            traces_sample_rate=settings.traces_sample_rate or None,
            profiles_sample_rate=settings.profiles_sample_rate or None,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[
                DedupeIntegration(),
                ExcepthookIntegration(),
                StarletteIntegration(transaction_style="url", failed_request_status_codes=set()),
            ],
            include_local_variables=False,
            max_request_body_size="never",
            send_default_pii=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            trace_propagation_targets=[],
            strict_trace_continuation=True,  # or a client's header could have every request sampled
            shutdown_timeout=_SENTRY_CLOSE_SECONDS,
            spotlight=False,
            debug=False,
            before_send=_clean_event,
            before_send_transaction=_clean_transaction,
        )
    except ValueError:
        logger.error("Sentry stays off: SENTRY_DSN is no DSN")  # noqa: TRY400 - the exception quotes it


def report_outage(*, kind: str, provider: str, model: str | None, details: Mapping[str, Any]) -> None:
    """Tell Sentry that a vendor fails: one event a minute, process, kind and provider."""
    if _is_due("outage", kind, provider):
        _report("warning", kind, provider, model, details)


def report_misconfiguration(*, kind: str, provider: str, model: str | None, details: Mapping[str, Any]) -> None:
    """Tell Sentry what the operator must mend: one event a minute, process, kind, provider and model."""
    if _is_due("misconfiguration", kind, provider, model):
        _report("error", kind, provider, model, details)


def report_bug(exception: BaseException, *, provider: str | None = None, model: str | None = None) -> None:
    """Tell Sentry of an exception that should not have been. Never raises, as none of the reports does."""
    if sentry_sdk.get_client().is_active():
        with _surviving():
            sentry_sdk.capture_exception(exception, tags=_tags(provider=provider, model=model))


def _is_due(*subject: str | None) -> bool:
    if not sentry_sdk.get_client().is_active():
        return False
    now = monotonic()
    if now - _state.reported.get(subject, -math.inf) < _MINUTE:
        return False
    _state.reported[subject] = now
    return True


def _report(
    level: Literal["warning", "error"], kind: str, provider: str, model: str | None, details: Mapping[str, Any]
) -> None:
    with _surviving():
        sentry_sdk.capture_message(
            f"{provider}: {kind}",
            level=level,
            tags=_tags(kind=kind, provider=provider, model=model),
            contexts={"provider_details": _plain(details)},
            fingerprint=[kind, provider],
        )


def _tags(**tags: str | None) -> dict[str, str]:
    return {name: value for name, value in tags.items() if value is not None}


@contextmanager
def _surviving() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a Sentry that fails must change nothing for the chat
        debug_with_context(logger, "a report to Sentry failed", error=error)


def _clean_transaction(event: Event, hint: Hint) -> Event | None:
    """A trace as it may leave; none of a health probe, which comes every few seconds for ever."""
    return None if str(event.get("transaction")).startswith("/health") else _clean_event(event, hint)


def _clean_event(event: Event, _hint: Hint) -> Event:
    """The event as it may leave: the request by method, URL and allowed headers; exceptions by type and frames."""
    event.setdefault("tags", {})["request_id"] = request_id_context.get()
    if request := event.get("request"):
        sent: Any = request.get("headers", {})
        headers = {name: value for name, value in sent.items() if name.lower() in _SENTRY_HEADERS}
        event["request"] = {"method": request.get("method"), "url": request.get("url"), "headers": headers}
    for exception in event.get("exception", {}).get("values", ()):
        exception["value"] = ""
    cleaned: Event = _hide_within(event)
    return cleaned


def _hide_within(value: Any) -> Any:
    if isinstance(value, str):
        return _hide(value, _state.secrets)
    if isinstance(value, dict):
        return {name: _hide_within(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide_within(item) for item in value]
    return value
