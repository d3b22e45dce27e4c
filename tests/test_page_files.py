"""The page's files as they are served: their headers, and the libraries among them."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.loopback import make_settings, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STATIC = Path(__file__).parents[1] / "static"
VENDOR = STATIC / "vendor"
PACKAGES: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))["packages"]
COMPRESSED_BYTES = 60_000


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running gateway."""
    async with (
        running_gateway(make_settings(tmp_path)) as gateway,
        httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client,
    ):
        yield client


def policy(response: httpx.Response) -> dict[str, str]:
    """What the content policy allows, by directive."""
    directives = response.headers["content-security-policy"].split("; ")
    return {name: allowed for name, _, allowed in (directive.partition(" ") for directive in directives)}


@pytest.mark.parametrize("path", ["/", "/static/index.html", "/static/page.js", "/static/icons.svg"])
async def test_page_runs_its_own_files_alone(client: httpx.AsyncClient, path: str) -> None:
    """The content policy allows no inline code, no other host, no framing, and HTML from the sanitiser alone."""
    response = await client.get(path)
    allowed = policy(response)
    assert (allowed["default-src"], allowed["script-src"], allowed["connect-src"]) == ("'none'", "'self'", "'self'")
    assert {allowed[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert (allowed["require-trusted-types-for"], allowed["trusted-types"]) == ("'script'", "dompurify")
    assert "unsafe" not in response.headers["content-security-policy"]
    assert ":" not in response.headers["content-security-policy"].replace("data:", "")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_file_that_is_known_is_not_sent_again(client: httpx.AsyncClient) -> None:
    """The browser asks each time, and is told by the ETag that nothing has changed: no old file meets a new one."""
    first = await client.get("/static/page.js")
    second = await client.get("/static/page.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.headers["cache-control"], second.status_code, second.content) == ("no-cache", 304, b"")


async def test_files_are_sent_compressed(client: httpx.AsyncClient) -> None:
    """To whoever takes it."""
    small = await client.get("/static/style.css", headers={"Accept-Encoding": "gzip"})
    whole = await client.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    assert int(small.headers["content-length"]) < int(whole.headers["content-length"])
    assert small.text == whole.text == (STATIC / "style.css").read_text(encoding="utf-8")


def test_libraries_are_the_released_ones() -> None:
    """Every file in static/vendor/ is in the manifest, with its checksum; every package has its version and licence."""
    told = {file["file"]: file["sha256"] for package in PACKAGES for file in package["files"]}
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert found == told
    for package in PACKAGES:
        assert package["version"]
        assert package["licence"]
        assert package["integrity"].startswith("sha512-")
        assert any(file["file"].endswith("LICENSE") for file in package["files"])


def test_libraries_are_small() -> None:
    """Compressed, all of them together are under 60 KB."""
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in VENDOR.rglob("*.js")) < COMPRESSED_BYTES


def test_page_names_no_other_host() -> None:
    """Nothing of the page is loaded from elsewhere."""
    for path in (*STATIC.rglob("*.html"), *STATIC.rglob("*.css"), *STATIC.rglob("*.js")):
        if VENDOR not in path.parents:
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text, path
            assert "https://" not in text, path
