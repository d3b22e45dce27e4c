"""`Limiter`: the port to the counters of clients, and its twin within one process."""

from __future__ import annotations

from typing import Protocol

from cluster.limit_counters import LimitCounters, Standing, Verdict
from cluster.status_board import Status, StatusBoard, WorkerReport
from settings.client_limits import ClientLimits
from settings.hosts import client_network


class Limiter(Protocol):
    """Counts what clients use, over all processes that share it. It never fails a chat.

    `report`, `read_status` and `look` serve the admin page; `read_status` and `look` raise OSError.
    """

    async def enter(self, client: str, limits: ClientLimits) -> Verdict:
        """Count a request and take a stream, unless a limit refuses it."""

    def leave(self, client: str) -> None:
        """Give back a stream."""

    def charge(self, client: str, tokens: int, nanodollars: int) -> None:
        """Count what a chat has used."""

    def report(self, report: WorkerReport) -> None:
        """Show the other processes how this one does."""

    async def read_status(self) -> Status:
        """What all processes have reported."""

    async def look(self, client: str, limits: ClientLimits) -> tuple[Standing, ...]:
        """How a client stands with its limits. Counts nothing."""

    async def aclose(self) -> None:
        """Send what has not been sent."""


class LocalLimiter:
    """The limiter of a single process."""

    def __init__(self, counters: LimitCounters) -> None:
        self.leave = counters.leave
        self.charge = counters.charge
        self._counters = counters
        self._board = StatusBoard()
        self.report = self._board.post

    async def enter(self, client: str, limits: ClientLimits) -> Verdict:
        """Count a request and take a stream, unless a limit refuses it."""
        return self._counters.enter(client, limits)

    async def read_status(self) -> Status:
        """What this process has reported."""
        return self._board.read()

    async def look(self, client: str, limits: ClientLimits) -> tuple[Standing, ...]:
        """How a client stands with its limits. Counts nothing."""
        return self._counters.look(client, limits)

    async def aclose(self) -> None:
        """There is nothing to send."""


def client_name(key: str | None, address: str | None) -> str:
    """Whose use is counted: the key's, or else the address's, of IPv6 that of its /64 network."""
    if key is not None:
        return f"key {key}"
    return f"address {client_network(address) if address else address}"
