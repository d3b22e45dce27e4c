"""Promises: what a run says of them, and the status that it ends with."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

from benchmarks.processes import count_processors


class Promise(NamedTuple):
    """What was promised, whether it held, and the number that shows it."""

    text: str
    is_kept: bool
    seen: str


def tell_machine() -> None:
    """Print what a run ran on."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools", "aiohttp"))
    print(f"{platform.system()}, {count_processors()} processors, Python {platform.python_version()}, {libraries}")


def judge(run: str, promises: Sequence[Promise]) -> int:
    """Print each promise and the verdict. Returns the exit status: 1 where one was broken."""
    for promise in promises:
        print(f"  {'kept  ' if promise.is_kept else 'BROKEN'}  {promise.text}: {promise.seen}")
    broken = sum(not promise.is_kept for promise in promises)
    print(f"{run}: {f'{broken} of {len(promises)} promises BROKEN' if broken else 'every promise kept'}", flush=True)
    return 1 if broken else 0
