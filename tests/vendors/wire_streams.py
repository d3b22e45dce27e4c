"""Streams of the vendor wires, made of small pieces, and what a decoder makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from models import Delta, GatewayError, Reasoning, Refusal, Text, ToolCallDelta, Usage
from providers.wires.chat_completions import ChatCompletionsDecoder
from providers.wires.decoder import Decoder
from providers.wires.finish_reasons import Finish
from providers.wires.generate_content import GenerateContentDecoder
from providers.wires.messages import MessagesDecoder
from providers.wires.responses import ResponsesDecoder
from providers.wires.vendor_stream import read_batches
from tests.vendors.scripted_response import EVENT_STREAM, ScriptedResponse

DONE = b"data: [DONE]\n\n"
JSON_BODY = {"content-type": "application/json"}
HELLO = "Hel", "lo"


def data(event: object) -> bytes:
    """An event without a name; bytes stand as they are."""
    return b"data: %b\n\n" % (event if isinstance(event, bytes) else json.dumps(event).encode())


def named(kind: str, **fields: object) -> bytes:
    """An event with a name, as Anthropic and OpenAI's Responses have."""
    return f"event: {kind}\n".encode() + data({"type": kind, **fields})


class Wire(NamedTuple):
    """One wire's pieces. `finish` takes the vendor's word and further fields of its event; `stop` is a natural word."""

    decoder: type[Decoder]
    opening: bytes
    text: Callable[[str], bytes]
    finish: Callable[..., bytes]
    mark: bytes
    stop: str
    whole: Callable[
        [str, str], dict[str, Any]
    ]  # an answer that is no stream, of a text and a finish reason

    def answer(self, *extra: bytes) -> bytes:
        """A whole answer, `Hello`, with something within it."""
        return b"".join(
            [
                self.opening,
                self.text("Hel"),
                *extra,
                self.text("lo"),
                self.finish(self.stop),
                self.mark,
            ]
        )


def _chunk(delta: object, finish: object = None, **more: object) -> bytes:
    return data(
        {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    )


def _candidate(parts: list[object], finish: str | None = None, **more: object) -> bytes:
    candidate: dict[str, object] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    return data({"candidates": [candidate | ({"finishReason": finish} if finish else {})], **more})


def _message_delta(word: str | None, **more: object) -> bytes:
    return named("message_delta", **({"delta": {"stop_reason": word}} | more))


def _response(word: str, *output: object, **more: object) -> dict[str, object]:
    """A response: completed, incomplete for the reason of that word, or without a word open."""
    status = {"completed": "completed", "": "in_progress"}.get(word, "incomplete")
    return {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "error": None,
        "incomplete_details": {"reason": word} if status == "incomplete" else None,
        "output": list(output),
        "text": {"format": {"type": "text"}},
    } | more


def response_end(word: str, *output: object, **more: object) -> bytes:
    """The last event, with the response's items and further fields of it."""
    kind = "response.completed" if word == "completed" else "response.incomplete"
    return named(kind, response=_response(word, *output, **more))


def message_item(text: str) -> dict[str, object]:
    """A message as an item of a response."""
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": content}


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [],
    "usage": {"input_tokens": 1},
}

CHAT = Wire(
    ChatCompletionsDecoder,
    _chunk({"role": "assistant", "content": ""}),
    lambda text: _chunk({"content": text}),
    lambda word, **more: _chunk({}, word, **more),
    DONE,
    "stop",
    lambda text, word: {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": word}
        ],
    },
)
CLAUDE = Wire(
    MessagesDecoder,
    named("message_start", message=MESSAGE)
    + named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    lambda text: named("content_block_delta", index=0, delta={"type": "text_delta", "text": text}),
    _message_delta,
    named("message_stop"),
    "end_turn",
    lambda text, word: {
        **MESSAGE,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": word,
    },
)
GEMINI = Wire(
    GenerateContentDecoder,
    b"",
    lambda text: _candidate([{"text": text}]),
    lambda word, **more: _candidate([], word, **more),
    b"",
    "STOP",
    lambda text, word: {
        "candidates": [
            {
                "content": {"parts": [{"text": text}] if text else []},
                "finishReason": word,
                "index": 0,
            }
        ]
    },
)
RESPONSES = Wire(
    ResponsesDecoder,
    named("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
    + named("response.output_item.added", output_index=0, item=message_item("")),
    lambda text: named(
        "response.output_text.delta", output_index=0, content_index=0, item_id="msg_1", delta=text
    ),
    response_end,
    b"",  # the end of the response is the mark
    "completed",
    lambda text, word: _response(word, message_item(text)),
)
WIRES = {"chat": CHAT, "claude": CLAUDE, "gemini": GEMINI, "responses": RESPONSES}


@dataclass
class Played:
    """What a stream amounts to: texts joined, calls as (id, name, arguments), its finish or its error."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[list[str | None]] = field(default_factory=list)
    finish: Finish | None = None
    error: GatewayError | None = None
    reported: Usage | None = None  # the newest usage before the end

    @property
    def ending(self) -> str | None:
        """The finish reason, or the error's code."""
        if self.error:
            return self.error.code
        return self.finish.finish_reason if self.finish else None

    def take(self, event: Delta | Finish | Usage) -> None:
        match event:
            case Text():
                self.text += event.text
            case Reasoning():
                self.reasoning += event.text
            case Refusal():
                self.refusal += event.text
            case ToolCallDelta():
                self._take_call(event)
            case Finish():
                self.finish = event
            case Usage():
                self.reported = event

    def _take_call(self, piece: ToolCallDelta) -> None:
        if piece.index == len(self.calls):
            self.calls.append([None, None, ""])
        call = self.calls[piece.index]
        self.calls[piece.index] = [
            piece.id or call[0],
            piece.name or call[1],
            f"{call[2]}{piece.arguments}",
        ]


async def play(
    wire: Wire, *reads: bytes | Exception, headers: dict[str, str] = EVENT_STREAM
) -> Played:
    """All that a decoder makes of a response that comes in these reads."""
    played = Played()
    try:
        async for batch in read_batches(
            ScriptedResponse(*reads, headers=headers).open, wire.decoder, 2**20
        ):
            for event in batch:
                played.take(event)
    except GatewayError as error:
        played.error = error
    return played
