"""What an error says to a client, whatever the door."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from models import GatewayError
from streams.failure import to_failure
from web.doors.base import retry_seconds


def error_fields(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The fields of an error in the gateway's own words."""
    failure = to_failure(error)
    return {
        "code": error.code,
        "message": error.safe_message,
        "status": error.kind.status,
        "retryable": error.kind.retryable,
        "retry_after": retry_seconds(error),
        "reason": error.reason,
        "provider": error.provider,
        "model": error.model,
        "stage": failure.stage,
        "partial_chars": failure.sent_chars,
        "attempts": [
            {"model": attempt.model, "code": attempt.code} for attempt in failure.attempts
        ],
        "request_id": request_id,
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
