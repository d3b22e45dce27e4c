"""Faults that are responses: an error status, an error event, or an unrelated web page.

Each error's message quotes the question, as some vendors do. The gateway must not pass it on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from simulator.behaviours import Error, Replay
from simulator.faults.base import PROSE, Beginning, Fault, Made, always
from simulator.plan import Plan, Step
from simulator.wires import ResponsesWire, Wire

_PAGE = f"<!DOCTYPE html><html><title>Attention</title><p>{PROSE}</p></html>".encode()
_HTML = {"content-type": "text/html; charset=utf-8", "cf-ray": "8f0000000000abcd-FRA"}
_DETAIL = "type.googleapis.com/google.rpc."


class VendorError(NamedTuple):
    """One vendor's error: its status, the fields of its object, the beginning of its message."""

    status: int
    fields: Mapping[str, object]
    prose: str = ""


def _openai(status: int, code: str | None, kind: str = "invalid_request_error") -> VendorError:
    return VendorError(status, {"type": kind, "param": None, "code": code})


def _google(status: int, kind: str, detail: str = "", **fields: object) -> VendorError:
    details = {"details": [{"@type": _DETAIL + detail, **fields}]} if detail else {}
    return VendorError(status, {"code": status, "status": kind, **details})


_QUOTA = [
    {"quotaMetric": "requests", "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
]
_SPENT = "Your credit balance is too low to access the Anthropic API."
_TOO_LONG = "The input token count (9) exceeds the maximum number of tokens allowed (8)."

# By fault and provider. Providers that are not listed use OpenAI's.
_ERRORS: dict[str, dict[str, VendorError]] = {
    "quota": {
        "gpt": _openai(429, "insufficient_quota", "insufficient_quota"),
        "claude": VendorError(400, {"type": "invalid_request_error"}, _SPENT),
        "gemini": _google(429, "RESOURCE_EXHAUSTED", "QuotaFailure", violations=_QUOTA),
    },
    "bad-key": {
        "gpt": _openai(401, "invalid_api_key"),
        "claude": VendorError(401, {"type": "authentication_error"}),
        "gemini": _google(400, "INVALID_ARGUMENT", "ErrorInfo", reason="API_KEY_INVALID"),
    },
    "no-model": {
        "gpt": _openai(404, "model_not_found"),
        "claude": VendorError(404, {"type": "not_found_error"}),
        "gemini": _google(404, "NOT_FOUND"),
    },
    "too-long": {
        "gpt": _openai(400, "context_length_exceeded"),
        "claude": VendorError(
            400, {"type": "invalid_request_error"}, "prompt is too long: 9 tokens > 8 maximum"
        ),
        "gemini": VendorError(400, {"code": 400, "status": "INVALID_ARGUMENT"}, _TOO_LONG),
    },
    "overloaded": {
        "gpt": _openai(200, None, "server_error"),
        "claude": VendorError(200, {"type": "overloaded_error"}),
        "gemini": VendorError(200, {"code": 503, "status": "UNAVAILABLE"}),
        "groq": VendorError(
            200, {"type": "internal_server_error", "code": "unavailable", "status_code": 503}
        ),
    },
    "blocked-prompt": {"gpt": _openai(400, "content_policy_violation")},
}


def _vendor_error(name: str, wire: Wire) -> VendorError:
    by_provider = _ERRORS[name]
    return by_provider.get(wire.provider, by_provider["gpt"])


def _body(vendor_error: VendorError, wire: Wire) -> bytes:
    error = {
        **vendor_error.fields,
        "message": f"{vendor_error.prose} {PROSE} {wire.prompt.question}",
    }
    around = {"type": "error", "request_id": "req_simulated"} if wire.provider == "claude" else {}
    return msgspec.json.encode({**around, "error": error})


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An error response in the vendor's format."""

    name: str

    def plan(self, wire: Wire) -> Plan:
        vendor_error = _vendor_error(self.name, wire)
        return Error(vendor_error.status, body=_body(vendor_error, wire)).plan(wire)


@dataclass(frozen=True, slots=True)
class _Status:
    """An error response that is identified by its status only, with optional headers."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def plan(self, wire: Wire) -> Plan:
        body = wire.error_body(self.status)
        error = body["error"]
        quoting = (
            {**error, "message": f"{PROSE} {wire.prompt.question}"}
            if isinstance(error, dict)
            else error
        )
        return Error(
            self.status, self.headers, msgspec.json.encode({**body, "error": quoting})
        ).plan(wire)


@dataclass(frozen=True, slots=True)
class _Wait:
    """A rate limit with a delay in the vendor's format: in a header, or in Gemini's RetryInfo."""

    seconds: int

    def plan(self, wire: Wire) -> Plan:
        if wire.provider != "gemini":
            return _Status(429, {"retry-after": str(self.seconds)}).plan(wire)
        vendor_error = _google(
            429, "RESOURCE_EXHAUSTED", "RetryInfo", retryDelay=f"{self.seconds}s"
        )
        return Error(429, body=_body(vendor_error, wire)).plan(wire)


def _error_event(wire: Wire) -> bytes:
    body = _body(_vendor_error("overloaded", wire), wire)
    if isinstance(wire, ResponsesWire):
        return wire.named("error", **msgspec.json.decode(body))
    named = b"event: error\n" if wire.provider in ("claude", "groq") else b""
    return named + b"data: " + body + b"\n\n"


def _error_in_stream(wire: Wire) -> Iterable[Step]:
    """The error in the middle of a stream. Gemini's is a JSON body without SSE framing."""
    event = _error_event(wire)
    return [Step(0, event.removeprefix(b"data: ") if wire.provider == "gemini" else event)]


def _bare_error(wire: Wire) -> Iterable[Step]:
    """An error as compatible servers send it: only code and message, followed by a normal end."""
    error = {"code": 503, "message": f"{PROSE} {wire.prompt.question}"}
    return [Step(0, b"data: " + msgspec.json.encode(error) + b"\n\n" + wire.finish() + wire.mark)]


@dataclass(frozen=True, slots=True)
class _BlockedPrompt:
    """The prompt is refused: by Gemini in a stream, by OpenAI with an error."""

    def plan(self, wire: Wire) -> Plan:
        if wire.provider != "gemini":
            return _Refusal("blocked-prompt").plan(wire)
        feedback = {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 3},
        }
        return Replay(b"data: " + msgspec.json.encode(feedback) + b"\r\n\r\n").plan(wire)


_STATUSES = ("500", "502", "503", "504", "529", "401", "403", "400", "413", "422")

ANSWERS: dict[str, Fault] = {
    "error-event": lambda deltas: Beginning(deltas, _error_in_stream),
    "bare-error": lambda deltas: Beginning(deltas, _bare_error),
    "error-first": always(Made(lambda wire: Replay(_error_event(wire)))),
    "rate-limit": always(_Status(429)),
    "rate-limit-short": always(_Wait(1)),
    "rate-limit-long": always(_Wait(30)),
    **{name: always(_Refusal(name)) for name in ("quota", "bad-key", "no-model", "too-long")},
    **{status: always(_Status(int(status))) for status in _STATUSES},
    "blocked-prompt": always(_BlockedPrompt()),
    "html-502": always(Error(502, _HTML, _PAGE)),
    "html-403": always(Error(403, _HTML, _PAGE)),
    "html-200": always(Error(200, _HTML, _PAGE)),
    "json-200": always(_Status(200)),
    "redirect": always(Error(307, {"location": "http://elsewhere.invalid/v1"}, b"")),
}
