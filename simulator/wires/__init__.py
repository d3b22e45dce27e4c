"""The vendors' wires, by provider; a new vendor is one file, and one row here."""

from __future__ import annotations

from simulator.wires.anthropic import AnthropicWire
from simulator.wires.base import Piece, Prompt, Thought, Wire
from simulator.wires.gemini import GeminiWire
from simulator.wires.groq import GroqWire
from simulator.wires.openai import LocalWire, OpenAIWire

WIRES: dict[str, type[Wire]] = {
    wire.provider: wire for wire in (OpenAIWire, AnthropicWire, GeminiWire, GroqWire, LocalWire)
}

__all__ = ["WIRES", "Piece", "Prompt", "Thought", "Wire"]
