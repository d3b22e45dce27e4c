"""Anthropic's messages: named events, a block for the thinking and one for the text, a ping, and padded JSON."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from simulator.wires.base import Wire

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_BLOCKS: dict[str, dict[str, object]] = {
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
    "text": {"type": "text", "text": ""},
}
_SIGNATURE = "c2ltdWxhdGVk"


def event(kind: str, **fields: object) -> bytes:
    """One named event; the vendor pads its JSON so that the length tells nothing of the text."""
    data = msgspec.json.encode({"type": kind, **fields})
    padding = b" " * (len(data) * 7 % 16)
    return b"event: %b\ndata: %b%b}\n\n" % (kind.encode(), data[:-1], padding)


class AnthropicWire(Wire):
    """`POST /v1/messages`."""

    provider = "claude"
    vendor = "Anthropic"
    remark = "It came as named events, from `message_start` to `message_stop`, with a ping among them."
    key_variable = "ANTHROPIC"
    base_path = "/anthropic"
    chat_path = re.compile("/v1/messages")
    model_path = re.compile("/v1/models/(?P<model>.+)")
    content_type = "text/event-stream; charset=utf-8"
    request_id_header = "request-id"
    heartbeat = b'event: ping\ndata: {"type": "ping"}\n\n'
    mark = event("message_stop")

    def __init__(self, model: str, body: Any) -> None:
        super().__init__(model, body)
        self._block: str | None = None
        self._index = -1

    def opening(self) -> bytes:
        message: dict[str, object] = {
            "model": self.model,
            "id": f"msg_simulated{self.number:08d}",
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage(1) | {"service_tier": "standard"},
        }
        return event("message_start", message=message)

    def text(self, text: str) -> bytes:
        return self._enter("text") + self._delta(type="text_delta", text=text)

    def thought(self, text: str) -> bytes:
        return self._enter("thinking") + self._delta(type="thinking_delta", thinking=text)

    def finish(self) -> bytes:
        usage = self._usage(self.output_tokens) | {"output_tokens_details": {"thinking_tokens": self.reasoning_tokens}}
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        return self._leave() + event("message_delta", delta=delta, usage=usage)

    def _enter(self, block: str) -> bytes:
        """What comes between blocks, if the piece belongs to another block than the one before it."""
        if block == self._block:
            return b""
        left = self._leave()
        self._block = block
        self._index += 1
        started = event("content_block_start", index=self._index, content_block=_BLOCKS[block])
        return left + started + (self.heartbeat if self._index == 0 else b"")

    def _leave(self) -> bytes:
        if self._block is None:
            return b""
        signed = self._delta(type="signature_delta", signature=_SIGNATURE) if self._block == "thinking" else b""
        self._block = None
        return signed + event("content_block_stop", index=self._index)

    def _delta(self, **delta: object) -> bytes:
        return event("content_block_delta", index=self._index, delta=delta)

    def _usage(self, output_tokens: int) -> dict[str, object]:
        return {
            "input_tokens": self.prompt.words,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        }

    @classmethod
    def model_card(cls, model: str) -> dict[str, object]:
        created = "2026-01-01T00:00:00Z"
        return {"type": "model", "id": model, "display_name": model, "created_at": created, "lifecycle": "active"}

    @classmethod
    def error_body(cls, status: int) -> dict[str, object]:
        error = {"type": _ERROR_TYPES.get(status, "api_error"), "message": f"Simulated error {status}."}
        return {"type": "error", "error": error, "request_id": "req_simulated"}
