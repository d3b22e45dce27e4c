"""What a vendor can do to us, told in the gateway's codes: `translate` for exceptions, `vendor_error` for error bodies.

    translate(exception)
    ├── an answer with an error status  -> vendor_error(status, body, headers)
    ├── a socket's failure, or bytes that cannot be read, lowest beneath it -> upstream_*
    └── anything else                   -> internal_error (our own bug)

Classification goes by status and structured body. Where a vendor gives only prose, `_PROSE` holds the fragment. A
vendor's text never enters a message; what the log may know is in `GatewayError.detail`.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from json import JSONDecodeError
from typing import Any

import aiohttp
import msgspec
from aiohttp import http_exceptions

from models import GatewayError
from providers.retry_after import find_retry_after

# Statuses of errors that arrive as events, where no HTTP status tells: Anthropic's documented error types,
# OpenAI's in-stream `server_error`, and codes that say more than the status they come with.
_STATUS_BY_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_CODE_BY_VENDOR_CODE = {
    "insufficient_quota": "upstream_quota",
    "billing_hard_limit_reached": "upstream_quota",
    "billing_error": "upstream_quota",
    "context_length_exceeded": "context_length_exceeded",
    "string_above_max_length": "context_length_exceeded",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "model_not_found": "upstream_model_not_found",
    "model_decommissioned": "upstream_model_not_found",
    "enforced_spend_limit_reached": "upstream_quota",  # Anthropic, 429 `rate_limit_error`
    "organization_on_hold": "upstream_auth",  # Anthropic, 400
    "invalid_api_key": "upstream_auth",
    "API_KEY_INVALID": "upstream_auth",
    "content_filter": "content_filtered",
    "content_policy_violation": "content_filtered",
}

# Where a vendor says it in prose alone: the exact fragment, and what it means.
_PROSE = (
    ("exceeds the maximum number of tokens allowed", "context_length_exceeded"),  # Gemini, 400
    ("prompt is too long", "context_length_exceeded"),  # Anthropic, 400
    ("exceeds model context window", "context_length_exceeded"),  # Anthropic, 413
    ("credit balance is too low", "upstream_quota"),  # Anthropic, 400
)

_REQUEST_IDS = ("x-request-id", "request-id", "cf-ray")  # headers; a CDN before a vendor has its own

# Where a vendor refuses a parameter in prose alone: the fragment, and the parameter.
_REFUSED_PARAMETERS = (
    ("does not support effort level", "output_config"),  # Anthropic, 400
    ("hinking level is not supported", "thinkingLevel"),  # Gemini, 400
    ("`reasoning_effort` must be one of", "reasoning_effort"),  # Groq, 400
    ("'reasoning_effort' : value is not one of", "reasoning_effort"),  # Groq, 400
)

_UNSUPPORTED_CODES = ("unsupported_parameter", "unsupported_value")


def translate(exception: Exception) -> GatewayError:
    """Turn whatever an SDK, its transport or a decoder raised into the gateway's one error."""
    if isinstance(exception, GatewayError):
        return exception
    status = _status_of(exception)
    body = getattr(exception, "body", None) or getattr(exception, "details", None)
    if status is not None or isinstance(body, dict):
        response = getattr(exception, "response", None)
        return vendor_error(body, status=status, headers=getattr(response, "headers", None))
    causes = list(_causes(exception))
    found = filter(None, (*map(_low_error, causes), _named_error(causes[0])))
    return next(found, GatewayError("internal_error", detail={"exception": type(exception).__name__}))


def vendor_error(body: object, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> GatewayError:
    """Classify an error that a vendor sent, as the body of an answer (with `status`) or as an event (without)."""
    error = _error_object(body)
    status = _effective_status(error, status)
    code, reason = _classify(error, status)
    parameter = _refused_parameter(error) if code == "rejected_by_provider" else None
    headers = headers or {}
    return GatewayError(
        code,
        reason="unsupported_parameter" if parameter else reason,
        retry_after=find_retry_after(headers, _details(error)),
        detail={
            "vendor_status": status,
            "vendor_type": _short(error.get("type") or error.get("status")),
            "vendor_code": _short(error.get("code")),
            "vendor_param": parameter or _short(error.get("param")),
            "vendor_request_id": next((_short(headers[name]) for name in _REQUEST_IDS if name in headers), None),
        },
    )


def _refused_parameter(error: Mapping[str, Any]) -> str | None:
    """The parameter that the model does not take, by the vendor's code and `param`, or by its prose."""
    if error.get("code") in _UNSUPPORTED_CODES:
        return _short(error.get("param")) or "unknown"
    message = str(error.get("message") or "")
    return next((parameter for fragment, parameter in _REFUSED_PARAMETERS if fragment in message), None)


def _status_of(exception: Exception) -> int | None:
    """The HTTP status of an error: Stainless SDKs call it status_code, google-genai code, httpx has a response."""
    if isinstance(exception, (aiohttp.ClientError, http_exceptions.HttpProcessingError)):
        return None  # their statuses are the parser's own
    status = getattr(exception, "status_code", None) or getattr(exception, "code", None)
    status = status or getattr(getattr(exception, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _error_object(body: object) -> dict[str, Any]:
    """The innermost error object: `{"error": {…}}`, `[{"error": {…}}]`, `{"type": "error", "error": {…}}`."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and "error" in body:
        inner = body["error"]
        body = inner if isinstance(inner, dict) else {"message": inner}
    return body if isinstance(body, dict) else {}


def _effective_status(error: Mapping[str, Any], status: int | None) -> int:
    """The status of the answer; of an event the one in its body, or the one that its type stands for."""
    if status is not None and status != 200:
        return status
    for told in (error.get("status_code"), error.get("code")):
        if isinstance(told, int) and 300 <= told < 600:
            return told
    return _STATUS_BY_TYPE.get(str(error.get("type")), 500)


def _classify(error: Mapping[str, Any], status: int) -> tuple[str, str | None]:
    for word in (*_reasons(error), error.get("code"), error.get("type")):
        if isinstance(word, str) and word in _CODE_BY_VENDOR_CODE:
            return _CODE_BY_VENDOR_CODE[word], None
    message = str(error.get("message") or "")
    for fragment, code in _PROSE:
        if fragment in message:
            return code, None
    if status == 429 and _spent_for_the_day(error):
        return "upstream_quota", None
    return _classify_status(status)


def _classify_status(status: int) -> tuple[str, str | None]:
    if status in (401, 403):
        return "upstream_auth", None
    if status == 402:
        return "upstream_quota", None
    if status == 404:
        return "upstream_model_not_found", None
    if status == 413:
        return "payload_too_large", None
    if status == 429:
        return "rate_limited", None
    if status >= 500 or status in (408, 409, 425, 499):
        return "upstream_unavailable", f"status_{status}"
    if 300 <= status < 400:
        return "upstream_bad_response", "redirect"
    return "rejected_by_provider", None


def _reasons(error: Mapping[str, Any]) -> Iterator[object]:
    """What the details say of the cause: Anthropic's `error_code`, the `reason` of each google.rpc.ErrorInfo."""
    details = error.get("details")
    if isinstance(details, dict):
        yield details.get("error_code")
    yield from (detail.get("reason") for detail in _details(error))


def _details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _spent_for_the_day(error: Mapping[str, Any]) -> bool:
    """Gemini tells a daily quota only by the name of the quota that was violated."""
    lists = [detail["violations"] for detail in _details(error) if isinstance(detail.get("violations"), list)]
    quotas = [str(violation.get("quotaId")) for each in lists for violation in each if isinstance(violation, dict)]
    return any("PerDay" in quota for quota in quotas)


def _causes(exception: BaseException) -> Iterator[BaseException]:
    """The exceptions beneath, lowest first: an SDK's class lies about the transport, the lowest does not."""
    chain: list[BaseException] = []
    current: BaseException | None = exception
    while current is not None and current not in chain:
        chain.append(current)
        current = None if _is_reset(current) else current.__cause__ or getattr(current, "os_error", None)
    return reversed(chain)


def _is_half_a_head(exception: BaseException) -> bool:
    """aiohttp calls it a disconnect, too, where an answer's head had begun; it then holds what there was of it."""
    return isinstance(exception, aiohttp.ServerDisconnectedError) and not isinstance(exception.message, str)


def _is_reset(exception: BaseException) -> bool:
    """aiohttp tells of a reset within a body in its own text alone; the cause that it gives is a missing chunk."""
    return isinstance(exception, aiohttp.ClientPayloadError) and "ConnectionResetError" in str(exception)


# From the most specific to the least: the first that an exception is an instance of tells.
_LOW = (
    ((UnicodeEncodeError,), "internal_error", None),
    ((msgspec.MsgspecError, UnicodeError, JSONDecodeError, RecursionError), "upstream_bad_event", "not_json"),
    ((ssl.SSLError, aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch), "upstream_bad_response", "tls"),
    ((socket.gaierror, aiohttp.ClientConnectorDNSError), "upstream_unavailable", "dns"),
    ((ConnectionRefusedError,), "upstream_unavailable", "refused"),
    ((TimeoutError,), "upstream_timeout", "connect"),
    ((ConnectionError, aiohttp.ServerDisconnectedError), "upstream_unavailable", "reset"),
    ((http_exceptions.ContentLengthError,), "upstream_truncated", "short_body"),
    ((http_exceptions.HttpProcessingError,), "upstream_bad_response", "protocol"),
    ((aiohttp.ClientResponseError,), "upstream_bad_response", "protocol"),
    ((aiohttp.ClientPayloadError,), "upstream_truncated", "short_body"),
    ((aiohttp.ClientError, OSError), "upstream_unavailable", "connection"),
)


def _low_error(exception: BaseException) -> GatewayError | None:
    if isinstance(exception, GatewayError):
        return exception  # of our own transport, in an SDK's wrapping
    if isinstance(exception, OSError) and exception.errno in (errno.EMFILE, errno.ENFILE):
        return GatewayError("overloaded", reason="open_files", retry_after=1)  # ours: no vendor has been asked
    if _is_reset(exception):
        return GatewayError("upstream_unavailable", reason="reset")
    if _is_half_a_head(exception):
        return GatewayError("upstream_bad_response", reason="protocol", detail={"exception": "half a head"})
    if isinstance(exception, http_exceptions.TransferEncodingError) and "Not enough data" in exception.message:
        return GatewayError("upstream_truncated", reason="short_body")
    for kinds, code, reason in _LOW:
        if isinstance(exception, kinds):
            return GatewayError(code, reason=reason, detail={"exception": type(exception).__name__})
    return None


# What the SDKs and their HTTP libraries call it where nothing is beneath: by name, for they share the names.
_NAMED = (
    (("TimeoutException", "APITimeoutError"), "upstream_timeout", "connect"),
    (("TooManyRedirects",), "upstream_bad_response", "redirect"),
    (("RemoteProtocolError", "DecodingError", "SSEError"), "upstream_bad_response", "protocol"),
    (("LocalProtocolError", "UnsupportedProtocol"), "internal_error", None),
    (("HTTPError", "NetworkError", "ProxyError", "APIError"), "upstream_unavailable", "connection"),
)


def _named_error(exception: BaseException) -> GatewayError | None:
    names = {kind.__name__ for kind in type(exception).__mro__}
    told = next(((code, reason) for kinds, code, reason in _NAMED if not names.isdisjoint(kinds)), None)
    return GatewayError(told[0], reason=told[1], detail={"exception": type(exception).__name__}) if told else None


def _short(word: object) -> str | None:
    """A vendor's own code word for the log, if it is one: prose is left out."""
    return word if isinstance(word, str) and re.fullmatch(r"[\w./\[\]-]{1,64}", word) else None
