"""The gateway's log as a sink: a chat's first and final line, its failed attempts, and its bugs."""

from __future__ import annotations

import logging

import msgspec

from logging_config import newest_line, wait_for_line
from telemetry.chat_record import AttemptRecord, ChatOpening, ChatRecord, ChatSink, Outcome
from telemetry.log_record import log_with_context

_logger = logging.getLogger("gateway.chat")
_attempts_logger = logging.getLogger("gateway.providers")

_LEVELS = {
    Outcome.UPSTREAM_ERROR_BEFORE: logging.WARNING,
    Outcome.UPSTREAM_ERROR_AFTER: logging.WARNING,
    Outcome.INTERNAL_ERROR: logging.ERROR,
}


class GatewayLog(ChatSink):
    """Writes to app.log, error.log, debug.log and the console, and nothing that was said."""

    def __init__(self) -> None:
        self._openings: dict[str, int] = {}  # by chat: the number of its opening line

    def chat_began(self, chat: ChatOpening) -> None:
        """Write the opening line."""
        context = {"provider": chat.asked_provider, "id": chat.id, "messages": chat.messages}
        log_with_context(_logger, logging.INFO, "chat started", context)
        self._openings[chat.id] = newest_line()

    def content_began(self, chat: ChatOpening) -> None:
        """Wait until the opening line is written, so that it stays if the process is killed.

        A vendor takes longer than the writer. Among many chats, another's line was awaited
        meanwhile.
        """
        wait_for_line(self._openings.pop(chat.id, 0))

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Write why an attempt failed."""
        if (error := attempt.error) is None:
            return
        context = {
            **error.detail,
            "provider": attempt.provider,
            "model": attempt.model,
            "code": error.code,
            "reason": error.reason,
        }
        if error.is_misconfiguration:
            level = logging.ERROR  # the operator must act
        elif error.kind.status < 500:
            level = logging.INFO  # the client or its request rate is the cause
        else:
            level = logging.WARNING
        _attempts_logger.log(level, "attempt failed", extra={"context": context})

    def chat_ended(self, record: ChatRecord) -> None:
        """Write the final record; after a bug also its stack frames."""
        self._openings.pop(record.id, None)
        usage = record.usage
        context = {
            "door": record.door,
            "client": record.client,
            "provider": record.provider,
            "model": record.model,
            "fallback": msgspec.to_builtins(record.fallback),
            "outcome": record.outcome.value,
            "error_code": record.error_code,
            "reason": record.reason,
            "status": record.status,
            "first_content_ms": record.first_content_ms,
            "total_ms": record.total_ms,
            "input_tokens": usage.input_tokens if usage else None,
            "output_tokens": usage.output_tokens if usage else None,
            "cost": record.cost,
            "attempts": record.attempts,
            "dropped_params": record.dropped_params,
            "cpu_seconds": record.cpu_seconds,
            "memory_mb": record.memory_mb,
        }
        level = _LEVELS.get(record.outcome, logging.INFO)
        log_with_context(_logger, level, "chat finished", context, is_awaited=True)
        if record.bug:
            _logger.error("chat failed by a bug", exc_info=record.bug)
