"""Creates the HTTP clients of the vendors' SDKs, with nothing from the environment."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2

from configuration import ProviderSettings
from providers.http.pool import Pool
from providers.http.response_body import limit_response
from providers.http.transport import make_client

_KEEP_ALIVE_SECONDS = 60.0  # the SDKs' 5 s would open a new connection for nearly every chat


def make_http_client(
    httpx: ModuleType, aiohttp_client: Callable[..., Any], settings: ProviderSettings
) -> Any:
    """Create an SDK's HTTP client, with the classes of the library that it is built on.

    It uses the gateway's own transport, or is an `aiohttp_client` if the operator chose aiohttp or
    there is a proxy. There is no read timeout: `Attempt` has the timeouts of a stream.
    Responses are requested uncompressed, redirects are not followed (they would send the prompt and
    the key to another host), and no proxy or credential is read from the environment.
    """
    connect, limit = settings.timeouts.connect, settings.max_connections
    options: dict[str, Any] = {
        "timeout": httpx.Timeout(connect=connect, read=None, write=None, pool=connect),
        "follow_redirects": False,
        "trust_env": False,
        "headers": {"Accept-Encoding": "identity"},
    }
    if settings.transport == "own" and not settings.proxy:
        pool = Pool(
            connect_seconds=connect,
            keep_alive_seconds=_KEEP_ALIVE_SECONDS,
            context=make_tls_context(settings),
        )
        return make_client(httpx, pool, **options)
    limits = httpx.Limits(
        max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=_KEEP_ALIVE_SECONDS
    )
    proxy = settings.proxy.get_secret_value() if settings.proxy else None
    hooks = {"response": [limit_response(httpx)]}
    verify = make_tls_context(settings)
    return aiohttp_client(limits=limits, proxy=proxy, verify=verify, event_hooks=hooks, **options)


def make_tls_context(settings: ProviderSettings) -> ssl.SSLContext:
    """The TLS context that verifies a vendor, by <VENDOR>_CA_FILE or the public authorities.

    Loading certificates takes 0.1 s, so there is one context for each file, and for an http:// base
    URL none are loaded.
    """
    if (settings.base_url or "").lower().startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # it trusts no certificate
    return _load_authorities(settings.ca_file)


@lru_cache
def _load_authorities(ca_file: Path | None) -> ssl.SSLContext:
    return (
        ssl.create_default_context(cafile=ca_file)
        if ca_file
        else httpx2.create_ssl_context(trust_env=False)
    )


def api_key(settings: ProviderSettings) -> str:
    """The vendor's key in clear; a local server may need none, but the SDKs require a value."""
    return settings.api_key.get_secret_value() if settings.api_key else "none"
