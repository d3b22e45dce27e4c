"""Pages whose requests are allowed: the gateway's own, and those of configured origins."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateways.scripted import answer, scripted_gateway
from web.origin_guard import OriginGuard, Origins

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Message, Receive, Scope, Send

HOST = {"host": "localhost:3050"}
FRIEND = "https://chat.example.com"
FOREIGN = "https://foreign.example.com"


class Inside:
    """What stands behind the guard; notes what came through."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)


async def check_headers(
    origins: list[str],
    headers: dict[str, str],
    *,
    kind: str = "http",
    method: str = "POST",
    path: str = "/chat/gpt",
) -> tuple[bool, list[Message]]:
    """Whether the guard lets these headers through, and what it says itself."""
    inside = Inside()
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        said.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "path": path, "query_string": b"", "headers": raw}
    await OriginGuard(inside, Origins(origins))(scope, receive, send)
    return bool(inside.scopes), said


@pytest.mark.parametrize(
    ("origins", "headers"),
    [
        ([], {}),
        ([], {"origin": "http://localhost:3050"}),
        ([], {"origin": "https://localhost:3050"}),
        ([], {"origin": "HTTP://LocalHost:3050"}),
        ([], {"origin": "http://localhost", "host": "localhost:80"}),
        ([], {"origin": "http://localhost:80", "host": "localhost"}),
        ([], {"origin": "https://localhost", "host": "localhost:443"}),
        ([], {"origin": "https://localhost:443", "host": "localhost"}),
        ([], {"origin": "http://[::1]:3050", "host": "[::1]:3050"}),
        ([], {"origin": FOREIGN, "sec-fetch-site": "same-origin"}),
        ([], {"sec-fetch-site": "none"}),
        ([FRIEND], {"origin": FRIEND}),
        ([FRIEND], {"origin": f"{FRIEND}:443"}),
        ([f"{FRIEND}:443"], {"origin": FRIEND}),
        (["http://a.example:80"], {"origin": "http://a.example"}),
        ([FRIEND], {"origin": FRIEND, "sec-fetch-site": "cross-site"}),
        ([FRIEND], {"origin": "http://localhost:3050"}),
        (["*"], {"origin": FOREIGN}),
        (["*"], {"origin": "null"}),
    ],
    ids=str,
)
async def test_own_page_and_configured_origins_are_allowed(
    origins: list[str], headers: dict[str, str]
) -> None:
    """Scripts, the gateway's own page behind any proxy, and the origins that are configured, with a port or without."""
    assert await check_headers(origins, HOST | headers) == (True, [])


@pytest.mark.parametrize("origins", [[], [FRIEND]], ids=["none allowed", "another one allowed"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": FOREIGN},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:3051"},
        {"origin": "http://localhost"},
        {"origin": "http://localhost:443", "host": "localhost"},
        {"origin": "https://localhost:80", "host": "localhost"},
        {"origin": "http://localhost:3050.example.com"},
        {"origin": "http://localhost:3050@example.com"},
        {"origin": "http://chat.example.com"},
        {"origin": "https://chat.example.com.example.org"},
        {"origin": "https://chat.example.com:8443"},
        {"origin": "http://["},
        {"origin": "http://[::1"},
        {"origin": "http://\xff\xfe"},
        {"origin": "*"},
        {"origin": FOREIGN, "sec-fetch-site": "same-site"},
        {"origin": FOREIGN, "sec-fetch-site": "cross-site"},
        {"origin": FOREIGN, "sec-fetch-site": "none"},
        {"origin": FOREIGN, "sec-fetch-site": "same-origin, cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
async def test_other_sites_pages_are_refused(
    origins: list[str], headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A 403 that names the variable, and a log line with the origin; nothing behind the guard sees it."""
    with caplog.at_level(logging.INFO):
        came_in, (start, body) = await check_headers(origins, HOST | headers)
    error: dict[str, Any] = json.loads(body["body"])["error"]
    assert (came_in, start["status"], error["code"]) == (False, 403, "forbidden_origin")
    assert "CORS_ORIGINS" in error["message"]
    assert [record.context["origin"] for record in caplog.records] == [headers.get("origin", "")]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("method", "path", "is_guarded"),
    [
        ("POST", "/chat/gpt", True),
        ("PUT", "/chat/gpt", True),
        ("DELETE", "/nowhere", True),
        ("GET", "/sentry-debug", True),
        ("GET", "/", False),
        ("HEAD", "/", False),
        ("GET", "/static/page.js", False),
        ("GET", "/docs", False),
        ("GET", "/health", False),
        ("GET", "/health/gpt", False),
    ],
)
async def test_only_what_changes_or_costs_something_is_guarded(
    method: str, path: str, is_guarded: bool
) -> None:
    came_in, _ = await check_headers([], HOST | {"origin": FOREIGN}, method=method, path=path)
    assert came_in is not is_guarded


async def test_lifespan_has_no_origin_to_judge() -> None:
    assert await check_headers([], {"origin": "null"}, kind="lifespan") == (True, [])


@pytest.mark.parametrize(
    "headers", [{"Origin": FOREIGN}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
async def test_refused_page_costs_no_vendor_call(tmp_path: Path, headers: dict[str, str]) -> None:
    async with scripted_gateway(tmp_path) as gateway:
        refused = await gateway.chat(headers=headers)
        gateway.gpt.enqueue(*answer("Hi"))
        own = await gateway.chat(
            headers={"Origin": "https://chat.example.com", "Sec-Fetch-Site": "same-origin"}
        )
    assert (refused.status_code, own.status_code) == (403, 200)
    assert len(gateway.gpt.history) == 1
