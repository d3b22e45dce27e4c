"""Puts the house together: the app, its life from start to stop, and the command line. No logic of its own.

`python main.py` serves; `python main.py keys new NAME` makes a gateway key.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from uvicorn.config import STARTUP_FAILURE

from aiproviders import Gateway
from configuration import VERSION, ConfigurationError, Settings, load_settings, new_gateway_key, startup_warnings
from error_reporting import SentrySettings, configure_sentry, shutdown_sentry
from logging_config import LogSettings, configure_logging, logger, shutdown_logging
from models import GatewayError
from providers.factory import ProviderFactory
from redaction import hide_secrets
from simulator import Simulator
from web.drain import Chats, Drain, keep_signals
from web.errors import handle_error
from web.guards import BodyRoom, OriginGuard, StreamLimit
from web.listeners import Listeners
from web.middleware import LastResortMiddleware, RequestIdMiddleware
from web.openapi import describe
from web.page import page_files
from web.routes import House, router
from web.server import http_protocol
from web.workers import Supervisor

_WORKER_ANSWER_SECONDS = 30  # a new worker imports before it answers its parent, for long where the machine is busy
_CLIENT_KEEP_ALIVE_SECONDS = 75  # above nginx's 60, so that it never reuses a connection that is being closed
# A stream makes no garbage in cycles, but has hundreds of objects. With Python's own thresholds, all of
# them are examined three times while a thousand streams open, for up to 90 ms each.
_GARBAGE_THRESHOLDS = (5_000, 50, 20)
_EXPOSED_HEADERS = (
    "X-Request-ID",
    "X-Gateway-Provider",
    "X-Gateway-Model",
    "X-Gateway-Fallback",
    "X-Gateway-Demo",
    "Retry-After",
)


def create_app(settings: Settings, factory: ProviderFactory | None = None) -> FastAPI:
    """The gateway as an ASGI app. A factory that is given is used, and closed, in place of one from the settings."""
    app = FastAPI(
        title="AI chat gateway", version=VERSION, lifespan=_lifespan(settings, factory), redirect_slashes=False
    )
    app.state.drain = Drain(settings.drain_grace_seconds, settings.drain_timeout_seconds)
    for kind in (GatewayError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle_error)
    app.add_middleware(LastResortMiddleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
        expose_headers=_EXPOSED_HEADERS,
    )
    app.add_middleware(OriginGuard, origins=settings.cors_origins)
    app.add_middleware(RequestIdMiddleware)
    app.include_router(router)
    app.mount("/static", page_files())
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app


def _lifespan(
    settings: Settings, factory: ProviderFactory | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            _open_logs(settings)
            stack.callback(shutdown_logging)
            stack.callback(shutdown_sentry)
            lived = await _with_demo(settings, stack)
            gateway = Gateway(
                factory or ProviderFactory(lived.providers),
                system_prompt=lived.system_prompt,
                health_cache_seconds=lived.health_cache_seconds,
            )
            stack.push_async_callback(gateway.aclose)
            await gateway.factory.warm()
            _say_what_is_served(lived, gateway)
            app.state.house = House(
                settings=lived,
                gateway=gateway,
                streams=StreamLimit(lived.max_streams),
                bodies=BodyRoom(lived.max_body_bytes),
                drain=app.state.drain,
            )
            gc.collect()
            gc.freeze()  # a full collection over all that the SDKs loaded would stop the loop for 130 ms
            gc.set_threshold(*_GARBAGE_THRESHOLDS)
            yield

    return live


def _open_logs(settings: Settings) -> None:
    configure_logging(
        LogSettings(
            level=settings.log_level,
            directory=settings.log_dir,
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


async def _with_demo(settings: Settings, stack: AsyncExitStack) -> Settings:
    """In demo mode, the settings whose providers talk to a simulator that lives as long as the app."""
    if not settings.demo_mode:
        return settings
    simulator = await stack.enter_async_context(Simulator(remembered=0))
    return settings.with_demo(simulator.base_urls)


def _say_what_is_served(settings: Settings, gateway: Gateway) -> None:
    for warning in startup_warnings(settings):
        logger.warning(warning)
    for provider in gateway.factory.built.values():
        ending = provider.deprecated_models()
        for model in provider.settings.models:
            if model in ending:
                logger.warning("%s: the model %s ends on %s", provider.name, model, ending[model])
    if settings.demo_mode:
        logger.warning("DEMO MODE: no vendor is asked; a simulator answers. Set a vendor's key in .env to change that.")
    logger.info("gateway %s serves %s", VERSION, ", ".join(gateway.factory.built) or "no provider")


def load_app() -> FastAPI:
    """The app of one process that uvicorn serves; from here on the process's signals drain it."""
    app = create_app(load_settings())
    app.state.signals = keep_signals(app.state.drain, lambda: _chats(app))
    return app


def _chats(app: FastAPI) -> Chats | None:
    house: House | None = getattr(app.state, "house", None)  # None: not started yet
    return Chats(house.streams, house.gateway.end_chats) if house else None


def server_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn serves the app, as arguments of `uvicorn.Config`."""
    return {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": http_protocol(settings),
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "timeout_keep_alive": _CLIENT_KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": int(settings.drain_timeout_seconds),
        "timeout_worker_healthcheck": _WORKER_ANSWER_SECONDS,
    }


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status: 2 where the configuration is wrong."""
    parser = argparse.ArgumentParser(description="The AI chat gateway. Without a command it serves.")
    commands = parser.add_subparsers(dest="command")
    keys = commands.add_parser("keys", help="make gateway keys").add_subparsers(required=True)
    keys.add_parser("new", help="make a key").add_argument("name")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "keys":
            key, entry = new_gateway_key(chosen.name)
            print(f"The key, shown only now:   {key}\nIts entry for .env:        GATEWAY_API_KEYS={entry}")
            return 0
        settings = load_settings()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    return serve(settings)


def serve(settings: Settings) -> int:
    """Serve until a signal. Returns the exit status."""
    config = uvicorn.Config("main:load_app", factory=True, workers=settings.workers, **server_options(settings))
    if settings.workers == 1:
        uvicorn.Server(config).run()
        return 0
    _open_logs(settings)  # the supervisor, too, has things to say
    drain_seconds = settings.drain_grace_seconds + settings.drain_timeout_seconds
    try:
        listeners = Listeners(config)
    except OSError as error:
        logger.error("cannot listen at %s port %d: %s", settings.host, settings.port, error)
        return STARTUP_FAILURE
    return Supervisor(config, listeners, drain_seconds).run()


if __name__ == "__main__":
    sys.exit(main())
