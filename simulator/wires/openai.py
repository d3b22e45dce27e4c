"""OpenAI's chat completions: an empty first delta, and `[DONE]`.

The usage is last, with empty `choices`, if it was requested.
"""

from __future__ import annotations

import re
import string
from typing import Any, ClassVar

import msgspec

from simulator.wires.base import ToolCall, Wire, make_id, split_arguments
from simulator.wires.request import Offer, Tool, Turn

ERROR_CODES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


class OpenAIWire(Wire):
    """`POST /v1/chat/completions`."""

    provider = "gpt"
    vendor = "OpenAI"
    remark = (
        "It came as chat completion chunks: "
        "an empty first delta, then the text, the usage last, and `[DONE]`."
    )
    key_variable = "OPENAI"
    base_path = "/openai/v1"
    chat_path = re.compile("/chat/completions")
    model_path = re.compile("/models/(?P<model>.+)")
    content_type = "text/event-stream; charset=utf-8"
    mark = b"data: [DONE]\n\n"
    fingerprint: ClassVar[str] = "fp_simulated"

    @property
    def is_streamed(self) -> bool:
        return self.body.get("stream") is True

    def read_turn(self, turn: dict[str, Any]) -> Turn:
        role, content = str(turn.get("role")), turn.get("content") or ()
        parts = [{"text": content}] if isinstance(content, str) else content
        texts = [part["text"] for part in parts if "text" in part]
        if role == "tool":
            return Turn(role, [], results=(" ".join(texts),))
        calls = tuple(call["function"]["name"] for call in turn.get("tool_calls") or ())
        files = sum(part.get("type") in ("file", "input_file") for part in parts)
        return Turn(role, texts, len(parts) - len(texts) - files, calls, files=files)

    def read_offer(self) -> Offer:
        functions = [tool.get("function") or {} for tool in self.body.get("tools") or ()]
        tools = tuple(
            Tool(tool["name"], tool.get("description") or "", tool.get("parameters") or {})
            for tool in functions
            if "name" in tool
        )
        choice = self.body.get("tool_choice")
        is_parallel = self.body.get("parallel_tool_calls") is not False
        offer = Offer(tools, choice == "required", is_parallel, self.read_output())
        if choice == "none":
            return offer.only(())
        if not isinstance(choice, dict):
            return offer
        if allowed := choice.get("allowed_tools"):
            names = [tool["function"]["name"] for tool in allowed["tools"]]
            return offer.only(names)._replace(is_required=allowed["mode"] == "required")
        return offer.only([choice["function"]["name"]])._replace(is_required=True)

    def read_output(self) -> dict[str, Any] | None:
        """The schema that the answer must fit, if the request has any."""
        form = self.body.get("response_format") or {}
        if form.get("type") == "json_object":
            return {"type": "object"}
        schema: dict[str, Any] | None = (form.get("json_schema") or {}).get("schema")
        return schema

    def opening(self) -> bytes:
        return self.chunk({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> bytes:
        return self.chunk({"content": text})

    def call(self, call: ToolCall) -> list[bytes]:
        opened = self.call_piece(call.name, call.id or self.make_call_id(call.name))
        more = [self.call_piece(arguments=piece) for piece in split_arguments(call.arguments)]
        return [opened, *more]

    def call_piece(
        self, name: str | None = None, call_id: str | None = None, arguments: str = ""
    ) -> bytes:
        """A piece of the newest call; the first has its name and id."""
        function: dict[str, object] = {"arguments": arguments}
        piece: dict[str, object] = {"index": self.calls, "function": function}
        if call_id:
            piece |= {"id": call_id, "type": "function", "function": {"name": name, **function}}
        return self.chunk({"tool_calls": [piece]})

    def make_call_id(self, name: str) -> str:
        """An id in the vendor's style for a call of that tool."""
        return make_id("call_", 24)

    @property
    def finish_reason(self) -> str:
        """The natural end; a call of the one function that was asked for is `stop`."""
        is_named = isinstance(choice := self.body.get("tool_choice"), dict) and "function" in choice
        return "tool_calls" if self.calls and not is_named else "stop"

    def finish(self) -> bytes:
        last = self.chunk({}, self.finish_reason)
        if self.wants_usage or not self.is_streamed:
            last += self.event({"choices": [], "usage": self.usage()})
        return last

    @property
    def wants_usage(self) -> bool:
        """Whether the request asks for the usage."""
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    def chunk(
        self, delta: dict[str, object], finish_reason: str | None = None, **more: object
    ) -> bytes:
        """One event with one choice."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self.wants_usage else {}
        return self.event({"choices": [choice], **usage, **more})

    def event(self, rest: dict[str, object]) -> bytes:
        """One event, with the fields that all events have."""
        common = {
            "id": f"chatcmpl-simulated{self.number:08d}",
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": self.fingerprint,
        }
        return b"data: " + msgspec.json.encode({**common, **rest}) + b"\n\n"

    def usage(self) -> dict[str, object]:
        """The token counts."""
        return {
            "prompt_tokens": self.prompt.words,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.prompt.words + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
            },
        }

    @classmethod
    def model_card(cls, model: str) -> dict[str, object]:
        return {"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "simulator"}

    @classmethod
    def error_body(cls, status: int) -> dict[str, object]:
        kind, code = ERROR_CODES.get(status, ("server_error", None))
        return {
            "error": {
                "message": f"Simulated error {status}.",
                "type": kind,
                "param": None,
                "code": code,
            }
        }


class LocalWire(OpenAIWire):
    """A local server with the chat completions API that returns its reasoning, as vLLM does."""

    provider = "local"
    vendor = "a local server"
    remark = "It came as chat completion chunks, the way that Ollama, vLLM and llama.cpp send them."
    key_variable = "LOCAL"
    base_path = "/local/v1"

    def thought(self, text: str) -> bytes:
        return self.chunk({"reasoning_content": text})

    def make_call_id(self, name: str) -> str:
        return make_id("chatcmpl-tool-", 32, string.hexdigits.lower()[:16])
