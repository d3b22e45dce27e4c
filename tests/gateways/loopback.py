"""The whole gateway on a real socket of this machine, in the test's own loop, served as `python main.py` serves it."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions, Settings
from main import create_app, server_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fastapi import FastAPI

    from providers.factory import ProviderFactory

_GRACE_SECONDS = 2  # for what a test has left open


def make_settings(log_dir: Path, **options: Any) -> Settings:
    """A configuration of its own for a test: `gpt` is configured, with the models luna and nova, and no other."""
    gpt = ProviderOptions(
        api_key=SecretStr("sk-of-a-test"), model_default="luna", model_fallback="nova"
    )
    vendors = {name: ProviderOptions() for name in VALID_PROVIDERS} | {"gpt": gpt}
    return Settings.model_validate(
        {"vendors": vendors, "log_dir": log_dir, "demo": "off"} | options
    )


@dataclass(frozen=True)
class RunningGateway:
    """A gateway's address and its app; `app.state.services` has what is inside."""

    host: str
    port: int
    app: FastAPI
    server: uvicorn.Server

    @property
    def url(self) -> str:
        """The address to ask, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    async def settle(self) -> None:
        """Wait until the requests that are under way are over, with all that they do after their response."""
        await asyncio.gather(*self.server.server_state.tasks)


@asynccontextmanager
async def running_gateway(
    settings: Settings, factory: ProviderFactory | None = None
) -> AsyncIterator[RunningGateway]:
    """Serve the app on a free port, from its lifespan's start to its end."""
    gc.freeze()  # the app collects before it serves; over all that a test run has loaded that takes long
    app = create_app(settings, factory)
    options = server_options(settings) | {
        "host": "127.0.0.1",
        "port": 0,
        "timeout_graceful_shutdown": _GRACE_SECONDS,
    }
    config = uvicorn.Config(app, lifespan="on", **options)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        host, port = server.servers[0].sockets[0].getsockname()
        yield RunningGateway(host, port, app, server)
    finally:
        await _shut_down(server)
        gc.unfreeze()  # the app freezes what it has loaded; the next test's garbage must be found


async def _shut_down(server: uvicorn.Server) -> None:
    """What `server.shutdown()` does, without its fixed pause of 0.1 s."""
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    if tasks := set(server.server_state.tasks):
        _, left_over = await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        for task in left_over:
            task.cancel()
    await server.lifespan.shutdown()
