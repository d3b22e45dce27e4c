"""The contact for vulnerability reports: `security.txt` (RFC 9116), and its policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from web.stored_page import StoredPage

_POLICY_FILE = Path(__file__).parents[1] / "SECURITY.md"
_VALID = timedelta(days=180)  # RFC 9116 recommends less than a year


def security_text(request: Request, contacts: tuple[str, ...]) -> PlainTextResponse:
    """The file, valid for at least 179 days.

    Without contacts it names the policy as the contact.
    """
    policy = f"{request.base_url}SECURITY.md"
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [f"Contact: {contact}" for contact in contacts or (policy,)]
    lines.append(f"Expires: {today + _VALID:%Y-%m-%dT%H:%M:%SZ}")
    lines.append("Preferred-Languages: en")
    if request.url.scheme == "https":  # RFC 9116 allows only https: here
        lines.append(f"Canonical: {request.base_url}.well-known/security.txt")
        lines.append(f"Policy: {policy}")
    return PlainTextResponse("\n".join(lines) + "\n")


@cache
def _read_policy() -> StoredPage:
    return StoredPage(_POLICY_FILE.read_bytes(), "text/markdown", {"Cache-Control": "no-cache"})


def security_policy(scope: Scope) -> Response:
    """SECURITY.md, unchanged."""
    return _read_policy().respond(scope)
