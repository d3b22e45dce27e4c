"""The supervisor: starts the worker processes, replaces those that die or hang, handles signals.

uvicorn's own supervisor gives all workers the same sockets, and while it waits for one worker it
checks no other.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from enum import Enum, auto
from multiprocessing.connection import wait

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import SIGNALS

from logging_config import audit
from server.listeners import Listeners
from server.signals import REPLACED, TERMINATE, is_ignored
from server.worker import Worker, WorkerState

_POLL_SECONDS = 0.2  # between two checks of signals and workers; a worker's exit is noticed at once
_EXPECTED_SECONDS = 5  # at the gateway's start, else the first worker gets all pending connections
_LAST_POLLS = 10  # for a removed worker to accept its pending connections; one that hangs does not
_START_SECONDS = 60  # for a worker to start; the SDKs load slowly on a busy machine
_EXIT_SECONDS = 8  # from the end of a worker's drain until it is killed
_CLEAN_EXITS = (0, -signal.SIGTERM)  # the latter if a worker has no signal handler yet

_logger = logging.getLogger("gateway.web")


class State(Enum):
    """How far the supervisor has come."""

    STARTING = auto()  # no worker has served so far
    SERVING = auto()
    STOPPING = auto()


class Supervisor:
    """Keeps a worker running in each slot.

    SIGTERM and SIGINT stop all workers gracefully; a second signal kills them. SIGHUP replaces the
    workers one after the other, SIGTTIN adds one, SIGTTOU removes the last. The other signals that
    uvicorn handles are ignored.
    """

    def __init__(self, config: uvicorn.Config, listeners: Listeners, drain_seconds: float) -> None:
        """`drain_seconds` is how long the chats of a stopping worker may take to end."""
        self._config = config
        self._listeners = listeners
        self._stop_seconds = drain_seconds + _EXIT_SECONDS
        self._workers: list[Worker] = []
        self._stopping: list[Worker] = []  # replaced or removed; their chats are ending
        self._signals: list[int] = []
        self._state = State.STARTING
        self._handlers: dict[int, Callable[[], None]] = {
            signal.SIGINT: self._begin_stop,
            signal.SIGTERM: self._begin_stop,
            signal.SIGHUP: self._replace_all,
            signal.SIGTTIN: self._add,
            signal.SIGTTOU: self._remove,
        }
        for number in SIGNALS:
            if number != signal.SIGHUP or not is_ignored(number):  # under nohup it stays ignored
                signal.signal(number, lambda number, _frame: self._signals.append(number))

    def run(self) -> int:
        """Serve until a signal. Returns the exit status: 1 if a worker exited with an error."""
        _logger.info("process %d starts workers: %d", os.getpid(), self._config.workers)
        try:
            for slot in range(self._config.workers):
                self._workers.append(Worker(self._config, self._listeners, slot, _EXPECTED_SECONDS))
            while self._state is not State.STOPPING:
                self._poll()
                if self._signals and (
                    handler := self._handlers.get(number := self._signals.pop(0))
                ):
                    audit("signal", process=os.getpid(), signal=signal.Signals(number).name)
                    handler()
        finally:
            self._stop_all()
        _logger.info("process %d ends", os.getpid())
        return int(any(worker.process.exitcode not in _CLEAN_EXITS for worker in self._workers))

    def _poll(self) -> None:
        """Wait for a moment or until a worker exits; then check all and replace the lost ones."""
        _wait_for_exit([*self._workers, *self._stopping])
        for worker in self._stopping:
            worker.kill_if_late()
        self._stopping = [worker for worker in self._stopping if not worker.has_exited]
        for slot, worker in enumerate(self._workers):
            worker.check(self._listeners.count_waiting(slot))
            if worker.state is WorkerState.SERVING and self._state is State.STARTING:
                self._state = State.SERVING
        self._choose_slots()
        for slot, worker in enumerate(self._workers):
            if worker.has_exited or worker.is_hanging:
                self._replace_lost(slot, worker)

    def _choose_slots(self) -> None:
        """Send new connections to the workers that accept them in time; if none does, to all."""
        slots = range(len(self._workers))
        self._listeners.choose(
            [slot for slot in slots if self._workers[slot].takes_connections] or slots
        )

    def _replace_lost(self, slot: int, lost: Worker) -> None:
        """Start a worker in the slot, at once or after the lost one's delay."""
        if self._is_stop_pending:
            return
        if lost.state is not WorkerState.LOST:
            lost.reap()
            if lost.exitcode == STARTUP_FAILURE and self._state is State.STARTING:
                _logger.error("a worker did not start, nor would another")
                self._signals.append(signal.SIGTERM)
            else:
                context = {"process": lost.pid, "status": lost.exitcode}
                message = "a worker has died; another one takes its place"
                _logger.error(message, extra={"context": context})
        if not lost.backoff.is_over:
            return
        if successor := self._start(slot):
            successor.backoff = lost.backoff
            self._workers[slot] = successor
        else:
            lost.backoff.begin()

    def _start(self, slot: int) -> Worker | None:
        """Start a worker. Returns None if the system has no resources for one."""
        try:
            return Worker(self._config, self._listeners, slot)
        except OSError as error:
            _log_no_resources(error)
            return None

    def _replace_all(self) -> None:
        """Replace each worker; the new one serves before the old one is stopped."""
        for slot in range(len(self._workers)):
            if self._is_stop_pending or not (new := self._start(slot)):
                return
            if not self._comes_up(new):
                new.process.kill()
                new.process.join()
                return
            old, self._workers[slot] = self._workers[slot], new
            self._stop_worker(old)
            while old in self._stopping and not self._is_stop_pending:
                self._poll()

    def _comes_up(self, new: Worker) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while new.state is WorkerState.STARTING and not new.has_exited:
            if self._is_stop_pending or time.monotonic() > deadline:
                break
            self._poll()
            new.check(waiting=0)
        if self._is_stop_pending:
            return False
        if new.state is WorkerState.STARTING:
            _logger.error("a new worker did not start; the old ones go on")
        return new.state is WorkerState.SERVING

    @property
    def _is_stop_pending(self) -> bool:
        """Whether a signal to stop is queued."""
        return any(number in TERMINATE for number in self._signals)

    def _stop_worker(self, worker: Worker) -> None:
        """Have the worker stop accepting, and exit when its chats are over."""
        _logger.info("a worker goes", extra={"context": {"process": worker.pid}})
        worker.stop(REPLACED, self._stop_seconds)
        self._stopping.append(worker)

    def _add(self) -> None:
        if self._stopping:
            # A removed worker still has its socket, and with it the number that the new one would
            # get: try later.
            self._signals.append(signal.SIGTTIN)
            return
        try:
            self._listeners.add()
        except OSError as error:
            _log_no_resources(error)
            return
        if new := self._start(len(self._workers)):
            self._workers.append(new)
        else:
            self._listeners.remove()
        _logger.info("workers: %d", len(self._workers))

    def _remove(self) -> None:
        if len(self._workers) == 1:
            _logger.warning("the last worker stays")
            return
        last = self._workers.pop()
        self._choose_slots()
        slot = len(self._workers)
        for _ in range(_LAST_POLLS):  # closing its socket would reset its pending connections
            self._poll()
            if not self._listeners.count_waiting(slot):
                break
        self._stop_worker(last)
        self._listeners.remove()
        _logger.info("workers: %d", len(self._workers))

    def _begin_stop(self) -> None:
        self._state = State.STOPPING

    def _stop_all(self) -> None:
        """Stop all workers and wait until they exit.

        Those that are late are killed, and all of them at a second signal.
        """
        for worker in self._workers:
            worker.stop(signal.SIGTERM, self._stop_seconds)
        while waiting := [
            worker for worker in (*self._workers, *self._stopping) if not worker.has_exited
        ]:
            _wait_for_exit(waiting)
            for slot, worker in enumerate(self._workers):
                if worker.has_exited:
                    self._listeners.close(slot)
            for worker in waiting:
                worker.kill_if_late()
                if self._is_stop_pending:
                    worker.process.kill()


def _wait_for_exit(workers: Iterable[Worker]) -> None:
    """Wait until one more of them exits, or for a moment."""
    wait([worker.process.sentinel for worker in workers if not worker.has_exited], _POLL_SECONDS)


def _log_no_resources(error: OSError) -> None:
    _logger.error("the system has no room for a worker", extra={"context": {"error": repr(error)}})
