"""Formats log records: as a JSON object for the files, as readable text for the console.

Each line has the request id, the client and the conversation id of the current context.

This module knows nothing of the destinations of lines.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from select import PIPE_BUF
from typing import Any

from telemetry.redaction import cut, exception_text, hide, json_line, plain, text_line, text_of

MAX_LINE = 64 * 1024  # bytes in a file, characters on the console
_MIN_CUT = 128  # characters that a cut text keeps at least
# Kept if cutting the texts is not enough.
_FIRST_FIELDS = ("timestamp", "level", "logger", "message", "request_id")


@dataclass(slots=True)
class Client:
    """A request's client: its IP address, and its gateway key's name and hash, once checked."""

    address: str | None
    key: str | None = None
    key_hash: str | None = field(default=None, repr=False)


request_id_context: ContextVar[str] = ContextVar("request_id", default="-")
conversation_id_context: ContextVar[str | None] = ContextVar("conversation_id", default=None)
client_context: ContextVar[Client | None] = ContextVar("client", default=None)


def log_line(record: logging.LogRecord) -> bytes:
    """The record as one JSON object, cached on the record, because all files get the same line.

    If the line is longer than the record's `longest_line`, its texts are cut, and `cut_from_bytes`
    is its full length.
    """
    line: bytes | None = record.__dict__.get("json_line")
    if line is None:
        fields = _fields(record)
        line = json_line(fields) + b"\n"
        if len(line) > (longest := getattr(record, "longest_line", MAX_LINE)):
            line = _cut_line(fields, len(line), longest)
        record.__dict__["json_line"] = line
    return line


def _cut_line(fields: dict[str, Any], size: int, longest: int) -> bytes:
    fields = {**plain(fields), "cut_from_bytes": size}
    longest_text = longest // 2
    while longest_text > _MIN_CUT:
        line = json_line(_cut_texts(fields, longest_text)) + b"\n"
        if len(line) <= longest:
            return line
        longest_text //= 2
    fields = {name: cut(fields[name], _MIN_CUT) for name in _FIRST_FIELDS} | {
        "cut_from_bytes": size
    }
    return json_line(fields) + b"\n"


def _cut_texts(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return cut(value, longest)
    if isinstance(value, Mapping):
        return {cut(key, longest): _cut_texts(item, longest) for key, item in value.items()}
    return [_cut_texts(item, longest) for item in value] if isinstance(value, list) else value


def json_format(*, is_shared: bool) -> Callable[[logging.LogRecord], bytes]:
    """The format of JSON lines on a stream.

    If several processes share it, longer lines than a pipe accepts at once are cut: another's line
    could come between their parts.
    """

    def short_line(record: logging.LogRecord) -> bytes:
        line = log_line(record)
        if len(line) <= PIPE_BUF:
            return line
        return _cut_line(_fields(record), len(line), PIPE_BUF)

    return short_line if is_shared else log_line


def text_format(record: logging.LogRecord) -> bytes:
    """The record as `time LEVEL logger [request id] message key=value`.

    The exception's lines follow.
    """
    fields = _fields(record)
    context = plain(fields.get("context", {}))
    pairs = context.items() if isinstance(context, Mapping) else [("context", context)]
    words = [
        fields["timestamp"],
        fields["level"],
        fields["logger"],
        f"[{fields['request_id']}]",
    ]
    if "address" in fields:
        words.append(f"{fields['client'] or '-'}@{fields['address'] or '-'}")
    words.append(fields["message"])
    words += [f"{key}={value}" for key, value in pairs]
    line = text_line(" ".join(words))
    if "exception" in fields:
        line = f"{line}\n{fields['exception']}"
    return f"{cut(hide(line), MAX_LINE)}\n".encode(errors="backslashreplace")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says, cached on the record for the files and the console."""
    cached: dict[str, Any] | None = record.__dict__.get("json_fields")
    if cached is not None:
        return cached
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - a line with wrong arguments must not be lost
        message = text_of(record.msg)
    if record.name == "asyncio":
        message = message.partition("\n")[0]  # its other lines quote exceptions with messages
    fields: dict[str, Any] = {
        "timestamp": f"{_second(int(record.created))}.{int(record.msecs):03}+00:00",
        "level": record.levelname,
        "logger": record.name,
        "message": message,
        "request_id": request_id_context.get(),
    }
    if (conversation_id := conversation_id_context.get()) is not None:
        fields["conversation_id"] = conversation_id
    if (client := client_context.get()) is not None:
        fields["client"] = client.key
        fields["address"] = client.address
    if (context := getattr(record, "context", None)) is not None:
        fields["context"] = context
    if record.exc_info and record.exc_info[1]:
        fields["exception"] = exception_text(record.exc_info[1])
    record.__dict__["json_fields"] = fields
    return fields


@lru_cache(maxsize=2)
def _second(epoch_seconds: int) -> str:
    """The second in ISO 8601. Cached: most lines are of the same second as the one before."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
