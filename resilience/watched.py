"""`python -m resilience.watched REPORT`: the gateway as `python main.py` serves it; SIGUSR2 asks what is alive in it.

From the first report on its loop has a heartbeat. Nothing of the gateway is changed: the signal is one that it does not
take itself.
"""

from __future__ import annotations

import asyncio
import ctypes
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
from resilience.heartbeat import Heartbeat

_PATIENCE_SECONDS = 10.0


class Report(msgspec.Struct):
    """What is alive after a full collection: tasks that are not over, blocks of Python's allocator, objects by type.

    What was there before the gateway served is frozen, and so not among the objects. `allocated_bytes` is what glibc
    has given out: to the C libraries, to Python for what is large, to Python's allocator for the rest. 0 without glibc.
    """

    tasks: list[str]
    blocks: int
    allocated_bytes: int
    objects: dict[str, int]
    longest_pause_ms: float = 0
    longest_own_pause_ms: float = 0


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


def _report(path: Path, heartbeat: Heartbeat) -> None:
    _write_report(path, heartbeat)
    heartbeat.start()  # not before: to count what is alive takes long


def _write_report(path: Path, heartbeat: Heartbeat) -> None:
    gc.collect()
    found = gc.get_objects()
    tasks = [str(thing.get_coro()) for thing in found if isinstance(thing, asyncio.Task) and not thing.done()]
    objects = Counter(f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in found)
    draft = path.with_suffix(".draft")
    pulse = (heartbeat.longest_ms, heartbeat.longest_own_ms)
    told = Report(tasks, sys.getallocatedblocks(), _allocated_bytes(), dict(objects), *pulse)
    draft.write_bytes(msgspec.json.encode(told))
    os.replace(draft, path)


class _AllocatorInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = (
        ("others", ctypes.c_size_t * 4),
        ("mapped", ctypes.c_size_t),  # hblkhd
        ("more", ctypes.c_size_t * 2),
        ("given_out", ctypes.c_size_t),  # uordblks
        ("free", ctypes.c_size_t * 2),
    )


def _allocated_bytes() -> int:
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return 0
    ask.restype = _AllocatorInfo
    told = ask()
    return int(told.given_out + told.mapped)


if __name__ == "__main__":
    report, heartbeat = Path(sys.argv[1]), Heartbeat()
    signal.signal(signal.SIGUSR2, lambda *_: _report(report, heartbeat))
    sys.exit(serve([]))
