"""The gateway under a path prefix, and the page behind proxies that say little."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from configuration import ConfigurationError, load_settings
from tests.clients.page_browser import chat_page
from tests.gateways.scripted import answer, scripted_gateway
from tests.program.test_nginx import NGINX, free_port, running_nginx

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

PREFIX = "/ai/chat"
PATHS = ["/", "/docs", "/openapi.json", "/health", "/health/gpt", "/static/page.js"]
PROXIED: dict[str, Any] = {"trusted_proxies": ("127.0.0.1",), "allow_anonymous": True}
with_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_is_served_whether_the_proxy_takes_the_prefix_off_or_not(
    tmp_path: Path, path: str
) -> None:
    async with scripted_gateway(tmp_path, root_path=PREFIX) as gateway:
        on = await gateway.client.get(f"{PREFIX}{path}")
        off = await gateway.client.get(path)
    assert (on.status_code, off.status_code) == (200, 200)


async def test_links_of_the_pages_stay_under_the_prefix(tmp_path: Path) -> None:
    """Each file that the page and the reference name is found from the page's address."""
    async with scripted_gateway(tmp_path, root_path=PREFIX) as gateway:
        for path in (f"{PREFIX}/", f"{PREFIX}/docs"):
            page = httpx.URL(f"{gateway.running.url}{path}")
            named = set(
                re.findall(r'(?:src|href)="([^"#]+)', (await gateway.client.get(page)).text)
            )
            assert len(named) >= 4
            for name in named:
                file = page.join(name)
                assert file.path.startswith(f"{PREFIX}/")
                assert (await gateway.client.get(file)).status_code == 200
        document = (await gateway.client.get(f"{PREFIX}/openapi.json")).json()
    assert document["servers"] == [{"url": PREFIX}]


async def test_prefix_without_a_slash_leads_to_the_page(tmp_path: Path) -> None:
    async with scripted_gateway(tmp_path, root_path=PREFIX) as gateway:
        response = await gateway.client.get(f"{PREFIX}?a=1")
    assert (response.status_code, response.headers["location"]) == (307, f"{PREFIX}/?a=1")


async def test_chat_guards_and_errors_know_the_path_behind_the_prefix(tmp_path: Path) -> None:
    """Health is open, the rest is not, a wrong method gets the right ones, another prefix is no path."""
    async with scripted_gateway(tmp_path, root_path=PREFIX) as gateway:
        client, foreign = gateway.client, {"Host": "foreign.example.com"}
        gateway.gpt.enqueue(*answer("Hi"))
        body = {"messages": [{"role": "user", "content": "Hello?"}]}
        assert (await client.post(f"{PREFIX}/chat/gpt", json=body)).status_code == 200
        assert (await client.get(f"{PREFIX}/health", headers=foreign)).status_code == 200
        assert (await client.get(f"{PREFIX}/", headers=foreign)).status_code == 421
        assert (await client.get(f"{PREFIX}/chat/gpt")).headers["allow"] == "POST"
        assert (await client.get(f"{PREFIX}x/health")).status_code == 404


@pytest.mark.parametrize(
    ("options", "claimed", "is_believed"),
    [
        (PROXIED, "/ai", True),
        (PROXIED, "/ai/", True),
        (PROXIED | {"trusted_proxies": ("127.0.0.0/8",)}, "/a/b", True),
        (PROXIED | {"trusted_proxies": ("10.0.0.7",)}, "/ai", False),
        ({"allow_anonymous": True}, "/ai", False),
        (PROXIED, "ai", False),
        (PROXIED, "//evil.example", False),
        (PROXIED, "/..", False),
        (PROXIED, "/a/../b", False),
        (PROXIED, "/a?b", False),
        (PROXIED, "/a, /b", False),
        (PROXIED, "https://evil.example", False),
        (PROXIED | {"root_path": "/own"}, "/ai", False),
    ],
    ids=str,
)
async def test_prefix_is_believed_of_a_trusted_proxy_alone(
    tmp_path: Path, options: dict[str, Any], claimed: str, is_believed: bool
) -> None:
    """For any client of the proxy; and only if it is a path."""
    headers = {"X-Forwarded-Prefix": claimed, "X-Forwarded-For": "203.0.113.7"}
    async with scripted_gateway(tmp_path, **options) as gateway:
        document = (await gateway.client.get("/openapi.json", headers=headers)).json()
        page = await gateway.client.get(
            f"{claimed.rstrip('/')}/docs" if is_believed else "/docs", headers=headers
        )
    own = [{"url": "/own"}] if "root_path" in options else []
    assert document.get("servers", []) == ([{"url": claimed.rstrip("/")}] if is_believed else own)
    assert page.status_code == 200


@pytest.mark.parametrize(
    ("text", "read"), [("/ai", "/ai"), ("/ai/", "/ai"), ("/", ""), ("/a/b.c", "/a/b.c")]
)
def test_root_path_is_read_without_its_last_slash(text: str, read: str) -> None:
    assert (load_settings(None, demo="on", root_path=text).root_path or "") == read


@pytest.mark.parametrize(
    "text", ["ai", "https://a.example/ai", "//a.example", "/a/../b", "/a?b", "/a b"]
)
def test_root_path_that_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="ROOT_PATH: should be a path such as /chat"):
        load_settings(None, demo="on", root_path=text)


LOCATIONS = {
    "plain": ("location / {", "proxy_pass http://127.0.0.1:3050;", "", {}),
    "taken off": (
        "location /ai/ {",
        "proxy_pass http://127.0.0.1:3050/;",
        "/ai",
        {"root_path": "/ai"},
    ),
    "left on": (
        "location /ai/ {",
        "proxy_pass http://127.0.0.1:3050;",
        "/ai",
        {"root_path": "/ai"},
    ),
    "forwarded": (
        "location /ai/ {",
        "proxy_pass http://127.0.0.1:3050/; proxy_set_header X-Forwarded-Prefix /ai;",
        "/ai",
        PROXIED,
    ),
}


@with_nginx
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("location", LOCATIONS)
async def test_page_chats_behind_a_proxy_that_sends_its_own_host(
    browser: Browser, tmp_path: Path, location: str
) -> None:
    """In a real browser: the page is known as the gateway's own by what the browser says of it."""
    begin, proxy_pass, prefix, options = LOCATIONS[location]
    port = free_port()
    async with scripted_gateway(tmp_path, **options) as gateway:
        text = f"server {{ listen 127.0.0.1:{port}; {begin} {proxy_pass} proxy_buffering off; }} }}"
        text = text.replace("127.0.0.1:3050", f"127.0.0.1:{gateway.running.port}")
        gateway.gpt.enqueue(*answer("Hello from afar"))
        async with (
            running_nginx(tmp_path, text, port),
            chat_page(browser, f"http://127.0.0.1:{port}{prefix}") as chat,
        ):
            shown = await chat.ask_and_wait("Hello?")
            assert "Hello from afar" in await shown.inner_text()
