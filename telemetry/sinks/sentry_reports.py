"""Sentry as a sink: vendor outages, misconfigurations and bugs of chats."""

from __future__ import annotations

from telemetry.chat_record import AttemptRecord, ChatRecord, ChatSink, Outcome
from telemetry.error_reporting import report_bug, report_misconfiguration, report_outage

_OUTAGES = (Outcome.UPSTREAM_ERROR_BEFORE, Outcome.UPSTREAM_ERROR_AFTER)


class SentryReports(ChatSink):
    """Reports what an operator should know of. Does nothing unless Sentry is configured."""

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Report a misconfiguration at once: another model may answer, and the chat end well."""
        error = attempt.error
        if error and error.is_misconfiguration:
            report_misconfiguration(
                kind=error.code,
                provider=attempt.provider,
                model=attempt.model,
                details={**error.detail, "reason": error.reason},
            )

    def chat_ended(self, record: ChatRecord) -> None:
        """Report a bug or an outage. A misconfiguration was reported when its attempt failed."""
        error = record.error
        if error is None:
            return
        if record.bug:
            report_bug(record.bug, provider=record.provider, model=error.model)
        elif record.outcome in _OUTAGES and not (
            error.is_misconfiguration or error.code == "rate_limited"
        ):
            report_outage(
                kind=error.code, provider=record.provider, model=error.model, details=error.detail
            )
