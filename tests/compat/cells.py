"""The matrix as data: each way of a client, in each case, with each provider, is a cell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PROVIDERS = ("gpt", "claude")  # of a way that names no others

# What clients call the model, as their users write it: some choose their features by the name.
MODELS = {
    "gpt": "gpt-6-luna",
    "claude": "claude-haiku-5-5",
    "gemini": "gemini-3.8-flash",
    "groq": "openai/gpt-oss-120b",
}

Facts = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A gateway, and what the models of all vendors do behind it."""

    name: str
    about: str
    default: str
    fallback: str = "fallback"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One chat, or a turn of tools."""

    name: str
    scenario: str
    expect: Facts
    unstreamed: Facts | None = None
    unretried: Facts | None = None
    by_door: dict[str, Facts] = field(default_factory=dict)
    by_provider: dict[str, Facts] = field(default_factory=dict)
    needs: str | None = None
    question: str = "What is new? ({cell})"
    tools: tuple[str, ...] = ()
    calls_back: bool = False
    has_schema: bool = False
    has_image: bool = False
    leaves: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """What a client's user writes."""

    name: str
    about: str
    door: str
    is_whole: bool = False
    retries: bool = True
    can: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    providers: tuple[str, ...] = PROVIDERS

    def has(self, case: Case) -> bool:
        """Whether the case applies to this way."""
        if case.needs and case.needs not in self.can:
            return False
        return not self.only or case.name in self.only


@dataclass(frozen=True)
class Client:
    """A client: the environment that it is installed in, and what drives it."""

    name: str
    driver: str
    ways: tuple[Way, ...]
    environment: str | None = None  # None: it is on the machine
    at_once: int = 8
    in_ci: bool = False


@dataclass(frozen=True)
class Deviation:
    """What some cells do in place of what is right, by the client's own fault."""

    client: str
    way: str
    case: str
    because: str
    does: Facts
    provider: str = ".*"


@dataclass(frozen=True)
class Cell:
    """One way of a client, in one case, with one provider."""

    client: Client
    way: Way
    case: Case
    provider: str

    def __repr__(self) -> str:
        parts = (self.client.name, self.way.name, self.case.name, self.provider)
        return "-".join(re.sub(r"[^\w.-]+", "-", part.lower()).strip("-") for part in parts)

    @property
    def deviation(self) -> Deviation | None:
        """What this client is known to do wrong here."""
        found = [each for each in DEVIATIONS if _fits(each, self)]
        assert len(found) <= 1, f"two deviations of {self}"
        return found[0] if found else None

    @property
    def facts(self) -> Facts:
        """What is expected of the cell, without what the client does not show."""
        case = self.case
        facts = case.unstreamed if self.way.is_whole and case.unstreamed else case.expect
        if case.unretried and not self.way.retries:
            facts = case.unretried
        facts = case.by_provider.get(self.provider, facts)
        by_door = case.by_door.get(self.way.door, {})
        facts = facts | {name: fact for name, fact in by_door.items() if name in facts}
        if self.deviation:
            facts = facts | self.deviation.does
        return {name: fact for name, fact in facts.items() if name not in self.way.hides}


def _fits(deviation: Deviation, cell: Cell) -> bool:
    pairs = [
        (deviation.client, cell.client.name),
        (deviation.way, cell.way.name),
        (deviation.case, cell.case.name),
        (deviation.provider, cell.provider),
    ]
    return all(re.fullmatch(pattern, name) for pattern, name in pairs)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))


def _as_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }


_EXPECTED, _CLIENTS = _read("expected.toml"), _read("clients.toml")

SCENARIOS = {name: Scenario(name, **fields) for name, fields in _EXPECTED["scenario"].items()}
CASES = tuple(Case(**_as_tuples(fields)) for fields in _EXPECTED["case"])
DEVIATIONS = tuple(Deviation(**fields) for fields in _read("deviations.toml")["deviation"])
CLIENTS = tuple(
    Client(ways=tuple(Way(**_as_tuples(way)) for way in ways), **fields)
    for fields in _CLIENTS["client"]
    for ways in [fields.pop("way")]
)


def load_cells(pattern: str = "") -> list[Cell]:
    """The cells whose name has the pattern; all of them, by default."""
    return [cell for cell in _cells() if re.search(pattern, repr(cell))]


def _cells() -> Iterator[Cell]:
    for client in CLIENTS:
        for way in client.ways:
            for case in CASES:
                if way.has(case):
                    for provider in way.providers:
                        yield Cell(client, way, case, provider)
