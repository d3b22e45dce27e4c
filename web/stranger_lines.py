"""Limits the log lines about clients without a key: a flood must not rotate the logs.

Each address may cause a burst of 20 lines and then one a second; all addresses together 100 and
then ten a second. Dropped lines are counted; after ten seconds one line states their number.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context
from time import monotonic

from settings.hosts import client_network

_PER_ADDRESS = (20, 1.0)  # burst, and lines a second
_IN_TOTAL = (100, 10.0)
_MAX_ADDRESSES = 1024  # remembered; a flood from more is limited by the total
_SUMMARY_SECONDS = 10.0

_logger = logging.getLogger("gateway.web")


class _TokenBucket:
    """Holds up to `burst` tokens, and gains `per_second` tokens each second."""

    __slots__ = ("_at", "_burst", "_per_second", "_tokens")

    def __init__(self, burst: int, per_second: float, now: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class StrangerLines:
    """The limit of one app; to be used in the event loop's thread, and closed by its creator."""

    def __init__(
        self, clock: Callable[[], float] = monotonic, *, summary_seconds: float = _SUMMARY_SECONDS
    ) -> None:
        self._clock = clock
        self._summary_seconds = summary_seconds
        self._total = _TokenBucket(*_IN_TOTAL, clock())
        self._by_address: OrderedDict[str, _TokenBucket] = OrderedDict()
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None

    def allow(self, address: str | None) -> bool:
        """Whether a line about this client may be written. If not, it is counted as dropped."""
        now = self._clock()
        group = client_network(str(address))
        bucket = self._by_address.pop(group, None) or _TokenBucket(*_PER_ADDRESS, now)
        self._by_address[group] = bucket  # moved to the end: the most recently used
        if len(self._by_address) > _MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        if bucket.take(now) and self._total.take(now):
            return True
        self._dropped += 1
        if self._timer is None:
            loop = asyncio.get_running_loop()
            context = Context()  # not the request's
            self._timer = loop.call_later(self._summary_seconds, self.close, context=context)
        return False

    def close(self) -> None:
        """Log the number of lines dropped since the last call, if there are any."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._dropped:
            context = {"lines": self._dropped}
            _logger.warning(
                "lines about clients without a key were left out", extra={"context": context}
            )
            self._dropped = 0
