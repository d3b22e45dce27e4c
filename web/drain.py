"""How an instance leaves: health says no first, then new chats are refused, then those under way are ended.

uvicorn alone stops accepting at the first signal, before a load balancer can know. This room takes its signals, and
hands the stop on to it when the chats are over.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

import uvicorn

from models import GatewayError
from web.guards import StreamLimit

_LAST_SECONDS = 2  # for the last events of ended chats to go out
_HANDOVER_SECONDS = 1.5  # for uvicorn to stop accepting, and for the last connections to send what they came for
TERMINATE = (signal.SIGINT, signal.SIGTERM)

_logger = logging.getLogger("gateway.web")


class Chats(NamedTuple):
    """What a drain waits for: the places of the chats under way, and how to end them."""

    places: StreamLimit
    end: Callable[[], None]


class Drain:
    """Whether this process still takes chats. `grace` and `timeout` are seconds."""

    def __init__(self, grace: float, timeout: float) -> None:
        self.grace = grace
        self.timeout = timeout
        self.is_leaving = False  # readiness probes are told to look elsewhere
        self._is_refusing = False

    def check(self) -> None:
        """Raise GatewayError `draining` where no new chat is taken."""
        if self._is_refusing:
            raise GatewayError("draining", retry_after=1)

    async def run(self, chats: Chats, grace: float, handover: float = 0) -> None:
        """Leave: all that is under way has ended, or has been told that it is ended, when this returns.

        `handover` is how long, in seconds, nobody is to notice yet.
        """
        context = {"open": chats.places.open, "grace_seconds": grace, "timeout_seconds": self.timeout}
        _logger.info("draining", extra={"context": context})
        await asyncio.sleep(handover)
        self.is_leaving = True
        await asyncio.sleep(grace)
        self._is_refusing = True
        if not await _are_over(chats, self.timeout):
            _logger.warning("ending chats", extra={"context": {"open": chats.places.open}})
            chats.end()
            await _are_over(chats, _LAST_SECONDS)


async def _are_over(chats: Chats, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await chats.places.all_free.wait()
    except TimeoutError:
        return False
    return True


def keep_signals(drain: Drain, chats: Callable[[], Chats | None]) -> SignalKeeper | None:
    """Answer the process's signals from now on. To be called by an app that uvicorn's server is loading.

    `chats` tells what is open; None before the app has started. The server is found behind its own signal handler;
    where it has none, because it runs in a thread, there is nothing to answer.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return SignalKeeper(server, drain, chats) if isinstance(server, uvicorn.Server) else None


class SignalKeeper:
    """Answers signals in uvicorn's place.

    SIGTERM, and SIGHUP of a process that is alone: a drain; SIGINT (Ctrl-C): one without grace. SIGHUP of a worker,
    whose successor is serving already: it stops accepting at once, and refuses nobody whom it has accepted. A second
    signal ends the process at once; a worker's parent kills it then. A worker whose parent is gone has none to succeed
    it: a drain.
    """

    def __init__(self, server: uvicorn.Server, drain: Drain, chats: Callable[[], Chats | None]) -> None:
        self._server = server
        self._drain = drain
        self._chats = chats
        self._loop = asyncio.get_running_loop()
        parent = multiprocessing.parent_process()
        self._is_worker = parent is not None
        self._first: int | None = None
        self._leaving: asyncio.Task[None] | None = None
        for number in (*TERMINATE, signal.SIGHUP):
            signal.signal(number, self._take)
        if parent:
            self._loop.add_reader(parent.sentinel, self._lose, parent.sentinel)

    def _lose(self, parent: int) -> None:
        self._loop.remove_reader(parent)
        self._take(signal.SIGTERM, None)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._first is not None and self._is_worker:
            return  # who tells all processes at once, as a terminal or systemd does, tells it once more by its parent
        if self._first is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._first = number
        self._loop.call_soon_threadsafe(self._begin, number)

    def _begin(self, number: int) -> None:
        is_replaced = self._is_worker and number == signal.SIGHUP
        if is_replaced:
            self._stop_server(_HANDOVER_SECONDS + self._drain.timeout + 2 * _LAST_SECONDS)
        grace = 0 if is_replaced or number == signal.SIGINT else self._drain.grace
        handover = _HANDOVER_SECONDS if is_replaced else 0
        self._leaving = self._loop.create_task(self._leave(grace, handover))

    async def _leave(self, grace: float, handover: float) -> None:
        if chats := self._chats():
            await self._drain.run(chats, grace, handover)
        self._stop_server(_LAST_SECONDS)

    def _stop_server(self, seconds: float) -> None:
        """Accept nothing more, and end when the open responses are over, after so many seconds at most."""
        self._server.config.timeout_graceful_shutdown = int(seconds)
        self._server.should_exit = True
