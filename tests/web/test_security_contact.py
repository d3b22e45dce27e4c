"""`/.well-known/security.txt`, as RFC 9116 asks for it, and the policy that it names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from configuration import ConfigurationError, load_settings
from tests.clients.plain_http import make_client
from tests.gateways.loopback import make_settings, running_gateway

CONTACTS = ("mailto:security@example.com", "https://example.com/report")


async def get(tmp_path: Path, path: str, **options: object) -> tuple[httpx.Response, str]:
    """The response, and the gateway's address."""
    async with (
        running_gateway(make_settings(tmp_path, **options)) as gateway,
        make_client(gateway.url) as client,
    ):
        return await client.get(path), gateway.url


def fields(response: httpx.Response) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, _, value in (line.partition(": ") for line in response.text.splitlines())
    ]


async def test_contacts_are_named_in_their_order(tmp_path: Path) -> None:
    """The preferred one first; as UTF-8 text, and no key is needed."""
    response, _ = await get(tmp_path, "/.well-known/security.txt", security_contact=CONTACTS)
    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "text/plain; charset=utf-8",
    )
    assert [value for name, value in fields(response) if name == "Contact"] == list(CONTACTS)


async def test_file_is_valid_for_months(tmp_path: Path) -> None:
    """Whenever it is asked for, and for less than a year."""
    response, _ = await get(tmp_path, "/.well-known/security.txt")
    [expires] = [value for name, value in fields(response) if name == "Expires"]
    left = datetime.fromisoformat(expires) - datetime.now(UTC)
    assert timedelta(days=178) < left < timedelta(days=365)


async def test_policy_is_the_contact_if_none_is_configured(tmp_path: Path) -> None:
    """SECURITY.md as the gateway serves it says how to report."""
    response, url = await get(tmp_path, "/.well-known/security.txt")
    [contact] = [value for name, value in fields(response) if name == "Contact"]
    policy, _ = await get(tmp_path, contact.removeprefix(url))
    assert (policy.status_code, policy.headers["content-type"]) == (
        200,
        "text/markdown; charset=utf-8",
    )
    assert "## Report a weakness" in policy.text


@pytest.mark.parametrize(
    "contact", ["security@example.com", "http://example.com/report", "mailto:", "https://", "a\nb"]
)
def test_contact_that_is_none_stops_the_start(contact: str) -> None:
    """RFC 9116 asks for a URI, of a page over TLS."""
    with pytest.raises(ConfigurationError, match="SECURITY_CONTACT"):
        load_settings(None, security_contact=contact)
