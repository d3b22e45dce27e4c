"""OpenAI's Responses.

A stream begins with `response.created`, and ends with `response.completed`, `.incomplete`, or after
an `error` event `.failed`, which have the whole response. No response is stored. What the gateway
knows beyond OpenAI's fields is in `gateway` of the response.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, assert_never

import msgspec
from starlette.datastructures import Headers

from configuration import Settings
from models import (
    End,
    Event,
    GatewayError,
    Reasoning,
    Refusal,
    Restart,
    Start,
    Text,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from streams.answer import Answer, AnswerPart
from web.doors.base import EVENT_STREAM, DoorRequest, ErrorBody, Reply, retry_seconds
from web.doors.gateway_facts import gateway_facts
from web.doors.kept_items import KeptItems
from web.doors.openai_errors import error_object, to_openai
from web.doors.responses_body import NAMES, ResponseOptions, decode_request
from web.doors.responses_output import REFUSAL, SUMMARY, TEXT, ResponseOutput

_encode = msgspec.json.Encoder().encode

_DEFAULTS: dict[str, Any] = {
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


class OpenAIResponsesDoor:
    """`POST /v1/responses`, and `/v1/responses/input_tokens`."""

    name = "openai_responses"

    def __init__(self) -> None:
        self._kept = KeptItems()

    def read(self, body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
        """The body as strict JSON, within the limits of the settings."""
        return decode_request(body, settings, headers, self._kept.get)

    def encoder(self, reply: Reply) -> ResponsesEncoder:
        """A new encoder of named events."""
        return ResponsesEncoder(reply, self._kept)

    def render(self, answer: Answer, reply: Reply) -> bytes:
        """The response that a stream would end with."""
        return render_response(answer, self.encoder(reply))

    def render_count(self, tokens: int) -> bytes:
        """OpenAI's object of a count."""
        return _encode({"object": "response.input_tokens", "input_tokens": tokens})

    def error(self, error: GatewayError, request_id: str) -> ErrorBody:
        """OpenAI's `error` object, and beside it the gateway's own words."""
        return ErrorBody(to_openai(error).status, _encode(error_object(error, request_id)))


class ResponsesEncoder:
    """Encodes one chat's events. The items of a whole answer are kept, for references to them."""

    __slots__ = (
        "_created_at",
        "_has_begun",
        "_is_refused",
        "_kept",
        "_now",
        "_options",
        "_output",
        "_reply",
    )

    media_type = EVENT_STREAM

    def __init__(self, reply: Reply, kept: KeptItems, now: Callable[[], float] = time.time) -> None:
        given = reply.options
        self._options = given if isinstance(given, ResponseOptions) else ResponseOptions()
        self._reply = reply
        self._created_at = int(now())
        self._now = now
        self._kept = kept
        self._has_begun = False
        self._is_refused = False
        self._output = ResponseOutput(reply.identity.id, self._options.names)

    def encode(self, batch: list[Event]) -> bytes:
        """The frames of one batch, for one write."""
        output = self._output
        for event in batch:
            if type(event) is Text:
                output.add_text(TEXT, event.text)
            else:
                self._add(event)
        return output.take_frames()

    def encode_error(self, error: GatewayError) -> bytes:
        """The last frames of a response that failed.

        Codex reads `response.failed` alone, most other clients the `error` event, which has two
        shapes: some read its own fields, others an object.
        """
        identity = self._reply.identity
        if not self._has_begun:
            ids = {"conversation_id": identity.conversation_id, "request_id": identity.request_id}
            self._begin(error.model or self._options.model, ids)
        fields = error_object(error, identity.request_id)
        said = fields["error"]
        if error.code == "rate_limited" and (seconds := retry_seconds(error)):
            said["message"] += f" Please try again in {seconds}s."  # as Codex reads it
        event = {name: said[name] for name in ("code", "message", "param")}
        self._output.add_event("error", {**event, **fields})
        response = self._response(
            "failed",
            error.model or self._options.model,
            output=self._output.cut(),
            error={name: said[name] for name in ("code", "message", "type")},
            usage=None,
            gateway=fields["gateway"],
        )
        self._output.add_event("response.failed", {"response": response})
        return self._output.take_frames()

    def end(self, end: End) -> dict[str, Any]:
        """The whole response, after the last event of its output."""
        reason = _incomplete_reason(end, is_refused=self._is_refused)
        self._output.end_item("incomplete" if reason else "completed")
        if max_bytes := self._options.max_kept_bytes:
            items = {item["id"]: _encode(item) for item in self._output.items}
            self._kept.put(items, max_bytes)
        facts = {
            "output": self._output.items,
            "usage": _usage(end.usage),
            "gateway": gateway_facts(end, self._reply, self._options.dropped, NAMES),
        }
        if reason:
            details = {"reason": reason}
            return self._response("incomplete", end.model, incomplete_details=details, **facts)
        return self._response("completed", end.model, completed_at=int(self._now()), **facts)

    def _add(self, event: Event) -> None:
        output = self._output
        match event:
            case Text(text):
                output.add_text(TEXT, text)
            case Reasoning(text, state):
                if text:
                    output.add_text(SUMMARY, text)
                if state:
                    output.add_state(state)
            case Refusal(text):
                self._is_refused = True
                output.add_text(REFUSAL, text)
            case ToolCallDelta():
                output.add_call(event)
            case Start() | Restart():
                self._begin(event.model, gateway_facts(event, self._reply))
            case End():
                response = self.end(event)
                output.add_event(f"response.{response['status']}", {"response": response})
            case _:
                assert_never(event)

    def _begin(self, model: str, facts: dict[str, Any]) -> None:
        self._has_begun = True
        response = self._response("in_progress", model, output=[], usage=None, gateway=facts)
        for name in ("response.created", "response.in_progress"):
            self._output.add_event(name, {"response": response})

    def _response(self, status: str, model: str, **fields: Any) -> dict[str, Any]:
        return {
            "id": f"resp_{self._reply.identity.id}",
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "completed_at": None,
            "model": model,
            **_DEFAULTS,
            **self._options.echo,
            **fields,
        }


def render_response(answer: Answer, encoder: ResponsesEncoder) -> bytes:
    """A whole answer, by an encoder that has encoded nothing yet."""
    encoder.encode([_to_event(number, part) for number, part in enumerate(answer.parts)])
    return _encode(encoder.end(answer.end))


def _to_event(index: int, part: AnswerPart) -> Event:
    """A part of a whole answer as one event."""
    match part:
        case ToolCall(call_id, name, arguments, state):
            return ToolCallDelta(index, call_id, name, arguments, state)
        case _:
            return part


def _incomplete_reason(end: End, *, is_refused: bool) -> str | None:
    """Why the response is incomplete. A refusal is a whole answer, by which clients read it."""
    if end.finish_reason == "length":
        return "max_output_tokens"
    if end.finish_reason == "content_filter" and not is_refused:
        return "content_filter"
    return None


def _usage(usage: Usage | None) -> dict[str, Any]:
    """OpenAI's counts. The AI SDK reads no end without numbers, so unknown ones are 0."""
    known = usage or Usage()
    given, made = known.input_tokens or 0, known.output_tokens or 0
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": known.cached_input_tokens or 0,
            "cache_write_tokens": known.cache_write_tokens or 0,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": known.reasoning_tokens or 0},
        "total_tokens": given + made,
    }
