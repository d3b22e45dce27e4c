"""Errors in Anthropic's words."""

from __future__ import annotations

from typing import Any, NamedTuple

from models import GatewayError
from web.doors.error_fields import error_fields


class AnthropicError(NamedTuple):
    """The status of an error, and the `type` by which Anthropic's clients know it."""

    status: int
    type: str


_OVERLOADED = AnthropicError(529, "overloaded_error")

_SPECIAL = {
    "upstream_quota": AnthropicError(402, "billing_error"),
    "overloaded": _OVERLOADED,
    "draining": _OVERLOADED,
}

# An unofficial type loses its status in some clients.
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    421: "permission_error",
    429: "rate_limit_error",
    504: "timeout_error",
}


def to_anthropic(error: GatewayError) -> AnthropicError:
    """The error in Anthropic's words."""
    if error.code in _SPECIAL:
        return _SPECIAL[error.code]
    status = error.kind.status
    if status in _TYPES:
        return AnthropicError(status, _TYPES[status])
    if status >= 500:
        return AnthropicError(500, "api_error")
    return AnthropicError(400 if status == 422 else status, "invalid_request_error")


def error_object(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The body of an error, the same in a stream; `gateway` has it in the gateway's own words."""
    status, kind = to_anthropic(error)
    facts = error_fields(error, request_id) | {"status": status}
    return {
        "type": "error",
        "error": {"type": kind, "message": facts.pop("message")},
        "request_id": request_id,
        "gateway": facts,
    }
