"""The part of the clients' matrix that every run of the tests can afford; `make compat` runs the whole."""

from __future__ import annotations

import asyncio
import faulthandler
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.compat.cells import CASES, CLIENTS, DEVIATIONS, Cell, Client, Way, load_cells
from tests.compat.environments import LOCKS, NotInstalledError, command_of
from tests.compat.judge import judge
from tests.compat.report import (
    DATA,
    PAGE,
    make_row,
    read_data,
    read_versions,
    summarise,
    write_data,
    write_page,
)
from tests.compat.run import run

if TYPE_CHECKING:
    from pathlib import Path

TESTED = [client for client in CLIENTS if client.in_ci]
SECONDS = 900  # for all cases of one way
WAYS = [(client, way) for client in TESTED for way in client.ways]


@pytest.mark.parametrize(("client", "way"), WAYS, ids=lambda part: part.name)
async def test_client_works_through_its_door(client: Client, way: Way, tmp_path: Path) -> None:
    """Every case, with every provider: right, or what the client is known to do by itself."""
    try:
        command_of(client.environment, client.driver)
    except NotInstalledError as error:
        pytest.skip(str(error))
    cells = [cell for cell in load_cells() if (cell.client, cell.way) == (client, way)]
    # Clients wait before they ask again: on a busy machine that takes more than a test may.
    faulthandler.cancel_dump_traceback_later()
    async with asyncio.timeout(SECONDS):
        verdicts, wrong = await run(cells, tmp_path)
    assert len(verdicts) == len(cells) > 0
    assert summarise(verdicts) == ""
    assert wrong == []


def find(name: str) -> Cell:
    (cell,) = load_cells(f"^{name}$")
    return cell


SEEN: dict[str, Any] = {
    "text": "Grüße aus dem Käse 🧀 — of a model that has a fault.",
    "finish": "stop",
    "calls": [],
    "value": None,
    "refusal": None,
    "model": "luna",
    "input_tokens": 3,
    "output_tokens": 6,
    "error": None,
}
RECORD = {"outcome": "ok", "input_tokens": 3, "output_tokens": 6}
ERROR = {"class": "APIError", "status": None, "code": None, "text": "upstream_truncated"}


@pytest.mark.parametrize(
    ("case", "seen", "records", "wrong"),
    [
        ("answer", {}, [RECORD], []),
        ("answer", {"text": "Grüße"}, [RECORD], ["text: 'some' for 'whole'"]),
        ("answer", {"finish": None}, [RECORD], ["finish: None for 'stop'"]),
        ("answer", {"model": "nova"}, [RECORD], ["model: 'fallback' for 'default'"]),
        ("answer", {}, [RECORD, RECORD], ["asks: 2 for 1"]),
        ("answer", {"error": ERROR}, [RECORD], ["an error: upstream_truncated"]),
        ("usage", {"output_tokens": 7}, [RECORD], ["usage: False for True"]),
        ("truncated", {"error": ERROR, "text": "Grüße aus dem Käse 🧀 — "}, [RECORD], []),
        ("truncated", {"error": ERROR, "text": ""}, [RECORD], []),
        (
            "truncated",
            {"text": "Grüße aus dem Käse 🧀 — "},
            [RECORD],
            ["error: None for 'upstream_truncated'"],
        ),
    ],
)
def test_what_is_not_as_expected_is_found(
    case: str, seen: dict[str, Any], records: list[dict[str, Any]], wrong: list[str]
) -> None:
    """A text that is cut, an error that is not shown, a model or an end that is not true."""
    cell = find(f"openai-python-chat.raw-{case}-gpt")
    assert judge(cell, SEEN | seen, records, ("luna", "nova")).wrong == wrong


def test_what_is_wrong_is_on_the_page() -> None:
    """In its place in the table, and in words."""
    cell = find("openai-python-chat.raw-answer-gpt")
    verdict = judge(cell, SEEN | {"text": ""}, [RECORD], ("luna", "nova"))
    assert summarise([verdict]) == f"{cell}: text: 'none' for 'whole'"
    page = write_page([make_row(verdict)], ["a connection is open"])
    assert "0 of 1 cells are right" in page
    assert "| openai (Python) | create(stream=True) | ✗ |" in page
    assert "chat.raw, answer, gpt: text: 'none' for 'whole'\n" in page
    assert "- a connection is open\n" in page


def test_page_and_data_are_of_one_run() -> None:
    """The committed page is what is written from the committed data."""
    text = DATA.read_text(encoding="utf-8")
    rows = read_data(text)
    assert write_data(rows) == text
    assert write_page(rows, []) == PAGE.read_text(encoding="utf-8")


def test_data_has_every_cell_and_all_are_right() -> None:
    """A cell that was added since is missing there: `make compat` writes it."""
    rows = read_data(DATA.read_text(encoding="utf-8"))
    cells = [(row.client, row.way, row.case, row.provider) for row in rows]
    assert cells == [
        (cell.client.name, cell.way.name, cell.case.name, cell.provider) for cell in load_cells()
    ]
    assert {row.wrong for row in rows} == {""}


def test_no_cell_stands_twice() -> None:
    """A cell's name is its own."""
    names = [repr(cell) for cell in load_cells()]
    assert len(set(names)) == len(names)


def test_every_deviation_is_of_some_cell() -> None:
    """One that no cell has any more is left over."""
    used = [cell.deviation for cell in load_cells()]
    assert [each for each in DEVIATIONS if each not in used] == []


def test_every_case_is_of_some_cell() -> None:
    """And so is each ability that a case needs."""
    assert {cell.case.name for cell in load_cells()} == {case.name for case in CASES}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_client_is_locked(client: Client) -> None:
    """Its lock file names exact versions with hashes, and no host to get them from."""
    assert client.environment is None or list(read_versions(client))


def test_locks_name_no_host() -> None:
    """Each is read from whatever registry the machine has."""
    for file in LOCKS.rglob("*.lock"):
        assert "://" not in file.read_text(encoding="utf-8"), file
    for file in LOCKS.rglob("package-lock.json"):
        assert not re.search(r'"resolved"', file.read_text(encoding="utf-8")), file
