"""CORS: the headers that let pages of other origins send requests and read the responses."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models import GatewayError
from web.doors.rate_limits import HEADER_NAMES
from web.errors import refuse
from web.origin_guard import Origins, forbidden_origin, is_own_page

_METHODS = ("GET", "HEAD", "POST")
_PREFLIGHT_SECONDS = 600  # how long a browser may cache a preflight

# The gateway's own, and those that tracing libraries and vendors' SDKs add to a page's requests.
_REQUEST_HEADERS = (
    "Accept",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "Content-Language",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Pragma",
    "X-API-Key",
    "X-Request-ID",
    "X-Requested-With",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "b3",
    "baggage",
    "elastic-apm-traceparent",
    "newrelic",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "request-context",
    "request-id",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "user-agent",
)
_REQUEST_HEADER_PREFIXES = ("x-b3-", "x-datadog-", "x-gateway-", "x-stainless-")
EXPOSED_HEADERS = (
    "X-Request-ID",
    "Request-ID",
    "X-Gateway-Provider",
    "X-Gateway-Model",
    "X-Gateway-Fallback",
    "X-Gateway-Demo",
    "X-Gateway-Error",
    "Retry-After",
    "X-Should-Retry",
    *HEADER_NAMES,
)


class CorsMiddleware:
    """Answers preflights, and lets pages of the allowed origins read every response, errors too.

    `headers` are the request headers of CORS_HEADERS, allowed in addition to the usual ones; `*`
    allows any.
    """

    def __init__(self, app: ASGIApp, origins: Origins, headers: Collection[str] = ()) -> None:
        self._app = app
        self._origins = origins
        self._allowed_headers = frozenset(name.lower() for name in (*_REQUEST_HEADERS, *headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        is_allowed = origin is not None and self._origins.allow(origin)
        reply_headers = {}
        if origin is not None and is_allowed:
            reply_headers["Access-Control-Allow-Origin"] = (
                "*" if self._origins.allow_all else origin
            )
            reply_headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED_HEADERS)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                sent = MutableHeaders(scope=message)
                sent.update(reply_headers)
                if not self._origins.allow_all:
                    sent.add_vary_header("Origin")
            await send(message)

        is_options = scope["method"] == "OPTIONS" and origin is not None
        if is_options and "access-control-request-method" in headers:
            is_permitted = is_allowed or is_own_page(headers)
            await self._answer_preflight(
                headers, scope, receive, send_with_headers, is_permitted=is_permitted
            )
        else:
            await self._app(scope, receive, send_with_headers)

    async def _answer_preflight(
        self, headers: Headers, scope: Scope, receive: Receive, send: Send, *, is_permitted: bool
    ) -> None:
        if not is_permitted:
            await refuse(forbidden_origin(headers), scope, receive, send)
            return
        if headers["access-control-request-method"] not in _METHODS:
            methods = ", ".join(_METHODS)
            message = f"The page asks with a method that is not allowed; allowed are {methods}."
            await refuse(
                GatewayError("forbidden_origin", message, reason="method"), scope, receive, send
            )
            return
        requested = [
            name.strip().lower()
            for name in headers.get("access-control-request-headers", "").split(",")
        ]
        allows_all = "*" in self._allowed_headers
        refused = set(filter(None, requested)) - self._allowed_headers
        if not allows_all and not all(
            name.startswith(_REQUEST_HEADER_PREFIXES) for name in refused
        ):
            message = "The page sends a header that is not allowed; see CORS_HEADERS."
            await refuse(
                GatewayError("forbidden_origin", message, reason="header"), scope, receive, send
            )
            return
        preflight_headers = {
            "Access-Control-Allow-Methods": ", ".join(_METHODS),
            "Access-Control-Allow-Headers": ", ".join(filter(None, requested)),
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        }
        response = Response(
            status_code=200,
            headers={name: text for name, text in preflight_headers.items() if text},
        )
        await response(scope, receive, send)
