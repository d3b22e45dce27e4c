"""Access logging: the client in a request's log lines, and the audit log of guarded requests.

A request is guarded if its route checks gateway keys, configured or not, or if its host or origin
is refused.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from starlette.types import Scope

from logging_config import audit
from models import GatewayError
from telemetry.log_line import Client, client_context
from telemetry.redaction import cut
from web.stranger_lines import StrangerLines

_MAX_PATH_CHARS = 200  # in a log line
_REFUSALS = frozenset({"unauthorized", "forbidden", "forbidden_host", "forbidden_origin"})


@dataclass(slots=True)
class Access:
    """One request: its client, and what has been decided about it so far."""

    client: Client
    stranger_lines: StrangerLines
    is_guarded: bool = False
    code: str | None = None  # of the error response
    is_logged: bool = True


access_context: ContextVar[Access | None] = ContextVar("access", default=None)


def open_access(scope: Scope, stranger_lines: StrangerLines) -> Access:
    """Start logging for a request: from now on its log lines name the client."""
    address = scope.get("client")
    access = Access(Client(address[0] if address else None), stranger_lines)
    client_context.set(access.client)
    access_context.set(access)
    return access


def note_error(error: GatewayError) -> bool:
    """Record the error response. Returns whether it may be logged.

    Lines about clients without a key are limited.
    """
    access = access_context.get()
    if access is None:
        return True
    access.code = error.code
    access.is_guarded |= error.code in _REFUSALS
    if access.client.key is None and (error.kind.status < 500 or error.kind.status == 503):
        access.is_logged = access.stranger_lines.allow(access.client.address)
    return access.is_logged


def write_access(access: Access, scope: Scope, status: int | None) -> None:
    """Write the request to the audit log if it is guarded.

    `status` is None if the client disconnected before it.
    """
    if not (access.is_guarded and access.is_logged):
        return
    context: dict[str, Any] = {"outcome": "refused" if access.code in _REFUSALS else "accepted"}
    context |= {"method": scope["method"], "path": path_in_log(scope["path"])}
    if provider := scope.get("path_params", {}).get("provider"):
        context["provider"] = path_in_log(provider)
    audit("access", **context, status=status, code=access.code)


def path_in_log(path: str) -> str:
    """The path, shortened for a log line: its length is the client's choice."""
    return cut(path, _MAX_PATH_CHARS)
