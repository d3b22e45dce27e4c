"""Errors in OpenAI's words, for both of its protocols."""

from __future__ import annotations

from typing import Any, NamedTuple

from models import GatewayError
from web.doors.error_fields import error_fields


class OpenAIError(NamedTuple):
    """The status of an error, and the `type` and `code` by which OpenAI's clients know it."""

    status: int
    type: str
    code: str

    def fields(self, message: str) -> dict[str, Any]:
        """The `error` object."""
        return {"message": message, "type": self.type, "code": self.code, "param": None}


_INVALID = "invalid_request_error"
_SERVER = "server_error"

# Clients choose by these: langchain, LiteLLM and pydantic-ai match `context_length_exceeded`,
# pydantic-ai and the AI SDK know a broken stream's status by its type or code alone.
_SPECIAL = {
    "invalid_request": OpenAIError(400, _INVALID, "invalid_request"),
    "content_filtered": OpenAIError(400, _INVALID, "content_policy_violation"),
    "unauthorized": OpenAIError(401, _INVALID, "invalid_api_key"),
    "unknown_provider": OpenAIError(404, _INVALID, "model_not_found"),
    "rate_limited": OpenAIError(429, "rate_limit_error", "rate_limit_exceeded"),
    "budget_exceeded": OpenAIError(429, "insufficient_quota", "insufficient_quota"),
    "upstream_quota": OpenAIError(503, "insufficient_quota", "insufficient_quota"),
    "overloaded": OpenAIError(503, "service_unavailable_error", "overloaded"),
    "draining": OpenAIError(503, "service_unavailable_error", "draining"),
}


def to_openai(error: GatewayError) -> OpenAIError:
    """The error in OpenAI's words; without a word of its own our code."""
    if error.code in _SPECIAL:
        return _SPECIAL[error.code]
    status = error.kind.status
    return OpenAIError(status, _INVALID if status < 500 else _SERVER, error.code)


def error_object(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The `error` object, and beside it what the gateway knows of the error."""
    words = to_openai(error)
    facts = error_fields(error, request_id) | {"status": words.status}
    return {"error": words.fields(facts.pop("message")), "gateway": facts}
