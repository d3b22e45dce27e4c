"""Keeps what clients have used in LIMITS_FILE, so that budgets hold over a restart.

The file has the names of keys, the addresses of anonymous clients, and numbers. It is written in a
thread, and replaced as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cluster.limit_counters import PERIODS, LimitCounters, Usage, period_name
from telemetry.once_per_minute import OncePerMinute

_WRITE_SECONDS = 2.0  # between two writes: what a killed process loses at most
_MODE = 0o600
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC

_UNWRITTEN = "LIMITS_FILE cannot be written: budgets begin anew at a restart"

_logger = logging.getLogger("gateway.limits")
_decode = msgspec.json.Decoder(Usage).decode


class CountFile:
    """A file of counts. Not for several threads at the same time."""

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._draft = path.with_name(f"{path.name}.new")
        self._now = now
        self._usage: Usage = {}
        self._is_saved = True
        self._problems = OncePerMinute()

    def read(self) -> Usage:
        """The counts; none if there is no file yet, or if it cannot be read, which is reported.

        What cannot be read is kept beside it: the limits hold from zero on.
        """
        if not os.access(self._path.parent, os.W_OK | os.X_OK):
            self._report(_UNWRITTEN)
        try:
            self._usage = _decode(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError, UnicodeError) as error:
            with suppress(OSError):
                os.replace(self._path, self._path.with_name(f"{self._path.name}.broken"))
            self._report("LIMITS_FILE cannot be read: BUDGETS BEGIN AT ZERO", error)
        return dict(self._usage)

    def save(self, changes: Usage) -> None:
        """Add the changed counts, and write all that are not over."""
        if not changes and self._is_saved:
            return
        self._usage |= changes
        now = self._now()
        names = {period: period_name(now, period) for period in PERIODS}
        current = {
            client: {name: each for name, each in used.items() if each.period >= names[name]}
            for client, used in self._usage.items()
        }
        self._usage = {client: used for client, used in current.items() if used}
        try:
            self._replace(msgspec.json.encode(self._usage))
        except OSError as error:
            self._is_saved = False
            if self._problems.allows("write"):
                self._report(_UNWRITTEN, error)
        else:
            self._is_saved = True

    def _replace(self, content: bytes) -> None:
        with os.fdopen(os.open(self._draft, _FLAGS, _MODE), "wb") as file:
            os.fchmod(file.fileno(), _MODE)  # a draft that another process has left
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._draft, self._path)

    def _report(self, message: str, error: Exception | None = None) -> None:
        context = {"file": str(self._path), "error": type(error).__name__ if error else None}
        _logger.error(message, extra={"context": context})


@asynccontextmanager
async def kept_counts(counters: LimitCounters, path: Path | None) -> AsyncIterator[None]:
    """Go on with the counts of the file, and keep them there until the end of the block."""
    if path is None:
        yield
        return
    file = CountFile(path)
    counters.restore(file.read())
    ending = asyncio.Event()
    keeping = asyncio.create_task(_keep(counters, file, ending))
    try:
        yield
    finally:
        ending.set()
        await keeping


async def _keep(counters: LimitCounters, file: CountFile, ending: asyncio.Event) -> None:
    is_last = False
    while not is_last:
        with suppress(TimeoutError):
            async with asyncio.timeout(_WRITE_SECONDS):
                is_last = await ending.wait()
        await asyncio.to_thread(file.save, counters.take_changes())
