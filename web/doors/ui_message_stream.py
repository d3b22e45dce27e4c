"""Encodes a chat's events as the AI SDK's UI message stream, in parts that its 5, 6 and 7 know."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec
from msgspec import Raw

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
    ToolCallDelta,
)
from web.doors.base import EVENT_STREAM, Reply, retry_seconds
from web.doors.error_fields import error_fields
from web.doors.gateway_facts import gateway_facts
from web.doors.native import DONE
from web.doors.state_token import write_state

BAD_INPUT = "The arguments are not valid JSON."
REFUSAL = {"gateway": {"refusal": True}}  # metadata of a text that is one

_encode = msgspec.json.Encoder().encode
_WORDS = {Text: "text", Refusal: "text", Reasoning: "reasoning"}


class UiMessageEncoder:
    """Encodes one chat's events. Deltas, by far the most frequent, are encoded by a template.

    The message consists of texts, reasoning and calls, of which at most one is open.
    """

    __slots__ = ("_before_delta", "_number", "_open", "_pieces", "_reply")

    media_type = EVENT_STREAM

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._open: type[Event] | None = None  # Start: the message, but none of its parts
        self._number = 0  # of the newest text or reasoning
        self._before_delta = b""
        self._pieces: list[ToolCallDelta] = []  # of the newest call

    def encode(self, batch: list[Event]) -> bytes:
        """The frames of one batch, for one write."""
        frames = []
        for event in batch:
            if type(event) is Text and self._open is Text:
                frames.append(self._delta(event.text))
            else:
                frames.append(self._frames(event))
        return b"".join(frames)

    def encode_error(self, error: GatewayError) -> bytes:
        """The last frames of a stream that failed. What is open is not closed: it is not whole."""
        request_id = self._reply.identity.request_id
        frame = _frame("error", errorText=to_text(error, request_id))
        if self._open is None:  # metadata would begin an empty message
            return frame
        return _metadata_frame({"error": error_fields(error, request_id)}) + frame

    def _frames(self, event: Event) -> bytes:
        match event:
            case Text(text) | Refusal(text):
                return self._begin(type(event)) + self._delta(text)
            case Reasoning(text, state):
                frames = self._begin(Reasoning) + (self._delta(text) if text else b"")
                return frames + self._close(state) if state else frames
            case ToolCallDelta():
                return self._begin_call(event) + self._delta(event.arguments)
            case Start():
                self._open = Start
                message_id = find_message_id(self._reply)
                metadata = to_metadata(read_facts(event, self._reply))
                started = _frame("start", messageId=message_id, messageMetadata=metadata)
                return started + _frame("start-step")
            case Restart():
                self._open = Start
                return _metadata_frame(msgspec.structs.asdict(event)) + _frame("reset-step")
            case End():
                metadata = to_metadata(msgspec.structs.asdict(event))
                finished = _frame("finish", messageMetadata=metadata)
                return self._close() + _frame("finish-step") + finished + DONE
            case _:
                assert_never(event)

    def _delta(self, text: str) -> bytes:
        """A piece of what is open."""
        return b"%b%b}\n\n" % (self._before_delta, _encode(text))

    def _begin(self, kind: type[Text | Refusal | Reasoning]) -> bytes:
        """Open a text or reasoning, unless one is open."""
        if self._open is kind:
            return b""
        closed = self._close()
        self._open = kind
        self._number += 1
        word, number = _WORDS[kind], str(self._number)
        self._before_delta = f'data: {{"type":"{word}-delta","id":"{number}","delta":'.encode()
        fields: dict[str, Any] = {"id": number}
        if kind is Refusal:
            fields["providerMetadata"] = REFUSAL
        return closed + _frame(f"{word}-start", **fields)

    def _begin_call(self, piece: ToolCallDelta) -> bytes:
        """Add a piece to the open call, or open one with it."""
        if self._open is ToolCallDelta and self._pieces[0].index == piece.index:
            self._pieces.append(piece)
            return b""
        closed = self._close()
        self._open = ToolCallDelta
        self._pieces = [piece]
        before = b'data: {"type":"tool-input-delta","toolCallId":%b,"inputTextDelta":'
        self._before_delta = before % _encode(piece.id)
        return closed + _frame("tool-input-start", toolCallId=piece.id, toolName=piece.name)

    def _close(self, state: State | None = None) -> bytes:
        """Close what is open. It has the state, if there is any."""
        kind, self._open = self._open, Start
        if kind is ToolCallDelta:
            return _input_frame(self._pieces)
        if kind not in _WORDS:
            return b""
        fields: dict[str, Any] = {"id": str(self._number)}
        if state:
            fields["providerMetadata"] = state_metadata(state)
        return _frame(f"{_WORDS[kind]}-end", **fields)


def to_text(error: GatewayError, request_id: str) -> str:
    """The error for a person: pages show it as it is."""
    seconds = retry_seconds(error)
    retry = "" if seconds is None else f" Try again in {seconds} s."
    return f"{error.safe_message}{retry} (Request {request_id})"


def find_message_id(reply: Reply) -> str:
    """The id of the message that the answer continues, or else its own."""
    return str(reply.options or reply.identity.id)


def to_metadata(facts: dict[str, Any]) -> dict[str, Any]:
    """The gateway's facts as metadata, of a message or of a part, apart from those of others."""
    return {"gateway": facts}


def state_metadata(state: State) -> dict[str, Any]:
    """Opaque state as metadata of a part, which clients send back as it is."""
    return to_metadata({"state": write_state(state)})


def read_facts(event: Start | End, reply: Reply) -> dict[str, Any]:
    """What an event says of the answer, with its ids."""
    return {"id": reply.identity.id} | gateway_facts(event, reply)


def read_input(arguments: str) -> Raw | None:
    """The arguments in one line, or None if they are not valid JSON."""
    try:
        msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return None
    return Raw(msgspec.json.format(arguments, indent=-1).encode())


def _input_frame(pieces: list[ToolCallDelta]) -> bytes:
    """The frame of a complete call. Its input is what the model wrote, if that is no JSON."""
    first, arguments = pieces[0], "".join(piece.arguments for piece in pieces)
    fields: dict[str, Any] = {"toolCallId": first.id, "toolName": first.name}
    if first.state:
        fields["providerMetadata"] = state_metadata(first.state)
    given = read_input(arguments)
    if given is None:
        return _frame("tool-input-error", **fields, input=arguments, errorText=BAD_INPUT)
    return _frame("tool-input-available", **fields, input=given)


def _metadata_frame(facts: dict[str, Any]) -> bytes:
    return _frame("message-metadata", messageMetadata=to_metadata(facts))


def _frame(kind: str, **fields: Any) -> bytes:
    return b"data: %b\n\n" % _encode({"type": kind, **fields})
