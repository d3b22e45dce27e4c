"""Faults that are answers: a status with an error in the vendor's own words, an error as an event, another site's page.

Each error's prose quotes the question, as some vendors do: it must go no further than the gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from simulator.behaviours import Error, Replay
from simulator.faults.base import PROSE, Beginning, Fault, Made, always
from simulator.plan import Plan, Step
from simulator.wires import Wire

_PAGE = f"<!DOCTYPE html><html><title>Attention</title><p>{PROSE}</p></html>".encode()
_HTML = {"content-type": "text/html; charset=utf-8", "cf-ray": "8f0000000000abcd-FRA"}
_DETAIL = "type.googleapis.com/google.rpc."


class Words(NamedTuple):
    """One vendor's error: its status, the fields of its error object, and what its prose begins with."""

    status: int
    fields: Mapping[str, object]
    prose: str = ""


def _openai(status: int, code: str | None, kind: str = "invalid_request_error") -> Words:
    return Words(status, {"type": kind, "param": None, "code": code})


def _google(status: int, kind: str, detail: str = "", **fields: object) -> Words:
    details = {"details": [{"@type": _DETAIL + detail, **fields}]} if detail else {}
    return Words(status, {"code": status, "status": kind, **details})


_QUOTA = [{"quotaMetric": "requests", "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]
_SPENT = "Your credit balance is too low to access the Anthropic API."
_TOO_LONG = "The input token count (9) exceeds the maximum number of tokens allowed (8)."

# By fault and provider; what a provider is not named for, it says in OpenAI's words.
_WORDS: dict[str, dict[str, Words]] = {
    "quota": {
        "gpt": _openai(429, "insufficient_quota", "insufficient_quota"),
        "claude": Words(400, {"type": "invalid_request_error"}, _SPENT),
        "gemini": _google(429, "RESOURCE_EXHAUSTED", "QuotaFailure", violations=_QUOTA),
    },
    "bad-key": {
        "gpt": _openai(401, "invalid_api_key"),
        "claude": Words(401, {"type": "authentication_error"}),
        "gemini": _google(400, "INVALID_ARGUMENT", "ErrorInfo", reason="API_KEY_INVALID"),
    },
    "no-model": {
        "gpt": _openai(404, "model_not_found"),
        "claude": Words(404, {"type": "not_found_error"}),
        "gemini": _google(404, "NOT_FOUND"),
    },
    "too-long": {
        "gpt": _openai(400, "context_length_exceeded"),
        "claude": Words(400, {"type": "invalid_request_error"}, "prompt is too long: 9 tokens > 8 maximum"),
        "gemini": Words(400, {"code": 400, "status": "INVALID_ARGUMENT"}, _TOO_LONG),
    },
    "overloaded": {
        "gpt": _openai(200, None, "server_error"),
        "claude": Words(200, {"type": "overloaded_error"}),
        "gemini": Words(200, {"code": 503, "status": "UNAVAILABLE"}),
        "groq": Words(200, {"type": "internal_server_error", "code": "unavailable", "status_code": 503}),
    },
    "blocked-prompt": {"gpt": _openai(400, "content_policy_violation")},
}


def _words(name: str, wire: Wire) -> Words:
    by_provider = _WORDS[name]
    return by_provider.get(wire.provider, by_provider["gpt"])


def _body(words: Words, wire: Wire) -> bytes:
    error = {**words.fields, "message": f"{words.prose} {PROSE} {wire.prompt.question}"}
    around = {"type": "error", "request_id": "req_simulated"} if wire.provider == "claude" else {}
    return msgspec.json.encode({**around, "error": error})


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An error answer in the vendor's words for it."""

    name: str

    def plan(self, wire: Wire) -> Plan:
        words = _words(self.name, wire)
        return Error(words.status, body=_body(words, wire)).plan(wire)


@dataclass(frozen=True, slots=True)
class _Status:
    """An error answer that its status alone tells, for how long to wait."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def plan(self, wire: Wire) -> Plan:
        body = wire.error_body(self.status)
        error = body["error"]
        told = {**error, "message": f"{PROSE} {wire.prompt.question}"} if isinstance(error, dict) else error
        return Error(self.status, self.headers, msgspec.json.encode({**body, "error": told})).plan(wire)


@dataclass(frozen=True, slots=True)
class _Wait:
    """A rate limit with seconds to wait, told as the vendor tells it: in a header, or Gemini's RetryInfo."""

    seconds: int

    def plan(self, wire: Wire) -> Plan:
        if wire.provider != "gemini":
            return _Status(429, {"retry-after": str(self.seconds)}).plan(wire)
        words = _google(429, "RESOURCE_EXHAUSTED", "RetryInfo", retryDelay=f"{self.seconds}s")
        return Error(429, body=_body(words, wire)).plan(wire)


def _error_event(wire: Wire) -> bytes:
    body = _body(_words("overloaded", wire), wire)
    named = b"event: error\n" if wire.provider in ("claude", "groq") else b""
    return named + b"data: " + body + b"\n\n"


def _error_in_stream(wire: Wire) -> Iterable[Step]:
    """The error as it comes in mid-stream; Gemini's is then a bare JSON body."""
    event = _error_event(wire)
    return [Step(0, event.removeprefix(b"data: ") if wire.provider == "gemini" else event)]


@dataclass(frozen=True, slots=True)
class _BlockedPrompt:
    """The prompt is refused: Gemini says so in a stream, OpenAI by an error."""

    def plan(self, wire: Wire) -> Plan:
        if wire.provider != "gemini":
            return _Refusal("blocked-prompt").plan(wire)
        feedback = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
        return Replay(b"data: " + msgspec.json.encode(feedback) + b"\r\n\r\n").plan(wire)


_STATUSES = ("500", "502", "503", "504", "529", "401", "403", "400", "413", "422")

ANSWERS: dict[str, Fault] = {
    "error-event": lambda deltas: Beginning(deltas, _error_in_stream),
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
