"""Work in processes of its own, and the writers of logs that run there.

A spawned process imports the module of its work, so this one imports little.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from logging_config import logger
from telemetry.log_file import LogFile
from tests.gateways.log_files import logs_in

_SPAWN = multiprocessing.get_context("spawn")


def run(work: Callable[..., None], *arguments: Any, copies: int = 1) -> list[int | None]:
    """Do the work in so many processes at the same time; their exit statuses. Its last argument is a copy's number."""
    processes = [_SPAWN.Process(target=work, args=(*arguments, number)) for number in range(copies)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def log_lines(folder: Path, lines: int, writer: int) -> None:
    """Log so many errors, into files of some twenty lines."""
    with logs_in(folder, max_bytes=20_000, backup_count=1_000):
        for number in range(lines):
            logger.error(
                "%d/%d", writer, number, extra={"context": {"filling": "é" * (number % 100)}}
            )


def write_lines(folder: Path, lines: int, writer: int) -> None:
    """Write so many lines to a log file that rotates at 1 KiB; one in fifty is longer than a page."""
    with closing(LogFile(folder / "a.log", max_bytes=1024, backup_count=lines * 10)) as file:
        for number in range(lines):
            file.write(
                b"%d/%d %s\n"
                % (writer, number, b"x" * (7_000 if number % 50 == 0 else number % 40))
            )
