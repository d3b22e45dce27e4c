"""Default response headers for browsers and caches."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    # for responses that are no page
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in DEFAULT_HEADERS.items()]


class ResponsePolicyMiddleware:
    """Adds the default headers that a response does not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                names = {name.lower() for name, _ in headers}
                headers += [header for header in _RAW_HEADERS if header[0] not in names]
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_policy if scope["type"] == "http" else send)
