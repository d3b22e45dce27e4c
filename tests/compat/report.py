"""The matrix as data, a line a cell, and as a page, a table a door."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.compat.cells import CASES, CLIENTS, DEVIATIONS, SCENARIOS, load_cells
from tests.compat.environments import LOCKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.compat.cells import Client
    from tests.compat.judge import Verdict

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
DATA = PAGE.with_suffix(".csv")

_HEAD = """# Compatibility

Which clients work with which door, as `make compat` saw it: each client as it installs, in an environment of its own,
pointed at a running gateway by its base URL, with the simulated vendors behind it. What is expected was written down
from what the gateway promises, in `tests/compat/expected.toml`. [compatibility.csv](compatibility.csv) has each cell:
one client, one case, one provider: `gpt` and `claude` for all, `gemini` and `groq` for some. `gpt` is asked by the
Responses API.

"""
_LEGEND = """
✓: right with every provider that was asked. A number: right but for what the client itself does, in the
[notes](#notes). ✗: wrong. Empty: the client has no such thing, or it is another row's.

"""
_DOORS = {
    "chat": "OpenAI chat completions",
    "responses": "OpenAI Responses",
    "messages": "Anthropic Messages",
    "ui": "UI message stream",
}


class Row(NamedTuple):
    """A cell as it was seen, a line of the data."""

    client: str
    way: str
    door: str
    case: str
    provider: str
    seen: str
    note: str  # what the client does by its own fault
    wrong: str


def make_row(verdict: Verdict) -> Row:
    """The cell's line."""
    cell = verdict.cell
    return Row(
        client=cell.client.name,
        way=cell.way.name,
        door=cell.way.door,
        case=cell.case.name,
        provider=cell.provider,
        seen=_write_facts(verdict.seen),
        note=cell.deviation.because if cell.deviation else "",
        wrong="; ".join(verdict.wrong),
    )


def _write_facts(facts: dict[str, Any]) -> str:
    def show(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return " + ".join(value) if isinstance(value, list) else str(value)

    return "; ".join(f"{name} {show(value)}" for name, value in facts.items())


def write_data(rows: Iterable[Row]) -> str:
    """The data's text, with a line of names at its beginning."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([Row._fields, *rows])
    return file.getvalue()


def read_data(text: str) -> list[Row]:
    """The rows of such a text."""
    return [Row(**line) for line in csv.DictReader(io.StringIO(text))]


def merge(verdicts: list[Verdict]) -> list[Row]:
    """The rows of all cells that were ever run, in their order: the new ones, and of the others what the data has."""
    old = read_data(DATA.read_text(encoding="utf-8")) if DATA.exists() else []
    rows = {row[:5]: row for row in (*old, *map(make_row, verdicts))}
    places = (
        (each.client.name, each.way.name, each.way.door, each.case.name, each.provider)
        for each in load_cells()
    )
    return [rows[place] for place in places if place in rows]


def write_page(rows: list[Row], wrong: list[str]) -> str:
    """The page's text; it is the same for the same rows. `wrong` is what concerns no single cell."""
    bad = [row for row in rows if row.wrong]
    own = sum(bool(row.note) and not row.wrong for row in rows)
    text = _HEAD + (
        f"{len(rows) - len(bad)} of {len(rows)} cells are right; "
        f"in {own} of these the client itself does something else, which is noted.\n"
    )
    text += "".join(f"- {line}\n" for line in wrong) + _LEGEND
    for door, title in _DOORS.items():
        text += f"## {title}\n\n" + _write_door(door, rows) + "\n"
    return text + _write_notes() + _write_wrong(bad) + _write_cases() + _write_versions()


def _write_table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _write_door(door: str, rows: list[Row]) -> str:
    by_place: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        by_place.setdefault((row.client, row.way, row.case), []).append(row)
    lines = [
        [
            client.name,
            way.about.replace("|", "\\|"),
            *(_write_cell(by_place.get((client.name, way.name, case.name), [])) for case in CASES),
        ]
        for client in CLIENTS
        for way in client.ways
        if way.door == door
    ]
    return _write_table(["Client", "Way", *(case.name for case in CASES)], lines)


def _write_cell(rows: list[Row]) -> str:
    if any(row.wrong for row in rows):
        return "✗"
    notes = sorted({_NUMBERS[row.note] for row in rows if row.note})
    return ", ".join(map(str, notes)) if notes else "✓" if rows else ""


_NUMBERS = {
    because: number
    for number, because in enumerate(dict.fromkeys(each.because for each in DEVIATIONS), 1)
}


def _write_notes() -> str:
    lines = [f"{number}. {because}\n" for because, number in _NUMBERS.items()]
    return "## Notes\n\n" + ("".join(lines) or "There are none.\n") + "\n"


def _write_wrong(bad: list[Row]) -> str:
    if not bad:
        return ""
    lines = [f"- {row.client}, {row.way}, {row.case}, {row.provider}: {row.wrong}\n" for row in bad]
    return "## What is wrong\n\n" + "".join(lines) + "\n"


def _write_cases() -> str:
    lines = [
        [
            case.name,
            SCENARIOS[case.scenario].about,
            f"`{_write_facts(case.expect)}`",
            f"`{_write_facts(case.unstreamed)}`" if case.unstreamed else "",
        ]
        for case in CASES
    ]
    head = ["Case", "The vendors and the gateway", "What is right", "Not streamed"]
    return "## Cases\n\n" + _write_table(head, lines) + "\n"


def _write_versions() -> str:
    lines = [
        [client.name, ", ".join(read_versions(client)) or "of the machine"] for client in CLIENTS
    ]
    return "## Versions\n\n" + _write_table(["Client", "What was installed"], lines)


def read_versions(client: Client) -> Iterator[str]:
    """What the client's lock file installs, of what is asked for by name."""
    if client.environment is None:
        return
    place = LOCKS / client.environment
    if (place / "requirements.lock").exists():
        asked = (place / "requirements.txt").read_text(encoding="utf-8").splitlines()
        locked = (place / "requirements.lock").read_text(encoding="utf-8")
        for name in (re.split(r"[^\w.-]", line)[0] for line in asked):
            found = re.search(rf"^{re.escape(name)}(?:\[.*\])?==(\S+)", locked, re.MULTILINE)
            assert found, name
            yield f"{name} {found[1]}"
    else:
        package = json.loads((place / "package.json").read_text(encoding="utf-8"))
        lock = json.loads((place / "package-lock.json").read_text(encoding="utf-8"))
        for name in package["dependencies"]:
            yield f"{name} {lock['packages'][f'node_modules/{name}']['version']}"


def summarise(verdicts: list[Verdict]) -> str:
    """What is wrong, a line a cell, for a terminal."""
    return "\n".join(
        f"{verdict.cell}: {'; '.join(verdict.wrong)}" for verdict in verdicts if verdict.wrong
    )
