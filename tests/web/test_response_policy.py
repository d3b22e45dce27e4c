"""What every response says to browsers and caches, and the API reference, which runs the gateway's own files alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.clients.raw_client import connect, on_uvloop
from tests.gateways.scripted import answer, scripted_gateway
from web.page import PAGE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.async_api import Browser

STATIC = Path(__file__).parents[2] / "static"
FOREIGN = {"Origin": "https://foreign.example.com"}


def check_policy(headers: Mapping[str, str]) -> None:
    """No sniffing, nothing loaded, no framing, no address passed on, and a word on caching."""
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"].split(",")[0] in ("no-store", "no-cache")


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/docs", {}, 200),
        ("HEAD", "/docs", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/static/page.js", {}, 200),
        ("GET", "/static/nowhere.js", {}, 404),
        ("GET", "/docs/oauth2-redirect", {}, 404),
        ("GET", "/health", {}, 200),
        ("GET", "/health/claude", {}, 503),
        ("POST", "/chat/gpt", {"json": {"messages": [{"role": "user", "content": "Hello?"}]}}, 200),
        ("POST", "/chat/gpt", {"json": {}}, 422),
        ("POST", "/chat/gpt", {"json": {}, "headers": FOREIGN}, 403),
        (
            "OPTIONS",
            "/chat/gpt",
            {"headers": FOREIGN | {"Access-Control-Request-Method": "POST"}},
            403,
        ),
        ("GET", "/", {"headers": {"Host": "foreign.example.com"}}, 421),
        ("GET", "/nowhere", {}, 404),
        ("PUT", "/health", {}, 405),
        ("GET", "/sentry-debug", {}, 500),
    ],
)
async def test_every_response_has_the_policy(
    tmp_path: Path, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    """Pages, answers, refusals and bugs; each header once."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        response = await gateway.client.request(method, path, **options)
    assert response.status_code == status
    check_policy(response.headers)
    for name in ("cache-control", "content-security-policy", "x-content-type-options"):
        assert len(response.headers.get_list(name)) == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: %b\r\n\r\n" % (b"a" * 70_000),
    ],
)
@on_uvloop
async def test_refusals_of_the_protocol_have_the_policy(
    tmp_path: Path, request_bytes: bytes
) -> None:
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        received = await client.ask(request_bytes)
    assert received.status in (400, 431)
    check_policy(received.headers)


async def test_unchanged_file_keeps_its_own_caching(tmp_path: Path) -> None:
    """`no-store` would have a browser ask for the whole file each time."""
    async with scripted_gateway(tmp_path) as gateway:
        first = await gateway.client.get("/static/page.js")
        again = await gateway.client.get(
            "/static/page.js", headers={"If-None-Match": first.headers["etag"]}
        )
        stream = await gateway.client.get("/health")
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")
    assert stream.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/docs"])
async def test_reference_loads_the_gateways_own_files_alone(tmp_path: Path, path: str) -> None:
    """Under the chat page's headers: each file that it names is there, by a path that a prefix does not break."""
    async with scripted_gateway(tmp_path) as gateway:
        page = await gateway.client.get(path)
        named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert not [name for name in named if name.startswith(("/", "http", "//"))]
        files = [
            await gateway.client.get(str(httpx.URL(gateway.running.url + path).join(name)))
            for name in named
        ]
    assert {name: page.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert "<script>" not in page.text
    assert {file.status_code for file in files} == {200}
    assert len(named) >= 4


@pytest.mark.asyncio(loop_scope="session")
async def test_reference_shows_every_operation(browser: Browser, tmp_path: Path) -> None:
    """In a real browser, which complains of nothing and asks no other host."""
    complaints: list[str] = []
    asked: set[str] = set()
    async with scripted_gateway(tmp_path) as gateway, await browser.new_page() as page:
        document = (await gateway.client.get("/openapi.json")).json()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: asked.add(str(httpx.URL(request.url).copy_with(path="/", query=None))),
        )
        await page.goto(f"{gateway.running.url}/docs")
        await page.locator("body[data-ready]").wait_for()
        headings = await page.locator("h2").all_inner_texts()
        text = await page.locator("main").inner_text()
    assert complaints == []
    assert asked == {f"{gateway.running.url}/"}
    operations = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    assert operations | document["components"]["schemas"].keys() == set(headings)
    assert "forbidden_host" in text
