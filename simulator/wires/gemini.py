"""Gemini's streamGenerateContent: CRLF, spaced JSON, the usage in every chunk, no end mark but the stream's end."""

from __future__ import annotations

import json
import re

from simulator.wires.base import Wire

_ERROR_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class GeminiWire(Wire):
    """`POST /v1/models/{model}:streamGenerateContent?alt=sse`."""

    provider = "gemini"
    vendor = "Gemini"
    remark = "It came as chunks of candidates with CRLF line ends, ended by a `finishReason` and no other mark."
    key_variable = "GEMINI"
    base_path = "/gemini"
    chat_path = re.compile("/v1(?:beta)?/models/(?P<model>.+):streamGenerateContent")
    model_path = re.compile("/v1(?:beta)?/models/(?P<model>.+)")
    turns_key = "contents"
    parts_key = "parts"
    heartbeat = b": keep-alive\r\n\r\n"

    def opening(self) -> bytes:
        return b""  # the first chunk has content already

    def text(self, text: str) -> bytes:
        return self._chunk({"text": text})

    def thought(self, text: str) -> bytes:
        return self._chunk({"text": text, "thought": True})

    def finish(self) -> bytes:
        return self._chunk({"text": ""}, {"finishReason": "STOP"})

    def _chunk(self, part: dict[str, object], finish: dict[str, object] | None = None) -> bytes:
        chunk = {
            "candidates": [{"content": {"parts": [part], "role": "model"}, **(finish or {}), "index": 0}],
            "usageMetadata": self._usage(),
            "modelVersion": self.model,
            "responseId": f"simulated{self.number:08d}",
        }
        return f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ': '))}\r\n\r\n".encode()

    def _usage(self) -> dict[str, object]:
        words = self.prompt.words
        usage: dict[str, object] = {
            "promptTokenCount": words,
            "candidatesTokenCount": self.output_tokens - self.reasoning_tokens,
            "totalTokenCount": words + self.output_tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": words}],
        }
        return usage | ({"thoughtsTokenCount": self.reasoning_tokens} if self.reasoning_tokens else {})

    @classmethod
    def model_card(cls, model: str) -> dict[str, object]:
        return {
            "name": f"models/{model}",
            "version": "001",
            "displayName": model,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }

    @classmethod
    def error_body(cls, status: int) -> dict[str, object]:
        kind = _ERROR_STATUSES.get(status, "INTERNAL")
        return {"error": {"code": status, "message": f"Simulated error {status}.", "status": kind}}
