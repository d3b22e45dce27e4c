"""Measures how long an event loop is blocked, and how much of that is due to its own process.

A loop is blocked while something in it works or waits, or while the machine runs something else.
Linux knows for how long a thread was ready to run without a processor.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

_EACH_SECONDS = 0.01
_SCHEDULER = Path("/proc/thread-self/schedstat")


class Heartbeat:
    """Measures from `start` on: the longest pause, and the longest without the machine's part."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self.longest_own_ms = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start, or start again. To be called while the loop runs, in its thread."""
        if self._timer:
            self._timer.cancel()
        self._loop = asyncio.get_running_loop()
        self._wait()

    def _wait(self) -> None:
        self._queued_ms, self._due = _queued_ms(), time.perf_counter() + _EACH_SECONDS
        self._timer = self._loop.call_later(_EACH_SECONDS, self._beat)

    def _beat(self) -> None:
        pause_ms = 1000 * (time.perf_counter() - self._due)
        self.longest_ms = max(self.longest_ms, pause_ms)
        self.longest_own_ms = max(self.longest_own_ms, pause_ms - (_queued_ms() - self._queued_ms))
        self._wait()


def _queued_ms() -> float:
    """For how long this thread has waited for a processor so far."""
    return int(_SCHEDULER.read_text().split()[1]) / 1e6
