"""Logs that cannot be written: no chat is harmed, stderr hears of it once a minute, and lines go on afterwards."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_config import OncePerMinute, log_conversation, logger
from tests.log_files import logs_in, messages, parse_lines, read_log
from tests.scripted import answer, scripted_gateway

COMPLAINT = "LOG LINES ARE BEING LOST"
SPAWN = multiprocessing.get_context("spawn")


def complaints(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if COMPLAINT in line]


def write_some() -> None:
    """A line for each of the logs, more than once."""
    for _ in range(3):
        logger.error("lost")
        log_conversation(provider="gpt", model=None, query="q", answer="a", outcome="ok")


def test_folder_that_cannot_be_made_raises_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The gateway runs without logs rather than not at all, and says so once."""
    (tmp_path / "file").write_text("")
    with logs_in(tmp_path / "file" / "logs"):
        write_some()
    assert len(complaints(capsys)) == 1


def test_log_that_cannot_be_opened_leaves_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder in a log's place costs that log alone; once it is gone, lines arrive."""
    (tmp_path / "app.log").mkdir()
    with logs_in(tmp_path):
        logger.error("first")
        (tmp_path / "app.log").rmdir()
        logger.error("second")
    assert messages(read_log(tmp_path, "error")) == ["first", "second"]
    assert messages(read_log(tmp_path)) == ["second"]
    assert len(complaints(capsys)) == 1


def test_folder_that_vanishes_raises_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines go on as soon as the folder is there again."""
    folder = tmp_path / "logs"
    with logs_in(folder):
        logger.error("before")
        shutil.rmtree(folder)
        write_some()
        folder.mkdir()
        logger.error("after")
        assert messages(read_log(folder)) == ["after"]
    assert len(complaints(capsys)) == 1


def test_log_that_cannot_be_rotated_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before it fills the disk: once, with the cause, while its lines are still written."""
    (tmp_path / "app.log.1").mkdir()
    with logs_in(tmp_path, max_bytes=1, backup_count=1):
        for number in range(3):
            logger.info("line %d", number)
    lines = (tmp_path / "app.log").read_bytes()
    assert messages(parse_lines(lines)) == ["line 0", "line 1", "line 2"]
    told = [line for line in capsys.readouterr().err.splitlines() if " LOG " in line]
    assert len(told) == 1
    assert told[0].startswith("A LOG CANNOT BE ROTATED AND GROWS: IsADirectoryError: [Errno 21]")


@pytest.mark.parametrize("change", ["deleted", "moved"])
def test_deleted_log_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str) -> None:
    """An operator who deletes or moves a log loses no line that comes later."""
    with logs_in(tmp_path):
        logger.error("before")
        if change == "deleted":
            (tmp_path / "app.log").unlink()
        else:
            (tmp_path / "app.log").rename(tmp_path / "kept")
        logger.error("after")
    assert messages(read_log(tmp_path)) == ["after"]
    assert messages(read_log(tmp_path, "error")) == ["before", "after"]
    assert not complaints(capsys)


def fill_and_free(folder: Path) -> None:
    """Write over a limit of the system's that stands for a full disk, then without it."""
    sys.stderr = open(folder / "stderr", "w")  # noqa: SIM115 - it is the process's own, to its end
    with logs_in(folder):
        logger.info("before")
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, unlimited[1]))
        for number in range(20):
            logger.info("lost %d %s", number, "x" * 300)
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        logger.info("after")
        logger.info("and on")


def test_full_disk_loses_what_does_not_fit_alone(tmp_path: Path) -> None:
    """No exception, one complaint; afterwards every line is whole but the one that the full disk cut."""
    process = SPAWN.Process(target=fill_and_free, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    lines = (tmp_path / "app.log").read_text().splitlines()
    torn = [line for line in lines if not line.endswith("}")]
    assert len(torn) == 1
    whole = (tmp_path / "app.log").read_text().replace(torn[0] + "\n", "")
    (tmp_path / "app.log").write_text(whole)
    kept = [words.partition(" x")[0] for words in messages(read_log(tmp_path))]
    assert (kept[0], kept[-2:]) == ("before", ["after", "and on"])
    assert len(kept) < 8
    assert (tmp_path / "stderr").read_text().count(COMPLAINT) == 1


def test_complaint_names_the_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator reads what the system said."""
    (tmp_path / "file").write_text("")
    with logs_in(tmp_path / "file" / "logs"):
        pass
    (complaint,) = complaints(capsys)
    assert "NotADirectoryError: [Errno 20] Not a directory" in complaint


def test_closed_stderr_raises_nothing(tmp_path: Path) -> None:
    """Even where the complaint itself cannot be written, the caller goes on."""
    process = SPAWN.Process(target=lose_everything, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def lose_everything(folder: Path) -> None:
    (folder / "file").write_text("")
    sys.stderr.close()
    with logs_in(folder / "file" / "logs"):
        logger.error("lost")


async def test_chat_is_answered_without_logs(tmp_path: Path) -> None:
    """A log that cannot be written never costs a chat."""
    (tmp_path / "file").write_text("")
    async with scripted_gateway(tmp_path / "file" / "logs") as gateway:
        gateway.gpt.enqueue(*answer("Hello"))
        response = await gateway.chat()
    assert response.status_code == 200
    assert response.text.endswith("data: [DONE]\n\n")


@given(steps=st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 100)), max_size=30))
def test_once_a_minute_is_once_a_minute(steps: list[tuple[str, float]]) -> None:
    """What is allowed is a minute apart at least, subject by subject, and nothing older than that is held back."""
    now = 0.0
    once = OncePerMinute(clock=lambda: now)
    allowed: dict[str, float] = {}
    for subject, wait in steps:
        now += wait
        is_due = now - allowed.get(subject, -60.0) >= 60.0
        assert once.allows(subject) is is_due
        if is_due:
            allowed[subject] = now
