"""The worker processes of one gateway: who has which place, who follows whom, and at which signal.

uvicorn has a supervisor too. It gives all workers the same sockets, and while it waits for one it looks after none.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import wait

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import SIGNALS, Process

from web.drain import TERMINATE
from web.listeners import Listeners

_LOOK_SECONDS = 0.2  # between two looks at signals and workers; a worker's end is seen at once
_EXPECTED_SECONDS = 5  # at the gateway's start, so that the worker that is up first does not get all who wait for it
_LATE_LOOKS = 2  # until a worker counts as one that does not accept
_LAST_LOOKS = 10  # for a worker that is removed to accept who waits for it; one that stands still does not
_START_SECONDS = 60  # for a worker to start; the SDKs take long to load on a machine that is busy
_LAST_SECONDS = 8  # after its drain, for a worker to end, before it is killed
_PAUSE_SECONDS = (1, 30)  # the first and the longest before a place where none has come to serve is tried again
_GOOD_ENDS = (0, -signal.SIGTERM)  # the latter of a worker that is told to go before it can hear

_logger = logging.getLogger("gateway.web")


class Pause:
    """Before the next try to fill a place; each one is twice as long as the one before."""

    def __init__(self) -> None:
        self._seconds, self._longest = _PAUSE_SECONDS
        self._until = -math.inf

    @property
    def is_over(self) -> bool:
        """Also where none has begun."""
        return time.monotonic() >= self._until

    def begin(self) -> None:
        """From now on."""
        self._until = time.monotonic() + self._seconds
        self._seconds = min(2 * self._seconds, self._longest)


class Worker(Process):
    """One process that serves, started at once. For `expected` seconds connections are sent to it before it serves."""

    def __init__(self, config: uvicorn.Config, listeners: Listeners, place: int, expected: float = 0) -> None:
        super().__init__(config, [listeners[place]])
        self.is_serving = False  # or has served, where it is over
        self.is_lost = False
        self.pause = Pause()
        self._ends_by = math.inf
        self._expected_until = time.monotonic() + expected
        self._asked_at: float | None = None  # None: it has answered
        self._late_looks = 0  # in a row, at each of which connections waited for it
        self.start()

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self.process.exitcode is not None

    @property
    def is_hanging(self) -> bool:
        """Whether it has left a question open for too long."""
        return self._asked_at is not None and time.monotonic() - self._asked_at > self.config.timeout_worker_healthcheck

    @property
    def takes_connections(self) -> bool:
        """Whether new connections should be sent to it."""
        if not self.is_serving:
            return time.monotonic() < self._expected_until and not self.is_over
        return self._late_looks < _LATE_LOOKS and not self.is_over

    def look(self, waiting: int) -> None:
        """Hear whether it serves, if it has answered, and ask again; so many connections wait for it."""
        if self._asked_at is not None and self.parent_conn.poll():
            self._asked_at = None
            self.is_serving = self.parent_conn.recv()
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self.parent_conn.send(b"ping")  # uvicorn's question, to which the worker answers from a thread
        self._late_looks = self._late_looks + 1 if waiting else 0

    def tell_to_go(self, number: signal.Signals, seconds: float) -> None:
        """Send it a signal, if it is still there. It has so many seconds."""
        self._ends_by = time.monotonic() + seconds
        if not self.is_over and self.pid:
            os.kill(self.pid, number)

    def kill_if_late(self) -> None:
        """Where it was told to go and has not gone in time."""
        if time.monotonic() > self._ends_by and not self.is_over:
            self._ends_by = math.inf
            _logger.error("a worker does not go; it is killed", extra={"context": {"process": self.pid}})
            self.process.kill()


class Supervisor:
    """Keeps a worker in each place.

    SIGTERM and SIGINT end all of them, a second one at once; SIGHUP replaces them one by one; SIGTTIN adds one, SIGTTOU
    removes the last. uvicorn's other signals are taken too, and do nothing.
    """

    def __init__(self, config: uvicorn.Config, listeners: Listeners, drain_seconds: float) -> None:
        """`drain_seconds` is how long a worker's chats may take to end."""
        self._config = config
        self._listeners = listeners
        self._going_seconds = drain_seconds + _LAST_SECONDS
        self._workers: list[Worker] = []
        self._leaving: list[Worker] = []  # replaced or removed, with chats to end
        self._signals: list[int] = []
        self._is_stopping = False
        self._has_served = False
        self._duties: dict[int, Callable[[], None]] = {
            signal.SIGINT: self._stop,
            signal.SIGTERM: self._stop,
            signal.SIGHUP: self._replace_all,
            signal.SIGTTIN: self._add,
            signal.SIGTTOU: self._remove,
        }
        for number in SIGNALS:
            signal.signal(number, lambda number, _frame: self._signals.append(number))

    def run(self) -> int:
        """Serve until a signal. Returns the exit status: 1 where a worker ended badly."""
        _logger.info("process %d starts workers: %d", os.getpid(), self._config.workers)
        try:
            for place in range(self._config.workers):
                self._workers.append(Worker(self._config, self._listeners, place, _EXPECTED_SECONDS))
            while not self._is_stopping:
                self._look()
                if self._signals:
                    self._duties.get(self._signals.pop(0), _do_nothing)()
        finally:
            self._end()
        _logger.info("process %d ends", os.getpid())
        return int(any(worker.process.exitcode not in _GOOD_ENDS for worker in self._workers))

    def _look(self) -> None:
        """Wait a moment, less where a worker ends; put a successor into each place that needs one."""
        _wait_for_an_end([*self._workers, *self._leaving])
        for worker in self._leaving:
            worker.kill_if_late()
        self._leaving = [worker for worker in self._leaving if not worker.is_over]
        for place, worker in enumerate(self._workers):
            worker.look(self._listeners.count_waiting(place))
            self._has_served |= worker.is_serving
        self._choose()
        for place, worker in enumerate(self._workers):
            if worker.is_over or worker.is_hanging:
                self._succeed(place, worker)

    def _choose(self) -> None:
        """Send new connections where they are not left waiting; where all are late, to any that has a place still."""
        places = range(len(self._workers))
        self._listeners.choose([place for place in places if self._workers[place].takes_connections] or places)

    def _succeed(self, place: int, lost: Worker) -> None:
        """Fill the place: at once where the lost one has served, else after a pause."""
        if self._is_told_to_end:
            return
        if not lost.is_lost:
            self._lose(lost)
        if not lost.pause.is_over:
            return
        if successor := self._start(place):
            successor.pause = lost.pause
            self._workers[place] = successor
        else:
            lost.pause.begin()

    def _lose(self, lost: Worker) -> None:
        lost.is_lost = True
        lost.process.kill()  # it may hang
        lost.process.join()
        if lost.is_serving:
            lost.pause = Pause()
        else:
            lost.pause.begin()
        if lost.exitcode == STARTUP_FAILURE and not self._has_served:
            _logger.error("a worker did not start, nor would another")
            self._signals.append(signal.SIGTERM)
            return
        context = {"process": lost.pid, "status": lost.exitcode}
        _logger.error("a worker has died; another one takes its place", extra={"context": context})

    def _start(self, place: int) -> Worker | None:
        """A new worker; None where the system has no room for one now."""
        try:
            return Worker(self._config, self._listeners, place)
        except OSError as error:
            _say_no_room(error)
            return None

    def _replace_all(self) -> None:
        """Bring up each worker's successor before the worker is told to go."""
        for place in range(len(self._workers)):
            if self._is_told_to_end or not (new := self._start(place)):
                return
            if not self._is_brought_up(new):
                new.process.kill()
                new.process.join()
                return
            old, self._workers[place] = self._workers[place], new
            self._let_go(old)
            while old in self._leaving and not self._is_told_to_end:
                self._look()

    def _is_brought_up(self, new: Worker) -> bool:
        give_up = time.monotonic() + _START_SECONDS
        while not (new.is_serving or new.is_over or self._is_told_to_end or time.monotonic() > give_up):
            self._look()
            new.look(waiting=0)
        if not (new.is_serving or self._is_told_to_end):
            _logger.error("a new worker did not start; the old ones go on")
        return new.is_serving and not self._is_told_to_end

    @property
    def _is_told_to_end(self) -> bool:
        """Whether a signal to end waits for its turn."""
        return any(number in TERMINATE for number in self._signals)

    def _let_go(self, worker: Worker) -> None:
        """It accepts nothing more, and ends when its chats are over."""
        worker.tell_to_go(signal.SIGHUP, self._going_seconds)
        self._leaving.append(worker)

    def _add(self) -> None:
        if self._leaving:  # one that was removed has its socket still, and with it the number of the next
            self._signals.append(signal.SIGTTIN)
            return
        try:
            self._listeners.add()
        except OSError as error:
            _say_no_room(error)
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
        self._choose()
        self._let_it_accept(len(self._workers))
        self._let_go(last)
        self._listeners.remove()
        _logger.info("workers: %d", len(self._workers))

    def _let_it_accept(self, place: int) -> None:
        """Wait until its worker has all who are on their way to it; with its socket's end they would be reset."""
        for _ in range(_LAST_LOOKS):
            self._look()
            if not self._listeners.count_waiting(place):
                return

    def _stop(self) -> None:
        self._is_stopping = True

    def _end(self) -> None:
        """Wait for the workers to drain; kill them at a second signal, and who does not go."""
        for worker in self._workers:
            worker.tell_to_go(signal.SIGTERM, self._going_seconds)
        while waiting := [worker for worker in (*self._workers, *self._leaving) if not worker.is_over]:
            _wait_for_an_end(waiting)
            for place, worker in enumerate(self._workers):
                if worker.is_over:
                    self._listeners.close(place)
            for worker in waiting:
                worker.kill_if_late()
                if self._is_told_to_end:
                    worker.process.kill()


def _wait_for_an_end(workers: Iterable[Worker]) -> None:
    """Until one more of them ends, for a moment at most."""
    wait([worker.process.sentinel for worker in workers if not worker.is_over], _LOOK_SECONDS)


def _say_no_room(error: OSError) -> None:
    _logger.error("the system has no room for a worker", extra={"context": {"error": repr(error)}})


def _do_nothing() -> None:
    """What a signal without a duty does."""
