"""A log record as a line: one JSON object for the files, a line for a person for the console.

Each line has the request's id, and the conversation's where there is one, of the context in which it is logged.

Knows nothing of where a line goes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from redaction import exception_text, hide, json_line, text_line, text_of

request_id_context: ContextVar[str] = ContextVar("request_id", default="-")
conversation_id_context: ContextVar[str | None] = ContextVar("conversation_id", default=None)


def log_line(record: logging.LogRecord) -> bytes:
    """The record as one JSON object. All files get the same line, so it is made once, and kept on the record."""
    line: bytes | None = record.__dict__.get("json_line")
    if line is None:
        line = record.__dict__["json_line"] = f"{json_line(_fields(record))}\n".encode()
    return line


class ConsoleFormatter(logging.Formatter):
    """A record as `time LEVEL logger [request id] message key=value`, and an exception's lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        context = fields.get("context", {})
        pairs = context.items() if isinstance(context, Mapping) else [("context", context)]
        words = [fields["timestamp"], fields["level"], fields["logger"], f"[{fields['request_id']}]", fields["message"]]
        words += _pairs(pairs)
        line = text_line(" ".join(words))
        if "exception" in fields:
            line = f"{line}\n{fields['exception']}"
        return hide(line)


def _pairs(pairs: Iterable[tuple[Any, Any]]) -> list[str]:
    try:
        return [f"{key!s}={value!s}" for key, value in pairs]
    except Exception:  # noqa: BLE001 - one of them cannot be described
        return [f"{text_of(key)}={text_of(value)}" for key, value in pairs]


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] | None = record.__dict__.get("json_fields")
    if fields is None:
        fields = record.__dict__["json_fields"] = _make_fields(record)
    return fields


def _make_fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "timestamp": f"{_second(int(record.created))}.{int(record.msecs):03}+00:00",
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
        fields["exception"] = exception_text(record.exc_info[1])
    return fields


@lru_cache(maxsize=2)
def _second(epoch_seconds: int) -> str:
    """As ISO 8601 writes it; kept, for most lines are of the second of the line before."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that don't fit their message must not lose the line
        message = text_of(record.msg)
    if record.name == "asyncio":
        return message.partition("\n")[0]  # the lines below quote exceptions with their messages
    return message
