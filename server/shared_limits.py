"""Runs the workers, with the limits of clients that they share."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import uvicorn

from cluster.limit_broker import LimitBroker
from cluster.limit_counters import LimitCounters
from configuration import Settings
from server.listeners import Listeners
from server.workers import Supervisor


def run_workers(
    config: uvicorn.Config,
    listeners: Listeners,
    settings: Settings,
    load_app: Callable[[socket.socket], Any],
) -> int:
    """Serve until a signal. Returns the exit status.

    `load_app` loads the app of a worker, with its connection to the limits.
    """
    drain_seconds = settings.drain_grace_seconds + settings.drain_timeout_seconds
    with ExitStack() as stack:
        if settings.has_limits:
            broker = stack.enter_context(
                closing(LimitBroker(LimitCounters(), settings.counts_file))
            )
            config.app = LimitedApp(load_app, broker)
        return Supervisor(config, listeners, drain_seconds).run()


class LimitedApp:
    """Loads the app of a worker, with a connection of its own to the broker.

    It is pickled for each worker, and that is when the connection is made.
    """

    def __init__(self, load: Callable[[socket.socket], Any], broker: LimitBroker) -> None:
        self._load = load
        self._broker = broker

    def __call__(self) -> Any:
        """Load the app in this process, as no supervisor does."""
        return self._load(self._broker.connect().dup())

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (self._load, self._broker.connect())
