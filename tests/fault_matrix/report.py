"""The matrix as a page: a table of all cells with what was expected and seen."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fault_matrix.run import Verdict

_HEAD = """# Fault matrix

Written by `make faults`, which runs each fault of a vendor through the running gateway: the four real SDKs, the
simulator in the vendors' place, clocks of a second or two. What is expected was written down from what the gateway
promises, in `tests/fault_matrix/expected.toml`, where the words are explained.

In each cell, too: one final record; the vendor's sockets closed within 2 seconds; one honest ending; `partial_chars`,
`stage`, `attempts` and `fallback` as they were; no key, no prompt and no vendor's prose in the response, in any log but
`conversation.log`, or in Sentry's events; and in the end no stream and no connection that is still open.

"""
_TABLE = "| row | fault | phase | faulty | vendor | expected | seen | verdict |\n|---|---|---|---|---|---|---|---|\n"


def write_page(verdicts: list[Verdict], wrong: list[str]) -> str:
    """The page's text; it is the same for the same verdicts."""
    right = sum(not verdict.wrong for verdict in verdicts)
    summary = f"{right} of {len(verdicts)} cells are right.\n\n" + "".join(f"- {line}\n" for line in wrong)
    return _HEAD + summary + _TABLE + "".join(map(_write_row, verdicts))


def _write_row(verdict: Verdict) -> str:
    cell = verdict.cell
    told = "right" if not verdict.wrong else "**wrong**: " + ", ".join(verdict.wrong)
    words = [cell.case["row"], cell.fault, cell.phase, cell.scenario, cell.vendor, cell.facts, verdict.seen, told]
    return "| " + " | ".join(str(word).replace("|", "\\|") for word in words) + " |\n"


def summarise(verdicts: list[Verdict]) -> str:
    """What is wrong, a line each, for a terminal."""
    bad = [verdict for verdict in verdicts if verdict.wrong]
    groups = groupby(bad, key=lambda verdict: (verdict.cell.case["row"], verdict.cell.fault, verdict.cell.phase))
    lines = []
    for (row, fault, phase), members in groups:
        for wrong, same in groupby(members, key=lambda verdict: verdict.wrong):
            who = ", ".join(f"{verdict.cell.vendor}/{verdict.cell.scenario}" for verdict in same)
            lines.append(f"row {row} {fault} {phase} ({who}): {'; '.join(wrong)}")
    return "\n".join(lines)
