"""Error responses, and the one exception handler. A vendor's text is never part of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from models import GatewayError
from telemetry.log_line import request_id_context
from web.access_log import note_error, path_in_log
from web.doors import NATIVE, find_door
from web.doors.base import Door, retry_seconds
from web.doors.rate_limits import LIMIT_HEADERS
from web.metrics import count_refusal
from web.paths import route_path

_LONGEST_WAIT_SECONDS = 60  # that OpenAI's and Anthropic's SDKs wait as asked
_CODES_BY_STATUS = {404: "not_found", 405: "method_not_allowed"}

_logger = logging.getLogger("gateway.web")


def error_response(
    error: GatewayError,
    headers: Mapping[str, str] | None = None,
    door: Door = NATIVE,
) -> Response:
    """The error as a response of the door."""
    body = door.error(error, request_id_context.get())
    status = error.kind.status
    sent: dict[str, str] = {}
    if (seconds := retry_seconds(error)) is not None:
        sent["Retry-After"] = str(seconds)
    # OpenAI's and Anthropic's SDKs obey this before anything else. Their retries would multiply
    # those of the chain, which has asked every model already.
    is_exhausted = error.is_vendors and status >= 500 and error.retry_after is None
    # no SDK waits for the next day: it would only ask again at once
    is_spent = error.code == "budget_exceeded" and (error.retry_after or 0) > _LONGEST_WAIT_SECONDS
    should_retry = error.kind.retryable and not (is_exhausted or is_spent)
    sent["X-Should-Retry"] = "true" if should_retry else "false"
    if error.provider:
        sent["X-Gateway-Provider"] = error.provider
    if error.model:
        sent["X-Gateway-Model"] = error.model
    if status in (408, 413, 414, 431) or error.code == "draining" or error.reason == "connections":
        sent["Connection"] = "close"
    if status == 401:
        sent["WWW-Authenticate"] = "Bearer"
    sent |= {**body.headers, **(headers or {})}
    return Response(body.content, body.status, sent, body.media_type)


async def handle_error(request: Request, error: Exception) -> Response:
    """The exception handler for everything that fails before a response has begun."""
    if isinstance(error, GatewayError):
        failure = error
    else:  # an exception of FastAPI or Starlette: a wrong path, method or query
        status = error.status_code if isinstance(error, HTTPException) else 422
        failure = GatewayError(_CODES_BY_STATUS.get(status, "invalid_request"))
    count_refusal(request, failure)
    if note_error(failure):
        context: dict[str, object] = {
            "method": request.method,
            "path": path_in_log(request.url.path),
            "code": failure.code,
            "reason": failure.reason,
        }
        if failure.code.startswith("forbidden_"):
            context |= failure.detail
        _logger.info("answered with an error", extra={"context": context})
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    headers |= request.scope.get(LIMIT_HEADERS, {})
    if failure.code == "method_not_allowed":
        headers["Allow"] = _allowed_methods(request, headers.get("Allow", ""))
    return error_response(failure, headers, find_door(route_path(request.scope), request.headers))


async def refuse(error: GatewayError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an error response from a middleware, through the same handler."""
    response = await handle_error(Request(scope, receive), error)
    await response(scope, receive, send)


def _allowed_methods(request: Request, methods_of_route: str) -> str:
    """The `Allow` header. Starlette names those of one route, but a page's GET and HEAD are two."""

    def is_page(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    methods = [methods_of_route] if methods_of_route else []
    for method in ("GET", "HEAD"):
        if method not in methods_of_route and is_page(method):
            methods.append(method)
    return ", ".join(methods)
