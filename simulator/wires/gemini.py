"""Gemini's streamGenerateContent: CRLF, JSON with spaces, usage in every chunk, no end mark."""

from __future__ import annotations

import base64
import json
import re
import string
from typing import Any

from simulator.wires.base import ToolCall, Wire, make_id
from simulator.wires.request import Offer, Tool, Turn

_ERROR_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# Their content has names of the client's own.
_FREE_FIELDS = {
    "args",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
    "responseSchema",
}
SIGNED = b"simulated thought "  # the beginning of what a signature encodes
# Older models give their calls neither ids nor signatures.
SIGNS_CALLS = re.compile(r"(models/)?gemini-([3-9]|flash-latest|pro-latest)")


class GeminiWire(Wire):
    """`POST /v1/models/{model}:streamGenerateContent?alt=sse`."""

    provider = "gemini"
    vendor = "Gemini"
    remark = (
        "It came as chunks of candidates with CRLF line ends, "
        "ended by a `finishReason` and no other mark."
    )
    key_variable = "GEMINI"
    base_path = "/gemini"
    chat_path = re.compile("/v1(?:beta)?/models/(?P<model>.+):streamGenerateContent")
    model_path = re.compile("/v1(?:beta)?/models/(?P<model>.+)")
    count_path = re.compile("/v1(?:beta)?/models/(?P<model>.+):countTokens")
    turns_key = "contents"
    parts_key = "parts"
    heartbeat = b": keep-alive\r\n\r\n"

    def __init__(self, model: str, body: Any) -> None:
        body = _in_camel_case(body)
        counted = body.get("generateContentRequest") if isinstance(body, dict) else None
        super().__init__(model, counted or body)

    def read_turn(self, turn: dict[str, Any]) -> Turn:
        parts = turn.get("parts") or ()
        texts = [part["text"] for part in parts if part.get("text")]
        media = [part["inlineData"]["mimeType"] for part in parts if "inlineData" in part]
        files = sum(kind == "application/pdf" for kind in media)
        calls = tuple(part["functionCall"]["name"] for part in parts if "functionCall" in part)
        responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
        results = tuple(read_result(response.get("response") or {}) for response in responses)
        return Turn(str(turn.get("role")), texts, len(media) - files, calls, results, files)

    def read_offer(self) -> Offer:
        declared = [
            function
            for tool in self.body.get("tools") or ()
            for function in tool.get("functionDeclarations") or ()
        ]
        tools = tuple(
            Tool(
                function["name"],
                function.get("description") or "",
                function.get("parametersJsonSchema") or function.get("parameters") or {},
            )
            for function in declared
        )
        config = (self.body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        form = self.body.get("generationConfig") or {}
        output = form.get("responseJsonSchema") or form.get("responseSchema")
        if not output and form.get("responseMimeType") == "application/json":
            output = {"type": "object"}
        offer = Offer(tools, config.get("mode") == "ANY", output=output)
        if config.get("mode") == "NONE":
            return offer.only(())
        allowed = config.get("allowedFunctionNames")
        return offer.only(allowed) if allowed else offer

    @property
    def is_thinking(self) -> bool:
        config = (self.body.get("generationConfig") or {}).get("thinkingConfig") or {}
        return bool(config.get("includeThoughts"))

    def opening(self) -> bytes:
        return b""  # the first chunk has content already

    def text(self, text: str) -> bytes:
        return self._chunk({"text": text})

    def thought(self, text: str) -> bytes:
        return self._chunk({"text": text, "thought": True})

    def call(self, call: ToolCall) -> list[bytes]:
        """The whole call; newer models give it an id, and sign an answer's first one."""
        function: dict[str, object] = {"name": call.name}
        if call.arguments:
            function["args"] = json.loads(call.arguments)
        is_signing = SIGNS_CALLS.match(self.model)
        if call.id or is_signing:
            function["id"] = call.id or make_id("", 8, string.ascii_lowercase + string.digits)
        part: dict[str, object] = {"functionCall": function}
        if is_signing and not self.calls:
            part["thoughtSignature"] = base64.b64encode(SIGNED + call.name.encode()).decode()
        return [self._chunk(part)]

    def finish(self) -> bytes:
        return self._chunk({"text": ""}, {"finishReason": "STOP"})

    def _chunk(self, part: dict[str, object], finish: dict[str, object] | None = None) -> bytes:
        chunk = {
            "candidates": [
                {"content": {"parts": [part], "role": "model"}, **(finish or {}), "index": 0}
            ],
            "usageMetadata": self._usage(),
            "modelVersion": self.model,
            "responseId": f"simulated{self.number:08d}",
        }
        text = json.dumps(chunk, ensure_ascii=False, separators=(",", ": "))
        return f"data: {text}\r\n\r\n".encode()

    def _usage(self) -> dict[str, object]:
        words = self.prompt.words
        usage: dict[str, object] = {
            "promptTokenCount": words,
            "candidatesTokenCount": self.output_tokens - self.reasoning_tokens,
            "totalTokenCount": words + self.output_tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": words}],
        }
        return usage | (
            {"thoughtsTokenCount": self.reasoning_tokens} if self.reasoning_tokens else {}
        )

    def token_count(self) -> dict[str, object]:
        words = self.prompt.words
        details = [{"modality": "TEXT", "tokenCount": words}]
        return {"totalTokens": words, "promptTokensDetails": details}

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


def _in_camel_case(value: Any) -> Any:
    """The request with field names in one spelling: the vendor accepts underscores, too."""
    if isinstance(value, list):
        return [_in_camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {re.sub(r"_(\w)", lambda found: found[1].upper(), name): name for name in value}
    return {
        name: value[sent] if name in _FREE_FIELDS else _in_camel_case(value[sent])
        for name, sent in renamed.items()
    }


def read_result(response: dict[str, Any]) -> str:
    """What a function returned: usually under one key, `output`, `result` or `error`."""
    values = list(response.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return json.dumps(response, ensure_ascii=False)
