"""Promises: whether a run kept them, and its exit status."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

from benchmarks.processes import count_processors
from resilience.gateway_process import Holdings


class Promise(NamedTuple):
    """A promise, whether it was kept, and the measured value."""

    text: str
    is_kept: bool
    seen: str


def judge_open(before: Holdings, after: Holdings) -> list[Promise]:
    """The promises that the run left no stream and no task behind."""
    streams, tasks = after.streams + after.at_vendors, len(after.alive.tasks)
    return [
        Promise("no stream is left open", streams == 0, f"{streams}"),
        Promise("no task is left", tasks <= len(before.alive.tasks), f"{tasks}"),
    ]


def print_machine() -> None:
    """Print the machine and the versions."""
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools", "aiohttp")
    )
    python = f"Python {platform.python_version()}"
    print(f"{platform.system()}, {count_processors()} processors, {python}, {libraries}")


def judge(run: str, promises: Sequence[Promise]) -> int:
    """Print each promise and the verdict. Returns the exit status: 1 if one was broken."""
    for promise in promises:
        print(f"  {'kept  ' if promise.is_kept else 'BROKEN'}  {promise.text}: {promise.seen}")
    broken = sum(not promise.is_kept for promise in promises)
    verdict = f"{broken} of {len(promises)} promises BROKEN" if broken else "every promise kept"
    print(f"{run}: {verdict}", flush=True)
    return 1 if broken else 0
