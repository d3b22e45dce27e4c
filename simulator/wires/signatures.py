"""Signatures of Anthropic's thinking blocks, which bind a block to the conversation before it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

_DIGEST = 8  # bytes, of each part
_THINKING = ("thinking", "redacted_thinking")


def sign(body: dict[str, Any], place: int, thinking: str) -> str:
    """The signature of a block in the message at that place."""
    return base64.b64encode(b"".join(_digests(body, place, thinking).values())).decode()


def find_change(body: dict[str, Any], place: int, block: dict[str, Any]) -> str | None:
    """What is not as it was signed: the `block`, the `system` prompt, the `tools` or `messages`."""
    try:
        signed = base64.b64decode(block.get("signature") or "", validate=True)
    except binascii.Error:
        return "block"
    digests = _digests(body, place, block.get("thinking") or "")
    if len(signed) != _DIGEST * len(digests):
        return "block"
    for number, (part, digest) in enumerate(digests.items()):
        if signed[number * _DIGEST : (number + 1) * _DIGEST] != digest:
            return part
    return None


def _digests(body: dict[str, Any], place: int, thinking: str) -> dict[str, bytes]:
    signed = {
        "block": thinking,
        "system": _plain(body.get("system") or ""),
        "tools": _plain(body.get("tools") or []),
        "messages": [
            {"role": message.get("role"), "content": _plain(message.get("content") or "")}
            for message in (body.get("messages") or [])[:place]
        ],
    }
    return {
        part: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:_DIGEST]
        for part, value in signed.items()
    }


def _plain(content: Any) -> list[Any]:
    """Blocks without what does not count: marks for the cache, and earlier thinking."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [
        {name: value for name, value in block.items() if name != "cache_control"}
        for block in blocks
        if block.get("type") not in _THINKING
    ]
