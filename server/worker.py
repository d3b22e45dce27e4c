"""One worker process, as the supervisor sees it."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from enum import Enum, auto

import uvicorn
from uvicorn.supervisors.multiprocess import Process

from server.listeners import Listeners
from server.signals import WORKERS_SIGNALS

_LATE_CHECKS = 2  # in a row, until a worker counts as not accepting
_MAX_CHECK_SECONDS = 1.0  # counted between two checks; with more, the whole machine was paused
_BACKOFF_SECONDS = (1, 30)  # the first and the longest

_logger = logging.getLogger("gateway.web")


class Backoff:
    """The delay before the next attempt to start a worker; it doubles with each attempt."""

    def __init__(self) -> None:
        self._seconds, self._longest = _BACKOFF_SECONDS
        self._until = -math.inf

    @property
    def is_over(self) -> bool:
        """Whether the delay has passed, or none has begun."""
        return time.monotonic() >= self._until

    def begin(self) -> None:
        """Start the delay, and double the next one."""
        self._until = time.monotonic() + self._seconds
        self._seconds = min(2 * self._seconds, self._longest)


class WorkerState(Enum):
    """What the supervisor knows of a worker."""

    STARTING = auto()
    SERVING = auto()  # it has answered a ping with that
    STOPPING = auto()  # it was sent a signal to stop, and is killed if it is late
    LOST = auto()  # it died or hung, and has been killed; its slot waits for a successor


class Worker(Process):
    """A worker process; it is started by the constructor.

    For `expected` seconds it is sent connections even if it does not serve yet.
    """

    def __init__(
        self, config: uvicorn.Config, listeners: Listeners, slot: int, expected: float = 0
    ) -> None:
        super().__init__(config, [listeners[slot]])
        self.state = WorkerState.STARTING
        self.backoff = Backoff()
        self._kill_at = math.inf
        self._expected_until = time.monotonic() + expected
        self._waited_seconds: float | None = None  # for the answer to a ping; None without one
        self._checked_at = time.monotonic()
        self._late_checks = 0  # in a row with connections pending
        self.start()

    def start(self) -> None:
        """Start the process.

        Signals are blocked until it has handlers for them, because by default they would end it.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WORKERS_SIGNALS)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def has_exited(self) -> bool:
        """Whether the process has exited."""
        return self.process.exitcode is not None

    @property
    def is_hanging(self) -> bool:
        """Whether a ping has been unanswered for too long."""
        return (self._waited_seconds or 0) > self.config.timeout_worker_healthcheck

    @property
    def takes_connections(self) -> bool:
        """Whether new connections should be sent to it."""
        if self.has_exited:
            return False
        if self.state is WorkerState.STARTING:
            return time.monotonic() < self._expected_until
        return self._late_checks < _LATE_CHECKS

    def check(self, waiting: int) -> None:
        """Read the answer to the last ping, if there is one, and ping again.

        `waiting` is how many connections it has not accepted.
        """
        now = time.monotonic()
        if self._waited_seconds is not None:
            self._waited_seconds += min(now - self._checked_at, _MAX_CHECK_SECONDS)
            if self.parent_conn.poll():
                self._waited_seconds = None
                has_started = self.parent_conn.recv()
                if has_started and self.state is WorkerState.STARTING:
                    self.state = WorkerState.SERVING
                    _logger.info("a worker is ready", extra={"context": {"process": self.pid}})
        self._checked_at = now
        if self._waited_seconds is None:
            self._waited_seconds = 0.0
            # uvicorn's health check, which the worker answers from a thread
            self.parent_conn.send(b"ping")
        self._late_checks = self._late_checks + 1 if waiting else 0

    def reap(self) -> None:
        """Kill the process if it hangs, and wait for its end.

        A successor may start at once if this one has served, else after a delay that grows.
        """
        self.process.kill()
        self.process.join()
        if self.state is WorkerState.SERVING:
            self.backoff = Backoff()
        else:
            self.backoff.begin()
        self.state = WorkerState.LOST

    def stop(self, number: signal.Signals, seconds: float) -> None:
        """Send a signal, unless the process has exited. `kill_if_late` kills it after `seconds`."""
        self.state = WorkerState.STOPPING
        self._kill_at = time.monotonic() + seconds
        if not self.has_exited and self.pid:
            os.kill(self.pid, number)

    def kill_if_late(self) -> None:
        """Kill the process if it was stopped and has not exited in time."""
        if time.monotonic() > self._kill_at and not self.has_exited:
            self._kill_at = math.inf
            _logger.error(
                "a worker does not go; it is killed", extra={"context": {"process": self.pid}}
            )
            self.process.kill()
