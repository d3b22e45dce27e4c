"""Errors towards the client: their one shape, and the one handler. Messages are ours; a vendor's text never shows."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match

from log_line import request_id_context
from models import GatewayError

_CODES_BY_STATUS = {404: "not_found", 405: "method_not_allowed"}

_logger = logging.getLogger("gateway.web")


def error_fields(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The `error` object, alike in a body and in an event."""
    return {
        "code": error.code,
        "message": error.safe_message,
        "status": error.kind.status,
        "retryable": error.kind.retryable,
        "retry_after": _whole_seconds(error),
        "reason": error.reason,
        "provider": error.provider,
        "model": error.model,
        "stage": error.stage,
        "partial_chars": error.partial_chars,
        "attempts": [{"model": attempt.model, "code": attempt.code} for attempt in error.attempts],
        "request_id": request_id,
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def error_response(error: GatewayError, headers: dict[str, str] | None = None) -> JSONResponse:
    """The error as an HTTP answer with its true status."""
    seconds = _whole_seconds(error)
    told = {
        "Retry-After": None if seconds is None else str(seconds),
        "X-Gateway-Provider": error.provider,
        "X-Gateway-Model": error.model,
        "Connection": "close" if error.kind.status in (408, 413, 431) or error.code == "draining" else None,
        "WWW-Authenticate": "Bearer" if error.kind.status == 401 else None,
    }
    present = {name: value for name, value in told.items() if value is not None}
    body = {"error": error_fields(error, request_id_context.get())}
    return JSONResponse(body, error.kind.status, headers={**present, **(headers or {})})


async def handle_error(request: Request, error: Exception) -> JSONResponse:
    """The exception handler for everything that fails before a response has begun."""
    failure = _to_gateway_error(error)
    context = {"method": request.method, "path": request.url.path, "code": failure.code, "reason": failure.reason}
    _logger.info("answered with an error", extra={"context": context})
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if failure.code == "method_not_allowed":
        headers["Allow"] = _allowed_methods(request, headers.get("Allow", ""))
    return error_response(failure, headers)


def _allowed_methods(request: Request, told: str) -> str:
    """Starlette tells the methods of one route alone, and a page's HEAD is another one than its GET."""

    def is_page(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    methods = [told] if told else []
    return ", ".join(methods + [method for method in ("GET", "HEAD") if method not in told and is_page(method)])


def _to_gateway_error(error: Exception) -> GatewayError:
    """What FastAPI and Starlette raise of their own is the client's doing: a wrong path, method or query."""
    if isinstance(error, GatewayError):
        return error
    status = error.status_code if isinstance(error, HTTPException) else 422
    return GatewayError(_CODES_BY_STATUS.get(status, "invalid_request"))


def _whole_seconds(error: GatewayError) -> int | None:
    """Seconds to wait, rounded up; 429 and 503 that can be retried always tell some."""
    if error.retry_after is not None:
        return math.ceil(error.retry_after)
    return 1 if error.kind.retryable and error.kind.status in (429, 503) else None
