"""The vendors' wires. A new vendor is one file, and one row here."""

from __future__ import annotations

from simulator.wires.anthropic import AnthropicWire
from simulator.wires.base import Piece, Thought, ToolCall, Wire
from simulator.wires.gemini import GeminiWire
from simulator.wires.groq import GroqWire
from simulator.wires.openai import LocalWire, OpenAIWire
from simulator.wires.openai_responses import ResponsesWire

WIRES: dict[str, type[Wire]] = {
    wire.provider: wire for wire in (OpenAIWire, AnthropicWire, GeminiWire, GroqWire, LocalWire)
}
"""By provider: the wire of most servers with its API."""

SERVED_WIRES: tuple[type[Wire], ...] = (*WIRES.values(), ResponsesWire)

__all__ = [
    "SERVED_WIRES",
    "WIRES",
    "LocalWire",
    "Piece",
    "ResponsesWire",
    "Thought",
    "ToolCall",
    "Wire",
]
