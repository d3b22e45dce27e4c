"""Handles the process's signals: they drain the chats, then stop the server.

uvicorn alone would stop accepting at the first signal, before a load balancer can notice.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from types import FrameType

import uvicorn

from logging_config import audit
from web.drain import LAST_SECONDS, Chats, Drain

_HANDOVER_SECONDS = 1.5  # for uvicorn to stop accepting, and for the last connections to send
TERMINATE = (signal.SIGINT, signal.SIGTERM)
REPLACED = signal.SIGUSR1  # to a replaced worker; terminals and systemd do not send it
WORKERS_SIGNALS = (signal.SIGHUP, REPLACED)  # blocked until a new worker has handlers for them

FindChats = Callable[[], Chats | None]  # the chats in flight; None before the app has started


def keep_signals(
    drain: Drain, chats: FindChats, reload: Callable[[], None] | None = None
) -> SignalKeeper | None:
    """Handle the process's signals from now on. To be called while uvicorn's server loads the app.

    The server is found through its own signal handler. Returns None if it has none, because it
    runs in a thread. With `reload`, a single process calls that at SIGHUP, and goes on.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(server, uvicorn.Server):
        return None
    return SignalKeeper(server, drain, chats, reload)


def is_ignored(number: signal.Signals) -> bool:
    """Whether the process was started with the signal ignored, as nohup does with SIGHUP."""
    return signal.getsignal(number) is signal.SIG_IGN


class SignalKeeper:
    """Handles signals in place of uvicorn.

    - SIGTERM, and SIGHUP for a single process without anything to reload: drain.
    - SIGINT (Ctrl-C): drain without grace.
    - `REPLACED`, for a worker whose successor serves already: stop accepting at once, serve what
      was accepted, drain.
    - SIGHUP for a worker: ignored, because the supervisor replaces the workers one after the other.
      It is also ignored under nohup.
    - A second signal ends a single process at once. A worker ignores it: its supervisor kills it.
    - A worker whose supervisor has died drains, because no other process replaces it.
    """

    def __init__(
        self,
        server: uvicorn.Server,
        drain: Drain,
        chats: FindChats,
        reload: Callable[[], None] | None = None,
    ) -> None:
        self._server = server
        self._drain = drain
        self._chats = chats
        self._loop = asyncio.get_running_loop()
        parent = multiprocessing.parent_process()
        self._is_worker = parent is not None
        self._first: int | None = None
        self._draining: asyncio.Task[None] | None = None
        for number in TERMINATE:
            signal.signal(number, self._handle)
        if parent:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(REPLACED, self._handle)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WORKERS_SIGNALS)
            self._loop.add_reader(parent.sentinel, self._drain_without_parent, parent.sentinel)
        elif reload:
            self._loop.add_signal_handler(signal.SIGHUP, reload)
        elif not is_ignored(signal.SIGHUP):
            signal.signal(signal.SIGHUP, self._handle)

    def _drain_without_parent(self, parent: int) -> None:
        self._loop.remove_reader(parent)
        self._handle(signal.SIGTERM, None)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._first is not None and self._is_worker:
            # A terminal or systemd signals all processes at once, and the supervisor signals each
            # worker once more.
            return
        if self._first is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._first = number
        self._loop.call_soon_threadsafe(self._begin, number)

    def _begin(self, number: int) -> None:
        audit("signal", process=os.getpid(), signal=signal.Signals(number).name)
        is_replaced = number == REPLACED
        if is_replaced:
            self._stop_server(_HANDOVER_SECONDS + self._drain.timeout + 2 * LAST_SECONDS)
        grace = 0 if is_replaced or number == signal.SIGINT else self._drain.grace
        handover = _HANDOVER_SECONDS if is_replaced else 0
        self._draining = self._loop.create_task(self._drain_and_stop(grace, handover))

    async def _drain_and_stop(self, grace: float, handover: float) -> None:
        if chats := self._chats():
            await self._drain.run(chats, grace, handover)
        self._stop_server(LAST_SECONDS)

    def _stop_server(self, seconds: float) -> None:
        """Stop accepting, and exit when the open responses are over or after `seconds`."""
        self._server.config.timeout_graceful_shutdown = int(seconds)
        self._server.should_exit = True
