"""Checks the `Host` of requests, against DNS rebinding.

A web page can let its own host name resolve to 127.0.0.1. Its requests then reach a gateway on the
visitor's machine, and count as same-origin. Their `Host` is still the page's name.

A proxy on this machine connects from loopback, whichever clients it serves. While the gateway
serves this machine only, requests that a proxy forwards from another machine are refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from models import GatewayError
from settings.hosts import host_name, is_loopback, is_one_word
from web.errors import refuse
from web.paths import route_path

_MAX_LOGGED_CHARS = 200
_FORWARDING = frozenset({b"x-forwarded-for", b"x-real-ip", b"forwarded"})  # these name clients
_HEALTH = re.compile("/health(/.*)?", re.DOTALL)
# Headers that browsers or proxies add to a request.
_BROWSERS_AND_PROXIES = re.compile(
    "origin|referer|sec-fetch-.*|forwarded|x-forwarded-.*|x-real-ip|via", re.DOTALL
)
_NUMBER = re.compile("[0-9]+|0x[0-9a-f]*")  # such a name is an IPv4 address to browsers
_FORWARDED_FOR = re.compile(r'(?:^|[,;])\s*for\s*=\s*("[^"]*"|[^,;]*)', re.IGNORECASE)
_NEEDS_KEYS = (
    "This request came through a proxy from another machine. To serve other machines, the gateway "
    "needs GATEWAY_API_KEYS or ALLOW_ANONYMOUS=true."
)


class HostGuard:
    """Refuses requests whose `Host` is neither loopback nor allowed.

    Health is exempt: probes use any name. With `local_only`, the gateway serves this machine only,
    and requests forwarded from another machine are refused.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str], *, local_only: bool) -> None:
        self._app = app
        self._allowed = frozenset(map(host_name, allowed))
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _HEALTH.fullmatch(route_path(scope)):
            try:
                self._check(Headers(scope=scope))
            except GatewayError as error:
                await refuse(error, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, headers: Headers) -> None:
        host = headers.get("host", "")
        name = host_name(host)
        is_allowed = is_loopback(name) or name in self._allowed
        if not is_allowed and not self._allowed and is_one_word(name):
            # A rebound name is public, so it has a dot, and a browser sends it.
            is_direct = not any(map(_BROWSERS_AND_PROXIES.fullmatch, headers))
            is_allowed = is_direct and not _NUMBER.fullmatch(name)
        if not is_allowed:
            raise GatewayError("forbidden_host", detail={"host": host[:_MAX_LOGGED_CHARS]})
        for client in _forwarded_clients(headers) if self._local_only else ():
            if not is_loopback(host_name(client)):
                detail = {"forwarded_for": client[:_MAX_LOGGED_CHARS]}
                raise GatewayError("forbidden_host", _NEEDS_KEYS, detail=detail)


def _forwarded_clients(headers: Headers) -> Iterator[str]:
    """The clients named in forwarding headers: addresses, with or without ports, or words."""
    if _FORWARDING.isdisjoint(name for name, _ in headers.raw):
        return
    lists = headers.getlist("x-forwarded-for") + headers.getlist("x-real-ip")
    written = [client for text in lists for client in text.split(",")]
    written += [
        client for text in headers.getlist("forwarded") for client in _FORWARDED_FOR.findall(text)
    ]
    for client in written:
        if name := client.strip().strip('"').strip():
            yield name
