"""Whatever a vendor's SDK, or an HTTP library beneath it, can raise has its code: the libraries' own trees are walked.

A class that is new in a library is judged, or fails here.
"""

from __future__ import annotations

import importlib
import json
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import aiohttp
import anthropic
import groq
import h11
import httpx
import httpx2
import openai
import pytest
from aiohttp import http_exceptions
from anthropic.types.shared import (
    EnforcedSpendLimitReachedError,
    OrganizationOnHoldError,
    RampLimitExceededError,
)
from google.genai import errors as genai

from models import ERROR_KINDS
from providers.errors import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARIES = (
    "openai",
    "anthropic",
    "anthropic.types",
    "anthropic.types.beta",
    "anthropic.types.organization",
    "anthropic.types.beta.organization",
    "anthropic.types.beta.environments",
    "groq",
    "google.genai.errors",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "h11",
    "aiohttp",
    "aiohttp.client_exceptions",
    "aiohttp.http_exceptions",
)

# What no vendor can cause, by the reason for which it is our own bug.
OUR_OWN = {
    "a call that the library itself finds wrong": {
        "h11.LocalProtocolError",
        *(
            f"{library}.{name}"
            for library in ("httpx", "httpx2")
            for name in (
                "CookieConflict",
                "InvalidURL",
                "LocalProtocolError",
                "RequestNotRead",
                "ResponseNotRead",
                "StreamClosed",
                "StreamConsumed",
                "StreamError",
                "UnsupportedProtocol",
            )
        ),
        *(
            f"{library}.{name}"
            for library in ("httpcore", "httpcore2")
            for name in ("ConnectionNotAvailable", "LocalProtocolError", "UnsupportedProtocol")
        ),
    },
    "the base of a tree, that is never raised itself": {
        "anthropic.AnthropicError",
        "groq.GroqError",
        "httpcore.ProtocolError",
        "httpcore2.ProtocolError",
        "openai.OpenAIError",
    },
    "credentials out of files and the environment, which no client of ours is given": {
        "anthropic.CredentialsError",
        "anthropic.IdentityTokenFileError",
        "anthropic.WorkloadIdentityError",
    },
    "a part of the library that the gateway does not use": {
        "aiohttp.EofStream",
        "aiohttp.WSMessageTypeError",
        "anthropic.RetryableError",
        "google.ContinuationInterruptedError",
        "google.FunctionInvocationError",
        "google.UnknownFunctionCallArgumentError",
        "google.UnsupportedFunctionError",
        "openai.ContentFilterFinishReasonError",
        "openai.InvalidWebhookSignatureError",
        "openai.LengthFinishReasonError",
        "openai.WebSocketConnectionClosedError",
        "openai.WebSocketQueueFullError",
    },
}
ALL_OUR_OWN = {name for names in OUR_OWN.values() for name in names}

ABSTRACT = {h11.ProtocolError}  # it refuses to be made


def name_of(kind: type[Exception]) -> str:
    """Its library and its own name."""
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


def walk() -> Iterator[type[Exception]]:
    """Every public exception class of the libraries; some more than once."""
    for library in LIBRARIES:
        module = importlib.import_module(library)
        for name in dir(module):
            kind: Any = (
                getattr(module, name) if name[0].isupper() else None
            )  # openai loads the rest when it is asked for
            is_error = (
                isinstance(kind, type)
                and issubclass(kind, Exception)
                and not issubclass(kind, Warning)
            )
            if is_error and kind not in ABSTRACT and kind.__module__ != "builtins":
                yield kind


@cache
def find_kinds() -> dict[str, type[Exception]]:
    """Every public exception class of the libraries, by its name."""
    return {name_of(kind): kind for kind in walk()}


def kinds_without_cause(*libraries: str) -> list[type[Exception]]:
    """The transport errors of WITHOUT_CAUSE; aiohttp's own classes are judged by class."""
    found = [kind for kind in find_kinds().values() if kind.__name__ in WITHOUT_CAUSE]
    return [
        kind
        for kind in found
        if name_of(kind).startswith(libraries) and not name_of(kind).startswith("aiohttp")
    ]


KEY: Any = SimpleNamespace(host="127.0.0.1", port=1, ssl=True, is_ssl=True)
ASKED: Any = SimpleNamespace(real_url="http://127.0.0.1/v1")
REFUSED = ConnectionRefusedError(111, "refused")


def http_of(kind: type[Exception]) -> Any:
    """The HTTP library that a library is built on."""
    return httpx if name_of(kind).startswith(("groq", "httpx.")) else httpx2


def request_of(kind: type[Exception]) -> Any:
    return http_of(kind).Request("POST", "http://127.0.0.1/v1")


def response_of(kind: type[Exception]) -> Any:
    """An answer with the status that the class is for."""
    status = getattr(kind, "status_code", 500)
    return http_of(kind).Response(
        status if isinstance(status, int) else 500, request=request_of(kind)
    )


def body_of(kind: type[Exception]) -> dict[str, Any]:
    """A body with the code that a class of Anthropic's is for."""
    codes = get_args(kind.__annotations__.get("error_code"))
    details = {"details": {"error_code": codes[0]}} if codes else {}
    return {
        "type": "error",
        "error": {"type": "an_error", "message": "text of the vendor"} | details,
    }


def caused_by_json(exception: Exception) -> Exception:
    exception.__cause__ = json.JSONDecodeError("Expecting value", "<html>", 0)
    return exception


# How a library makes them, by the signature; the first row that a class is of. Whatever is in none takes a text.
CONSTRUCTORS: list[tuple[tuple[type[Exception], ...], Callable[[Any], Exception]]] = [
    ((openai.OAuthError,), lambda kind: kind(response=response_of(kind), body=None)),
    (
        (openai.APIStatusError, anthropic.APIStatusError, groq.APIStatusError),
        lambda kind: kind("text of the vendor", response=response_of(kind), body=body_of(kind)),
    ),
    (
        (
            openai.APIResponseValidationError,
            anthropic.APIResponseValidationError,
            groq.APIResponseValidationError,
        ),
        lambda kind: kind(response_of(kind), None),
    ),
    (
        (openai.APIConnectionError, anthropic.APIConnectionError, groq.APIConnectionError),
        lambda kind: kind(request=request_of(kind)),
    ),
    (
        (openai.APIError, anthropic.APIError, groq.APIError),
        lambda kind: kind("text of the vendor", request_of(kind), body=body_of(kind)),
    ),
    ((openai.LengthFinishReasonError,), lambda kind: kind(completion=SimpleNamespace(usage=None))),
    ((openai.ContentFilterFinishReasonError,), lambda kind: kind()),
    ((openai.WebSocketConnectionClosedError,), lambda kind: kind("closed", unsent_messages=[])),
    ((genai.UnknownApiResponseError,), lambda kind: caused_by_json(kind("text of the vendor"))),
    (
        (genai.ServerError,),
        lambda kind: kind(503, {"error": {"code": 503, "status": "UNAVAILABLE"}}),
    ),
    ((genai.APIError,), lambda kind: kind(404, {"error": {"code": 404, "status": "NOT_FOUND"}})),
    (
        (httpx.HTTPStatusError, httpx2.HTTPStatusError),
        lambda kind: kind("text", request=request_of(kind), response=response_of(kind)),
    ),
    (
        tuple(
            getattr(library, name)
            for library in (httpx, httpx2)
            for name in ("RequestNotRead", "ResponseNotRead", "StreamClosed", "StreamConsumed")
        ),
        lambda kind: kind(),
    ),
    (
        (aiohttp.ClientResponseError,),
        lambda kind: kind(ASKED, (), status=400, message="Expected HTTP/"),
    ),
    (
        (aiohttp.client_exceptions.UnixClientConnectorError,),
        lambda kind: kind("socket", KEY, REFUSED),
    ),
    (
        (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError),
        lambda kind: kind(KEY, REFUSED),
    ),
    ((aiohttp.ServerFingerprintMismatch,), lambda kind: kind(b"", b"x", "127.0.0.1", 1)),
    ((aiohttp.WebSocketError,), lambda kind: kind(1002, "text")),
    ((http_exceptions.BadHttpMessage,), lambda kind: kind("text")),
    ((http_exceptions.HttpProcessingError,), lambda kind: kind(message="text")),
]


def construct(kind: type[Exception]) -> Exception:
    """An instance as the library makes it."""
    rows = (make for kinds, make in CONSTRUCTORS if issubclass(kind, kinds))
    return next(rows, lambda kind: kind("text of the library"))(kind)


def judge_code(name: str, kind: type[Exception]) -> str | None:
    """What is wrong with the error that the exception becomes, if anything is."""
    error = translate(construct(kind))
    if error.code not in ERROR_KINDS or (error.code == "internal_error") != (name in ALL_OUR_OWN):
        return f"{name}: {error.code}"
    if "text of the vendor" in f"{error} {error.detail}":
        return f"{name} shows the vendor's text"
    return None


@pytest.mark.parametrize("library", sorted({library.partition(".")[0] for library in LIBRARIES}))
def test_every_exception_has_its_code(library: str) -> None:
    """A vendor's failure has a code of the contract's table that blames the vendor; only our own bug is one."""
    kinds = {name: kind for name, kind in find_kinds().items() if name.startswith(f"{library}.")}
    assert kinds  # a library that hides its classes from the walk would pass unseen
    assert [wrong for name, kind in kinds.items() if (wrong := judge_code(name, kind))] == []


def test_no_exception_outlives_its_library() -> None:
    """What is judged to be our own is still there, and once."""
    assert find_kinds().keys() >= ALL_OUR_OWN
    assert len(ALL_OUR_OWN) == sum(map(len, OUR_OWN.values()))


WITHOUT_CAUSE = {
    "APITimeoutError": ("upstream_timeout", "connect"),
    "ConnectTimeout": ("upstream_timeout", "connect"),
    "PoolTimeout": ("upstream_timeout", "connect"),
    "ReadTimeout": ("upstream_timeout", "connect"),
    "APIConnectionError": ("upstream_unavailable", "connection"),
    "ConnectError": ("upstream_unavailable", "connection"),
    "ReadError": ("upstream_unavailable", "connection"),
    "ProxyError": ("upstream_unavailable", "connection"),
    "RemoteProtocolError": ("upstream_bad_response", "protocol"),
    "DecodingError": ("upstream_bad_response", "protocol"),
    "TooManyRedirects": ("upstream_bad_response", "redirect"),
}


@pytest.mark.parametrize("word", WITHOUT_CAUSE)
def test_transport_error_without_a_cause_is_no_bug(word: str) -> None:
    """If nothing is beneath, the library's own class decides, and the next model is asked."""
    kinds = [kind for kind in kinds_without_cause("") if kind.__name__ == word]
    errors = [translate(construct(kind)) for kind in kinds]
    assert {(error.code, error.reason) for error in errors} == {WITHOUT_CAUSE[word]}
    assert {error.kind.next_model for error in errors} == {"yes"}


SDK_ERRORS = ["openai.APIConnectionError", "anthropic.APIConnectionError", "groq.APITimeoutError"]


@pytest.mark.parametrize("wrapper", SDK_ERRORS)
def test_lowest_error_decides_within_an_sdks_error(wrapper: str) -> None:
    """An SDK's error around the HTTP library's says what the lower one says, and so does it around that."""
    for kind in kinds_without_cause("httpx", "h11"):
        lower = construct(kind)
        middle, upper = (
            construct(find_kinds()["httpx2.ReadError"]),
            construct(find_kinds()[wrapper]),
        )
        middle.__cause__, upper.__cause__ = lower, middle
        alone, within = translate(lower), translate(upper)
        assert (within.code, within.reason) == (alone.code, alone.reason), kind


@pytest.mark.parametrize("wrapper", [*SDK_ERRORS, "httpx.ReadError", "httpx2.ConnectError"])
def test_system_error_at_the_bottom_decides(wrapper: str) -> None:
    """Three levels as in production: the system's refusal, aiohttp's error, the HTTP library's or SDK's."""
    upper, connector = construct(find_kinds()[wrapper]), aiohttp.ClientConnectorError(KEY, REFUSED)
    upper.__cause__ = connector
    error = translate(upper)
    assert (error.code, error.reason) == ("upstream_unavailable", "refused")


@pytest.mark.parametrize("wrapper", SDK_ERRORS)
@pytest.mark.parametrize(
    "bug", [KeyError("x"), TypeError("x"), httpx2.LocalProtocolError("x"), httpx.InvalidURL("x")]
)
def test_bug_within_an_sdks_error_stays_a_bug(wrapper: str, bug: Exception) -> None:
    """The SDKs call whatever fails in sending a connection error; what no vendor caused is not blamed on one."""
    upper = construct(find_kinds()[wrapper])
    upper.__cause__ = bug
    assert translate(upper).code == "internal_error"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (EnforcedSpendLimitReachedError, "upstream_quota"),  # a month's: waiting does not help
        (RampLimitExceededError, "rate_limited"),
        (OrganizationOnHoldError, "upstream_auth"),  # a 400 that is not the client's doing
    ],
)
def test_code_in_the_details_precedes_the_status(kind: type[Exception], code: str) -> None:
    """Anthropic's `error_code` says which of the failures of one status it is."""
    assert translate(construct(kind)).code == code
