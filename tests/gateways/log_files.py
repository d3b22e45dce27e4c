"""Real log files of a test: opening them, and reading them strictly."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from logging_config import LogSettings, configure_logging, flush_logs, shutdown_logging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def open_log_files(directory: Path, **options: Any) -> None:
    """Open the logs of this process; the options are fields of LogSettings."""
    chosen: dict[str, Any] = {
        "level": "INFO",
        "max_bytes": 10**9,
        "backup_count": 5,
        "conversation_log": "full",
    }
    configure_logging(LogSettings(directory=directory, **(chosen | options)))


@contextmanager
def logs_in(directory: Path, **options: Any) -> Iterator[None]:
    """Logs that are open while the block runs."""
    open_log_files(directory, **options)
    try:
        yield
    finally:
        shutdown_logging()


def read_log(directory: Path, name: str = "app") -> list[Any]:
    """The lines of a log as objects, oldest first, with those of its backups, once all have been written."""
    flush_logs()
    files = sorted(directory.glob(f"{name}.log*"), key=_age, reverse=True)
    return [line for file in files for line in parse_lines(file.read_bytes())]


def _age(file: Path) -> int:
    return int(file.suffix[1:]) if file.suffix[1:].isdigit() else 0


def parse_lines(written: bytes) -> list[Any]:
    """One JSON object a line, however a reader splits lines, and nothing that JSON has no word for."""
    text = written.decode()
    lines = text.splitlines()
    assert "".join(f"{line}\n" for line in lines) == text, (
        "a line is not ended, or something else ends one"
    )
    return [json.loads(line, parse_constant=_refuse) for line in lines]


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def messages(lines: list[Any]) -> list[str]:
    """What the lines say."""
    return [line["message"] for line in lines]
