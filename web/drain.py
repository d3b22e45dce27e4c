"""Graceful shutdown: health turns 503 first, then new chats are refused, then the open ones end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from web.limits import StreamLimit

LAST_SECONDS = 2  # for the last events of ended chats to be sent

_logger = logging.getLogger("gateway.web")


class Chats(NamedTuple):
    """The chats in flight: the slots that they hold, and how to end them."""

    slots: StreamLimit
    end: Callable[[], None]


class Drain:
    """Whether this process accepts chats. `grace` and `timeout` are in seconds."""

    def __init__(self, grace: float, timeout: float) -> None:
        self.grace = grace
        self.timeout = timeout
        self.is_draining = False  # readiness probes get 503

    async def run(self, chats: Chats, grace: float, handover: float = 0) -> None:
        """Drain: when this returns, every chat in flight has ended by itself or with an error.

        `handover` is how many seconds to keep accepting chats and reporting good health first.
        """
        context = {
            "open": chats.slots.open,
            "grace_seconds": grace,
            "timeout_seconds": self.timeout,
        }
        _logger.info("draining", extra={"context": context})
        await asyncio.sleep(handover)
        self.is_draining = True
        await asyncio.sleep(grace)
        chats.slots.is_closed = True
        if not await _are_over(chats, self.timeout):
            _logger.warning("ending chats", extra={"context": {"open": chats.slots.open}})
            chats.end()
            await _are_over(chats, LAST_SECONDS)


async def _are_over(chats: Chats, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await chats.slots.all_free.wait()
    except TimeoutError:
        return False
    return True
