"""What a socket, an HTTP client or a decoder raises, in our codes: the lowest cause decides, not the SDK's class."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import anthropic
import groq
import httpx
import httpx2
import msgspec
import openai
import pytest
from aiohttp import http_exceptions
from google.genai.errors import ClientError, ServerError
from hypothesis import given, settings
from hypothesis import strategies as st

from models import ERROR_KINDS, GatewayError
from providers.errors import translate

URL = "http://127.0.0.1/v1"


KEY: Any = type("Key", (), {"host": "127.0.0.1", "port": 1, "ssl": True, "is_ssl": True})()
HALF_A_HEAD: Any = ("HTTP/1.1", 200, "OK", {"Content-Type": "text/ev"})  # what there was, parsed
REQUEST: Any = type("Request", (), {"real_url": URL})()


TRANSPORT: dict[str, tuple[Exception, str, str]] = {
    "no file left": (OSError(errno.EMFILE, "Too many open files"), "overloaded", "open_files"),
    "refused": (ConnectionRefusedError(111, "refused"), "upstream_unavailable", "refused"),
    "reset": (ConnectionResetError(104, "reset"), "upstream_unavailable", "reset"),
    "aborted": (ConnectionAbortedError(), "upstream_unavailable", "reset"),
    "broken pipe": (BrokenPipeError(), "upstream_unavailable", "reset"),
    "no such host": (socket.gaierror(-2, "unknown"), "upstream_unavailable", "dns"),
    "timeout": (TimeoutError(), "upstream_timeout", "connect"),
    "no route": (OSError(113, "no route"), "upstream_unavailable", "connection"),
    "certificate": (ssl.SSLCertVerificationError(1, "expired"), "upstream_bad_response", "tls"),
    "handshake": (ssl.SSLError(1, "wrong version"), "upstream_bad_response", "tls"),
    "aiohttp: refused": (
        aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "x")),
        "upstream_unavailable",
        "refused",
    ),
    "aiohttp: reset at connect": (
        aiohttp.ClientConnectorError(KEY, ConnectionResetError(104, "x")),
        "upstream_unavailable",
        "reset",
    ),
    "aiohttp: no such host": (
        aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "x")),
        "upstream_unavailable",
        "dns",
    ),
    "aiohttp: certificate": (
        aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, "x")),
        "upstream_bad_response",
        "tls",
    ),
    "aiohttp: disconnected": (aiohttp.ServerDisconnectedError(), "upstream_unavailable", "reset"),
    "aiohttp: half a head": (
        aiohttp.ServerDisconnectedError(HALF_A_HEAD),
        "upstream_bad_response",
        "protocol",
    ),
    "aiohttp: connect timeout": (aiohttp.ConnectionTimeoutError(), "upstream_timeout", "connect"),
    "aiohttp: short body": (aiohttp.ClientPayloadError(), "upstream_truncated", "short_body"),
    "aiohttp: junk status line": (
        aiohttp.ClientResponseError(REQUEST, (), status=400, message="Expected HTTP/"),
        "upstream_bad_response",
        "protocol",
    ),
    "aiohttp: anything else": (aiohttp.ClientError(), "upstream_unavailable", "connection"),
    "parser: bad status line": (
        http_exceptions.BadStatusLine("x"),
        "upstream_bad_response",
        "protocol",
    ),
    "parser: long header": (
        http_exceptions.LineTooLong(b"x", 8190),
        "upstream_bad_response",
        "protocol",
    ),
    "parser: bad chunk size": (
        http_exceptions.TransferEncodingError("x"),
        "upstream_bad_response",
        "protocol",
    ),
    "parser: missing chunk": (
        http_exceptions.TransferEncodingError("Not enough data to satisfy transfer length header."),
        "upstream_truncated",
        "short_body",
    ),
    "parser: missing bytes": (
        http_exceptions.ContentLengthError("x"),
        "upstream_truncated",
        "short_body",
    ),
}


def httpx_request() -> httpx.Request:
    return httpx.Request("POST", URL)


def httpx2_request() -> httpx2.Request:
    return httpx2.Request("POST", URL)


# The classes in which the four SDKs may hand on a transport's error, the misleading ones too.
WRAPPERS: tuple[Callable[[], Exception], ...] = (
    lambda: openai.APIConnectionError(request=httpx2_request()),
    lambda: openai.APITimeoutError(request=httpx2_request()),
    lambda: anthropic.APIConnectionError(request=httpx2_request()),
    lambda: groq.APITimeoutError(request=httpx_request()),
    lambda: httpx.ConnectTimeout("x"),
    lambda: httpx2.ReadError("x"),
)


@pytest.mark.parametrize(("exception", "code", "reason"), TRANSPORT.values(), ids=TRANSPORT)
def test_transport_error_has_its_code(exception: Exception, code: str, reason: str) -> None:
    """Raw or within an SDK's error, which may name it wrongly: the same code and reason."""
    error = translate(exception)
    assert (error.code, error.reason) == (code, reason)
    for make in WRAPPERS:
        wrapper = make()
        wrapper.__cause__ = exception
        error = translate(wrapper)
        assert (error.code, error.reason) == (code, reason), wrapper


@pytest.mark.parametrize(
    "exception",
    [
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        json.JSONDecodeError("x", "doc", 0),
        msgspec.DecodeError("x"),
        msgspec.ValidationError("x"),
    ],
    ids=lambda exception: type(exception).__name__,
)
def test_unreadable_event_is_a_bad_event(exception: Exception) -> None:
    """Invalid UTF-8, invalid JSON and JSON of another shape."""
    assert translate(exception).code == "upstream_bad_event"


@pytest.mark.parametrize(
    "exception", [KeyError("x"), AttributeError("x"), ZeroDivisionError(), RuntimeError()]
)
def test_our_own_bug_is_an_internal_error(exception: Exception) -> None:
    """What no vendor can have caused is not blamed on one, and starts no fallback."""
    error = translate(exception)
    assert error.code == "internal_error"
    assert error.kind.next_model == "no"


def test_gateway_error_stays_itself() -> None:
    """What has a code already keeps it, with everything in it."""
    error = GatewayError("event_too_large")
    assert translate(error) is error


def status_errors(status: int, body: dict[str, Any], headers: dict[str, str]) -> list[Exception]:
    """An answer with an error status, in the classes of the four SDKs."""
    ours, theirs = (
        httpx2.Response(status, headers=headers, request=httpx2_request()),
        httpx_request(),
    )
    kind = ServerError if status >= 500 else ClientError
    return [
        openai.APIStatusError("text of the vendor", response=ours, body=body["error"]),
        anthropic.APIStatusError("text of the vendor", response=ours, body=body),
        groq.APIStatusError(
            "text of the vendor",
            response=httpx.Response(status, headers=headers, request=theirs),
            body=body,
        ),
        kind(status, body, ours),
    ]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (500, {}, "upstream_unavailable"),
        (503, {"message": "text of the vendor"}, "upstream_unavailable"),
        (401, {"message": "text of the vendor"}, "upstream_auth"),
        (404, {"type": "not_found_error"}, "upstream_model_not_found"),
        (429, {"message": "text of the vendor"}, "rate_limited"),
        (429, {"code": "insufficient_quota"}, "upstream_quota"),
        (400, {"code": "context_length_exceeded"}, "context_length_exceeded"),
        (413, {"code": "rate_limit_exceeded"}, "rate_limited"),
        (307, {}, "upstream_bad_response"),
    ],
)
def test_error_status_has_its_code_in_every_sdk(
    status: int, body: dict[str, Any], code: str
) -> None:
    """Status, body and Retry-After are found in the places where each SDK keeps them; its text is not passed on."""
    for raised in status_errors(status, {"error": body}, {"retry-after": "7"}):
        error = translate(raised)
        assert error.code == code
        assert error.retry_after == 7
        assert error.detail["vendor_status"] == status
        assert "text of the vendor" not in f"{error} {error.safe_message} {error.detail}"


def test_causes_in_a_circle_come_to_an_end() -> None:
    """Exceptions that cause each other do not hang the gateway."""
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert translate(first).code == "internal_error"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


class AnyError(Exception):
    """An SDK's error with any value in place of a status, a code and a body."""

    def __init__(self, **fields: object) -> None:
        super().__init__("text of the vendor")
        vars(self).update(fields)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["status_code", "code", "body", "details"], JSON)
    )
)
def test_any_exception_is_translated(fields: dict[str, Any]) -> None:
    """Whatever an SDK raises becomes a GatewayError of a known code, without its text."""
    error = translate(AnyError(**fields))
    assert error.code in ERROR_KINDS
    assert "text of the vendor" not in f"{error} {error.detail}"


@settings(deadline=None)
@given(st.sampled_from([404, 500, 429]), JSON)
def test_any_body_of_a_status_error_is_translated(status: int, body: Any) -> None:
    """The same with a true status and any JSON as its body."""
    assert translate(AnyError(status_code=status, body=body)).code in ERROR_KINDS
