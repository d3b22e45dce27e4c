"""The limits of each client: what a chat has to pass before its body is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from socket import socket
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request

from cluster.count_file import kept_counts
from cluster.limit_broker import RemoteLimiter
from cluster.limit_counters import LimitCounters
from cluster.limiter import Limiter, LocalLimiter, client_name
from cluster.usage_sink import UsageSink
from configuration import Settings
from models import GatewayError, Usage
from providers.factory import ProviderFactory
from settings.client_limits import ClientLimits
from settings.gateway_keys import GatewayKey
from telemetry.chat_record import ChatSink
from web.budget_gauge import BudgetGauge
from web.doors.rate_limits import LIMIT_HEADERS, limit_headers
from web.limits import StreamLimit

if TYPE_CHECKING:
    from telemetry.metrics import Metrics


class ClientGate:
    """Lets chats in as far as the limits of their clients allow."""

    def __init__(
        self,
        limiter: Limiter,
        anonymous: ClientLimits | None,
        budgets: BudgetGauge | None = None,
    ) -> None:
        self.budgets = budgets
        self.limiter = limiter
        self._anonymous = anonymous

    async def enter(self, request: Request, key: GatewayKey | None, door: str) -> Lease | None:
        """The lease of a chat; None if its client has no limits.

        Raises GatewayError `rate_limited`, `budget_exceeded`.
        """
        limits = key.limits if key else self._anonymous
        if limits is None:
            return None
        address = request.client.host if request.client else None
        client = client_name(key.name if key else None, address)
        verdict = await self.limiter.enter(client, limits)
        if self.budgets and key:
            self.budgets.note(key.name, verdict.standings)
        request.scope[LIMIT_HEADERS] = limit_headers(door, verdict.standings)
        if verdict.refused_by:
            is_rate = verdict.refused_by in ("requests_per_minute", "streams")
            raise GatewayError(
                "rate_limited" if is_rate else "budget_exceeded",
                reason=verdict.refused_by,
                retry_after=verdict.retry_after,
            )
        return Lease(self.limiter, client, is_counted=verdict.is_counted)


class Lease:
    """One of the streams that a client may have open. `release` gives it back, once."""

    __slots__ = ("_client", "_limiter")

    def __init__(self, limiter: Limiter, client: str, *, is_counted: bool) -> None:
        self._limiter = limiter
        self._client = client if is_counted else None

    def release(self) -> None:
        """Give it back."""
        if self._client is not None:
            self._limiter.leave(self._client)
            self._client = None


class LeasedSlot:
    """A slot of MAX_STREAMS, and the lease that ends with it."""

    __slots__ = ("_lease", "_slots")

    def __init__(self, slots: StreamLimit, lease: Lease) -> None:
        self._slots = slots
        self._lease = lease

    def __enter__(self) -> None:
        """Take a slot. Raises GatewayError `overloaded`."""
        try:
            self._slots.__enter__()
        except GatewayError:
            self._lease.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release both."""
        self._slots.__exit__(kind, error, trace)
        self._lease.release()


class OpenLimits(NamedTuple):
    """The gate, and the sinks of the chats that it has let in. Without limits there are none."""

    gate: ClientGate | None = None
    sinks: Sequence[ChatSink] = ()


@asynccontextmanager
async def open_limits(
    settings: Settings, factory: ProviderFactory, broker: socket | None, metrics: Metrics | None
) -> AsyncIterator[OpenLimits]:
    """The limits, if any are configured. `broker` is a worker's connection to its broker."""
    if not settings.has_limits:
        yield OpenLimits()
        return

    def find_cost(provider: str, model: str, usage: Usage) -> float | None:
        return factory.get(provider).cost(model, usage)

    async with AsyncExitStack() as stack:
        limiter: Limiter
        if broker:
            limiter = await RemoteLimiter.connect(broker)
        else:
            counters = LimitCounters()
            await stack.enter_async_context(kept_counts(counters, settings.counts_file))
            limiter = LocalLimiter(counters)
        stack.push_async_callback(limiter.aclose)
        budgets = BudgetGauge(metrics) if metrics else None
        gate = ClientGate(limiter, settings.anonymous_limits, budgets)
        yield OpenLimits(gate, (UsageSink(limiter, find_cost),))
