"""A loop's heartbeat: how long it stood still between two beats, and how much of that was its own work.

A loop stands still because something in it works for long, or because the machine runs something else: the processor
time of the loop's own thread tells one from the other.
"""

from __future__ import annotations

import asyncio
import time

_EACH_SECONDS = 0.01


class Heartbeat:
    """Beats from `start` on. The longest pause, and the most work between two beats, are in milliseconds."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self.most_work_ms = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """To be called in the loop's thread, while the loop runs; what comes before another call does not count."""
        if self._timer:
            self._timer.cancel()
        self._loop = asyncio.get_running_loop()
        self._wait()

    def _wait(self) -> None:
        self._work, self._due = time.thread_time(), time.perf_counter() + _EACH_SECONDS
        self._timer = self._loop.call_later(_EACH_SECONDS, self._beat)

    def _beat(self) -> None:
        self.longest_ms = max(self.longest_ms, 1000 * (time.perf_counter() - self._due))
        self.most_work_ms = max(self.most_work_ms, 1000 * (time.thread_time() - self._work))
        self._wait()
