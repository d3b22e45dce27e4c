"""Responses that the server sends in place of the app. Each is the last one of its connection."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextvars import copy_context

from starlette.responses import PlainTextResponse, Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from models import GatewayError
from telemetry.log_line import Client, client_context, request_id_context
from web.errors import error_response
from web.middleware import choose_request_id
from web.response_policy import DEFAULT_HEADERS
from web.stranger_lines import StrangerLines

_logger = logging.getLogger("gateway.web")


def refuse(
    error: GatewayError | None,
    request_headers: Iterable[tuple[bytes, bytes]],
    address: str | None,
    stranger_lines: StrangerLines,
) -> bytes:
    """Log the refusal of a request, and return its response as bytes.

    Without an error, the request was not HTTP. The request id is the one that the app would choose.
    """
    headers = {
        **DEFAULT_HEADERS,
        "Connection": "close",
        "X-Request-ID": choose_request_id(request_headers),
    }
    return copy_context().run(_refuse_in_context, error, headers, address, stranger_lines)


def _refuse_in_context(
    error: GatewayError | None,
    headers: dict[str, str],
    address: str | None,
    stranger_lines: StrangerLines,
) -> bytes:
    request_id_context.set(headers["X-Request-ID"])
    client_context.set(Client(address))
    is_logged = stranger_lines.allow(address)
    if error is None:
        if is_logged:
            _logger.info("refused what is no HTTP request", extra={"context": {}})
        return _encode(PlainTextResponse("Invalid HTTP request received.", 400, headers))
    if is_logged:
        _logger.info("answered with an error", extra={"context": {"code": error.code}})
    return _encode(error_response(error, headers))


def _encode(response: Response) -> bytes:
    headers = [b"%b: %b\r\n" % header for header in response.raw_headers]
    return b"".join([STATUS_LINE[response.status_code], *headers, b"\r\n", response.body])
