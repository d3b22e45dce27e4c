"""Anthropic's Messages API: named events, blocks for thinking and text, a ping, padded JSON."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from simulator.wires.base import ToolCall, Wire, make_id, split_arguments
from simulator.wires.request import Offer, Tool, Turn
from simulator.wires.signatures import sign

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_EMPTY_BLOCKS: dict[str, dict[str, object]] = {
    "thinking": {"thinking": "", "signature": ""},
    "text": {"text": ""},
}


def event(kind: str, **fields: object) -> bytes:
    """One named event.

    Like the vendor, pad its JSON so that the length does not reveal the text's length.
    """
    data = msgspec.json.encode({"type": kind, **fields})
    padding = b" " * (len(data) * 7 % 16)
    return b"event: %b\ndata: %b%b}\n\n" % (kind.encode(), data[:-1], padding)


class AnthropicWire(Wire):
    """`POST /v1/messages`."""

    provider = "claude"
    vendor = "Anthropic"
    remark = (
        "It came as named events, from `message_start` to `message_stop`, with a ping among them."
    )
    key_variable = "ANTHROPIC"
    base_path = "/anthropic"
    chat_path = re.compile("/v1/messages")
    model_path = re.compile("/v1/models/(?P<model>.+)")
    count_path = re.compile("/v1/messages/count_tokens")
    content_type = "text/event-stream; charset=utf-8"
    request_id_header = "request-id"
    heartbeat = b'event: ping\ndata: {"type": "ping"}\n\n'
    mark = event("message_stop")

    def __init__(self, model: str, body: Any) -> None:
        super().__init__(model, body)
        self._block: str | None = None
        self._index = -1
        self._thinking: list[str] = []  # of the open block

    def read_turn(self, turn: dict[str, Any]) -> Turn:
        content = turn.get("content") or ()
        blocks = [{"text": content}] if isinstance(content, str) else content
        of_kind: dict[str, list[dict[str, Any]]] = {}
        for block in blocks:
            of_kind.setdefault(block.get("type") or "text", []).append(block)
        return Turn(
            str(turn.get("role")),
            [block["text"] for block in of_kind.get("text", ())],
            len(of_kind.get("image", ())),
            tuple(block["name"] for block in of_kind.get("tool_use", ())),
            tuple(read_result(block) for block in of_kind.get("tool_result", ())),
            len(of_kind.get("document", ())),
        )

    def read_offer(self) -> Offer:
        tools = tuple(
            Tool(tool["name"], tool.get("description") or "", tool["input_schema"])
            for tool in self.body.get("tools") or ()
            if "input_schema" in tool
        )
        choice = self.body.get("tool_choice") or {}
        form = (self.body.get("output_config") or {}).get("format") or {}
        is_parallel = choice.get("disable_parallel_tool_use") is not True
        kind = choice.get("type")
        offer = Offer(tools, kind in ("any", "tool"), is_parallel, form.get("schema"))
        if kind == "tool":
            return offer.only([choice["name"]])
        return offer.only(()) if kind == "none" else offer

    @property
    def is_thinking(self) -> bool:
        return (self.body.get("thinking") or {}).get("type") in ("enabled", "adaptive")

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
        entered = self._enter("thinking")
        if (self.body.get("thinking") or {}).get("display") == "omitted":
            return entered
        self._thinking.append(text)
        return entered + self._delta(type="thinking_delta", thinking=text)

    def call(self, call: ToolCall) -> list[bytes]:
        """A block of its own; the first piece of its arguments is empty, for `{}` the only one."""
        closed = self._close_block()
        use: dict[str, object] = {
            "id": call.id or make_id("toolu_01", 22),
            "name": call.name,
            "input": {},
        }
        started = self._enter("tool_use", use)
        pieces = ["", *split_arguments("" if call.arguments == "{}" else call.arguments)]
        deltas = [self._delta(type="input_json_delta", partial_json=piece) for piece in pieces]
        return [closed + started, *deltas]

    def finish(self) -> bytes:
        usage = self._usage(self.output_tokens) | {
            "output_tokens_details": {"thinking_tokens": self.reasoning_tokens}
        }
        reason = "tool_use" if self.calls else "end_turn"
        delta = {"stop_reason": reason, "stop_sequence": None}
        return self._close_block() + event("message_delta", delta=delta, usage=usage)

    def _enter(self, kind: str, fields: dict[str, object] | None = None) -> bytes:
        """The events between blocks, if the piece starts a new block."""
        if kind == self._block:
            return b""
        stopped = self._close_block()
        self._block = kind
        self._index += 1
        block = {"type": kind, **(fields or _EMPTY_BLOCKS[kind])}
        started = event("content_block_start", index=self._index, content_block=block)
        return stopped + started + (self.heartbeat if self._index == 0 else b"")

    def _close_block(self) -> bytes:
        if self._block is None:
            return b""
        signed = b""
        if self._block == "thinking":
            place = len(self.body.get("messages") or ())
            signature = sign(self.body, place, "".join(self._thinking))
            signed = self._delta(type="signature_delta", signature=signature)
        self._block, self._thinking = None, []
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
        return {
            "type": "model",
            "id": model,
            "display_name": model,
            "created_at": created,
            "lifecycle": "active",
        }

    @classmethod
    def error_body(cls, status: int) -> dict[str, object]:
        error = {
            "type": _ERROR_TYPES.get(status, "api_error"),
            "message": f"Simulated error {status}.",
        }
        return {"type": "error", "error": error, "request_id": "req_simulated"}


def read_result(block: dict[str, Any]) -> str:
    """What a tool returned: a text, or the texts among its parts."""
    content = block.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if "text" in part)
