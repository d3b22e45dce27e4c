"""What every vendor's HTTP client has in common: clocks, pool, and that it takes nothing from the environment."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx2
import msgspec

from configuration import ProviderSettings
from log_line import request_id_context
from providers.pool import Pool
from providers.transport import make_client
from providers.vendor_stream import RawResponse

_KEEP_ALIVE_SECONDS = 60.0  # the SDKs' 5 s would open a new connection for nearly every chat


def make_http_client(httpx: ModuleType, aiohttp_client: Callable[..., Any], settings: ProviderSettings) -> Any:
    """An SDK's HTTP client in the classes of the `httpx` or `httpx2` that it is built on.

    It has the gateway's own transport, or is an `aiohttp_client` where the operator wants it or there is a proxy.
    Reading has no timeout here: the stream's own clocks hold it. A body is asked for uncompressed, a redirect is never
    followed (it would take the prompt and the key to another host), no proxy or credential comes from the environment.
    """
    connect, most = settings.clocks.connect, settings.max_connections
    options: dict[str, Any] = {
        "timeout": httpx.Timeout(connect=connect, read=None, write=None, pool=connect),
        "follow_redirects": False,
        "trust_env": False,
        "headers": {"Accept-Encoding": "identity"},
    }
    if settings.transport == "own" and not settings.proxy:
        context = httpx2.create_ssl_context(trust_env=False)
        pool = Pool(connect_seconds=connect, keep_alive_seconds=_KEEP_ALIVE_SECONDS, context=context)
        return make_client(httpx, pool, **options)
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=_KEEP_ALIVE_SECONDS)
    proxy = settings.proxy.get_secret_value() if settings.proxy else None
    return aiohttp_client(limits=limits, proxy=proxy, **options)


def api_key(settings: ProviderSettings) -> str:
    """The vendor's key in clear; a server of one's own may need none, an SDK always wants a value."""
    return settings.api_key.get_secret_value() if settings.api_key else "none"


async def post_unread(
    client: Any, url: str, body: dict[str, object], response_class: type, stream_class: type
) -> RawResponse:
    """The unread answer to a POST through a Stainless SDK's client (openai, anthropic, groq); the caller closes it.

    Asked to cast a stream to its HTTP library's own response class, the SDK gives that response as it is: the lowest
    seam that it supports. Ready-made JSON and a whole URL spare it a fifth of its work. Raises the SDK's typed errors.
    """
    response: RawResponse = await client.post(
        url,
        cast_to=response_class,
        content=msgspec.json.encode(body),
        options={"headers": request_headers()},
        stream=True,
        stream_cls=stream_class,
    )
    return response


def request_headers() -> dict[str, str]:
    """Headers of one call: the gateway's request id, for the vendor's log."""
    return {"X-Request-ID": request_id_context.get()}
