"""`python -m resilience.watched REPORT`: the gateway as `python main.py` serves it; SIGUSR2 asks what is alive in it.

Nothing of the gateway is changed: the signal is one that it does not take itself.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec

from benchmarks.processes import Process
from main import main as serve

_PATIENCE_SECONDS = 10.0


class Report(msgspec.Struct):
    """What is alive after a full collection: tasks that are not over, blocks of Python's allocator, objects by type.

    What was there before the gateway served is frozen, and so not among the objects.
    """

    tasks: list[str]
    blocks: int
    objects: dict[str, int]


def read_report(process: Process, path: Path) -> Report:
    """Have a watched gateway report. Blocks; raises TimeoutError."""
    path.unlink(missing_ok=True)
    process.send_signal(signal.SIGUSR2)
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not path.exists():
        if time.monotonic() > give_up:
            raise TimeoutError("the gateway does not report")
        time.sleep(0.02)
    return msgspec.json.decode(path.read_bytes(), type=Report)


def _write_report(path: Path) -> None:
    gc.collect()
    found = gc.get_objects()
    tasks = [str(thing.get_coro()) for thing in found if isinstance(thing, asyncio.Task) and not thing.done()]
    objects = Counter(f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in found)
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(Report(tasks, sys.getallocatedblocks(), dict(objects))))
    os.replace(draft, path)


if __name__ == "__main__":
    report = Path(sys.argv[1])
    signal.signal(signal.SIGUSR2, lambda *_: _write_report(report))
    sys.exit(serve([]))
