"""Groq: chat completions with reasoning and `x_groq`; the usage is in three places."""

from __future__ import annotations

import re
import uuid

from simulator.wires.base import ToolCall
from simulator.wires.openai import OpenAIWire


class GroqWire(OpenAIWire):
    """`POST /openai/v1/chat/completions`."""

    provider = "groq"
    vendor = "Groq"
    remark = "It came as chat completion chunks with Groq's own `x_groq` additions."
    key_variable = "GROQ"
    base_path = "/groq"
    chat_path = re.compile("/openai/v1/chat/completions")
    model_path = re.compile("/openai/v1/models/(?P<model>.+)")
    content_type = "text/event-stream"

    def opening(self) -> bytes:
        return self.chunk({"role": "assistant", "content": ""}, x_groq={"id": self._request_id})

    def thought(self, text: str) -> bytes:
        return self.chunk({"reasoning": text, "channel": "analysis"})

    def call(self, call: ToolCall) -> list[bytes]:
        """The whole call in one event."""
        call_id = call.id or self.make_call_id(call.name)
        return [self.call_piece(call.name, call_id, call.arguments)]

    def make_call_id(self, name: str) -> str:
        """An id in the style of the model's maker: Kimi's are the same in every turn."""
        if self.model.startswith("moonshotai/"):
            return f"functions.{name}:{self.calls}"
        return f"fc_{uuid.uuid4()}"

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.calls else "stop"

    def finish(self) -> bytes:
        usage = self.usage()
        reason, request = self.finish_reason, {"id": self._request_id}
        if not self.is_streamed:
            return self.chunk({}, reason, x_groq=request, usage=usage, service_tier="on_demand")
        last = self.chunk({}, reason, x_groq={**request, "usage": usage}, usage=usage)
        if self.wants_usage:
            last += self.event({"choices": [], "usage": usage, "service_tier": "on_demand"})
        return last

    def usage(self) -> dict[str, object]:
        return {
            "queue_time": 0.005,
            "prompt_tokens": self.prompt.words,
            "prompt_time": 0.006,
            "completion_tokens": self.output_tokens,
            "completion_time": 0.027,
            "total_tokens": self.prompt.words + self.output_tokens,
            "total_time": 0.033,
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }

    @property
    def _request_id(self) -> str:
        return self.headers[self.request_id_header]
