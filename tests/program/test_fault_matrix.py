"""The part of the fault matrix that every run of the tests can afford; `make faults` runs the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.exhaustive import exhaustive
from tests.fault_matrix import doors
from tests.fault_matrix.cells import (
    Cell,
    load_cases,
    load_cells,
    load_descriptions,
    missing_and_unknown,
)
from tests.fault_matrix.doors import DOORS, NATIVE
from tests.fault_matrix.report import (
    DATA,
    PAGE,
    make_row,
    read_data,
    summarise,
    write_data,
    write_page,
)
from tests.fault_matrix.run import run

if TYPE_CHECKING:
    from pathlib import Path

CELLS = load_cells()
VENDORS_DIFFER = (
    *range(9, 18),
    *range(26, 29),
)  # rows in which each SDK has a way of its own to fail


def of_all_rows() -> list[Cell]:
    """Every fault of one vendor, the fallback healthy if the two can differ."""
    mine = [cell for cell in CELLS if cell.vendor == "gpt" and cell.door == NATIVE]
    return [cell for cell in mine if cell.scenario == "default" or "default" not in cell.case]


def of_rows_that_differ(vendor: str) -> list[Cell]:
    """Those of another vendor in which it may differ."""
    return [
        cell
        for cell in CELLS
        if cell.vendor == vendor and cell.door == NATIVE and cell.case["row"] in VENDORS_DIFFER
    ]


def of_door(door: str) -> list[Cell]:
    """Breaks, early ends and error events by another door, one model faulty, and both."""
    return [cell for cell in CELLS if cell.door == door and cell.case["row"] in VENDORS_DIFFER]


async def check(cells: list[Cell], folder: Path) -> None:
    """Every cell is right, nothing leaks and nothing is left open."""
    verdicts, wrong = await run(cells, folder)
    assert len(verdicts) == len(cells) > 0
    assert summarise(verdicts) == ""
    assert wrong == []


async def test_every_fault_is_met_as_promised(tmp_path: Path) -> None:
    """Each row of the catalogue, with OpenAI's SDK, the default model faulty."""
    await check(of_all_rows(), tmp_path)


@pytest.mark.parametrize("vendor", ["claude", "responses", *exhaustive("gemini", "groq")])
async def test_broken_streams_are_met_alike_with_every_sdk(vendor: str, tmp_path: Path) -> None:
    """Breaks, early ends and error events, in which the SDKs differ most; one model faulty, and both."""
    await check(of_rows_that_differ(vendor), tmp_path)


@pytest.mark.parametrize("door", DOORS)
async def test_broken_streams_end_in_each_doors_own_words(door: str, tmp_path: Path) -> None:
    """No broken answer has a mark of a whole one, and no whole one an error."""
    await check(of_door(door), tmp_path)


@pytest.mark.parametrize("door", DOORS)
async def test_wrong_words_of_a_door_are_found(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The expectations are not read from what is seen."""
    monkeypatch.setitem(doors._errors(door), "upstream_unavailable", [418, "teapot"])
    (cell,) = [cell for cell in CELLS if cell.door == door and "503-before-both" in repr(cell)]
    verdicts, _ = await run([cell], tmp_path)
    assert any("418" in wrong for wrong in verdicts[0].wrong)
    assert any("it says" in wrong for wrong in verdicts[0].wrong)


async def test_what_is_not_as_expected_is_found(tmp_path: Path) -> None:
    """A cell with another expectation is wrong, in the verdict, on the page and in the summary."""
    (cell,) = [cell for cell in CELLS if repr(cell) == "20-503-before-both-claude"]
    wrong = replace(cell, facts=cell.facts._replace(status=502, calls=(1, 1)))
    verdicts, _ = await run([wrong], tmp_path)
    assert verdicts[0].wrong == ["status: 503 for 502", "calls: (2, 2) for (1, 1)"]
    assert (
        summarise(verdicts)
        == "row 20 503 before (claude/both): status: 503 for 502; calls: (2, 2) for (1, 1)"
    )
    (row,) = rows = [make_row(verdict) for verdict in verdicts]
    assert row.wrong == "status: 503 for 502; calls: (2, 2) for (1, 1)"
    page = write_page(rows, ["a socket is open"])
    assert "0 of 1 cells are right.\n- a socket is open\n" in page
    assert "| 503 `upstream_unavailable` |  | 1 | **0** of 1 |" in page


def test_page_and_data_are_of_one_run() -> None:
    """The committed page is what is written from the committed data."""
    text = DATA.read_text(encoding="utf-8")
    rows = read_data(text)
    assert write_data(rows) == text
    assert write_page(rows, []) == PAGE.read_text(encoding="utf-8")


def test_data_has_every_cell_and_all_are_right() -> None:
    """A case that was added since is missing there: `make faults` writes it."""
    rows = read_data(DATA.read_text(encoding="utf-8"))
    names = [
        f"{row.row}-{row.fault}-{row.phase}-{row.faulty}-{row.vendor}".replace(" ", "-")
        + (f"-{row.door}" if row.door != NATIVE else "")
        for row in rows
    ]
    assert names == [repr(cell) for cell in CELLS]
    assert {row.wrong for row in rows} == {""}


def test_every_fault_is_described_once() -> None:
    """The page says what the vendor does; there is no description of another fault."""
    assert load_descriptions().keys() == {case["fault"] for case in load_cases()}


def test_every_row_and_fault_has_a_case_and_every_case_a_fault() -> None:
    """No row of the catalogue, and no fault that the simulator knows, is left out; no case is of an unknown one."""
    assert missing_and_unknown() == (set(), set())


def test_no_case_stands_twice() -> None:
    """A cell's name is its own, so that a later case can't hide an earlier one."""
    names = [repr(cell) for cell in CELLS]
    assert len(set(names)) == len(names)


def test_every_vendor_is_in_the_matrix_unless_it_has_no_word_for_the_fault() -> None:
    """All, but in the cases that name theirs."""
    assert [case["fault"] for case in load_cases() if "vendors" in case] == [
        "refusal",
        "blocked-prompt",
        "call-bad-json",
        "call-two-ids",
        "call-interleaved",
    ]
