"""Pure ASGI middleware: request ids (outermost), and unhandled exceptions (innermost)."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models import GatewayError
from telemetry.error_reporting import report_bug
from telemetry.log_line import conversation_id_context, request_id_context
from telemetry.span import traceparent_context, vendor_traceparent_context
from web.access_log import open_access, write_access
from web.doors import find_door
from web.errors import error_response
from web.paths import route_path
from web.stranger_lines import StrangerLines

_VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

_logger = logging.getLogger("gateway.web")


class RequestIdMiddleware:
    """Puts the client's `X-Request-ID`, or a generated one, on every response and log line.

    Responses have it as `Request-ID`, too.

    Also adds the client to the log lines, and writes the response's status to the audit log.
    """

    def __init__(self, app: ASGIApp, stranger_lines: StrangerLines | None = None) -> None:
        self._app = app
        self._stranger_lines = stranger_lines or StrangerLines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = choose_request_id(scope["headers"])
        # The server runs each request in its own task, and so in its own context. That of a
        # pipelined request is a copy of the one before it.
        request_id_context.set(request_id)
        for inherited in (conversation_id_context, traceparent_context, vendor_traceparent_context):
            inherited.set(None)
        # Anthropic's SDKs read `request-id`, all others `x-request-id`.
        headers = [(name, request_id.encode()) for name in (b"x-request-id", b"request-id")]
        access = open_access(scope, self._stranger_lines)
        has_begun = False

        async def send_with_id(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = [*message.get("headers", ()), *headers]
                write_access(access, scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            if not has_begun:
                write_access(access, scope, None)


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's id if it sent a valid one, else a new one."""
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _VALID_REQUEST_ID.fullmatch(given[0]):
        return bytes(given[0]).decode()
    return str(uuid.uuid4())


class LastResortMiddleware:
    """Answers an unhandled exception with `internal_error`, and reports it."""

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
            door = find_door(route_path(scope), Headers(scope=scope))
            response = error_response(GatewayError("internal_error"), door=door)
            await response(scope, receive, send)
