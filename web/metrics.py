"""`GET /metrics`, and what is measured of a process beside its chats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response

from models import GatewayError
from streams.failure import Failure
from telemetry import metric_names as names
from telemetry.process_usage import memory_mb

if TYPE_CHECKING:
    from telemetry.metrics import Metrics
    from web.services import Services

_SECONDS = 0.25  # between two measurements
_BREAKER_STATES = {"closed": 0, "half_open": 1, "open": 2}
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def metrics_response(request: Request) -> Response:
    """The metrics of all workers. Raises GatewayError `not_found` if they are not served here."""
    metrics: Metrics | None = request.app.state.metrics
    if metrics is None or not request.app.state.services.settings.metrics:
        raise GatewayError("not_found")
    return Response(await asyncio.to_thread(metrics.expose), media_type=_CONTENT_TYPE)


def count_refusal(request: Request, error: GatewayError) -> None:
    """Count a request that was refused; a chat's failure is in the chat's record."""
    app = request.scope.get("app")  # an ASGI app around ours may refuse before it
    metrics: Metrics | None = app and app.state.metrics
    if metrics and not isinstance(error, Failure):
        metrics.count(names.REFUSALS, error.code, metrics.reasons.value(error.reason))


@asynccontextmanager
async def measured(state: State) -> AsyncIterator[None]:
    """Measure the process within the block, if metrics are configured."""
    if state.metrics is None:
        yield
        return
    measuring = asyncio.create_task(_measure(state.metrics, state.services))
    try:
        yield
    finally:
        measuring.cancel()


async def _measure(metrics: Metrics, services: Services) -> None:
    metrics.set(names.WORKERS, value=1)
    metrics.set(names.STREAMS_LIMIT, value=services.streams.limit)
    loop = asyncio.get_running_loop()
    while True:
        metrics.set(names.STREAMS_OPEN, value=services.streams.open)
        metrics.set(names.PENDING_BYTES, value=services.bodies.reserved)
        metrics.set(names.MEMORY, value=memory_mb() * 2**20)
        for name, provider in services.gateway.factory.built.items():
            for model, state in provider.breaker_states().items():
                metrics.set(names.BREAKER, name, model, value=_BREAKER_STATES[state])
        if services.gate and services.gate.budgets:
            services.gate.budgets.clear_ended(services.keys.keys)
        due = loop.time() + _SECONDS
        await asyncio.sleep(_SECONDS)
        metrics.observe(names.LOOP_DELAY, value=max(0.0, loop.time() - due))
