"""The gateway's own protocol.

A stream's event is exactly `data: <json>` and a blank line. Every event has `seq`, its number, and
`delta.content`, a string.
"""

from __future__ import annotations

from typing import Any, Literal, assert_never

import msgspec
from msgspec import Raw
from starlette.datastructures import Headers

from configuration import Settings
from models import (
    NO_OPTIONS,
    Chat,
    Content,
    End,
    Event,
    GatewayError,
    OnBreak,
    Reasoning,
    Refusal,
    Restart,
    Start,
    Text,
    ToolCall,
    ToolCallDelta,
    Turn,
)
from streams.answer import Answer
from web.doors.answer_options import FIELDS, OptionFields, read_options
from web.doors.base import EVENT_STREAM, DoorRequest, ErrorBody, Reply
from web.doors.content_parts import read_content, system_texts
from web.doors.error_fields import error_fields
from web.doors.json_fields import (
    ABSENT,
    check_messages,
    decode_field,
    first_byte,
    read_id,
    read_text,
)
from web.doors.tool_history import StepFields, read_result, read_steps
from web.json_scan import check_json

_encode = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"


class _MessageBody(StepFields, kw_only=True, gc=False):
    role: Literal["system", "user", "assistant", "tool"]
    content: Raw = ABSENT
    timestamp: Raw = ABSENT
    model: Raw = ABSENT


class _ChatBody(OptionFields, kw_only=True, gc=False):
    messages: list[_MessageBody]
    conversation_id: Raw = ABSENT
    stream: bool | None = None
    on_break: OnBreak | None = None
    model: Raw = ABSENT


class NativeDoor:
    """`POST /chat/{provider}`."""

    name = "native"

    def read(
        self,
        body: bytes,
        settings: Settings,
        headers: Headers,  # noqa: ARG002
    ) -> DoorRequest:
        """The body as strict JSON, within the limits of the settings."""
        return decode_chat(body, settings)

    def encoder(self, reply: Reply) -> NativeEncoder:
        """A new encoder of server-sent events."""
        return NativeEncoder(reply)

    def render(self, answer: Answer, reply: Reply) -> bytes:
        """One JSON object, with what `start` and `end` have in a stream."""
        fields = {
            **reply.identity._asdict(),
            **msgspec.structs.asdict(answer.end),
            "content": answer.text,
            "reasoning": answer.reasoning or None,
            "refusal": answer.refusal or None,
            "tool_calls": [_without_null_state(call) for call in answer.tool_calls],
        }
        if answer.states:
            fields["states"] = answer.states
        if reply.is_demo:
            fields["demo"] = True
        return _encode(fields)

    def error(self, error: GatewayError, request_id: str) -> ErrorBody:
        """The same `error` object as in a stream."""
        content = _encode({"error": error_fields(error, request_id)})
        return ErrorBody(error.kind.status, content)


def _without_null_state(call: ToolCall | ToolCallDelta) -> dict[str, Any]:
    """The fields of a call; its state only if it has one."""
    fields = msgspec.structs.asdict(call)
    if call.state is None:
        del fields["state"]
    return fields


class NativeEncoder:
    """Encodes one chat's events. Texts, by far the most frequent, are encoded by a template."""

    __slots__ = ("_after_delta", "_before_delta", "_identity", "_is_demo", "_seq")

    media_type = EVENT_STREAM

    def __init__(self, reply: Reply) -> None:
        self._identity = reply.identity
        self._is_demo = reply.is_demo
        self._seq = 0
        self._before_delta = b',"id":%b,"delta":{"content":' % _encode(reply.identity.id)
        self._after_delta = b"}}\n\n"

    def encode(self, batch: list[Event]) -> bytes:
        """The frames of one batch, for one write."""
        frames = []
        for event in batch:
            if type(event) is Text:
                frames.append(self._delta(_encode(event.text)))
            else:
                frames.append(self._frame(event))
        return b"".join(frames)

    def encode_error(self, error: GatewayError) -> bytes:
        """The last event of a stream that failed."""
        return self._event("error", {"error": error_fields(error, self._identity.request_id)})

    def _frame(self, event: Event) -> bytes:
        match event:
            case Reasoning(text, state):
                kept = b',"state":' + _encode(state) if state else b""
                return self._delta(b'"","reasoning":' + _encode(text) + kept)
            case Refusal():
                return self._delta(b'"","refusal":' + _encode(event.text))
            case ToolCallDelta():
                return self._delta(b'"","tool_call":' + _encode(_without_null_state(event)))
            case Text():
                return self._delta(_encode(event.text))
            case Start():
                self._name_model(event.model)
                fields: dict[str, Any] = {
                    "conversation_id": self._identity.conversation_id,
                    "request_id": self._identity.request_id,
                    **msgspec.structs.asdict(event),
                }
                if self._is_demo:
                    fields["demo"] = True
                return self._event("start", fields)
            case Restart():
                self._name_model(event.model)
                return self._event("restart", msgspec.structs.asdict(event))
            case End():
                return self._event("end", msgspec.structs.asdict(event)) + DONE
            case _:
                assert_never(event)

    def _delta(self, content: bytes) -> bytes:
        """The frame of a delta. `content` is JSON: the text, and beside it what is not text."""
        seq, self._seq = self._seq, self._seq + 1
        parts = (seq, self._before_delta, content, self._after_delta)
        return b'data: {"type":"delta","seq":%d%b%b%b' % parts

    def _name_model(self, model: str) -> None:
        self._after_delta = b',"model":%b}}\n\n' % _encode(model)

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        seq, self._seq = self._seq, self._seq + 1
        event = {"type": kind, "seq": seq, "id": self._identity.id, **fields}
        event["delta"] = {"content": ""}
        return b"data: %b\n\n" % _encode(event)


def decode_chat(body: bytes, settings: Settings) -> DoorRequest:
    """Decode a chat within the limits of the settings.

    The chat shares no memory with the body.

    Raises GatewayError `invalid_json` if the body is not strict JSON, and `invalid_request` for the
    first value that is not valid or exceeds a limit.
    """
    check_json(body, max_values=settings.max_json_values, max_depth=settings.max_json_depth)
    fields = decode_field(body, _ChatBody, "")
    check_messages(fields.messages, settings.max_messages)
    system, turns = _read_messages(fields.messages, settings)
    has_options = any(getattr(fields, name) is not ABSENT for name in FIELDS)
    is_stream = fields.stream is not False
    chat = Chat(
        turns=tuple(turns),
        system=tuple(system),
        options=read_options(fields, settings) if has_options else NO_OPTIONS,
        on_break=(fields.on_break or settings.on_break) if is_stream else "hold",
        conversation_id=read_id(fields.conversation_id, "conversation_id"),
    )
    return DoorRequest(chat, is_stream)


def _read_messages(
    messages: list[_MessageBody], settings: Settings
) -> tuple[list[str], list[Turn]]:
    """The system messages, and the turns."""
    system: list[str] = []
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        place, role = f"messages.{number}", message.role
        if first_byte(message.content) == b'"':
            text = read_text(message.content, f"{place}.content", settings.max_message_chars)
            parts: tuple[Content, ...] = (Text(text),)
        else:
            given = (message.content, message.tool_calls, message.states)
            has_any = any(raw is not ABSENT for raw in given)
            may_be_null = role == "tool" or (role == "assistant" and has_any)
            parts = read_content(
                message.content, f"{place}.content", settings, may_be_null=may_be_null
            )
        match role:
            case "system":
                system.append("".join(system_texts(parts, f"{place}.content")))
            case "user":
                turns.append(Turn("user", parts))
            case "tool":
                turns.append(Turn("user", (read_result(message, parts, place),)))
            case "assistant":
                states, calls = read_steps(message, place, settings)
                turns.append(Turn("assistant", (*states, *parts, *calls)))
    return system, turns
