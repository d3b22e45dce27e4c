"""The newest warnings and errors of the log files: what is taken of a line, and how much is read."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest

from logging_config import logger
from telemetry.newest_problems import KeptProblems, newest_problems

if TYPE_CHECKING:
    from pathlib import Path


def line(number: int, level: str = "WARNING", **fields: Any) -> str:
    """A line as the logs have it; later numbers are newer."""
    whole = {
        "timestamp": f"2026-11-30T10:00:00.{number:06}+00:00",
        "level": level,
        "logger": "gateway.chat",
        "message": "chat finished",
        "request_id": f"r-{number}",
    }
    return json.dumps(whole | fields) + "\n"


def ids_in(folder: Path, limit: int = 100) -> list[str]:
    return [problem["request_id"] for problem in newest_problems(folder, limit)]


def test_newest_come_first_and_each_once(tmp_path: Path) -> None:
    """An error is in two files; other levels are left out, and so is a torn line."""
    error = line(3, "ERROR")
    app = (
        line(1) + line(2, "INFO", message="WARNING and ERROR") + error + line(4) + '{"level": "ERR'
    )
    (tmp_path / "app.log").write_text(app)
    (tmp_path / "error.log").write_text(line(0, "CRITICAL") + error)
    assert ids_in(tmp_path) == ["r-4", "r-3", "r-1", "r-0"]
    assert ids_in(tmp_path, 2) == ["r-4", "r-3"]


def test_only_codes_names_and_ids_are_taken(tmp_path: Path) -> None:
    """A vendor's words, a stack and a text of another library stay in the files."""
    context = {
        "code": "upstream_auth",
        "provider": "gpt",
        "body": "a prompt",
        "message": "a prompt",
    }
    own = line(1, context=context, client="phone", address="203.0.113.7", exception="a prompt")
    (tmp_path / "app.log").write_text(own + line(2, logger="httpx", message="a prompt"))
    other, first = newest_problems(tmp_path, 10)
    assert other["message"] == "a line of httpx"
    assert first == {
        "timestamp": "2026-11-30T10:00:00.000001+00:00",
        "level": "WARNING",
        "message": "chat finished",
        "request_id": "r-1",
        "client": "phone",
        "code": "upstream_auth",
        "provider": "gpt",
    }


def test_long_value_is_cut(tmp_path: Path) -> None:
    """A client chooses the name of a model."""
    (tmp_path / "app.log").write_text(line(1, context={"model": "x" * 10_000}))
    (problem,) = newest_problems(tmp_path, 10)
    assert len(problem["model"]) < 300


def test_end_of_a_large_log_is_read(tmp_path: Path) -> None:
    """Half a megabyte of it, however large it is; the first line of that is torn."""
    (tmp_path / "app.log").write_text("".join(line(number) for number in range(20_000)))
    found = ids_in(tmp_path, 100_000)
    assert found[0] == "r-19999"
    assert 1_000 < len(found) < 5_000


def test_log_that_has_just_been_rotated_goes_on_in_its_backup(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(line(3))
    (tmp_path / "app.log.1").write_text(line(1) + line(2))
    (tmp_path / "app.log.2").write_text(line(0))
    assert ids_in(tmp_path) == ["r-3", "r-2", "r-1"]


def test_newest_are_kept_in_memory_without_files() -> None:
    """Fifty at most, of the gateway's warnings and errors alone; each is taken once."""
    kept = KeptProblems()
    kept.attach()
    kept.attach()
    try:
        for number in range(60):
            logger.info("an information")
            logger.warning("a warning", extra={"context": {"code": f"c-{number}"}})
        logging.getLogger("httpx").error("another library's")
    finally:
        kept.detach()
    logger.warning("too late")
    taken = kept.take()
    assert [problem["code"] for problem in taken] == [f"c-{number}" for number in range(10, 60)]
    assert kept.take() == ()


def test_missing_logs_are_no_error(tmp_path: Path) -> None:
    assert newest_problems(tmp_path / "nowhere", 10) == []


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """A pipe has no end, and a link may lead anywhere; the other log goes on."""
    (tmp_path / "error.log").write_text(line(1, "ERROR"))
    log = tmp_path / "app.log"
    if kind == "pipe":
        os.mkfifo(log)
    elif kind == "folder":
        log.mkdir()
    else:
        (tmp_path / "elsewhere").write_text(line(2))
        log.symlink_to("elsewhere")
    assert ids_in(tmp_path) == ["r-1"]


@pytest.mark.parametrize("lacking", ["timestamp", "message", "logger"])
def test_line_of_another_program_is_left_out(tmp_path: Path, lacking: str) -> None:
    """It lacks what the gateway's lines have."""
    foreign = json.loads(line(2))
    del foreign[lacking]
    deep = "[" * 100_000 + '"WARNING"\n'
    odd = json.dumps(foreign) + "\n" + line(3, timestamp=7) + deep
    (tmp_path / "app.log").write_text(line(1) + odd)
    assert ids_in(tmp_path) == ["r-1"]
