"""A thread that writes lines, so that no caller waits for a slow disk or for the reader of a pipe.

Lines wait in a buffer of bounded size. A caller may wait until its line has been written. All waits
of a process together take at most 50 ms a second, and after a late write there are no waits until
the writer has caught up. A line is dropped if the buffer is full or if it cannot be written.
Dropped lines are counted; when the writer has caught up, the log gets a line with their number.

This module knows nothing of files or of the content of lines.
"""

from __future__ import annotations

from _thread import LockType, allocate_lock
from collections import Counter
from collections.abc import Callable, Sequence
from threading import RLock, Thread, get_ident
from time import monotonic
from typing import Protocol

_BUFFER_BYTES = 8 * 2**20  # of each writer
# The part of the buffer for lines without a wait. The rest is for errors and final records.
_UNAWAITED_BYTES = 6 * 2**20
_BATCH_BYTES = 256 * 1024  # so that a caller does not wait for all that came after its line
_GATHER_SECONDS = 0.02  # after a batch, while lines without a wait gather for the next one
_WAIT_SECONDS = 0.05  # of each second, for all waits
# A wait up to this is the time of switching threads, not a slow disk, and is not counted.
_SWITCH_SECONDS = 0.005


class Destination(Protocol):
    """A destination of lines. Only the writer's thread calls its methods."""

    def write(self, lines: Sequence[bytes]) -> int:
        """Write the lines. Returns how many were lost. Never raises."""

    def close(self) -> None:
        """Close what is open."""


class WaitBudget:
    """How long callers may wait: 50 ms in each second, over all writers that share the budget."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self._second_ends = clock()
        self._left = 0.0

    def seconds(self) -> float:
        """How long a caller may wait now."""
        now = self.clock()
        if now >= self._second_ends:
            self._second_ends = now + 1
            self._left = _WAIT_SECONDS
        return self._left

    def spend(self, seconds: float) -> None:
        """Count a wait of this length."""
        if seconds > _SWITCH_SECONDS:
            self._left = max(0.0, self._left - seconds)


# A line, its destinations, and if its caller waits a lock that is held until it has been written.
_Entry = tuple[bytes, Sequence[Destination], LockType | None]


class LogWriter:
    """Writes lines in the order of their arrival. Its creator closes it."""

    def __init__(
        self,
        budget: WaitBudget,
        *,
        loss_line: Callable[[int], bytes],
        report_full: Callable[[], None],
    ) -> None:
        """`loss_line` makes the line with the number of lost lines.

        `report_full` is called if the buffer is full.
        """
        self._budget = budget
        self._loss_line = loss_line
        self._report_full = report_full
        self.restart()

    def restart(self) -> None:
        """Start with an empty buffer.

        A forked process needs this: it has no threads, and its parent's lines.
        """
        # Guards what follows. A destructor may log while its own thread holds it.
        self._lock = RLock()
        self._entries: list[_Entry] = []
        self.newest = 0  # the number of the newest line, counted from 1
        self._written = 0  # the lines up to this number have been written
        self._held_bytes = 0  # queued, but not yet written
        self._dropped: Counter[Destination] = Counter()
        self._is_idle = False  # the thread waits for the bell without a timeout
        self._is_late = False
        self._is_closing = False
        self._bell = allocate_lock()  # released to wake the thread
        self._bell.acquire()
        # A daemon, because the process may end while it is stuck.
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(
        self, line: bytes, destinations: Sequence[Destination], *, wait: bool = False
    ) -> None:
        """Queue a line.

        With `wait`, return when it has been written, or if the time for waits is used up.
        """
        size = len(line) * len(destinations)
        with self._lock:
            if is_full := self._held_bytes + size > (_BUFFER_BYTES if wait else _UNAWAITED_BYTES):
                self._dropped.update(destinations)
            else:
                seconds = self._wait_seconds() if wait else 0
                written = _held_lock() if seconds else None
                self._enqueue(line, destinations, written)
                self._held_bytes += size
                if wait or self._is_idle:
                    self._wake_thread()
        if is_full:
            self._report_full()
        elif written:
            self._wait(written, seconds)

    def wait_for(self, number: int) -> None:
        """Return when the line with this number has been written, or if no time is left."""
        if number <= self._written:
            return
        with self._lock:
            seconds = self._wait_seconds()
            if not seconds:
                return
            written = _held_lock()
            self._enqueue(b"", (), written)
            self._wake_thread()
        self._wait(written, seconds)

    def _wait(self, written: LockType, seconds: float) -> None:
        began = self._budget.clock()
        self._is_late = not written.acquire(timeout=seconds)
        self._budget.spend(self._budget.clock() - began)

    def _enqueue(
        self, line: bytes, destinations: Sequence[Destination], written: LockType | None
    ) -> None:
        self._entries.append((line, destinations, written))
        self.newest += 1

    def _wait_seconds(self) -> float:
        # A destructor may log in the writer's own thread.
        if self._is_late or get_ident() == self._thread.ident:
            return 0
        return self._budget.seconds()

    def _wake_thread(self) -> None:
        self._is_idle = False
        if self._bell.locked():
            self._bell.release()

    def flush(self, seconds: float) -> bool:
        """Wait until every line has been written. Returns False if that takes longer than this."""
        written = _held_lock()
        with self._lock:
            self._enqueue(b"", (), written)
            self._wake_thread()
        return written.acquire(timeout=seconds)

    def close(self, seconds: float) -> None:
        """Write the remaining lines, and end the thread, if need be after the `seconds`."""
        with self._lock:
            self._is_closing = True
            self._wake_thread()
        self._thread.join(seconds)

    # ---------------------------------------------------------------- in the thread

    def _run(self) -> None:
        destinations: set[Destination] = set()
        while entries := self._take():
            lines: dict[Destination, list[bytes]] = {}
            for line, its_destinations, _ in entries:
                for destination in its_destinations:
                    lines.setdefault(destination, []).append(line)
            for destination, its_lines in lines.items():
                self._write(its_lines, destination)
            with self._lock:
                sizes = [len(line) * len(its_destinations) for line, its_destinations, _ in entries]
                self._held_bytes -= sum(sizes)
                self._written += len(entries)
                if not self._entries:
                    self._is_late = False
            for _, _, written in entries:
                if written:
                    written.release()
            destinations.update(lines)
        for destination in destinations | self._dropped.keys():
            self._write([], destination)
            destination.close()

    def _take(self) -> list[_Entry]:
        """Wait for the next entries. Returns an empty list at the end."""
        seconds = 0 if self._entries else _GATHER_SECONDS
        while True:
            is_rung = self._bell.acquire(timeout=seconds)
            with self._lock:
                if self._entries:
                    return self._cut_batch()
                if self._is_closing:
                    return []
                self._is_idle = not is_rung
            seconds = _GATHER_SECONDS if is_rung else -1

    def _cut_batch(self) -> list[_Entry]:
        if self._held_bytes <= _BATCH_BYTES:
            batch, self._entries = self._entries, []
            return batch
        count = size = 0
        while count < len(self._entries) and size < _BATCH_BYTES:
            size += len(self._entries[count][0])
            count += 1
        batch = self._entries[:count]
        del self._entries[:count]
        return batch

    def _write(self, lines: list[bytes], destination: Destination) -> None:
        dropped = 0
        with self._lock:
            if not self._entries:  # else the queued lines come before the dropped ones
                dropped = self._dropped.pop(destination, 0)
        batch = [*lines, self._loss_line(dropped)] if dropped else lines
        if batch and (lost := destination.write(batch)):
            with self._lock:
                self._dropped[destination] += lost + dropped - bool(dropped)


def _held_lock() -> LockType:
    lock = allocate_lock()
    lock.acquire()
    return lock
