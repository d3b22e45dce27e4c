"""Whose certificates a vendor's connection trusts: the public authorities, or a file of the operator's."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx2
import pytest
from httpx_aiohttp.httpx2 import Httpx2AiohttpClient

from configuration import ConfigurationError, load_settings
from providers.errors import translate
from providers.http.client import make_http_client, make_tls_context
from simulator.endpoints import certified_context
from tests.providers.http.test_connection import CHUNKED, vendor
from tests.vendors.scripted_provider import make_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("transport", ["own", "aiohttp"])
async def test_vendor_with_a_private_authority_is_trusted_by_its_file(
    tmp_path: Path, transport: str
) -> None:
    """Without the file its certificate is refused."""
    authority = tmp_path / "authority.pem"
    serving = certified_context("127.0.0.1", 1, authority)
    async with vendor(CHUNKED, CHUNKED, tls=serving) as to:
        url = f"https://127.0.0.1:{to.origin.port}/"
        for ca_file in (authority, None):
            settings = make_settings(transport=transport, ca_file=ca_file, base_url=url)
            client = make_http_client(httpx2, Httpx2AiohttpClient, settings)
            try:
                if ca_file:
                    assert (await client.post(url, content=b"{}")).text == "Hello world"
                else:
                    with pytest.raises((ssl.SSLError, httpx2.TransportError)) as raised:
                        await client.post(url, content=b"{}")
                    assert translate(raised.value).reason == "tls"
            finally:
                await client.aclose()


def test_authorities_are_loaded_once_a_file(tmp_path: Path) -> None:
    """Of all providers with the public ones, too; a plain base URL loads none."""
    authority = tmp_path / "authority.pem"
    certified_context("127.0.0.1", 1, authority)
    private, public = make_settings(ca_file=authority), make_settings()
    assert make_tls_context(public) is make_tls_context(make_settings(name="claude"))
    assert make_tls_context(private) is make_tls_context(make_settings(ca_file=authority))
    assert make_tls_context(private) is not make_tls_context(public)
    assert make_tls_context(public).cert_store_stats()["x509_ca"] > 0
    assert (
        make_tls_context(make_settings(base_url="HTTP://127.0.0.1:1/v1")).cert_store_stats()[
            "x509_ca"
        ]
        == 0
    )


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_file_without_certificates_does_not_start(tmp_path: Path, content: str | None) -> None:
    """It is said at the start, by its variable."""
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(
        ConfigurationError, match="OPENAI_CA_FILE: should be a file of certificates in PEM"
    ):
        load_settings(None, openai_ca_file=str(file))
