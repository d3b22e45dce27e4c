"""`python -m resilience.watched REPORT`: the gateway, which reports its objects at SIGUSR2.

The gateway itself is unchanged and does not use that signal. From the first report on the pauses
of its loop are measured.
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

_TIMEOUT_SECONDS = 10.0


class Report(msgspec.Struct):
    """What is alive after a full collection: tasks, blocks of Python's allocator, objects by type.

    Objects from before the gateway served are frozen and not included. `allocated_bytes` is what
    glibc has given out: to the C libraries, and to Python and its allocator. It is 0 without glibc.
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
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the gateway does not report")
        time.sleep(0.02)
    return msgspec.json.decode(path.read_bytes(), type=Report)


def _report(path: Path, heartbeat: Heartbeat) -> None:
    gc.collect()
    found = gc.get_objects()
    tasks = [
        str(thing.get_coro())
        for thing in found
        if isinstance(thing, asyncio.Task) and not thing.done()
    ]
    objects = Counter(f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in found)
    draft = path.with_suffix(".draft")
    pulse = (heartbeat.longest_ms, heartbeat.longest_own_ms)
    allocated_bytes = 0
    if ask := getattr(ctypes.CDLL(None), "mallinfo2", None):
        ask.restype = _AllocatorInfo
        info = ask()
        allocated_bytes = int(info.given_out + info.mapped)
    report = Report(tasks, sys.getallocatedblocks(), allocated_bytes, dict(objects), *pulse)
    draft.write_bytes(msgspec.json.encode(report))
    os.replace(draft, path)
    heartbeat.start()  # only now, because the report takes long


class _AllocatorInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = (
        ("others", ctypes.c_size_t * 4),
        ("mapped", ctypes.c_size_t),  # hblkhd
        ("more", ctypes.c_size_t * 2),
        ("given_out", ctypes.c_size_t),  # uordblks
        ("free", ctypes.c_size_t * 2),
    )


if __name__ == "__main__":
    report, heartbeat = Path(sys.argv[1]), Heartbeat()
    signal.signal(signal.SIGUSR2, lambda *_: _report(report, heartbeat))
    sys.exit(serve([]))
