"""Pure ASGI middleware: the request id around everything, and the answer to a bug within everything."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from error_reporting import report_bug
from log_line import conversation_id_context, request_id_context
from models import GatewayError
from web.errors import error_response

_VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

_logger = logging.getLogger("gateway.web")


class RequestIdMiddleware:
    """Takes a client's valid `X-Request-ID` or makes one; every response and log line carries it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = choose_request_id(scope["headers"])
        request_id_context.set(request_id)  # the server gives each request a task, and so a context, of its own
        conversation_id_context.set(None)
        header = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self._app(scope, receive, send_with_id)


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's id, where it sent one that is valid; else a new one."""
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _VALID_REQUEST_ID.fullmatch(given[0]):
        return bytes(given[0]).decode()
    return str(uuid.uuid4())


class LastResortMiddleware:
    """Answers a bug with `internal_error`, and tells the log and Sentry."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noting_start)
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            _logger.exception("request failed by a bug")
            report_bug(error)
            await error_response(GatewayError("internal_error"))(scope, receive, send)
