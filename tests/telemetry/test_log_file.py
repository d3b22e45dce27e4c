"""A log file of several writers: each has the file open for itself, as processes have, and none waits for another."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from telemetry.log_file import LogFile, RotationError
from tests.exhaustive import exhaustive
from tests.gateways.spawned import run, write_lines

WRITERS = 4


def open_file(folder: Path, **options: Any) -> closing[LogFile]:
    """The file, to be closed at the block's end."""
    chosen: dict[str, Any] = {"max_bytes": 1024, "backup_count": 5}
    return closing(LogFile(folder / "a.log", **(chosen | options)))


def read_files(folder: Path) -> dict[str, bytes]:
    """What stands in the file and its backups, by their names."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("count", [500, *exhaustive(5_000)])
def test_each_line_of_several_processes_is_there_once(tmp_path: Path, count: int) -> None:
    """Files of some thirty lines, lines longer than a page: each stands whole in one file, in its writer's order."""
    assert run(write_lines, tmp_path, count, copies=WRITERS) == [0] * WRITERS
    files = sorted(
        tmp_path.iterdir(), key=lambda file: -int("0" + file.suffix[1:].removeprefix("log"))
    )
    assert len(files) > WRITERS  # how often it is rotated depends on how the writers interleave
    lines = b"".join(file.read_bytes() for file in files).decode().splitlines()
    assert max(Counter(lines).values()) == 1
    for writer in range(WRITERS):
        own = [line.partition(" ") for line in lines if line.startswith(f"{writer}/")]
        assert [name for name, _, _ in own] == [f"{writer}/{number}" for number in range(count)]
        assert [len(filling) for _, _, filling in own][::50] == [7_000] * (count // 50)
    assert len(lines) == WRITERS * count


def test_line_follows_another_writers_rotation(tmp_path: Path) -> None:
    """A writer whose open file was renamed goes on in the new one."""
    with open_file(tmp_path) as first, open_file(tmp_path) as second:
        first.write(b"a" * 2_000 + b"\n")
        second.write(b"b\n")
        first.write(b"c\n")
    assert read_files(tmp_path) == {"a.log": b"b\nc\n", "a.log.1": b"a" * 2_000 + b"\n"}


def test_rotation_blocks_no_other_process(tmp_path: Path) -> None:
    """While another process holds the lock, even one that has been stopped, lines go on into the full file."""
    with open_file(tmp_path) as file, open(tmp_path / "a.log", "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        file.write(b"a" * 2_000 + b"\n")
        file.write(b"b\n")
        assert read_files(tmp_path) == {"a.log": b"a" * 2_000 + b"\nb\n"}
        fcntl.flock(held, fcntl.LOCK_UN)
        file.write(b"c\n")
    assert read_files(tmp_path)["a.log"] == b"c\n"


def test_file_without_backups_is_emptied(tmp_path: Path) -> None:
    """For all writers that have it open: their next lines are in it."""
    with (
        open_file(tmp_path, backup_count=0) as first,
        open_file(tmp_path, backup_count=0) as second,
    ):
        first.write(b"a\n")
        second.write(b"b" * 2_000 + b"\n")
        first.write(b"c\n")
        second.write(b"d\n")
    assert read_files(tmp_path) == {"a.log": b"c\nd\n"}


def test_oldest_backup_goes_when_all_places_are_taken(tmp_path: Path) -> None:
    """A place that is free, because a rotation was killed or a file was deleted, is taken before one is given up."""
    with open_file(tmp_path, max_bytes=1, backup_count=3) as file:
        for number in range(5):
            file.write(b"%d\n" % number)
        assert read_files(tmp_path) == {
            "a.log": b"4\n",
            "a.log.1": b"3\n",
            "a.log.2": b"2\n",
            "a.log.3": b"1\n",
        }
        (tmp_path / "a.log.2").unlink()
        file.write(b"5\n")
    assert read_files(tmp_path) == {
        "a.log": b"5\n",
        "a.log.1": b"4\n",
        "a.log.2": b"3\n",
        "a.log.3": b"1\n",
    }


def test_file_that_cannot_rotate_grows(tmp_path: Path) -> None:
    """No line is lost if a backup's name is taken by something that cannot be replaced."""
    (tmp_path / "a.log.1" / "kept").mkdir(parents=True)
    with open_file(tmp_path, max_bytes=1, backup_count=1) as file:
        file.write(b"a\n")
        for line in (b"b\n", b"c\n"):
            with pytest.raises(RotationError) as caught:
                file.write(line)
            assert isinstance(caught.value.__cause__, IsADirectoryError)
        shutil.rmtree(tmp_path / "a.log.1")
        file.write(b"d\n")
    assert read_files(tmp_path) == {"a.log": b"d\n", "a.log.1": b"a\nb\nc\n"}


def test_torn_line_is_ended_once(tmp_path: Path) -> None:
    """However many workers start at once after a crash: no line stands behind the torn one, and no empty line."""
    (tmp_path / "a.log").write_bytes(b'{"cut')
    together = Barrier(8)

    def start(number: int) -> None:
        with open_file(tmp_path) as file:
            together.wait()
            file.write(b"%d\n" % number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(start, range(8)))
    torn, *lines = (tmp_path / "a.log").read_bytes().splitlines()
    assert torn == b'{"cut'
    assert sorted(lines) == [b"%d" % number for number in range(8)]


def test_torn_line_of_a_full_file_is_ended(tmp_path: Path) -> None:
    """Before the file becomes a backup."""
    (tmp_path / "a.log").write_bytes(b"cut" * 1_000)
    with open_file(tmp_path) as file:
        file.write(b"a\n")
    assert read_files(tmp_path) == {"a.log": b"a\n", "a.log.1": b"cut" * 1_000 + b"\n"}


def test_ending_a_torn_line_blocks_no_other_process_for_long(tmp_path: Path) -> None:
    """While another process holds the lock, even one that has been stopped, a line goes on behind the torn one."""
    (tmp_path / "a.log").write_bytes(b'{"cut')
    with (
        ThreadPoolExecutor(1) as other,
        open_file(tmp_path) as file,
        open(tmp_path / "a.log", "rb") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        other.submit(file.write, b"a\n").result(timeout=10)
        file.write(b"b\n")
    assert read_files(tmp_path) == {"a.log": b'{"cuta\nb\n'}


def test_failed_line_leaves_the_file_to_the_next(tmp_path: Path) -> None:
    """What the system refuses is raised; the next line opens the file anew."""
    folder = tmp_path / "logs"
    with open_file(folder) as file:
        with pytest.raises(FileNotFoundError):
            file.write(b"a\n")
        folder.mkdir()
        file.write(b"b\n")
        file.write(b"c\n")
    assert read_files(folder) == {"a.log": b"b\nc\n"}


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="the system does not show what a process has open"
)
def test_closed_file_is_released(tmp_path: Path) -> None:
    """Of all that was opened, to rotate too, nothing is open after the close."""
    with open_file(tmp_path, max_bytes=1) as file:
        for _ in range(10):
            file.write(b"a\n")
        assert opened_in(tmp_path) == [f"{tmp_path}/a.log"]
    assert opened_in(tmp_path) == []


def opened_in(folder: Path) -> list[str]:
    """The files of the folder that this process has open."""
    links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return [link for link in links if link.startswith(str(folder))]
