"""The expectations as data: each case of `expected.toml`, for each vendor and scenario, is a cell of the matrix."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from simulator.endpoints import ENDPOINTS
from simulator.faults import FAULTS
from tests.fault_matrix.doors import DOORS, NATIVE

EXPECTED = Path(__file__).parent / "expected.toml"
VENDORS = ("gpt", "responses", "claude", "gemini", "groq")  # `responses`: gpt by the Responses API
SCENARIOS = ("default", "both")

Sentry = Literal["S0", "S1", "S2", "S3"]
Pace = Literal["reading", "working", "waiting"]

_WAITING = ("rate-limit-short", "held-after-end", "late")  # besides those that a clock ends


class Facts(NamedTuple):
    """What can be said of one chat, expected or seen. None or empty: there is no such thing, or it is not asked."""

    status: int
    code: str | None
    reason: str | None
    outcome: str | None
    calls: tuple[int, ...]  # of the default model, of the fallback
    text: str
    level: str
    sentry: int  # events
    finish: str | None = None
    retry_after: int | None = None
    tools: tuple[str, ...] | None = None  # the tool calls: each its name and its arguments

    def __str__(self) -> str:
        """The facts in a line of a table."""
        finish = f" ({self.finish})" if self.finish else ""
        what = f"{self.status} {self.code or 'end'}{finish}"
        what += f", {self.reason}" if self.reason else ""
        what += f", Retry-After {self.retry_after}" if self.retry_after else ""
        calls = "+".join(map(str, self.calls)) or "any"
        seen = f"{what}; {self.outcome or 'any'}; calls {calls}"
        seen += f"; tools {', '.join(self.tools) or 'none'}" if self.tools is not None else ""
        return f"{seen}; text {self.text}; log {self.level}; Sentry {self.sentry}"


@dataclass(frozen=True)
class Cell:
    """One chat of the matrix; `name` is what its provider is called, and its models end in its number."""

    number: int
    case: dict[str, Any]
    vendor: str
    scenario: str
    facts: Facts
    door: str = NATIVE

    def __repr__(self) -> str:
        parts = [self.case["row"], self.case["fault"], self.phase, self.scenario, self.vendor]
        parts += [self.door] if self.door != NATIVE else []
        return "-".join(map(str, parts)).replace(" ", "-")

    @property
    def name(self) -> str:
        return f"{self.vendor}-{self.number}"

    @property
    def request_id(self) -> str:
        return f"cell-{self.number}"

    @property
    def fault(self) -> str:
        return str(self.case["fault"])

    @property
    def phase(self) -> str:
        """The case's phase, with what sets it apart from others of the same fault."""
        apart = [word for word in ("past_hold", "restart") if self.case.get(word)]
        apart += [f"then {self.case['fallback']}"] if "fallback" in self.case else []
        return " ".join([self.case["phase"], *apart])

    @property
    def pace(self) -> Pace:
        """What the chat spends its time with: a thousand tiny reads, work, or waiting for a clock."""
        if self.fault == "dribble":
            return "reading"
        waits = self._both.get("code") == "upstream_timeout" or self.fault in _WAITING
        return "waiting" if waits else "working"

    @property
    def left_for(self) -> str | None:
        """The code of the default model's failure, if the fallback answers."""
        return self._both.get("code") if self.facts.outcome == "fallback_ok" else None

    @property
    def _both(self) -> dict[str, Any]:
        """What is expected if both models have the fault."""
        return _state(self.case, self.vendor, "both") or {}

    @property
    def chats(self) -> int:
        return int(self.case.get("chats", 1))

    @property
    def models(self) -> tuple[str, str]:
        """The default model and the fallback, named for what they do."""
        default = _model(self.fault, self.case["phase"])
        if self.case.get("endpoint"):
            return f"first~{self.number}", f"second~{self.number}"
        other = (
            "healthy"
            if self.scenario == "default"
            else _model(self.case.get("fallback", self.fault), self.phase)
        )
        return f"{default}~{self.number}", f"{other}~{self.number}b"


def _model(fault: str, phase: str) -> str:
    return f"fault-{fault}@after" if phase == "after" else f"fault-{fault}"


def load_cases() -> list[dict[str, Any]]:
    """The cases as they are written."""
    cases: list[dict[str, Any]] = tomllib.loads(EXPECTED.read_text(encoding="utf-8"))["case"]
    return cases


def load_descriptions() -> dict[str, str]:
    """What the vendor does, by fault."""
    descriptions: dict[str, str] = tomllib.loads(EXPECTED.read_text(encoding="utf-8"))["about"]
    return descriptions


def load_cells() -> list[Cell]:
    """The whole matrix: all vendors by the native door, and one of each case by every other door."""
    native = [Cell(number, *cell) for number, cell in enumerate(_cells(), 1)]
    others = [
        replace(cell, number=len(native) + number, door=door)
        for number, (cell, door) in enumerate(product(_of_one_vendor(native), DOORS), 1)
    ]
    return native + others


def _of_one_vendor(cells: list[Cell]) -> Iterator[Cell]:
    """The cells of each case in turn of another vendor. Of many chats, and of restarts, there are none."""
    key = lambda cell: id(cell.case)  # noqa: E731
    for turn, (_, group) in enumerate(groupby(cells, key)):
        of_case = [*group]
        case = of_case[0].case
        if case.get("restart") or "chats" in case:
            continue
        vendors = list(dict.fromkeys(cell.vendor for cell in of_case))
        chosen = vendors[turn % len(vendors)]
        yield from (cell for cell in of_case if cell.vendor == chosen)


def provider_of(vendor: str) -> str:
    """The provider whose API the vendor is."""
    return "gpt" if vendor == "responses" else vendor


def _state(case: dict[str, Any], vendor: str, scenario: str) -> dict[str, Any] | None:
    """What is expected of the vendor; of both APIs of OpenAI's the same."""
    own = case.get(provider_of(vendor), {})
    return own.get(scenario) or case.get(scenario)


def _cells() -> Iterator[tuple[dict[str, Any], str, str, Facts]]:
    for case in load_cases():
        chosen = case.get("vendors", VENDORS)
        for vendor in (vendor for vendor in VENDORS if provider_of(vendor) in chosen):
            for scenario in SCENARIOS:
                if stated := _state(case, vendor, scenario):
                    yield (
                        case,
                        vendor,
                        scenario,
                        _facts({"level": case["level"], "sentry": case["sentry"]} | stated),
                    )


def _facts(stated: dict[str, Any]) -> Facts:
    outcome = stated.get("outcome")
    return Facts(
        status=stated["status"],
        code=stated.get("code"),
        reason=stated.get("reason"),
        outcome=outcome,
        calls=tuple(stated.get("chain", ())),
        text=stated["text"],
        level=stated["level"],
        sentry=_count_events(stated["sentry"], str(outcome), len(stated.get("chain", ()))),
        finish=stated.get("finish"),
        retry_after=stated.get("retry_after"),
        tools=tuple(stated["tools"]) if "tools" in stated else None,
    )


def _count_events(sentry: Sentry, outcome: str, models: int) -> int:
    if sentry == "S1":
        return int(outcome.startswith("upstream_error"))
    if sentry == "S2":
        return models - (outcome == "fallback_ok")
    return int(sentry == "S3")


def missing_and_unknown() -> tuple[set[str], set[str]]:
    """Faults of the simulator, and rows of the catalogue, that have no case; and cases of an unknown fault."""
    cases = load_cases()
    named = {case["fault"] for case in cases} | {
        case["fallback"] for case in cases if "fallback" in case
    }
    rows = {str(row) for row in range(1, 49)} - {str(case["row"]) for case in cases}
    known = FAULTS.keys() | ENDPOINTS.keys()
    return (known - named) | rows, named - known
