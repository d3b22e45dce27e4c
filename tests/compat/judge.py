"""What was seen of a cell, in the words of the expectations, and what is wrong with it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models import ERROR_KINDS
from tests.compat.rig import FALLBACK, PARTIAL, WHOLE

if TYPE_CHECKING:
    from tests.compat.cells import Cell, Facts

WEATHER, TIME = "mild and dry", "half past nine"
RESULTS = {"get_weather": WEATHER, "get_time": TIME}

# The clients' and the protocols' words for the same ends.
_FINISHES = {
    "stop": "stop",
    "end_turn": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "content-filter": "content_filter",
    "refusal": "content_filter",
    "tool_calls": "tool_calls",
    "tool-calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
}  # Responses has no word of its own for an answer that calls tools.
_FINISHES_WITH_CALLS = {"completed": "tool_calls"}

# An error of the client's own for an answer that ended so. The last two are Claude Code's words.
_REFUSAL = re.compile(
    "refus|content.?filter|unable to generate|safeguards flagged|can't help with this",
    re.IGNORECASE,
)
_LENGTH = re.compile("length|max.?(output.?)?tokens|incomplete", re.IGNORECASE)


@dataclass
class Verdict:
    """A cell, what was seen of it, and what is wrong with that."""

    cell: Cell
    seen: Facts
    wrong: list[str] = field(default_factory=list)
    detail: str = ""


def judge(
    cell: Cell, seen: dict[str, Any], records: list[dict[str, Any]], models: tuple[str, ...]
) -> Verdict:
    """Compare what a client saw, and the gateway's records of its chats, with what is expected."""
    stated = _state(seen, records, models)
    facts = cell.facts
    wrong = [
        f"{name}: {stated.get(name)!r} for {expected!r}"
        for name, expected in facts.items()
        if not _is_as(name, expected, stated, seen)
    ]
    if seen["error"] and not {"error", "ends"} & facts.keys():
        wrong.append(f"an error: {stated['error']}")
    shown = {name: stated.get(name) for name in (*facts, "error") if stated.get(name) is not None}
    return Verdict(cell, shown, wrong, json.dumps(seen, ensure_ascii=False))


def _state(
    seen: dict[str, Any], records: list[dict[str, Any]], models: tuple[str, ...]
) -> dict[str, Any]:
    error, record = seen["error"] or {}, records[-1] if records else {}
    served = dict(zip(models, ("default", "fallback"), strict=False))
    counted = [record.get("input_tokens"), record.get("output_tokens")]
    return {
        "text": _state_text(seen["text"]),
        "finish": _FINISHES.get(seen["finish"], seen["finish"]),
        "calls": [
            f"{call['name']} {json.dumps(call['arguments'], ensure_ascii=False)}"
            for call in seen["calls"]
        ],
        "value": seen["text"] if seen["value"] is None else json.dumps(seen["value"]),
        "model": served.get(seen["model"], seen["model"]),
        "usage": None not in counted and counted == [seen["input_tokens"], seen["output_tokens"]],
        "error": _find_code(error) if error else None,
        "status": error.get("status"),
        "retry_after": int(error.get("retry_after") or 0) or None,
        "asks": len(records),
        "outcome": record.get("outcome"),
        "ends": _find_end(seen, error),
    }


def _find_end(seen: dict[str, Any], error: dict[str, Any]) -> str:
    """How the answer ended; an error that the client raises by itself, without a status, says it too."""
    finish, raised = _FINISHES.get(seen["finish"]), ""
    if error and not error["status"]:
        raised = f"{error['class']} {error['text']}"
    if seen["refusal"] or finish == "content_filter" or _REFUSAL.search(raised):
        return "refusal"
    return "length" if finish == "length" or _LENGTH.search(raised) else "unsaid"


def _state_text(text: str) -> str:
    known = {WHOLE: "whole", PARTIAL: "partial", "".join(FALLBACK): "fallback", "": "none"}
    if text in known:
        return known[text]
    if any(result in text for result in RESULTS.values()):
        return "results"
    return "image" if "1 image" in text else "some"


def _find_code(error: dict[str, Any]) -> str:
    """The gateway's code, which the error has itself or by its message; else the error's class."""
    said = f"{error.get('code')} {error['text']}"
    by_message = [code for code, kind in ERROR_KINDS.items() if kind.message in said]
    by_code = [code for code in ERROR_KINDS if re.search(rf"\b{code}\b", said)]
    return str([*by_message, *by_code, error["class"]][0])


def _is_as(name: str, expected: Any, stated: Facts, seen: dict[str, Any]) -> bool:
    if name == "calls":  # parallel calls have no order that matters
        return sorted(stated["calls"]) == sorted(expected)
    if name == "finish" and expected == "tool_calls":
        return expected in (stated["finish"], _FINISHES_WITH_CALLS.get(seen["finish"]))
    if name == "text" and expected == "partial":
        # A client may drop what it has; the error says that it is not whole.
        return stated["text"] in ("partial", "none")
    return bool(stated.get(name) == expected)
