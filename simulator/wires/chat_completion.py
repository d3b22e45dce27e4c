"""A chat completion that is not streamed: one object, made of the chunks of the stream."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_DATA = re.compile(rb"^data: ?(\{[^\r\n]*)", re.MULTILINE)
_TEXTS = ("content", "refusal", "reasoning", "reasoning_content")


def join_chunks(events: bytes) -> tuple[bytes, bool]:
    """The body, and whether it is whole. Without a finish reason it is cut after the text.

    An error in the stream is the body instead.
    """
    answer: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: dict[int, Any] = {}
    reason = None
    for data in _DATA.findall(events):
        try:
            chunk = msgspec.json.decode(data)
        except ValueError:  # of JSON or of UTF-8
            reason = None
            break
        if "error" in chunk or "message" in chunk:
            return data, True
        if "choices" in chunk:
            answer |= {name: value for name, value in chunk.items() if value}
        for choice in chunk.get("choices") or ():
            _add(message, choice.get("delta") or {}, calls)
            reason = choice.get("finish_reason") or reason
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    body = msgspec.json.encode({**answer, "object": "chat.completion", "choices": [choice]})
    return (body, True) if reason else (body[: body.rindex(b',"logprobs"')], False)


def _add(message: dict[str, Any], delta: dict[str, Any], calls: dict[int, Any]) -> None:
    """Add a delta; `calls` has the newest call of each index."""
    for name in _TEXTS:
        if name in delta:
            message[name] = (message.get(name) or "") + (delta[name] or "") or None
    for piece in delta.get("tool_calls") or ():
        if "id" in piece:
            calls[piece["index"]] = call = {k: v for k, v in piece.items() if k != "index"}
            message.setdefault("tool_calls", []).append(call)
        else:
            function = calls[piece["index"]]["function"]
            function["arguments"] += piece["function"]["arguments"]
