"""Translates vendors' failures to the gateway's codes.

`translate` is for exceptions, `vendor_error` for error bodies:

    translate(exception)
    ├── a response with an error status                       -> vendor_error(status, body, headers)
    ├── a failure of the socket, or bytes that are unreadable -> upstream_*
    └── anything else                                         -> internal_error (our bug)

Errors are classified by status and structured body, and by sentences if a vendor sends nothing
else; `error_words` has the tables. A vendor's text never enters a message; what may be logged is in
`GatewayError.detail`.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from json import JSONDecodeError

import aiohttp
import msgspec
from aiohttp import http_exceptions

from models import GatewayError
from providers.error_bodies import (
    ErrorObject,
    QuotedObject,
    find_objects,
    messages_of,
    places_of,
    words_of,
)
from providers.error_words import CODES_OF_REQUESTS, code_of_sentence, code_of_word, status_of_word
from providers.refusals import VendorRefusalError
from providers.retry_after import find_retry_after

# headers; the last is of a CDN in front of the vendor
_REQUEST_IDS = ("x-request-id", "request-id", "cf-ray")

# An intermediary may respond with a generic status and give the vendor's status in the body.
_GENERIC_STATUSES = (400, 422, 500, 502)
_SPECIFIC_STATUSES = (401, 402, 403, 404, 429)
_CODE_BY_STATUS = {
    401: "upstream_auth",
    402: "upstream_quota",
    403: "upstream_auth",
    404: "upstream_model_not_found",
    410: "upstream_model_not_found",
    413: "payload_too_large",
    429: "rate_limited",
    451: "upstream_auth",  # not in this region
}
_BROAD_CODES = (
    "upstream_auth",
    "rate_limited",
)  # types with these codes are often generic: a sentence may be more specific


def translate(exception: Exception) -> GatewayError:
    """Translate any exception of an SDK, its transport or a decoder to a GatewayError."""
    if isinstance(exception, GatewayError):
        return exception
    status = _status_of(exception)
    body = getattr(exception, "body", None) or getattr(exception, "details", None)
    if status is not None or isinstance(body, dict):
        response = getattr(exception, "response", None)
        return vendor_error(body, status=status, headers=getattr(response, "headers", None))
    causes = list(_causes(exception))
    found = filter(None, (*map(_transport_error, causes), _named_error(causes[0])))
    return next(
        found, GatewayError("internal_error", detail={"exception": type(exception).__name__})
    )


def vendor_error(
    body: object, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> GatewayError:
    """Classify an error that a vendor sent as a body (with `status`) or as an event (without).

    Returns a `VendorRefusalError` if the cause may be a parameter of the request.
    """
    errors = find_objects(body)
    own = [error for error in errors if not isinstance(error, QuotedObject)]
    status = _effective_status(own, status)
    code, reason = _classify(errors, status)
    headers = headers or {}
    retry_after = find_retry_after(headers, errors)
    detail = {
        "vendor_status": status,
        "vendor_type": _first_short(own, "type", "status"),
        "vendor_code": _first_short(own, "code"),
        "vendor_param": _first_short(own, "param"),
        "vendor_request_id": next(
            (_short(headers[name]) for name in _REQUEST_IDS if name in headers), None
        ),
    }
    if code in ("upstream_auth", "upstream_model_not_found"):
        # OpenRouter sends 404 if none of its servers accepts a parameter, proxies send 403.
        may_be_about_a_parameter = status in (403, 404)
    else:
        may_be_about_a_parameter = code in ("rejected_by_provider", "context_length_exceeded")
    if may_be_about_a_parameter:
        places = [place for error in errors for place in places_of(error)]
        texts = [text for error in errors for text in messages_of(error)]
        return VendorRefusalError(
            code, places=places, texts=texts, retry_after=retry_after, detail=detail
        )
    return GatewayError(code, reason=reason, retry_after=retry_after, detail=detail)


def _status_of(exception: Exception) -> int | None:
    """The HTTP status of an error.

    Stainless SDKs call it status_code, google-genai code, httpx has a response.
    """
    if isinstance(exception, (aiohttp.ClientError, http_exceptions.HttpProcessingError)):
        return None  # aiohttp's own statuses, not the vendor's
    status = getattr(exception, "status_code", None) or getattr(exception, "code", None)
    status = status or getattr(getattr(exception, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _effective_status(errors: Sequence[ErrorObject], status: int | None) -> int:
    """The status of the response, or that of its body if it is more specific."""
    found = [
        status_of_word(error.get(key))
        for error in errors
        for key in ("status_code", "statusCode", "statuscode", "code", "type", "status")
    ]
    given = next((number for number in found if number is not None), None)
    if status is None or status == 200:
        return given or 500
    return given if status in _GENERIC_STATUSES and given in _SPECIFIC_STATUSES else status


def _classify(errors: Sequence[ErrorObject], status: int) -> tuple[str, str | None]:
    """The code and the reason: by the daily quota, codes and types, sentences, the status."""
    # Gemini reports that a daily quota is spent only in the name of the violated quota
    if status == 429:
        lists = [
            error["violations"] for error in errors if isinstance(error.get("violations"), list)
        ]
        quotas = [
            str(each.get("quotaId"))
            for violations in lists
            for each in violations
            if isinstance(each, dict)
        ]
        if any("PerDay" in quota for quota in quotas):
            return "upstream_quota", None
    words = (
        _believe(error, code_of_word(word), status) for error in errors for word in words_of(error)
    )
    sentences = (
        _believe(error, code_of_sentence(text), status)
        for error in errors
        for text in messages_of(error)
    )
    code = next(filter(None, words), None)
    # Vendors use one type for several errors; the sentence is more specific.
    if code is None or code in _BROAD_CODES:
        code = next(filter(None, sentences), code)
    if code is None and any("flagged_input" in error for error in errors):  # OpenRouter, 403
        code = "content_filtered"
    return (code, None) if code else _classify_status(status)


def _believe(error: ErrorObject, code: str | None, status: int) -> str | None:
    """The code, unless it is about the account and quoted: the client may have sent that."""
    is_quoted = isinstance(error, QuotedObject) and status not in _SPECIFIC_STATUSES
    return None if is_quoted and code not in CODES_OF_REQUESTS else code


def _classify_status(status: int) -> tuple[str, str | None]:
    if status in _CODE_BY_STATUS:
        return _CODE_BY_STATUS[status], None
    if status >= 500 or status in (408, 409, 424, 425, 499):
        return "upstream_unavailable", f"status_{status}"
    if 300 <= status < 400:
        return "upstream_bad_response", "redirect"
    # from a server at a wrong address, not from an API
    if status in (405, 406, 407, 411, 415, 421, 426, 431):
        return "upstream_bad_response", f"status_{status}"
    return "rejected_by_provider", None


def _causes(exception: BaseException) -> Iterator[BaseException]:
    """The chain of causes, lowest first: an SDK's class may misreport the transport's failure."""
    chain: list[BaseException] = []
    current: BaseException | None = exception
    while current is not None and current not in chain:
        chain.append(current)
        current = (
            None if _is_reset(current) else current.__cause__ or getattr(current, "os_error", None)
        )
    return reversed(chain)


def _is_reset(exception: BaseException) -> bool:
    """Whether the connection was reset within a body, which aiohttp reports only in its text."""
    return isinstance(exception, aiohttp.ClientPayloadError) and "ConnectionResetError" in str(
        exception
    )


# The most specific first: the first row that an exception is an instance of counts.
_TRANSPORT_ERRORS = (
    ((UnicodeEncodeError,), "internal_error", None),
    (
        (msgspec.MsgspecError, UnicodeError, JSONDecodeError, RecursionError),
        "upstream_bad_event",
        "not_json",
    ),
    (
        (ssl.SSLError, aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch),
        "upstream_bad_response",
        "tls",
    ),
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


def _transport_error(exception: BaseException) -> GatewayError | None:
    if isinstance(exception, GatewayError):
        return exception  # of the gateway's transport, wrapped by an SDK
    if isinstance(exception, OSError) and exception.errno in (errno.EMFILE, errno.ENFILE):
        # A limit of this process: no vendor was asked.
        return GatewayError("overloaded", reason="open_files", retry_after=1)
    if _is_reset(exception):
        return GatewayError("upstream_unavailable", reason="reset")
    if isinstance(exception, aiohttp.ServerDisconnectedError) and not isinstance(
        exception.message, str
    ):
        # The vendor disconnected within a response's head, which aiohttp then keeps as the message.
        return GatewayError(
            "upstream_bad_response", reason="protocol", detail={"exception": "half a head"}
        )
    if (
        isinstance(exception, http_exceptions.TransferEncodingError)
        and "Not enough data" in exception.message
    ):
        return GatewayError("upstream_truncated", reason="short_body")
    for kinds, code, reason in _TRANSPORT_ERRORS:
        if isinstance(exception, kinds):
            return GatewayError(code, reason=reason, detail={"exception": type(exception).__name__})
    return None


# Exceptions of the SDKs and their HTTP libraries that have no cause: by name, since the libraries
# share the names.
_NAMED = (
    (("TimeoutException", "APITimeoutError"), "upstream_timeout", "connect"),
    (("TooManyRedirects",), "upstream_bad_response", "redirect"),
    (("RemoteProtocolError", "DecodingError", "SSEError"), "upstream_bad_response", "protocol"),
    (("LocalProtocolError", "UnsupportedProtocol"), "internal_error", None),
    (("HTTPError", "NetworkError", "ProxyError", "APIError"), "upstream_unavailable", "connection"),
)


def _named_error(exception: BaseException) -> GatewayError | None:
    names = {kind.__name__ for kind in type(exception).__mro__}
    for kinds, code, reason in _NAMED:
        if not names.isdisjoint(kinds):
            return GatewayError(code, reason=reason, detail={"exception": type(exception).__name__})
    return None


def _first_short(errors: Sequence[ErrorObject], *keys: str) -> str | None:
    """The first code word under one of the keys, the innermost object first."""
    words = (_short(error.get(key)) for error in errors for key in keys)
    return next(filter(None, words), None)


def _short(word: object) -> str | None:
    """A vendor's code word for the log; None for prose, which is not logged."""
    return word if isinstance(word, str) and re.fullmatch(r"[\w./\[\]-]{1,64}", word) else None
