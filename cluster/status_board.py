"""`StatusBoard`: what the workers of a gateway report of themselves, for the admin page."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from operator import itemgetter

import msgspec
from msgspec.structs import replace

_KEPT_PROBLEMS = 50
_KEPT_USES = 2**16  # keys come and go


class ModelStatus(msgspec.Struct, frozen=True, array_like=True):
    """The breaker of one model in one worker."""

    name: str
    breaker: str  # closed, open or half_open


class ProviderStatus(msgspec.Struct, frozen=True, array_like=True):
    """A provider as one worker's traffic has it, and the code of its newest failure."""

    name: str
    state: str
    error: str | None
    models: tuple[ModelStatus, ...]


class WorkerReport(msgspec.Struct, frozen=True, array_like=True):
    """One worker at a moment of the monotonic clock, which a machine's processes share.

    `key_uses` are the names of the keys used since the report before, and the times of day.
    `problems` are the warnings and errors since then, if there are no log files.
    """

    process: int
    at: float
    open_streams: int
    max_streams: int
    is_draining: bool
    providers: tuple[ProviderStatus, ...]
    key_uses: Mapping[str, float]
    problems: tuple[Mapping[str, str], ...] = ()


class Status(msgspec.Struct, frozen=True, array_like=True):
    """The newest report of each worker, and of all of them the uses of keys and the problems.

    These are not in the reports again.
    """

    workers: tuple[WorkerReport, ...]
    key_uses: Mapping[str, float]
    problems: tuple[Mapping[str, str], ...] = ()


class StatusBoard:
    """Keeps the newest reports. Not for several threads."""

    def __init__(self) -> None:
        self._reports: dict[Hashable, WorkerReport] = {}
        self._key_uses: dict[str, float] = {}
        self._problems: deque[Mapping[str, str]] = deque(maxlen=_KEPT_PROBLEMS)

    def post(self, report: WorkerReport, worker: Hashable = None) -> None:
        """Replace a worker's report."""
        self._reports[worker] = replace(report, key_uses={}, problems=())
        self._problems += report.problems
        for name, at in report.key_uses.items():
            self._key_uses[name] = max(at, self._key_uses.get(name, at))
        if len(self._key_uses) > _KEPT_USES:
            newest = sorted(self._key_uses.items(), key=itemgetter(1))[-_KEPT_USES:]
            self._key_uses = dict(newest)

    def drop_worker(self, worker: Hashable) -> None:
        """Forget the report of a worker that has ended; uses of keys and problems stay."""
        self._reports.pop(worker, None)

    def read(self) -> Status:
        """What is on the board."""
        reports = sorted(self._reports.values(), key=lambda report: report.process)
        return Status(tuple(reports), dict(self._key_uses), tuple(self._problems))
