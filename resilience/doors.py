"""The protocols in which the load asks: requests, and what the frames of an answer say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

_QUESTION = "Say something now."
_MESSAGES = {"messages": [{"role": "user", "content": _QUESTION}]}
_UI_MESSAGE = {"id": "1", "role": "user", "parts": [{"type": "text", "text": _QUESTION}]}


@dataclass(frozen=True)
class Door:
    """A protocol. Each of the marks is within one kind of frame alone."""

    path: str
    body: Mapping[str, Any]
    content: bytes
    end: bytes  # of the frame with the facts of a whole answer
    last: bytes  # of that which ends it
    error: bytes
    names_model: bool = True  # in the body, by the provider's name; else in the path

    def request(self, provider: str) -> bytes:
        """A chat's request, the last one of its connection."""
        named = {"model": provider} if self.names_model else {}
        body = msgspec.json.encode({**self.body, **named})
        head = (
            f"POST {self.path.format(provider)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Content-Type: application/json\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


DOORS = {
    "native": Door(
        "/chat/{}",
        _MESSAGES,
        content=b'"type":"delta"',
        end=b'"type":"end"',
        last=b"data: [DONE]",
        error=b'"type":"error"',
        names_model=False,
    ),
    "openai_chat": Door(
        "/v1/chat/completions",
        {**_MESSAGES, "stream": True},
        content=b'"delta":{"content":',
        end=b'"finish_reason":"',
        last=b"data: [DONE]",
        error=b'data: {"error":',
    ),
    "openai_responses": Door(
        "/v1/responses",
        {"input": _QUESTION, "stream": True},
        content=b"event: response.output_text.delta",
        end=b"event: response.completed",
        last=b"event: response.completed",
        error=b"event: error",
    ),
    "anthropic": Door(
        "/v1/messages",
        {**_MESSAGES, "stream": True, "max_tokens": 1_000},
        content=b'"type":"text_delta"',
        end=b"event: message_delta",
        last=b"event: message_stop",
        error=b"event: error",
    ),
    "ui_message": Door(
        "/ui/chat/{}",
        {"messages": [_UI_MESSAGE]},
        content=b'"type":"text-delta"',
        end=b'"type":"finish"',
        last=b"data: [DONE]",
        error=b'"error"',  # of two frames, the first of which has the code
        names_model=False,
    ),
}
NATIVE = DOORS["native"]


def find_facts(event: Mapping[str, Any]) -> dict[str, Any]:
    """What the gateway says of an answer or of an error, wherever the protocol has it."""
    holder = event.get("response") or event.get("messageMetadata") or event
    facts: dict[str, Any] = holder.get("gateway") or dict(event)
    error = facts.get("error")
    return error if isinstance(error, dict) else facts
