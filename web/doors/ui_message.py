"""The UI message door: the AI SDK's `useChat` and assistant-ui, without a server in between.

Its parts are those that versions 5, 6 and 7 know: an older version fails at one that it does not.
The gateway's own facts are metadata. Pages show errors as they come, so these are for a person.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec
from starlette.datastructures import Headers

from configuration import Settings
from models import GatewayError, Reasoning, Refusal, Text, ToolCall
from streams.answer import Answer, AnswerPart
from web.doors.base import DoorRequest, ErrorBody, Reply
from web.doors.ui_message_body import decode_chat
from web.doors.ui_message_stream import (
    BAD_INPUT,
    REFUSAL,
    UiMessageEncoder,
    find_message_id,
    read_facts,
    read_input,
    state_metadata,
    to_metadata,
    to_text,
)

ERROR_HEADER = "X-Gateway-Error"


class UiMessageDoor:
    """`POST /ui/chat/{provider}`."""

    name = "ui_message"

    def read(self, body: bytes, settings: Settings, headers: Headers) -> DoorRequest:
        """The body as strict JSON, within the limits of the settings."""
        return decode_chat(body, settings, headers)

    def encoder(self, reply: Reply) -> UiMessageEncoder:
        """A new encoder of server-sent events."""
        return UiMessageEncoder(reply)

    def render(self, answer: Answer, reply: Reply) -> bytes:
        """The message that a client would make of the stream, as JSON."""
        message = {
            "id": find_message_id(reply),
            "role": "assistant",
            "metadata": to_metadata(read_facts(answer.end, reply)),
            "parts": [{"type": "step-start"}, *map(_to_part, answer.parts)],
        }
        return msgspec.json.encode(message)

    def error(self, error: GatewayError, request_id: str) -> ErrorBody:
        """A text for a person. The code is in a header."""
        headers = {ERROR_HEADER: error.code}
        text = to_text(error, request_id).encode()
        return ErrorBody(error.kind.status, text, headers, "text/plain")


def _to_part(part: AnswerPart) -> dict[str, Any]:
    match part:
        case Text(text):
            return _words("text", text)
        case Refusal(text):
            return _words("text", text, REFUSAL)
        case Reasoning(text, state):
            return _words("reasoning", text, state_metadata(state) if state else None)
        case ToolCall():
            return _call(part)
        case _:
            assert_never(part)


def _words(kind: str, text: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    part: dict[str, Any] = {"type": kind, "text": text, "state": "done"}
    return part | {"providerMetadata": metadata} if metadata else part


def _call(call: ToolCall) -> dict[str, Any]:
    part: dict[str, Any] = {"type": f"tool-{call.name}", "toolCallId": call.id}
    if call.state:
        part["callProviderMetadata"] = state_metadata(call.state)
    given = read_input(call.arguments)
    if given is None:
        problem = {"state": "output-error", "rawInput": call.arguments, "errorText": BAD_INPUT}
        return part | problem
    return part | {"state": "input-available", "input": given}
