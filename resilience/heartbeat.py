"""A loop's heartbeat: how long it stood still between two beats, and how much of that was the gateway's own doing.

A loop stands still because something in it works or waits for long, or because the machine runs something else: Linux
tells how long a thread was ready to run and had no processor.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

_EACH_SECONDS = 0.01
_SCHEDULER = Path("/proc/thread-self/schedstat")


class Heartbeat:
    """Beats from `start` on. The longest pause, and the longest that is not the machine's, are in milliseconds."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self.longest_own_ms = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """To be called in the loop's thread, while the loop runs; what comes before another call does not count."""
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
    """How long this thread has been waiting for a processor so far."""
    return int(_SCHEDULER.read_text().split()[1]) / 1e6
