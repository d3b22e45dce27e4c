"""The content of a simulated answer. It quotes the question, and states that no model was asked."""

from __future__ import annotations

import json
import re

from simulator.question import Question
from simulator.schema_values import make_value
from simulator.tool_use import choose_calls
from simulator.wires import Piece, Thought, Wire

_QUOTED_CHARACTERS = 120


def compose(wire: Wire) -> tuple[Piece, ...]:
    """The pieces of an answer: tool calls, JSON if the request has a schema for it, or text."""
    offer = wire.read_offer()
    calls = choose_calls(wire, offer)
    thoughts = map(Thought, split_into_pieces(compose_reasoning(wire, is_calling=bool(calls))))
    if calls:
        return (*thoughts, *calls)
    if offer.output is None:
        return (*thoughts, *split_into_pieces(compose_answer(wire)))
    value = make_value(offer.output, Question(wire.prompt.question))
    return (*thoughts, *split_into_pieces(json.dumps(value, ensure_ascii=False)))


def compose_answer(wire: Wire) -> str:
    """A few sentences of markdown."""
    kinds = {"image": wire.prompt.images, "file": wire.prompt.files}
    media = "".join(f" and {_count(number, kind)}" for kind, number in kinds.items() if number)
    results = [f"- “{_shorten(result)}”" for result in wire.prompt.results]
    paragraphs = [
        f"You asked **{wire.model}**: “{_shorten(wire.prompt.question)}”",
        *(["The tools returned:\n\n" + "\n".join(results)] if results else []),
        f"This is a *simulated* answer in {wire.vendor}'s format. "
        "No model was asked, no key was needed, and nothing has left this machine.",
        f"- {wire.remark}\n- Your prompt has {_count(wire.prompt.words, 'word')}{media}.\n"
        f"- With a real key in `{wire.key_variable}_API_KEY` "
        "the same request reaches the real model.",
    ]
    return "\n\n".join(paragraphs)


def compose_reasoning(wire: Wire, *, is_calling: bool = False) -> str:
    """The reasoning before the answer, if the question contains the word `think`.

    A call has some, too, if the request turns thinking on.
    """
    if "think" in wire.prompt.question.lower():
        return (
            "The user wants to see some thinking. "
            "There is no model here, so this thought is simulated, too."
        )
    return "A tool can answer this." if is_calling and wire.is_thinking else ""


def split_into_pieces(text: str) -> list[str]:
    """Split a text into pieces of about four characters."""
    return re.findall(r"\s*\S{1,5}|\s+", text)


def _shorten(text: str) -> str:
    words = " ".join(text.split())
    if len(words) <= _QUOTED_CHARACTERS:
        return words
    return words[:_QUOTED_CHARACTERS].rstrip() + "…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
