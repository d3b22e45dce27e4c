"""The recorded vendor streams, with what a client must get of each, in the gateway's words.

The expectations are read from the recordings' own descriptions, by tables of this file: not by the code under test.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import CORPUS

PROVIDERS = {"openai": "gpt", "anthropic": "claude", "gemini": "gemini", "groq": "groq"}
APIS = (
    "chat.completions",
    "responses",
    "messages",
    "streamGenerateContent",
    "streamGenerateContent(vertex)",
)
PLAYERS = ("gpt", "responses", "claude", "gemini", "groq")

# The vendors' words for how an answer ended, in the contract's.
FINISH_REASONS = {
    "stop": "stop",
    "STOP": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "length": "length",
    "incomplete:max_output_tokens": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "pause_turn": "other",
}

# Recordings that end in an error, with its code: failures in mid-stream, one cut short, one prompt that was blocked.
_ERRORS = {
    "gemini/076": "upstream_unavailable",
    "gemini/081": "upstream_truncated",
    "openai/134": "rate_limited",
    "groq/030": "rejected_by_provider",
    "groq/031": "rejected_by_provider",
    "blockReason": "content_filtered",
}


class Recording(NamedTuple):
    """One stream: its name in the corpus, the provider that reads it, its bytes, and its description."""

    name: str
    provider: str
    body: bytes
    meta: dict[str, Any]

    def __repr__(self) -> str:
        return self.name

    @property
    def player(self) -> str:
        """What plays it: the provider, or `responses` for GPT by the Responses API."""
        return "responses" if self.meta["api"] == "responses" else self.provider

    @property
    def text(self) -> str:
        """All visible text."""
        return str(self.meta["expected_text"])

    @property
    def reasoning(self) -> str:
        """All thinking text."""
        return str(self.meta.get("expected_reasoning_text") or "")

    @property
    def refusal(self) -> str:
        """All of a refusal's text."""
        return str(self.meta.get("expected_refusal_text") or "")

    @property
    def error_code(self) -> str | None:
        """The code of the error that it ends in, None if it ends well."""
        if str(self.meta["finish_reason"]).startswith("blockReason"):
            return _ERRORS["blockReason"]
        return _ERRORS.get(self.name[: self.name.index("/") + 4])

    @property
    def finish_reason(self) -> str:
        """The gateway's word for its end."""
        if self.refusal:
            return "content_filter"
        reason = FINISH_REASONS[self.meta["finish_reason"]]
        has_calls = self.meta.get("expected_tool_calls") and self.meta["api"] != "messages"
        return "tool_calls" if has_calls and reason == "stop" else reason

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        """Input tokens with the cached ones in them, output tokens with the reasoning ones."""
        usage, raw = self.meta.get("usage") or {}, self.meta.get("usage_raw") or {}
        given, made = usage.get("input_tokens"), usage.get("output_tokens")
        for beside in (
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "toolUsePromptTokenCount",
        ):
            given = None if given is None else given + (raw.get(beside) or 0)
        thoughts = usage.get("thoughts_tokens")
        if thoughts is not None:
            made = (made or 0) + thoughts
        return given, made


def kind_of(recording: Recording) -> tuple[str, ...]:
    """What makes recordings alike: the provider and its wire, which content there is, and how it ends."""
    meta = recording.meta
    content = sorted(
        name for name in meta if meta[name] and name.startswith(("expected_", "usage"))
    )
    return recording.player, *content, str(meta["finish_reason"])


@cache
def recordings() -> list[Recording]:
    """Every recording of the wires that the gateway speaks, the shortest first; none if the corpus is absent."""
    return (
        sorted(_read(CORPUS), key=lambda recording: len(recording.body)) if CORPUS.is_dir() else []
    )


def _read(folder: Path) -> Iterator[Recording]:
    for description in sorted(folder.glob("*/*/meta.json")):
        meta = json.loads(description.read_text())
        if meta.get("api") in APIS and description.parts[-3] in PROVIDERS:
            name = "/".join(description.parts[-3:-1])
            body, meta = last_response((description.parent / "response.sse").read_bytes(), meta)
            yield Recording(name, PROVIDERS[description.parts[-3]], body, meta)


def last_response(body: bytes, meta: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """A recording and its description; of one that joins several responses of Anthropic's, the last response."""
    start = body.rfind(b"event: message_start")
    if start <= 0:
        return body, meta
    assert meta["expected_text"] == _join_texts(body)
    return body[start:], {
        **meta,
        "expected_text": _join_texts(body[start:]),
        "expected_tool_calls": [],
    }


def _join_texts(body: bytes) -> str:
    events = [json.loads(line[5:]) for line in body.splitlines() if line.startswith(b"data:")]
    return "".join(event.get("delta", {}).get("text", "") for event in events)


def cut(body: bytes, seed: int, pieces: int = 12) -> list[bytes]:
    """The body in pieces, at places that the seed chooses."""
    places = sorted(random.Random(seed).sample(range(1, len(body)), min(pieces - 1, len(body) - 1)))
    return [body[begin:end] for begin, end in zip([0, *places], [*places, len(body)], strict=True)]
