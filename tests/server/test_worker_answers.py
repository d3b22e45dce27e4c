"""How long a parent waits for a worker's answer: its own pauses do not count."""

from __future__ import annotations

import time
from typing import Any

import pytest
import uvicorn

from server.worker import Worker, WorkerState

LIMIT = 2.0  # seconds


class UnstartedWorker(Worker):
    """One whose process never begins, and so never answers."""

    def start(self) -> None:
        """Nothing is started."""


@pytest.fixture
def worker() -> UnstartedWorker:
    config = uvicorn.Config(
        "main:app",
        log_config=None,
        timeout_worker_healthcheck=LIMIT,  # type: ignore[arg-type]
    )
    listeners: Any = [None]
    return UnstartedWorker(config, listeners, 0)


def look(worker: Worker, times: int, apart: float) -> None:
    for _ in range(times):
        worker.check(waiting=0)
        time.sleep(apart)
    worker.check(waiting=0)


def test_parent_that_was_paused_blames_no_worker(worker: UnstartedWorker) -> None:
    """The whole machine may have been: a worker can't have answered meanwhile."""
    look(worker, times=1, apart=LIMIT + 0.5)
    assert not worker.is_hanging


def test_worker_that_does_not_answer_is_hanging(worker: UnstartedWorker) -> None:
    """Once its parent has looked at it for long enough."""
    look(worker, times=12, apart=0.2)
    assert worker.is_hanging


def test_worker_that_answers_is_not_hanging(worker: UnstartedWorker) -> None:
    """Each answer begins the time anew."""
    for _ in range(3):
        look(worker, times=4, apart=0.2)
        worker.child_conn.send(True)
    assert not worker.is_hanging


def test_worker_serves_once_it_answers_that_it_has_started(worker: UnstartedWorker) -> None:
    """An answer alone is not enough: a worker answers pings while it loads the app."""
    states = []
    for has_started in (False, True, True):
        worker.check(waiting=0)
        worker.child_conn.send(has_started)
        worker.check(waiting=0)
        states.append(worker.state)
    assert states == [WorkerState.STARTING, WorkerState.SERVING, WorkerState.SERVING]
    assert worker.takes_connections


def test_worker_that_accepts_too_late_gets_no_connections(worker: UnstartedWorker) -> None:
    """Until it has caught up."""
    worker.state = WorkerState.SERVING
    takes = []
    for waiting in (0, 3, 1, 0):
        worker.check(waiting)
        takes.append(worker.takes_connections)
    assert takes == [True, True, False, True]
