"""The path prefix under which a proxy serves the gateway, and a request's path without it."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.datastructures import URL, Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from settings.hosts import is_in_networks

PREFIX = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)+")


def route_path(scope: Scope) -> str:
    """The request's path without the prefix under which a proxy serves the gateway."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path


class PrefixMiddleware:
    """Sets the scope's `root_path` to ROOT_PATH, or to a trusted proxy's `X-Forwarded-Prefix`.

    A proxy may strip the prefix from the path or keep it; after this middleware the path includes
    it, as ASGI requires.
    """

    def __init__(self, app: ASGIApp, root_path: str, proxies: Collection[str]) -> None:
        self._app = app
        self._root_path = root_path
        self._proxies = tuple(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._root_path
        if scope["type"] == "http" and self._proxies and not prefix:
            claimed = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/")
            peer = scope.get("extensions", {}).get("gateway.peer", "")
            if PREFIX.fullmatch(claimed) and is_in_networks(peer, self._proxies):
                prefix = claimed
        if scope["type"] != "http" or not prefix:
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == prefix:  # the page's relative links need the trailing slash
            await RedirectResponse(
                URL(scope=scope).replace(scheme="", netloc="", path=f"{prefix}/")
            )(scope, receive, send)
            return
        path = path if path.startswith(f"{prefix}/") else f"{prefix}{path}"
        await self._app({**scope, "root_path": prefix, "path": path}, receive, send)
