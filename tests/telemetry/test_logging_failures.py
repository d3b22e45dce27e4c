"""Logs that cannot be written: no chat fails, stderr reports it once a minute, and lines go on afterwards."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_config import flush_logs, logger
from telemetry.once_per_minute import OncePerMinute
from telemetry.sinks.conversation_log import ConversationLog
from tests.gateways.chat_records import make_record
from tests.gateways.log_files import logs_in, messages, parse_lines, read_log
from tests.gateways.scripted import answer, scripted_gateway

LOSS = "lines were lost"
COMPLAINT = "LOG LINES ARE BEING LOST"
SPAWN = multiprocessing.get_context("spawn")


def complaints(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if COMPLAINT in line]


def write_some() -> None:
    """A line for each of the logs, more than once."""
    for _ in range(3):
        logger.error("lost")
        ConversationLog("full").chat_ended(make_record("q", "a"))


def test_folder_that_cannot_be_made_raises_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gateway runs without logs rather than not at all, and says so once."""
    (tmp_path / "file").write_text("")
    with logs_in(tmp_path / "file" / "logs"):
        write_some()
    assert len(complaints(capsys)) == 1


def test_log_that_cannot_be_opened_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder in a log's place costs that log alone; once it is gone, lines arrive."""
    (tmp_path / "app.log").mkdir()
    with logs_in(tmp_path):
        logger.error("first")
        flush_logs()
        (tmp_path / "app.log").rmdir()
        logger.error("second")
    assert messages(read_log(tmp_path, "error")) == ["first", "second"]
    assert messages(read_log(tmp_path)) == ["second", LOSS]
    assert len(complaints(capsys)) == 1


def test_folder_that_vanishes_raises_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines go on as soon as the folder is there again, and the log says how many are missing."""
    folder = tmp_path / "logs"
    with logs_in(folder):
        logger.error("before")
        shutil.rmtree(folder)
        write_some()
        flush_logs()  # else some of it may be written after the folder is there again
        folder.mkdir()
        logger.error("after")
        after, loss = read_log(folder)
    assert after["message"] == "after"
    assert (loss["level"], loss["message"], loss["context"]) == ("WARNING", LOSS, {"lines": 3})
    assert len(complaints(capsys)) == 1


def test_log_that_cannot_be_rotated_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it fills the disk: once, with the cause, while its lines are still written."""
    (tmp_path / "app.log.1").mkdir()
    with logs_in(tmp_path, max_bytes=1, backup_count=1):
        for number in range(3):
            logger.info("line %d", number)
    lines = (tmp_path / "app.log").read_bytes()
    assert messages(parse_lines(lines)) == ["line 0", "line 1", "line 2"]
    reports = [line for line in capsys.readouterr().err.splitlines() if " LOG " in line]
    assert len(reports) == 1
    assert reports[0].startswith("A LOG CANNOT BE ROTATED AND GROWS: IsADirectoryError: [Errno 21]")


def put_link(path: Path) -> None:
    (path.parent / "target").write_text("somebody's")
    path.symlink_to("target")


def put_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def put_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


IRREGULAR: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (put_link, "is a symbolic link, which is not followed"),
    "dangling link": (put_dangling_link, "is a symbolic link, which is not followed"),
    "link to a device": (
        lambda path: path.symlink_to("/dev/null"),
        "is a symbolic link, which is not followed",
    ),
    "pipe": (os.mkfifo, "is no regular file"),
    "socket": (put_socket, "is no regular file"),
    "folder": (os.mkdir, "Is a directory"),
}


@pytest.mark.parametrize(("put", "words"), IRREGULAR.values(), ids=IRREGULAR)
def test_log_that_is_no_regular_file_is_refused_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], put: Callable[[Path], object], words: str
) -> None:
    """The console names it and says why; it is neither followed nor written, and the other logs are."""
    path = tmp_path / "app.log"
    put(path)
    before = {file.name: file.lstat().st_size for file in tmp_path.iterdir()}
    with logs_in(tmp_path):
        assert flush_logs()
        logger.error("kept elsewhere")
    refusal, *_ = [
        line for line in capsys.readouterr().err.splitlines() if "app.log IS NOT WRITTEN" in line
    ]
    assert words in refusal
    assert {name: (tmp_path / name).lstat().st_size for name in before} == before
    assert not (tmp_path / "nowhere").exists()
    assert messages(read_log(tmp_path, "error")) == ["kept elsewhere"]


@pytest.mark.parametrize(("put", "words"), IRREGULAR.values(), ids=IRREGULAR)
def test_log_that_is_replaced_by_no_regular_file_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], put: Callable[[Path], object], words: str
) -> None:
    """A user that may write in the folder cannot redirect the log, or have the gateway wait."""
    path = tmp_path / "app.log"
    with logs_in(tmp_path):
        logger.error("before")
        path.unlink()
        put(path)
        logger.error("refused")
        flush_logs()  # an error waits 50 ms for its line, which a busy machine may exceed
        path.rmdir() if path.is_dir() else path.unlink()
        logger.error("after")
    assert [line for line in complaints(capsys) if words in line]
    assert messages(read_log(tmp_path)) == ["after", LOSS]
    assert not (tmp_path / "nowhere").exists()
    if (tmp_path / "target").exists():
        assert (tmp_path / "target").read_text() == "somebody's"


@pytest.mark.parametrize("change", ["deleted", "moved"])
def test_deleted_log_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    """If a log is deleted or moved, no later line is lost."""
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
        flush_logs()
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, unlimited[1]))
        for number in range(20):
            logger.info("lost %d %s", number, "x" * 300)
        flush_logs()
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        logger.info("after")
        flush_logs()
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
    logged = read_log(tmp_path)
    kept = [words.partition(" x")[0] for words in messages(logged)]
    assert (kept[0], kept[-3:]) == ("before", ["after", LOSS, "and on"])
    assert len(kept) < 9
    assert logged[-2]["context"]["lines"] == 20 - (len(kept) - 4)
    assert (tmp_path / "stderr").read_text().count(COMPLAINT) == 1


def test_complaint_names_the_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator reads what the system said."""
    (tmp_path / "file").write_text("")
    with logs_in(tmp_path / "file" / "logs"):
        pass
    (complaint,) = complaints(capsys)
    assert "NotADirectoryError: [Errno 20] Not a directory" in complaint


def test_closed_stderr_raises_nothing(tmp_path: Path) -> None:
    """The caller goes on even if the report itself cannot be written."""
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
