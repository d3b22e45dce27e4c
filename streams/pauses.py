"""Measures pauses of this process: stopped, suspended with the machine, or without a processor.

After a pause every timer is due, although the data that it waits for may have arrived in the socket
in the meantime. So pauses are measured, and `streams.deadline` extends its timers by them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

_TICK_SECONDS = 0.25
_SHORTEST_SECONDS = 0.5  # a tick that is later than this was delayed by a pause

_logger = logging.getLogger("gateway.pauses")


class Pauses:
    """Measures and logs the pauses of the running event loop while it is `watched`."""

    def __init__(self) -> None:
        self.total = 0.0  # seconds of all pauses so far
        self._watchers = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seen_at = 0.0  # when the loop was last known to run

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Measure pauses within the block. Blocks may be nested."""
        self._watchers += 1
        if self._watchers == 1:
            self._loop = asyncio.get_running_loop()
            self._seen_at = self._loop.time()
            self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._timer.cancel()
                self._loop = None

    def notice(self) -> None:
        """Measure the pause that has just ended, if there was one."""
        if self._loop is None:
            return
        now = self._loop.time()
        seconds, self._seen_at = now - self._seen_at, now
        if seconds > _TICK_SECONDS + _SHORTEST_SECONDS:
            self.total += seconds
            context = {"seconds": round(seconds, 3)}
            _logger.warning(
                "the process was paused; its deadlines are moved", extra={"context": context}
            )

    def _tick(self) -> None:
        self.notice()
        self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)


pauses = Pauses()
