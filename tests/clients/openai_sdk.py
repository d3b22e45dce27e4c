"""OpenAI's own SDK as a client of the gateway."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
from openai import AsyncOpenAI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.gateways.loopback import RunningGateway


@asynccontextmanager
async def openai_client(gateway: RunningGateway, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    """A client of a gateway."""
    async with connect_openai(gateway.url, **options) as client:
        yield client


@asynccontextmanager
async def connect_openai(url: str, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    """A client that retries nothing, without certificates and without the environment's proxies."""
    http = httpx2.AsyncClient(trust_env=False, verify=False, timeout=30)
    chosen: dict[str, Any] = {"api_key": "key-of-a-test", "max_retries": 0} | options
    async with AsyncOpenAI(base_url=f"{url}/v1", http_client=http, **chosen) as client:
        yield client
