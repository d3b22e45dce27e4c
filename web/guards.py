"""Access control by gateway key."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from starlette.requests import Request

from models import GatewayError
from settings.gateway_keys import GatewayKey
from settings.hosts import host_name, is_loopback
from web.access_log import access_context
from web.key_ring import KeyRing
from web.limits import StreamLimit

_RETRY_SECONDS = 1  # a connection may close at any time


class ConnectionClaim(Protocol):
    """What our server offers of a connection."""

    def take(self, key: str, limit: int) -> bool:
        """Count the connection as this key's. Returns False if the key has as many already."""


def admit(request: Request, keys: KeyRing, slots: StreamLimit, door: str) -> GatewayKey | None:
    """The key of a client that may start a chat.

    Raises GatewayError `unauthorized`, `forbidden`, `draining`, `overloaded`.
    """
    key = check_key(request, keys)
    if key and key.doors is not None and door not in key.doors:
        raise forbidden("door", "The gateway key is not for this path.")
    if slots.is_closed:
        raise GatewayError("draining", retry_after=1)
    slots.check()  # before the body is read: a refusal should cost little
    return key


def check_key(request: Request, keys: KeyRing, *, needed: bool = False) -> GatewayKey | None:
    """The gateway key that was sent; None if none is configured and none `needed`.

    Raises GatewayError `unauthorized`, or `rate_limited` if the key has too many connections.
    """
    access = access_context.get()
    if access:
        access.is_guarded = True
    if not (keys.is_needed or needed):
        return None
    key = keys.find(sent_key(request.headers))
    if key is None:
        raise GatewayError("unauthorized")
    if access:
        access.client.key = key.name
        access.client.key_hash = key.sha256
    if key.expires and datetime.now(UTC) >= key.expires:
        raise GatewayError("unauthorized", "The gateway key has expired.", reason="expired")
    _claim_connection(request, key)
    keys.note_use(key)
    return key


def _claim_connection(request: Request, key: GatewayKey) -> None:
    """Count the connection as the key's, if our server counts it and the key has a limit.

    Raises GatewayError `rate_limited`.
    """
    limit = key.limits and key.limits.connections
    claim: ConnectionClaim | None = request.scope.get("extensions", {}).get("gateway.claim")
    if limit and claim and not claim.take(key.name, limit):
        raise GatewayError("rate_limited", reason="connections", retry_after=_RETRY_SECONDS)


def check_provider(key: GatewayKey | None, provider: str) -> None:
    """Raise GatewayError `forbidden` if the key is not for this provider."""
    if key and key.scope and not key.scope.allows_provider(provider):
        raise forbidden("provider", f"The gateway key is not for {provider}.")


def check_operator(request: Request, keys: KeyRing) -> GatewayKey | None:
    """The gateway key that was sent; if none is configured, require a loopback client and host.

    Raises GatewayError `unauthorized`, `not_found`.
    """
    key = check_key(request, keys)
    client = request.client.host if request.client else ""
    if not keys.is_needed and not (
        is_loopback(client) and is_loopback(host_name(request.headers.get("host", "")))
    ):
        raise GatewayError("not_found")
    return key


def forbidden(reason: str, message: str) -> GatewayError:
    """The error of a key that is valid, but not for this. `reason` names its option."""
    return GatewayError("forbidden", message, reason=reason)


def sent_key(headers: Mapping[str, str]) -> str:
    """The key as Bearer, as X-API-Key, or as the password of Basic; empty if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if key := headers.get("x-api-key"):
        return key
    if scheme.lower() != "basic":
        return ""
    try:
        decoded = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return decoded.decode("utf-8", "surrogateescape").partition(":")[2]
