"""Assembles the gateway: the app, its lifespan and the command line. Contains no other logic.

`python main.py` serves; `python main.py --help` lists the other commands.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # The imports below take a second or more. Until the server handles signals, PID 1 of a
    # container would ignore SIGTERM. There is nothing to drain yet, so exit at once.
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, lambda _number, _frame: sys.exit(0))

import argparse
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
)
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from uvicorn.config import STARTUP_FAILURE

from aiproviders import Gateway
from cluster.state_store import MemoryStateStore
from commands import add_commands
from commands.check import load_checked_settings
from configuration import (
    VERSION,
    ConfigurationError,
    Settings,
    load_settings,
)
from logging_config import LogSettings, audit, configure_logging, logger, shutdown_logging
from models import GatewayError
from providers.factory import ProviderFactory
from server.http_protocol import http_protocol
from server.listeners import Listeners
from server.metrics_listener import shared_metrics
from server.shared_limits import run_workers
from server.signals import keep_signals
from server.startup_lines import log_startup
from simulator import SIMULATED_KEY, Simulator
from streams.pauses import pauses
from telemetry.chat_record import ChatSink
from telemetry.costs import open_prices
from telemetry.error_reporting import SentrySettings, configure_sentry, shutdown_sentry
from telemetry.redaction import hide_secrets
from telemetry.sinks import chat_sinks, open_metrics, open_traces
from web.bodies import PendingBodies
from web.client_limits import open_limits
from web.cors import CorsMiddleware
from web.drain import Chats, Drain
from web.errors import handle_error
from web.framework import FASTAPI_OPTIONS
from web.host_guard import HostGuard
from web.keys_source import KeysSource
from web.limits import StreamLimit
from web.metrics import measured
from web.middleware import LastResortMiddleware, RequestIdMiddleware
from web.openapi import OpenApiDocument
from web.origin_guard import OriginGuard, Origins
from web.page import PageFiles
from web.paths import PrefixMiddleware
from web.response_policy import ResponsePolicyMiddleware
from web.routes import router
from web.services import Services
from web.stranger_lines import StrangerLines
from web.worker_reports import reporting

# a new worker imports the SDKs before it answers, which is slow on a busy machine
_WORKER_ANSWER_SECONDS = 30
# A stream has hundreds of objects, but creates no reference cycles. With Python's default
# thresholds, opening a thousand streams would cause three collections over all of them, of up to 90
# ms each.
_GARBAGE_THRESHOLDS = (5_000, 50, 20)


def create_app(
    settings: Settings, factory: ProviderFactory | None = None, broker: socket.socket | None = None
) -> FastAPI:
    """The gateway as an ASGI app.

    A given factory is used, and closed. `broker` is a worker's connection to the shared limits.
    """
    app = FastAPI(
        title="AI chat gateway",
        version=VERSION,
        routes=router.routes,  # to include the router would match each path twice
        lifespan=_lifespan(settings, factory, broker),
        **FASTAPI_OPTIONS,
    )
    app.state.keys = KeysSource(settings)
    app.state.metrics = open_metrics(settings)
    app.state.drain = Drain(settings.drain_grace_seconds, settings.drain_timeout_seconds)
    for kind in (GatewayError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle_error)
    origins = Origins(settings.cors_origins)
    app.add_middleware(LastResortMiddleware)
    app.add_middleware(OriginGuard, origins=origins)
    if settings.checks_hosts:
        app.add_middleware(
            HostGuard, allowed=settings.allowed_hosts, local_only=settings.is_local_only
        )
    app.add_middleware(CorsMiddleware, origins=origins, headers=settings.cors_headers)
    app.add_middleware(ResponsePolicyMiddleware)
    app.state.stranger_lines = StrangerLines()
    app.add_middleware(RequestIdMiddleware, stranger_lines=app.state.stranger_lines)
    if settings.root_path or settings.trusted_proxies:
        app.add_middleware(
            PrefixMiddleware, root_path=settings.root_path or "", proxies=settings.trusted_proxies
        )
    app.mount("/static", PageFiles())
    app.state.openapi = OpenApiDocument(app)
    return app


def _lifespan(
    settings: Settings, factory: ProviderFactory | None, broker: socket.socket | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            _open_logs(settings)
            stack.callback(shutdown_logging)
            stack.callback(app.state.stranger_lines.close)
            stack.callback(audit, "gateway stopped", process=os.getpid())
            stack.callback(shutdown_sentry)
            stack.enter_context(pauses.watched())
            active = settings
            if settings.demo_mode:
                simulator = await stack.enter_async_context(Simulator(remembered=0))
                active = settings.with_demo(simulator.base_urls, SIMULATED_KEY)
            providers = factory or ProviderFactory(active.providers, open_prices(active))
            opening = open_limits(active, providers, broker, app.state.metrics)
            limits = await stack.enter_async_context(opening)
            traces = stack.enter_context(open_traces(active))
            sinks = (*chat_sinks(active, app.state.metrics), *traces, *limits.sinks)
            gateway = _make_gateway(active, providers, sinks)
            stack.push_async_callback(gateway.aclose)
            await gateway.factory.warm()
            log_startup(active, gateway)
            bodies = stack.enter_context(closing(PendingBodies(active.max_pending_bytes)))
            keys = await stack.enter_async_context(app.state.keys.opened(gateway.chats))
            slots, drain = StreamLimit(active.max_streams), app.state.drain
            app.state.services = Services(active, gateway, slots, bodies, drain, keys, limits.gate)
            await stack.enter_async_context(measured(app.state))
            await stack.enter_async_context(reporting(app.state.services))
            gc.collect()
            # without it, a full collection over the SDKs' objects would block the loop for 130 ms
            gc.freeze()
            gc.set_threshold(*_GARBAGE_THRESHOLDS)
            yield

    return lifespan


def _make_gateway(
    settings: Settings, factory: ProviderFactory, sinks: Sequence[ChatSink]
) -> Gateway:
    return Gateway(
        factory,
        system_prompt=settings.system_prompt,
        health_cache_seconds=settings.health_cache_seconds,
        max_prompt_bytes=settings.max_pending_bytes,
        states=MemoryStateStore(settings.max_states, settings.max_state_bytes),
        sinks=sinks,
        aliases=settings.model_aliases,
    )


def _open_logs(settings: Settings) -> None:
    configure_logging(
        LogSettings(
            level=settings.log_level,
            directory=settings.log_folder,
            is_json=settings.log_format == "json",
            is_shared=settings.workers > 1,
            max_bytes=settings.log_max_bytes,
            backup_count=settings.log_backup_count,
            conversation_log=settings.conversation_log,
        )
    )
    hide_secrets(settings.secrets)
    configure_sentry(
        SentrySettings(
            dsn=settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None,
            environment=settings.sentry_environment,
            traces_sample_rate=settings.sentry_traces_sample_rate,
            profiles_sample_rate=settings.sentry_profiles_sample_rate,
            release=VERSION,
        )
    )


def load_app(broker: socket.socket | None = None) -> FastAPI:
    """The app of one process, called by uvicorn. From now on the process's signals drain it."""
    app = create_app(load_settings(), broker=broker)
    read_again = app.state.keys.read_again if app.state.keys.has_file else None
    app.state.signals = keep_signals(app.state.drain, lambda: _chats(app), read_again)
    return app


def _chats(app: FastAPI) -> Chats | None:
    # None before the app has started
    services: Services | None = getattr(app.state, "services", None)
    return Chats(services.streams, services.gateway.end_chats) if services else None


def server_options(settings: Settings) -> dict[str, Any]:
    """The keyword arguments of `uvicorn.Config`."""
    return {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": http_protocol(settings),
        "ws": "none",
        "log_config": None,
        "log_level": "info",
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "timeout_keep_alive": settings.keep_alive_seconds,
        "timeout_graceful_shutdown": int(settings.drain_timeout_seconds),
        "timeout_worker_healthcheck": _WORKER_ANSWER_SECONDS,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Returns the exit status: 2 if the configuration is wrong."""
    parser = argparse.ArgumentParser(
        description="The AI chat gateway. Without a command it serves."
    )
    add_commands(parser.add_subparsers(dest="command"))
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command:
            return int(chosen.run(chosen))
        settings = load_checked_settings()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    return serve(settings)


def serve(settings: Settings) -> int:
    """Serve until a signal. Returns the exit status."""
    config = uvicorn.Config(
        "main:load_app", factory=True, workers=settings.workers, **server_options(settings)
    )
    try:
        # before the SDKs are loaded, so that a port in use is reported at once
        listeners = Listeners(config)
    except OSError as error:
        is_known = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno or 0) if is_known else str(error.strerror or error)
        print(
            f"cannot listen at {settings.host} port {settings.port}: {reason.lower()}",
            file=sys.stderr,
        )
        return STARTUP_FAILURE
    with shared_metrics(settings):
        if settings.workers == 1:
            _Server(config).run([listeners[0]])
            return 0
        _open_logs(settings)  # for the supervisor's own log lines
        logger.info("running on %s", listeners.url)
        return run_workers(config, listeners, settings, load_app)


class _Server(uvicorn.Server):
    """uvicorn's server on a socket that listens already.

    Logs its address, as uvicorn does for its own sockets.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._log_started_message(sockets or [])


if __name__ == "__main__":
    sys.exit(main())
