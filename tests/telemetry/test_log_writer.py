"""The writer's thread: no caller waits longer than it may, lines keep their order, and lost ones are counted."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from telemetry import log_writer
from telemetry.log_writer import LogWriter, WaitBudget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LATE = 10.0  # seconds: what is not there by then does not come
MOST_HELD = 0.2  # seconds: 50 ms on a machine that is busy


class Disk:
    """A destination that blocks while it should, or refuses its next lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.batches = 0
        self.refusals = 0
        self.answers = Event()
        self.answers.set()
        self.is_asked = Event()
        self.is_closed = False

    def write(self, lines: Sequence[bytes]) -> int:
        """Take the lines, as soon as the disk answers."""
        self.is_asked.set()
        assert self.answers.wait(LATE)
        if self.refusals:
            self.refusals -= 1
            return len(lines)
        self.batches += 1
        self.lines += lines
        return 0

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class Complaints:
    """How often the writer has said that its buffer is full."""

    def __init__(self) -> None:
        self.number = 0

    def note(self) -> None:
        """One more."""
        self.number += 1


@contextmanager
def writer_of(
    complaints: Complaints | None = None, budget: WaitBudget | None = None
) -> Iterator[LogWriter]:
    """A writer whose lines about lost ones are such as `b"-3"`."""
    report = (complaints or Complaints()).note
    writer = LogWriter(
        budget or WaitBudget(), loss_line=lambda lines: b"-%d" % lines, report_full=report
    )
    try:
        yield writer
    finally:
        writer.close(LATE)


def stop(writer: LogWriter, disk: Disk) -> None:
    """Have the writer's thread stand still in a write."""
    disk.answers.clear()
    disk.is_asked.clear()
    writer.write(b"stuck", [disk])
    assert disk.is_asked.wait(LATE)


def test_awaited_line_is_written_when_the_call_has_returned() -> None:
    """With all that was handed over before it."""
    disk = Disk()
    with writer_of() as writer:
        for number in range(100):
            writer.write(b"%d" % number, [disk])
            writer.write(b"%d!" % number, [disk], wait=True)
            assert disk.lines[-2:] == [b"%d" % number, b"%d!" % number]
    assert disk.is_closed


def test_lines_keep_their_order_and_are_written_together() -> None:
    """What gathers while the disk is busy is one batch; each destination gets its own lines."""
    first, second = Disk(), Disk()
    with writer_of() as writer:
        stop(writer, first)
        for number in range(1_000):
            writer.write(b"%d" % number, [first, second] if number % 2 else [first])
        first.answers.set()
    assert first.lines == [b"stuck", *(b"%d" % number for number in range(1_000))]
    assert second.lines == [b"%d" % number for number in range(1, 1_000, 2)]
    assert first.batches < 10


def test_no_caller_waits_longer_than_50_ms_for_a_disk_that_stands_still() -> None:
    """One late write is waited for; after it no line is, until the disk has caught up. Nothing is lost."""
    disk = Disk()
    with writer_of() as writer:
        stop(writer, disk)
        began = monotonic()
        for number in range(1_000):
            writer.write(b"%d" % number, [disk], wait=True)
        assert monotonic() - began < MOST_HELD
        disk.answers.set()
        assert writer.flush(LATE)
    assert disk.lines == [b"stuck", *(b"%d" % number for number in range(1_000))]


def test_lines_are_waited_for_again_when_the_disk_has_caught_up() -> None:
    """A late disk does not cost the promise for good; the next second has its own time for waits."""
    disk, clock = Disk(), Clock()
    with writer_of(budget=WaitBudget(clock)) as writer:
        stop(writer, disk)
        writer.write(b"late", [disk], wait=True)
        disk.answers.set()
        assert writer.flush(LATE)
        clock.now += 1
        writer.write(b"in time", [disk], wait=True)
        assert disk.lines[-1] == b"in time"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


@pytest.mark.parametrize(
    ("waits", "left"),
    [([], 0.05), ([0.004] * 100, 0.05), ([0.02], 0.03), ([0.02, 0.02, 0.02], 0.0), ([7.0], 0.0)],
)
def test_all_waits_of_a_second_are_50_ms_at_most(waits: list[float], left: float) -> None:
    """However many lines are late; what a switch of threads takes is not counted. Then a new second begins."""
    clock = Clock()
    budget = WaitBudget(clock)
    assert budget.seconds() == 0.05
    for wait in waits:
        budget.spend(wait)
    assert budget.seconds() == pytest.approx(left)
    clock.now += 1
    assert budget.seconds() == 0.05


def test_full_buffer_drops_lines_and_their_number_is_written() -> None:
    """The memory is bounded however long the disk stands still; what fitted is written, then how many did not."""
    disk, complaints = Disk(), Complaints()
    line = bytes(log_writer._BUFFER_BYTES // 8)
    with writer_of(complaints) as writer:
        stop(writer, disk)
        for _ in range(20):
            writer.write(line, [disk])
        assert complaints.number == 15
        disk.answers.set()
    assert [text if len(text) < 10 else b"line" for text in disk.lines] == [
        b"stuck",
        *[b"line"] * 5,
        b"-15",
    ]


def test_errors_find_room_in_a_buffer_that_others_have_filled() -> None:
    """A flood of lines that are not waited for does not cost an ERROR or a final record."""
    disk, complaints = Disk(), Complaints()
    line = bytes(log_writer._BUFFER_BYTES // 10)
    with writer_of(complaints) as writer:
        stop(writer, disk)
        for _ in range(20):
            writer.write(line, [disk])
        assert complaints.number == 13
        writer.write(b"error", [disk], wait=True)
        assert complaints.number == 13
        disk.answers.set()
    assert b"error" in disk.lines


def test_lines_that_cannot_be_written_are_counted_until_others_can() -> None:
    """Over several failures; the line that says so is lost with them, and not counted."""
    disk = Disk()
    disk.refusals = 3
    with writer_of() as writer:
        for number in range(3):
            writer.write(b"%d" % number, [disk], wait=True)
        writer.write(b"taken", [disk], wait=True)
    assert disk.lines == [b"taken", b"-3"]


def test_close_gives_a_stuck_disk_its_time_alone() -> None:
    """The process can end; the thread ends when the disk answers, and writes what it has."""
    disk = Disk()
    with writer_of() as writer:
        stop(writer, disk)
        writer.write(b"last", [disk])
        began = monotonic()
        writer.close(0.05)
        assert monotonic() - began < LATE / 2
        assert not disk.is_closed
        disk.answers.set()
    assert disk.lines == [b"stuck", b"last"]
    assert disk.is_closed


def test_lines_of_many_threads_arrive_once_and_in_each_ones_order() -> None:
    """Threads beside the event loop use the same writer."""
    disk = Disk()

    def log(name: int) -> None:
        for number in range(200):
            writer.write(b"%d/%d" % (name, number), [disk], wait=number % 10 == 0)

    with writer_of() as writer, ThreadPoolExecutor(4) as threads:
        list(threads.map(log, range(4)))
    for name in range(4):
        own = [line for line in disk.lines if line.startswith(b"%d/" % name)]
        assert own == [b"%d/%d" % (name, number) for number in range(200)]


def test_line_that_is_logged_within_the_thread_does_not_wait_for_itself() -> None:
    """A destructor that runs there may log an error."""

    class Loud(Disk):
        def write(self, lines: Sequence[bytes]) -> int:
            if lines == [b"first"]:
                writer.write(b"within", [self], wait=True)
            return super().write(lines)

    disk = Loud()
    with writer_of() as writer:
        began = monotonic()
        writer.write(b"first", [disk], wait=True)
        assert monotonic() - began < 0.05
    assert disk.lines == [b"first", b"within"]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # that is the test
def test_forked_process_has_a_writer_of_its_own() -> None:
    """A fork copies no thread: after a restart the child's lines are written, and none of the parent's twice."""
    disk = Disk()
    with writer_of() as writer:
        stop(writer, disk)
        if (child := os.fork()) == 0:
            disk.answers.set()
            writer.restart()
            writer.write(b"child", [disk], wait=True)
            os._exit(0 if disk.lines == [b"child"] else 1)
        disk.answers.set()
        assert os.waitpid(child, 0)[1] == 0
    assert disk.lines == [b"stuck"]


def test_line_can_be_awaited_by_its_number_later() -> None:
    """Then the caller waits only if the line has not been written meanwhile."""
    disk, clock = Disk(), Clock()
    with writer_of(budget=WaitBudget(clock)) as writer:
        writer.write(b"first", [disk])
        first = writer.newest
        writer.wait_for(first)
        assert disk.lines == [b"first"]
        stop(writer, disk)
        writer.wait_for(first)  # the disk stands still, and is not asked
        writer.write(b"second", [disk])
        began = monotonic()
        writer.wait_for(writer.newest)
        assert monotonic() - began < MOST_HELD
        disk.answers.set()
        assert writer.flush(LATE)
    assert disk.lines == [b"first", b"stuck", b"second"]
