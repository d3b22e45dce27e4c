"""OpenAI's chat completions.

Every chunk of a stream has the same id, time and model, and at most one choice. What the gateway
knows beyond OpenAI's fields is in `gateway`, of the first and of the last chunk.
"""

from __future__ import annotations

import time
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
    State,
    Text,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from streams.answer import Answer
from web.doors.base import EVENT_STREAM, DoorRequest, ErrorBody, Reply
from web.doors.gateway_facts import gateway_facts
from web.doors.openai_chat_body import ChunkOptions, decode_chat
from web.doors.openai_errors import error_object, to_openai
from web.doors.state_token import write_state
from web.doors.tool_history import write_extra_content

_encode = msgspec.json.Encoder().encode

_DONE = b"data: [DONE]\n\n"
_NO_TEXT = {"role": "assistant", "content": ""}


class OpenAIChatDoor:
    """`POST /v1/chat/completions`."""

    name = "openai_chat"

    def read(self, body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
        """The body as strict JSON, within the limits of the settings."""
        return decode_chat(body, settings, headers)

    def encoder(self, reply: Reply) -> ChunkEncoder:
        """A new encoder of chunks."""
        return ChunkEncoder(reply, _now())

    def render(self, answer: Answer, reply: Reply) -> bytes:
        """One completion."""
        return render_completion(answer, reply, _now())

    def error(self, error: GatewayError, request_id: str) -> ErrorBody:
        """OpenAI's `error` object, and beside it the gateway's own words."""
        return ErrorBody(to_openai(error).status, _encode(error_object(error, request_id)))


class ChunkEncoder:
    """Encodes one chat's events. Pieces of the answer are encoded by templates."""

    __slots__ = (
        "_after",
        "_before",
        "_before_text",
        "_created",
        "_is_refused",
        "_model",
        "_reply",
        "_states",
    )

    media_type = EVENT_STREAM

    def __init__(self, reply: Reply, created: int) -> None:
        self._reply = reply
        self._created = created
        self._is_refused = False
        self._states = 0  # sent so far: each has a place of its own
        self._name_model("")

    def encode(self, batch: list[Event]) -> bytes:
        """The frames of one batch, for one write."""
        pieces: list[bytes] = []
        for event in batch:
            if type(event) is Text:
                pieces += (self._before_text, _encode(event.text), self._after)
            else:
                pieces.append(self._frame(event))
        return b"".join(pieces)

    def encode_error(self, error: GatewayError) -> bytes:
        """The last frame of a stream that failed. With choices it would pass for a chunk."""
        fields = error_object(error, self._reply.identity.request_id)
        return b"data: %b\n\n" % _encode(fields)

    def _frame(self, event: Event) -> bytes:
        match event:
            case Text(text):
                return self._delta(b'"content":%b' % _encode(text))
            case Reasoning(text, state):
                thought = _encode(text)
                fields = b'"reasoning_content":%b,"reasoning":%b' % (thought, thought)
                if state:
                    details = _encode([_detail(self._states, state)])
                    fields += b',"reasoning_details":%b' % details
                    self._states += 1
                return self._delta(fields)
            case Refusal(text):
                self._is_refused = True
                return self._delta(b'"refusal":%b' % _encode(text))
            case ToolCallDelta(index, id=None, arguments=arguments):
                piece = b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]'
                return self._delta(piece % (index, _encode(arguments)))
            case ToolCallDelta(index, call_id, name, arguments, state):
                call = ToolCall(call_id or "", name or "", arguments, state)
                opening = {"index": index, **_call_fields(call)}
                return self._delta(b'"tool_calls":[%b]' % _encode(opening))
            case Start() | Restart():
                self._name_model(event.model)
                choice = {"index": 0, "delta": _NO_TEXT, "finish_reason": None}
                return self._chunk([choice], gateway=gateway_facts(event, self._reply))
            case End():
                return self._finish(event)
            case _:
                assert_never(event)

    def _delta(self, fields: bytes) -> bytes:
        """The frame of a piece of the answer: the fields of its delta, as JSON."""
        return b"%b%b%b" % (self._before, fields, self._after)

    def _name_model(self, model: str) -> None:
        """Make the templates."""
        self._model = model
        chunk = _encode(self._fields(choices=[{"index": 0, "delta": {}, "finish_reason": None}]))
        before, delta, after = chunk.partition(b'"delta":{')
        self._before = b"data: %b%b" % (before, delta)
        self._before_text = self._before + b'"content":'
        self._after = after + b"\n\n"

    def _finish(self, end: End) -> bytes:
        """The last chunks. Usage has one without a choice if the request asked for that."""
        finish_reason = _finish_reason(end, is_refused=self._is_refused)
        choice = {"index": 0, "delta": {}, "finish_reason": finish_reason}
        options = _options(self._reply)
        gateway = gateway_facts(end, self._reply, options.dropped_params)
        facts = {"usage": _usage(end.usage), "gateway": gateway}
        if options.include_usage:
            return self._chunk([choice]) + self._chunk([], **facts) + _DONE
        return self._chunk([choice], **facts) + _DONE

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return b"data: %b\n\n" % _encode(self._fields(choices=choices, **more))

    def _fields(self, **more: Any) -> dict[str, Any]:
        return {
            "id": self._reply.identity.id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            **more,
        }


def render_completion(answer: Answer, reply: Reply, created: int) -> bytes:
    """A whole answer."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text or (None if answer.tool_calls or answer.refusal else ""),
        "refusal": answer.refusal or None,
    }
    if answer.reasoning:
        message |= {"reasoning_content": answer.reasoning, "reasoning": answer.reasoning}
    if answer.states:
        message["reasoning_details"] = [_detail(*item) for item in enumerate(answer.states)]
    if answer.tool_calls:
        message["tool_calls"] = [_call_fields(call) for call in answer.tool_calls]
    finish_reason = _finish_reason(answer.end, is_refused=bool(answer.refusal))
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return _encode(
        {
            "id": reply.identity.id,
            "object": "chat.completion",
            "created": created,
            "model": answer.end.model,
            "choices": [choice],
            "usage": _usage(answer.end.usage),
            "gateway": gateway_facts(answer.end, reply, _options(reply).dropped_params),
        }
    )


def _now() -> int:
    return int(time.time())


def _options(reply: Reply) -> ChunkOptions:
    return reply.options if isinstance(reply.options, ChunkOptions) else ChunkOptions()


def _finish_reason(end: End, *, is_refused: bool) -> str:
    """OpenAI's word. It ends a refusal like an answer, by which its clients read the refusal."""
    if end.finish_reason == "other" or (is_refused and end.finish_reason == "content_filter"):
        return "stop"
    return end.finish_reason


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    """OpenAI's counts, which are numbers; the details may be null."""
    if usage is None:
        return None
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _call_fields(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    fields = {"id": call.id, "type": "function", "function": function}
    if call.state:
        fields["extra_content"] = write_extra_content(call.state)
    return fields


def _detail(index: int, state: State) -> dict[str, Any]:
    """Opaque state of reasoning, in the words of OpenRouter, whose clients send it back."""
    return {"type": "reasoning.encrypted", "index": index, "data": write_state(state)}
