"""Access control by gateway key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from starlette.requests import Request

from configuration import GatewayKey
from models import GatewayError
from settings.hosts import host_name, is_loopback
from web.access_log import access_context
from web.limits import StreamLimit


def admit(request: Request, keys: Sequence[GatewayKey], slots: StreamLimit) -> None:
    """Check that a client may start a chat. Raises GatewayError `unauthorized`, `draining`."""
    check_key(request, keys)
    if slots.is_closed:
        raise GatewayError("draining", retry_after=1)


def check_key(request: Request, keys: Sequence[GatewayKey], *, needed: bool = False) -> str | None:
    """The name of the gateway key that was sent; None if none is configured and none `needed`.

    It is compared with every configured key, each in constant time.
    Raises GatewayError `unauthorized`.
    """
    access = access_context.get()
    if access:
        access.is_guarded = True
    if not keys and not needed:
        return None
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    sent_key = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    if not sent_key:
        raise GatewayError("unauthorized")
    sent_hash = hashlib.sha256(sent_key.encode("utf-8", "surrogateescape")).hexdigest()
    matching = [key.name for key in keys if hmac.compare_digest(key.sha256, sent_hash)]
    if not matching:
        raise GatewayError("unauthorized")
    if access:
        access.client.key = matching[0]
    return matching[0]


def check_operator(request: Request, keys: Sequence[GatewayKey]) -> None:
    """Require a gateway key or, if none is configured, a loopback client and host name.

    Raises GatewayError `unauthorized`, `not_found`.
    """
    check_key(request, keys)
    client = request.client.host if request.client else ""
    if not keys and not (
        is_loopback(client) and is_loopback(host_name(request.headers.get("host", "")))
    ):
        raise GatewayError("not_found")
