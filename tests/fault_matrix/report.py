"""The matrix as data, a line a cell, and as a page, a row a fault."""

from __future__ import annotations

import csv
import io
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.fault_matrix.cells import load_descriptions
from tests.fault_matrix.doors import DOORS, NATIVE, door_path, error_codes, error_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fault_matrix.run import Verdict

PAGE = Path(__file__).parents[2] / "docs" / "fault_matrix.md"
DATA = PAGE.with_suffix(".csv")

_HEAD = """# Fault matrix

What a client sees of each fault of a vendor. `make faults` runs them through the running gateway: the four vendors'
SDKs, OpenAI's with chat completions (`gpt`) and with the Responses API (`responses`), the simulator in the vendors'
place, timeouts of a second or two. What is expected was written down from what the gateway promises, in
`tests/fault_matrix/expected.toml`. [fault_matrix.csv](fault_matrix.csv) has each cell: what was seen of one fault at
one vendor, with a healthy fallback model or without.

In each cell, too: one final record; the vendor's sockets closed within 2 seconds; one honest ending; `partial_chars`,
`stage`, `attempts` and `fallback` as they were; no key, no prompt and no vendor's prose in the response, in any log but
`conversation.log`, or in Sentry's events; and in the end no stream and no connection that is still open.

"""
_TABLE = """
An *error event* comes in a stream that has begun; before that an error is a response with its status.

| Fault | What the vendor does | Fallback healthy | Both models faulty | After three deltas | Vendors | Right |
|---|---|---|---|---|---|---|
"""
_DOORS = """
## The other doors

The chats above come by the gateway's own protocol. By each other protocol comes one vendor of every fault, the vendors
in turn. Its clients see the same, in the words of that protocol: with the true status if nothing was sent, else by
the protocol's own error in a stream, which never has a mark of a whole answer.

| Door | Cells | Right |
|---|---|---|
"""
_WORDS = """
The words for each code: the status of a response, and the fields by which clients know an error.

"""
_VARIANTS = {
    "past_hold": "after the status line was sent",
    "restart": 'with `"on_break": "restart"`',
}


class Row(NamedTuple):
    """A cell as it was seen, a line of the data. All is text; what does not apply is empty."""

    row: str
    fault: str
    phase: str
    faulty: str
    vendor: str
    door: str
    status: str
    code: str
    reason: str
    retry_after: str
    finish: str
    outcome: str
    calls: str
    text: str
    log: str
    sentry: str
    wrong: str


def make_row(verdict: Verdict) -> Row:
    """The cell's line."""
    cell, seen = verdict.cell, verdict.seen
    return Row(
        row=str(cell.case["row"]),
        fault=cell.fault,
        phase=cell.phase,
        faulty=cell.scenario,
        vendor=cell.vendor,
        door=cell.door,
        status=str(seen.status),
        code=seen.code or "",
        reason=seen.reason or "",
        retry_after=str(seen.retry_after or ""),
        finish=seen.finish or "",
        outcome=seen.outcome or "",
        calls="+".join(map(str, seen.calls)),
        text=seen.text,
        log=seen.level,
        sentry=str(seen.sentry),
        wrong="; ".join(verdict.wrong),
    )


def write_data(rows: Iterable[Row]) -> str:
    """The data's text, with a line of names at its beginning."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([Row._fields, *rows])
    return file.getvalue()


def read_data(text: str) -> list[Row]:
    """The rows of such a text."""
    return [Row(**line) for line in csv.DictReader(io.StringIO(text))]


def write_page(rows: list[Row], wrong: list[str]) -> str:
    """The page's text; it is the same for the same rows. `wrong` is what concerns no single cell."""
    right = sum(not row.wrong for row in rows)
    summary = f"{right} of {len(rows)} cells are right.\n" + "".join(
        f"- {line}\n" for line in wrong
    )
    native = sorted((row for row in rows if row.door == NATIVE), key=_sort_key)
    faults = groupby(native, key=_sort_key)
    table = "".join(_write_fault([*cells]) for _, cells in faults)
    return _HEAD + summary + _TABLE + table + _write_doors(rows)


def _write_doors(rows: list[Row]) -> str:
    """What the clients of the other doors see, and how many of their cells are right."""
    lines = []
    for door in DOORS:
        cells = [row for row in rows if row.door == door]
        right = sum(not row.wrong for row in cells)
        lines.append(f"| `{door_path(door)}` | {len(cells)} | {right} |\n")
    codes = [
        f"| `{code}` | " + " | ".join(error_words(door, code) for door in DOORS) + " |\n"
        for code in error_codes()
    ]
    names = " | ".join(f"`{door_path(door)}`" for door in DOORS)
    head = f"| Code | {names} |\n|{'---|' * (len(DOORS) + 1)}\n"
    return _DOORS + "".join(lines) + _WORDS + head + "".join(codes)


def _sort_key(row: Row) -> tuple[int, str, str]:
    return int(row.row), row.fault, _variant(row)


def _variant(row: Row) -> str:
    """What sets the cell apart from the plain fault, the words after its phase."""
    return row.phase.partition(" ")[2]


def _write_fault(rows: list[Row]) -> str:
    fault, variant = rows[0].fault, _variant(rows[0])
    about = load_descriptions()[fault]
    if variant:
        other = variant.removeprefix("then ")
        about += f", {_VARIANTS.get(variant, f'the fallback: `{other}`')}"
    before = [row for row in rows if not row.phase.startswith("after")]
    bad = [row for row in rows if row.wrong]
    cells = [
        f"`{fault}`",
        about,
        _join(row for row in before if row.faulty == "default"),
        _join(row for row in before if row.faulty == "both"),
        _join(row for row in rows if row.phase.startswith("after")),
        str(len({row.vendor for row in rows})),
        f"{len(rows) - len(bad)} of {len(rows)}"
        if not bad
        else f"**{len(rows) - len(bad)}** of {len(rows)}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def _join(rows: Iterable[Row]) -> str:
    """What a client sees; each of the vendors' ways if they differ."""
    ways: dict[str, list[str]] = {}
    for row in rows:
        vendors = ways.setdefault(_describe(row), [])
        vendors += [] if row.vendor in vendors else [row.vendor]
    if len(ways) > 1:
        return "; ".join(f"{way} ({', '.join(vendors)})" for way, vendors in ways.items())
    return "".join(ways)


def _describe(row: Row) -> str:
    if not row.code:
        whose = "the fallback's answer" if row.outcome == "fallback_ok" else "the answer"
        return (
            whose
            + (f", `{row.finish}`" if row.finish else "")
            + (", without text" if row.text == "none" else "")
        )
    if row.outcome == "upstream_error_after" or _variant(row) == "past_hold":
        return f"error event `{row.code}`"
    return f"{row.status} `{row.code}`" + (
        f", `Retry-After: {row.retry_after}`" if row.retry_after else ""
    )


def summarise(verdicts: list[Verdict]) -> str:
    """What is wrong, a line each, for a terminal."""
    bad = [verdict for verdict in verdicts if verdict.wrong]
    groups = groupby(
        bad, key=lambda verdict: (verdict.cell.case["row"], verdict.cell.fault, verdict.cell.phase)
    )
    lines = []
    for (row, fault, phase), members in groups:
        for wrong, same in groupby(members, key=lambda verdict: verdict.wrong):
            cells = ", ".join(f"{verdict.cell.vendor}/{verdict.cell.scenario}" for verdict in same)
            lines.append(f"row {row} {fault} {phase} ({cells}): {'; '.join(wrong)}")
    return "\n".join(lines)
