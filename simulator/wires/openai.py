"""OpenAI's chat completions: an empty first delta, usage last with empty `choices` where it is asked for, `[DONE]`."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from simulator.wires.base import Wire

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
    remark = "It came as chat completion chunks: an empty first delta, then the text, the usage last, and `[DONE]`."
    key_variable = "OPENAI"
    base_path = "/openai/v1"
    chat_path = re.compile("/chat/completions")
    model_path = re.compile("/models/(?P<model>.+)")
    content_type = "text/event-stream; charset=utf-8"
    mark = b"data: [DONE]\n\n"
    fingerprint: ClassVar[str] = "fp_simulated"

    def opening(self) -> bytes:
        return self.chunk({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> bytes:
        return self.chunk({"content": text})

    def finish(self) -> bytes:
        last = self.chunk({}, "stop")
        if self.wants_usage:
            last += self.event({"choices": [], "usage": self.usage()})
        return last

    @property
    def wants_usage(self) -> bool:
        """Whether the request asks for the usage."""
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    def chunk(self, delta: dict[str, object], finish_reason: str | None = None, **more: object) -> bytes:
        """One event with one choice."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self.wants_usage else {}
        return self.event({"choices": [choice], **usage, **more})

    def event(self, rest: dict[str, object]) -> bytes:
        """One event with what every event has."""
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
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens, "audio_tokens": 0},
        }

    @classmethod
    def model_card(cls, model: str) -> dict[str, object]:
        return {"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "simulator"}

    @classmethod
    def error_body(cls, status: int) -> dict[str, object]:
        kind, code = ERROR_CODES.get(status, ("server_error", None))
        return {"error": {"message": f"Simulated error {status}.", "type": kind, "param": None, "code": code}}


class LocalWire(OpenAIWire):
    """A server of one's own that speaks chat completions and shows its reasoning, as vLLM does."""

    provider = "local"
    vendor = "a local server"
    remark = "It came as chat completion chunks, the way that Ollama, vLLM and llama.cpp send them."
    key_variable = "LOCAL"
    base_path = "/local/v1"

    def thought(self, text: str) -> bytes:
        return self.chunk({"reasoning_content": text})
