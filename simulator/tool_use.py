"""Which tools a simulated answer calls, and with what arguments."""

from __future__ import annotations

import json
import re

from simulator.question import Question
from simulator.schema_values import make_value
from simulator.wires import ToolCall, Wire
from simulator.wires.request import Offer, Tool

_MOST_CALLS = 8
_PURPOSE_CHARACTERS = 200
_COMMON_WORDS = set(
    re.findall(
        r"\w+",
        "all and any are can for from get has have how its not now one our that the their them "
        "then there they this tool use was what when which who why will with you your",
    )
)


def choose_calls(wire: Wire, offer: Offer) -> list[ToolCall]:
    """The calls with which the answer begins; none if it is to be text.

    After results it is text, unless the request requires a call.
    """
    if not offer.tools or (wire.prompt.results and not offer.is_required):
        return []
    asked = _find_words(wire.prompt.question)
    # A tool that was not called yet is the next one; then the one that suits the question best.
    ranked = sorted(
        offer.tools,
        key=lambda tool: (tool.name in wire.prompt.called, -_count_shared(tool, asked)),
    )
    if not offer.is_required and not _count_shared(ranked[0], asked):
        return []
    return make_calls(ranked[0], Question(wire.prompt.question), is_parallel=offer.is_parallel)


def make_calls(tool: Tool, question: Question, *, is_parallel: bool) -> list[ToolCall]:
    """One call; with a list in the question one for each of its values, if they may be parallel."""
    calls: list[ToolCall] = []
    while not calls or (is_parallel and question.has_more and len(calls) < _MOST_CALLS):
        arguments = make_value(tool.schema, question) if tool.schema else {}
        calls.append(ToolCall(tool.name, json.dumps(arguments, ensure_ascii=False)))
    return calls


def _find_words(text: str) -> set[str]:
    """The words of a text or of a name, but for those that every question may have."""
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text).lower()
    return set(re.findall(r"[^\W\d]{3,}", separated)) - _COMMON_WORDS


def _count_shared(tool: Tool, asked: set[str]) -> int:
    """How many words the tool's name and description have in common with the question.

    Agents describe a tool on pages; what it is for is at the beginning.
    """
    words = _find_words(f"{tool.name} {tool.description[:_PURPOSE_CHARACTERS]}")
    return sum(
        any(word.startswith(other) or other.startswith(word) for other in words) for word in asked
    )
