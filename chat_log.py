"""What one chat leaves behind: an opening line, its conversation, one final record, and what Sentry is told of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from error_reporting import report_bug, report_outage
from logging_config import ChatRecord, log_conversation, record_chat
from models import ChatIdentity, ChatRequest, Delta, End, Event, GatewayError, Restart, Start, Timing
from providers.attempts import Chain

_logger = logging.getLogger("gateway.chat")


class ChatLog:
    """What one chat leaves behind: an opening line, its conversation, one final record."""

    __slots__ = (
        "_began",
        "_end",
        "_error",
        "_first_content",
        "_provider",
        "_request",
        "_start",
        "_texts",
        "chain",
    )

    def __init__(self, provider: str, request: ChatRequest, identity: ChatIdentity) -> None:
        self._provider = provider
        self._request = request
        self._began = time.monotonic()
        self._first_content: float | None = None
        self._start: Start | Restart | None = None
        self._end: End | None = None
        self._error: GatewayError | None = None
        self._texts: list[str] = []
        self.chain: Chain | None = None  # None: nobody has been asked
        context = {"provider": provider, "id": identity.id, "messages": len(request.messages)}
        _logger.info("chat started", extra={"context": context})

    def take(self, batch: list[Event]) -> list[Event]:
        """Note a batch on its way out; the End gets its timing."""
        for event in batch:
            if type(event) is Delta:
                self._texts.append(event.content)
            elif isinstance(event, End):  # the last of its batch
                self._end = batch[-1] = msgspec.structs.replace(event, timing=self._timing())
            elif isinstance(event, Start | Restart):
                self._take_opening(event, batch)
        return batch

    def fail(self, error: GatewayError) -> None:
        """Note how the chat failed."""
        self._error = error
        self._provider = error.provider = error.provider or self._provider

    def failure(self, code: str) -> GatewayError:
        """An error of ours, with what the client has been told when it happens."""
        error = GatewayError(code, provider=self._provider, model=self._start.model if self._start else None)
        error.stage = "after_content" if self._start else "before_content"
        error.partial_chars = sum(map(len, self._texts))
        return error

    def close(self) -> None:
        """Write what remains of the chat. Synchronous: it must hold when the chat is being cancelled."""
        outcome = self._outcome()
        record_chat(self._record(outcome))
        log_conversation(
            provider=self._provider,
            model=self._start.model if self._start else None,
            query=next((m.text for m in reversed(self._request.messages) if m.role == "user"), ""),
            answer="".join(self._texts),
            outcome=outcome,
        )
        if self._error and outcome == "internal_error":
            self._tell_bug(self._error)
        else:
            self._report_to_sentry(outcome)

    def _take_opening(self, event: Start | Restart, batch: list[Event]) -> None:
        self._start = event
        self._provider = event.provider
        self._texts.clear()
        if self._first_content is None and any(type(other) is Delta for other in batch):
            self._first_content = time.monotonic()

    def _attempts(self) -> int:
        """The requests made to vendors."""
        if self._error and self._error.attempts:
            return len(self._error.attempts)
        return self.chain.requests if self.chain else 0

    def _timing(self) -> Timing:
        first = self._first_content
        now = time.monotonic()
        return Timing(None if first is None else _milliseconds(first - self._began), _milliseconds(now - self._began))

    def _outcome(self) -> str:
        if self._end:
            return "fallback_ok" if self._end.fallback else "ok"
        error = self._error
        if error is None:
            return "client_gone"
        if error.code in ("internal_error", "draining"):
            return "drained" if error.code == "draining" else error.code
        if error.stage == "after_content":
            return "upstream_error_after"
        return "upstream_error_before" if error.is_vendors else "rejected"

    def _record(self, outcome: str) -> ChatRecord:
        end, error, timing = self._end, self._error, self._timing()
        usage = end.usage if end else None
        fallback = self._start.fallback if self._start else None
        return ChatRecord(
            provider=self._provider,
            model=self._start.model if self._start else error.model if error else None,
            fallback=_fallback_fields(fallback),
            outcome=outcome,
            error_code=error.code if error else None,
            reason=error.reason if error else None,
            status=error.kind.status if error else 200,
            first_content_ms=timing.first_content_ms,
            total_ms=timing.total_ms,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            attempts=self._attempts(),
            dropped_params=list(end.dropped_params) if end else [],
        )

    def _tell_bug(self, error: GatewayError) -> None:
        bug = error.__cause__ or error
        _logger.error("chat failed by a bug", exc_info=bug)
        report_bug(bug, provider=self._provider, model=error.model)

    def _report_to_sentry(self, outcome: str) -> None:
        """An outage; what the operator must mend was reported when it happened, whatever became of the chat."""
        error = self._error
        if not error or error.is_misconfiguration or error.code == "rate_limited":
            return
        if outcome.startswith("upstream_error"):
            report_outage(kind=error.code, provider=self._provider, model=error.model, details=error.detail)


def _fallback_fields(fallback: Any) -> Mapping[str, str] | None:
    return {"from": fallback.from_model, "to": fallback.to_model, "reason": fallback.reason} if fallback else None


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
