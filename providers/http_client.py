"""What every vendor's HTTP client has in common: clocks, pool, and that it takes nothing from the environment."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol

from configuration import ProviderSettings
from logging_config import request_id_context
from providers.vendor_stream import RawResponse

_KEEP_ALIVE_SECONDS = 60.0  # the SDKs' 5 s would open a new connection for nearly every chat


def client_options(httpx: ModuleType, settings: ProviderSettings) -> dict[str, Any]:
    """Arguments for an SDK's aiohttp-backed client, in the classes of the `httpx` or `httpx2` that it is built on.

    Reading has no timeout here: the stream's own clocks hold it. A body is asked for uncompressed, a redirect is never
    followed (it would take the prompt and the key to another host), no proxy or credential comes from the environment.
    """
    connect = settings.clocks.connect
    return {
        "timeout": httpx.Timeout(connect=connect, read=None, write=None, pool=connect),
        "limits": httpx.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=settings.max_connections,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
        ),
        "follow_redirects": False,
        "trust_env": False,
        "proxy": settings.proxy.get_secret_value() if settings.proxy else None,
        "headers": {"Accept-Encoding": "identity"},
    }


def api_key(settings: ProviderSettings) -> str:
    """The vendor's key in clear; a server of one's own may need none, an SDK always wants a value."""
    return settings.api_key.get_secret_value() if settings.api_key else "none"


class OpenResponse(RawResponse, Protocol):
    """A response that is to be closed."""

    async def aclose(self) -> None: ...


async def open_stream(
    client: Any, path: str, body: dict[str, object], response_class: type, stream_class: type
) -> OpenResponse:
    """The unread answer to a POST through a Stainless SDK's client (openai, anthropic, groq); the caller closes it.

    Asked to cast a stream to its HTTP library's own response class, the SDK gives that response as it is: the lowest
    seam that it supports. Raises the SDK's typed errors.
    """
    response: OpenResponse = await client.post(
        path,
        cast_to=response_class,
        body=body,
        options={"headers": request_headers()},
        stream=True,
        stream_cls=stream_class,
    )
    return response


def request_headers() -> dict[str, str]:
    """Headers of one call: the gateway's request id, for the vendor's log."""
    return {"X-Request-ID": request_id_context.get()}
