"""The answer to `GET /admin/status`: keys and their use, providers, workers, newest problems."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cluster.limit_counters import NANODOLLARS, Standing
from cluster.limiter import Limiter, client_name
from cluster.status_board import ProviderStatus, Status, WorkerReport
from configuration import VERSION
from models import GatewayError
from settings.gateway_keys import GatewayKey
from telemetry.newest_problems import newest_problems
from web.services import Services
from web.worker_reports import report

_PROBLEMS = 50
# The worse of two workers counts.
_STATES = ("UNKNOWN", "OK", "DEGRADED", "ERROR")
_BREAKERS = ("closed", "half_open", "open")


async def read_status(services: Services, limiter: Limiter) -> dict[str, Any]:
    """The state of all workers. Raises GatewayError `overloaded` if they do not answer."""
    report(services, limiter)
    named = {key.name: key for key in services.keys.keys}
    standings: dict[str, tuple[Standing, ...]] = {}
    try:
        status = await limiter.read_status()
        for name, key in named.items():
            if key.limits:
                standings[name] = await limiter.look(client_name(name, None), key.limits)
    except OSError as error:
        raise GatewayError("overloaded", retry_after=1) from error
    return {
        "version": VERSION,
        "demo": services.settings.demo_mode,
        "time": _iso(datetime.now(UTC).timestamp()),
        "workers": [_worker(each) for each in status.workers],
        "providers": _providers(status),
        "keys": [
            _key(key, standings.get(name, ()), status.key_uses.get(name))
            for name, key in named.items()
        ],
        "problems": await _newest_problems(services, status),
    }


async def _newest_problems(services: Services, status: Status) -> list[Mapping[str, str]]:
    """Of the log files, which all processes share; or else what the workers have reported."""
    if folder := services.settings.log_folder:
        return [*await asyncio.to_thread(newest_problems, folder, _PROBLEMS)]
    by_time = sorted(status.problems, key=lambda problem: problem["timestamp"], reverse=True)
    return by_time[:_PROBLEMS]


def _worker(worker: WorkerReport) -> dict[str, Any]:
    return {
        "process": worker.process,
        "age_seconds": round(max(0.0, time.monotonic() - worker.at), 1),
        "streams": {"open": worker.open_streams, "limit": worker.max_streams},
        "draining": worker.is_draining,
    }


def _providers(status: Status) -> list[dict[str, Any]]:
    """Each provider, as the worker has it that has it at its worst."""
    by_name: dict[str, list[ProviderStatus]] = {}
    for worker in status.workers:
        for provider in worker.providers:
            by_name.setdefault(provider.name, []).append(provider)
    return [_provider(name, seen) for name, seen in sorted(by_name.items())]


def _provider(name: str, seen: list[ProviderStatus]) -> dict[str, Any]:
    worst = max(seen, key=lambda each: _STATES.index(each.state))
    models: dict[str, str] = {}
    for model in (model for each in seen for model in each.models):
        before = models.get(model.name, _BREAKERS[0])
        models[model.name] = max(before, model.breaker, key=_BREAKERS.index)
    return {
        "name": name,
        "state": worst.state,
        "error": worst.error,
        "models": [{"name": model, "breaker": breaker} for model, breaker in models.items()],
    }


def _key(key: GatewayKey, standings: Iterable[Standing], used_at: float | None) -> dict[str, Any]:
    scope = key.scope
    return {
        "name": key.name,
        "expires": key.expires and _iso(key.expires.timestamp()),
        "expired": bool(key.expires and key.expires <= datetime.now(UTC)),
        "providers": _sorted(scope.providers if scope else None),
        "models": _sorted(scope.models if scope else None),
        "doors": _sorted(key.doors),
        "rights": [name for name in ("admin", "metrics", "deep_health") if getattr(key, name)],
        "tags": list(key.tags),
        "limits": [*map(_limit, standings), *_limit_of_connections(key)],
        "last_used": used_at and _iso(used_at),
    }


def _limit(standing: Standing) -> dict[str, Any]:
    is_money = standing.name.startswith("usd")
    unit = NANODOLLARS if is_money else 1
    used = standing.limit - standing.remaining
    return {
        "name": standing.name,
        "limit": standing.limit / unit if is_money else standing.limit,
        "used": used / unit if is_money else used,
        "reset_seconds": round(standing.reset, 1),
    }


def _limit_of_connections(key: GatewayKey) -> list[dict[str, Any]]:
    """Each worker counts its own: what is used is not known here."""
    limit = key.limits and key.limits.connections
    fields = {"name": "connections", "limit": limit, "used": None, "reset_seconds": 0.0}
    return [fields] if limit else []


def _sorted(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
