"""Anthropic's messages.

A stream is `message_start`, content blocks strictly one after another, `message_delta` with the
stop reason and the usage, and `message_stop`. What the gateway knows beyond Anthropic's fields is
in `gateway`, of the message and of `message_delta`.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec
from msgspec import Raw
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
from streams.answer import Answer, AnswerPart
from web.doors.anthropic_body import decode_messages
from web.doors.anthropic_errors import error_object, to_anthropic
from web.doors.anthropic_options import NAMES, MessageOptions
from web.doors.base import EVENT_STREAM, DoorRequest, ErrorBody, Reply
from web.doors.gateway_facts import gateway_facts
from web.doors.state_token import write_state

_encode = msgspec.json.Encoder().encode

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
    "other": "end_turn",
}
# Anthropic's finer words, which none of its clients takes for another's.
_OWN_WORDS = ("stop_sequence", "model_context_window_exceeded", "pause_turn")

_STOPPED = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_END_OF_DELTA = b"}}\n\n"


class AnthropicDoor:
    """`POST /v1/messages`, and `/v1/messages/count_tokens`."""

    name = "anthropic"

    def read(self, body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
        """The body as strict JSON, within the limits of the settings."""
        return decode_messages(body, settings, headers)

    def encoder(self, reply: Reply) -> AnthropicEncoder:
        """A new encoder of named events."""
        return AnthropicEncoder(reply)

    def render(self, answer: Answer, reply: Reply) -> bytes:
        """One message."""
        options = _options(reply)
        blocks = [block for part in answer.parts for block in _to_blocks(part, options)]
        end = answer.end
        message = _message(reply, end.model, blocks) | _stop_fields(end, options)
        message["usage"] = _usage_fields(end.usage)
        message["gateway"] = _facts(end, reply)
        return _encode(message)

    def render_count(self, tokens: int) -> bytes:
        """The one field of a count."""
        return _encode({"input_tokens": tokens})

    def error(self, error: GatewayError, request_id: str) -> ErrorBody:
        """The same object as in a stream."""
        return ErrorBody(to_anthropic(error).status, _encode(error_object(error, request_id)))


class AnthropicEncoder:
    """Encodes one chat's events. Texts, by far the most frequent, are encoded by a template."""

    __slots__ = ("_before_text", "_index", "_open", "_options", "_reply")

    media_type = EVENT_STREAM

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._options = _options(reply)
        self._index = -1  # of the newest block
        self._open: type | None = None  # the kind of the events of the open block
        self._before_text = b""

    def encode(self, batch: list[Event]) -> bytes:
        """The frames of one batch, for one write."""
        pieces: list[bytes] = []
        for event in batch:
            if type(event) is Text and self._open is Text:
                pieces += (self._before_text, _encode(event.text), _END_OF_DELTA)
            else:
                pieces += self._frames(event)
        return b"".join(pieces)

    def encode_error(self, error: GatewayError) -> bytes:
        """The last event of a stream that failed. The open block stays open."""
        return _frame(error_object(error, self._reply.identity.request_id))

    def _frames(self, event: Event) -> list[bytes]:
        match event:
            case Text(text) | Refusal(text):
                opened = self._enter(Text, {"type": "text", "text": ""})
                return [*opened, self._before_text, _encode(text), _END_OF_DELTA]
            case Reasoning(text, state):
                return self._thinking(text, state)
            case ToolCallDelta():
                return self._call(event)
            case Start() | Restart():
                message = _message(self._reply, event.model, []) | _STOP_OF_START
                message["usage"] = _usage_fields(None)
                message["gateway"] = gateway_facts(event, self._reply)
                return [_frame({"type": "message_start", "message": message})]
            case End():
                delta = {
                    "type": "message_delta",
                    "delta": _stop_fields(event, self._options),
                    "usage": _usage_fields(event.usage),
                    "gateway": _facts(event, self._reply),
                }
                return [*self._close(), _frame(delta), _STOPPED]
            case _:
                assert_never(event)

    def _thinking(self, text: str, state: State | None) -> list[bytes]:
        """A piece of a thinking block. The state is its signature, and ends it."""
        if self._options.thinking == "disabled":
            return []
        shown = text if self._options.thinking == "shown" else ""
        if not shown and not state:
            return []
        frames = self._enter(Reasoning, _THINKING)
        if shown:
            frames.append(self._delta(type="thinking_delta", thinking=shown))
        if state:
            frames.append(self._delta(type="signature_delta", signature=write_state(state)))
            frames += self._close()
        return frames

    def _call(self, piece: ToolCallDelta) -> list[bytes]:
        """A piece of a call: a block begins with the first one, which has the id."""
        frames: list[bytes] = []
        if piece.id is not None:
            frames += self._close()
            if piece.state and self._options.thinking != "disabled":
                frames += self._enter(Reasoning, _THINKING)
                signature = write_state(piece.state, of_call=True)
                frames.append(self._delta(type="signature_delta", signature=signature))
            frames += self._enter(ToolCallDelta, _tool_use(piece.id, piece.name or "", {}))
        if piece.arguments:
            frames.append(self._delta(type="input_json_delta", partial_json=piece.arguments))
        return frames

    def _enter(self, kind: type, block: dict[str, Any]) -> list[bytes]:
        """The frames between blocks, if a new block begins."""
        if self._open is kind:
            return []
        frames = self._close()
        self._open = kind
        self._index += 1
        self._before_text = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"text_delta","text":' % self._index
        )
        started = {"type": "content_block_start", "index": self._index, "content_block": block}
        return [*frames, _frame(started)]

    def _close(self) -> list[bytes]:
        if self._open is None:
            return []
        self._open = None
        return [_frame({"type": "content_block_stop", "index": self._index})]

    def _delta(self, **delta: str) -> bytes:
        return _frame({"type": "content_block_delta", "index": self._index, "delta": delta})


_THINKING = {"type": "thinking", "thinking": "", "signature": ""}
_STOP_OF_START: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}


def _options(reply: Reply) -> MessageOptions:
    return reply.options if isinstance(reply.options, MessageOptions) else MessageOptions()


def _frame(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event))


def _message(reply: Reply, model: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": reply.identity.id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
    }


def _to_blocks(part: AnswerPart, options: MessageOptions) -> list[dict[str, Any]]:
    """The blocks of one part of a whole answer, the same as those of a stream."""
    match part:
        case Text(text) | Refusal(text):
            return [{"type": "text", "text": text}] if text else []
        case Reasoning(text, state):
            shown = text if options.thinking == "shown" else ""
            if options.thinking == "disabled" or not (shown or state):
                return []
            return [
                _THINKING | {"thinking": shown, "signature": write_state(state) if state else ""}
            ]
        case ToolCall(call_id, name, arguments, state):
            block = _tool_use(call_id, name, _to_input(arguments))
            if state is None or options.thinking == "disabled":
                return [block]
            return [_THINKING | {"signature": write_state(state, of_call=True)}, block]
        case _:
            assert_never(part)


def _to_input(arguments: str) -> object:
    """The arguments of a call as an object. If the model wrote none, the client is to see that."""
    try:
        msgspec.json.decode(arguments, type=dict[str, Raw])
    except (msgspec.MsgspecError, RecursionError):
        return {"INVALID_JSON": arguments}
    return Raw(arguments.encode())


def _tool_use(call_id: str, name: str, arguments: object) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def _stop_fields(end: End, options: MessageOptions) -> dict[str, Any]:
    """The stop reason; the stop sequence if only one was asked for: vendors seldom say which."""
    word = end.raw_finish_reason
    reason = word if word in _OWN_WORDS else _STOP_REASONS[end.finish_reason]
    is_known = reason == "stop_sequence" and len(options.stops) == 1
    return {"stop_reason": reason, "stop_sequence": options.stops[0] if is_known else None}


def _usage_fields(usage: Usage | None) -> dict[str, Any]:
    """The counts as numbers, since clients need them: 0 if not known. Cached input counts apart."""
    known = usage or Usage()
    read, written = known.cached_input_tokens or 0, known.cache_write_tokens or 0
    fields: dict[str, Any] = {
        "input_tokens": max((known.input_tokens or 0) - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": known.output_tokens or 0,
    }
    if known.reasoning_tokens is not None:
        fields["output_tokens_details"] = {"thinking_tokens": known.reasoning_tokens}
    return fields


def _facts(end: End, reply: Reply) -> dict[str, Any]:
    """The `gateway` object at the end, with Anthropic's names for what was dropped."""
    return gateway_facts(end, reply, _options(reply).dropped, NAMES)
