"""The words of a simulated answer: readable, about the question, and honest that no model was asked."""

from __future__ import annotations

import re

from simulator.wires import Wire

_QUOTED_CHARACTERS = 120


def compose_answer(wire: Wire) -> str:
    """A few sentences of markdown."""
    paragraphs = [
        f"You asked **{wire.model}**: “{_quote(wire.prompt.question)}”",
        f"This is a *simulated* answer in {wire.vendor}'s format. No model was asked, no key was needed, "
        "and nothing has left this machine.",
        f"- {wire.remark}\n- Your prompt has {_count(wire.prompt.words, 'word')}{_images(wire)}.\n"
        f"- With a real key in `{wire.key_variable}_API_KEY` the same request reaches the real model.",
    ]
    return "\n\n".join(paragraphs)


def compose_reasoning(wire: Wire) -> str:
    """The thinking before the answer, where the question asks for it with the word `think`."""
    if "think" not in wire.prompt.question.lower():
        return ""
    return "The user wants to see some thinking. There is no model here, so this thought is simulated, too."


def split_into_pieces(text: str) -> list[str]:
    """A text in pieces of about four characters; joined, they are the text."""
    return re.findall(r"\s*\S{1,5}|\s+", text)


def _quote(question: str) -> str:
    plain = " ".join(question.split())
    return plain if len(plain) <= _QUOTED_CHARACTERS else plain[:_QUOTED_CHARACTERS].rstrip() + "…"


def _images(wire: Wire) -> str:
    return f" and {_count(wire.prompt.images, 'image')}" if wire.prompt.images else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
