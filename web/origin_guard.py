"""Checks the `Origin` of requests, against cross-site requests from a visitor's browser."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from models import GatewayError
from settings.hosts import normalise_origin
from web.errors import refuse
from web.paths import route_path

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_GUARDED_PATHS = frozenset({"/sentry-debug"})  # guarded for safe methods as well
_MAX_LOGGED_CHARS = 200


class Origins:
    """The allowed origins of CORS_ORIGINS: pages on other hosts that may use the gateway."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(map(normalise_origin, origins))
        self.allow_all = "*" in self._origins

    def allow(self, origin: str) -> bool:
        """Whether an `Origin` is allowed."""
        return self.allow_all or normalise_origin(origin) in self._origins


class OriginGuard:
    """Refuses requests with effects or costs from pages of origins that are not allowed."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (
            scope["method"] not in _SAFE_METHODS or route_path(scope) in _GUARDED_PATHS
        ):
            headers = Headers(scope=scope)
            if not (is_own_page(headers) or self._origins.allow(headers.get("origin", ""))):
                await refuse(forbidden_origin(headers), scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_own_page(headers: Headers) -> bool:
    """Whether a request comes from the gateway's own page, or from no web page at all.

    `Sec-Fetch-Site: same-origin` is trusted first, because a proxy may have changed the Host.
    Browsers send that header on secure origins only, so otherwise the Origin must match the Host.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site == "same-origin":
        return True
    if origin is None:
        return site in (None, "none")
    scheme, _, _ = origin.partition("://")
    return normalise_origin(origin) == normalise_origin(f"{scheme}://{headers.get('host', '')}")


def forbidden_origin(headers: Headers) -> GatewayError:
    """The error for a page of another origin, with the origin as a detail for the log."""
    return GatewayError(
        "forbidden_origin", detail={"origin": headers.get("origin", "")[:_MAX_LOGGED_CHARS]}
    )
