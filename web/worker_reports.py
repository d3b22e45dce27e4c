"""What each worker reports of itself while a key is for the admin page."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiproviders import Gateway
from cluster.limiter import Limiter
from cluster.status_board import ModelStatus, ProviderStatus, WorkerReport
from web.services import Services

_SECONDS = 1.0


@asynccontextmanager
async def reporting(services: Services) -> AsyncIterator[None]:
    """Report within the block, if there may be a key for the admin page."""
    if services.gate is None:
        yield
        return
    task = asyncio.create_task(_report_often(services, services.gate.limiter))
    try:
        yield
    finally:
        task.cancel()
        services.problems.detach()


async def _report_often(services: Services, limiter: Limiter) -> None:
    has_files = services.settings.log_folder is not None
    while True:
        if services.keys.has_admin:
            if not has_files:
                services.problems.attach()
            report(services, limiter)
        else:
            services.problems.detach()
        await asyncio.sleep(_SECONDS)


def report(services: Services, limiter: Limiter) -> None:
    """Report how this worker does now."""
    streams = services.streams
    limiter.report(
        WorkerReport(
            process=os.getpid(),
            at=time.monotonic(),
            open_streams=streams.open,
            max_streams=streams.limit,
            is_draining=services.drain.is_draining,
            providers=_providers(services.gateway),
            key_uses=services.keys.take_uses(),
            problems=services.problems.take(),
        )
    )


def _providers(gateway: Gateway) -> tuple[ProviderStatus, ...]:
    return tuple(
        ProviderStatus(
            name,
            provider.health.state,
            provider.health.error,
            tuple(ModelStatus(*pair) for pair in provider.breaker_states().items()),
        )
        for name, provider in sorted(gateway.factory.built.items())
    )
