"""Requests whose head is wrong, too large, forged or of another protocol: each gets its small answer, and no more."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING

import pytest
from starlette.responses import JSONResponse

from tests.clients.raw_client import CHAT, HEALTH, Answer, ask, ask_chat, connect, on_uvloop
from tests.gateways.log_files import read_log
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request

    from tests.gateways.scripted import ScriptedGateway

MALFORMED = {
    "unknown method": b"FOO /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "proxy": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "unknown version": b"GET /health HTTP/3.7\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "bytes in the path": b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no Host": b"GET /health HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "empty Host": b"GET /health HTTP/1.1\r\nHost:\r\n\r\n",
    "bad Host": b"GET /health HTTP/1.1\r\nHost: a b/c\r\n\r\n",
    "Host with a user": b"GET /health HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "length and chunked": ask("POST", "/chat/gpt", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two lengths": ask("POST", "/chat/gpt", "Content-Length: 6", body=b"abcde"),
    "two same lengths": ask("POST", "/chat/gpt", "Content-Length: 5", body=b"abcde"),
    "negative length": ask("POST", "/chat/gpt", "Content-Length: -5"),
    "long length": ask("POST", "/chat/gpt", "Content-Length: 99999999999999999999"),
    "unknown encoding": ask("POST", "/chat/gpt", "Transfer-Encoding: gzip"),
    "nearly chunked": ask("POST", "/chat/gpt", "Transfer-Encoding: xchunked"),
    "chunked and more": ask("POST", "/chat/gpt", "Transfer-Encoding: chunked, gzip"),
    "no chunk": ask(
        "POST", "/chat/gpt", "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    + b"ZZ\r\n",
    "fold": ask("GET", "/health", "X-Request-ID: a\r\n b"),
    "ESC": ask("GET", "/health", "X-Request-ID: a\x1bb"),
    "NUL": ask("GET", "/health", "X-Request-ID: a\x00b"),
    "CR": ask("GET", "/health", "X-Request-ID: a\rb"),
    "LF": ask("GET", "/health", "X-Request-ID: a\nb"),
    "space before the colon": ask("GET", "/health", "X-Request-ID : a"),
}

TRICKS = [
    *(
        "/../main.py",
        "/..%2fmain.py",
        "//",
        "//example.com/%2e%2e",
        "/%00",
        "/%ff",
        "/health/",
        "/chat/gpt/",
        "/docs/",
    ),
    *(
        "/static",
        "/static/",
        "/static/.",
        "/static/..",
        "/static/../main.py",
        "/static/%2e%2e/main.py",
    ),
    *(
        "/static/..%2fmain.py",
        "/static/..%5cmain.py",
        "/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/static//etc/passwd",
    ),
    *(
        "/static/%2fetc/passwd",
        "/static/%00",
        "/static/page.js%00",
        "/static/%c0%ae%c0%ae/main.py",
        "/static/%ff",
    ),
    *("/" + "a" * 8_000, "/static/" + "a" * 8_000, "/static/" + "../" * 2_500 + "etc/passwd", "*"),
]


async def ask_each(gateway: ScriptedGateway, requests: Mapping[str, bytes]) -> dict[str, Answer]:
    """The answer to each request, sent on a connection of its own."""

    async def ask_one(request: bytes) -> Answer:
        async with connect(gateway.running) as client:
            return await client.ask(request)

    return {name: await ask_one(request) for name, request in requests.items()}


@on_uvloop
async def test_requests_that_are_not_http_are_refused(tmp_path: Path) -> None:
    """Malformed requests and other protocols get a 400 with an id, and the connection is closed."""
    async with scripted_gateway(tmp_path) as gateway:
        for name, request in MALFORMED.items():
            async with connect(gateway.running) as client:
                reply = await client.ask(request)
                assert (name, reply.status, reply.headers["connection"]) == (name, 400, "close")
                assert uuid.UUID(reply.headers["x-request-id"]).version == 4
                assert (name, await client.read_to_end()) == (name, b"")
        assert (await gateway.client.get("/health")).status_code == 200
        assert gateway.gpt.history == []


@on_uvloop
async def test_simple_http_is_answered(tmp_path: Path) -> None:
    """HTTP/1.0, with and without Host, and absolute URLs are fine."""
    async with scripted_gateway(tmp_path) as gateway:
        replies = await ask_each(
            gateway,
            {
                "no Host": b"GET /health HTTP/1.0\r\n\r\n",
                "Host": b"GET /health HTTP/1.0\r\nHost: localhost:3050\r\n\r\n",
                "IPv6": b"GET /health HTTP/1.1\r\nHost: [::1]:3050\r\nConnection: close\r\n\r\n",
                "absolute": b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            },
        )
    assert {(answer.status, answer.headers["connection"]) for answer in replies.values()} == {
        (200, "close")
    }


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
@on_uvloop
async def test_upgrade_is_declined(tmp_path: Path, protocol: str) -> None:
    """A client that offers another protocol, as some offer h2c each time, is answered in HTTP/1.1, body and all."""
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        f"Upgrade: {protocol}",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    )
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        gateway.gpt.enqueue(*answer("Hi"))
        async with connect(gateway.running) as client:
            assert (await client.ask(ask("GET", "/health", *offer))).status == 200
            assert b'"Hi"' in (await client.ask(ask_chat(CHAT, *offer))).body
            whole = ask_chat(CHAT, *offer)
            await client.send(whole[:-20])
            assert b'"Hi"' in (await client.ask(whole[-20:])).body


@on_uvloop
async def test_oversized_head_is_refused(tmp_path: Path) -> None:
    """More than 64 KiB or 100 headers: `headers_too_large`, in our shape, and the connection is closed."""
    many = [f"A{number}: b" for number in range(50_000)]
    async with scripted_gateway(tmp_path) as gateway:
        replies = await ask_each(
            gateway,
            {
                "50,000 headers": ask("GET", "/health", *many),
                "101 headers": ask("GET", "/health", *many[:100]),
                "5 MB": ask("GET", "/health", "X-Request-ID: " + "a" * 5_000_000),
                "70 KB": ask("GET", "/health", "Cookie: " + "a" * 70_000),
                "without an end": b"GET /health HTTP/1.1\r\nHost: localhost\r\nA: "
                + b"a" * 1_000_000,
            },
        )
        largest = ask("GET", "/health", *many[:98], "Cookie: " + "a" * 60_000)
        (fits,) = (await ask_each(gateway, {"fits": largest})).values()
    for name, refused in replies.items():
        assert (name, refused.status, refused.error["code"]) == (name, 431, "headers_too_large")
        assert refused.headers["connection"] == "close"
        assert refused.error["request_id"] == refused.headers["x-request-id"]
    assert fits.status == 200


@on_uvloop
async def test_wrong_method_gets_the_allowed_ones(tmp_path: Path) -> None:
    """A 405 in our shape, with Allow; HEAD is allowed if GET is."""
    pages = {
        "/health": "GET, HEAD",
        "/health/gpt": "GET, HEAD",
        "/": "GET, HEAD",
        "/static/page.js": "GET, HEAD",
    }
    wrong = {
        (method, path): allow
        for path, allow in pages.items()
        for method in ("POST", "PUT", "TRACE", "LOCK")
    }
    wrong |= {
        ("OPTIONS", path): allow for path, allow in pages.items() if path != "/health"
    }  # balancers ask it so
    wrong |= {
        (method, "/chat/gpt"): "POST" for method in ("GET", "PUT", "DELETE", "OPTIONS", "TRACE")
    }
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        for (method, path), allow in wrong.items():
            reply = await client.ask(ask(method, path))
            assert (method, path, reply.status, reply.headers["allow"]) == (
                method,
                path,
                405,
                allow,
            )
            assert reply.error["code"] == "method_not_allowed"
        for path in pages:
            reply = await client.ask(ask("HEAD", path))
            assert (path, reply.status) == (path, 200)
        assert (await client.ask(ask("HEAD", "/chat/gpt"))).headers["allow"] == "POST"
        assert (await client.ask(HEALTH)).status == 200


@on_uvloop
async def test_no_path_leads_out_of_the_static_folder(tmp_path: Path) -> None:
    """Tricks with dots, slashes, escapes and NUL are 404s in our shape: no file, no redirect, no stop."""
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        for path in TRICKS:
            reply = await client.ask(ask("GET", path))
            assert (path[:80], reply.status) == (path[:80], 404)
            assert reply.error["code"] in ("not_found", "unknown_provider")
            assert "location" not in reply.headers


@pytest.mark.parametrize(
    "origin", ["https://foreign.example.com", "null", "http://localhost.example.com"]
)
@on_uvloop
async def test_other_sites_cannot_make_a_browser_ask(tmp_path: Path, origin: str) -> None:
    """Neither a page of another site nor a form without a preflight gets as far as a vendor."""
    as_form = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
    forms = [
        ask("POST", "/chat/gpt", f"Content-Type: {media_type}", body=CHAT) for media_type in as_form
    ]
    async with scripted_gateway(tmp_path) as gateway:
        async with connect(gateway.running) as client:
            reply = await client.ask(ask_chat(CHAT, f"Origin: {origin}"))
            assert (reply.status, reply.error["code"]) == (403, "forbidden_origin")
            assert not [name for name in reply.headers if name.startswith("access-control-")]
        for form in forms:
            async with connect(gateway.running) as client:
                reply = await client.ask(form)
                assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
        assert gateway.gpt.history == []


async def show_scope(request: Request) -> JSONResponse:
    """The client, as the gateway sees it."""
    return JSONResponse(
        [request.client and request.client.host, request.url.scheme, request.url.netloc]
    )


@on_uvloop
async def test_forwarded_headers_are_not_believed(tmp_path: Path) -> None:
    """Unless its proxy is configured, a client cannot claim another address or scheme."""
    forged = (
        "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: example.com",
    )
    request = ask(
        "GET", "/scope", *forged, "Forwarded: for=203.0.113.7;proto=https;host=example.com"
    )
    seen = {}
    for proxies in ((), ("127.0.0.1",)):
        async with scripted_gateway(
            tmp_path, trusted_proxies=proxies, allow_anonymous=True
        ) as gateway:
            gateway.running.app.router.add_route("/scope", show_scope)
            async with connect(gateway.running) as client:
                seen[proxies] = json.loads((await client.ask(request)).body)
    assert seen == {
        (): ["127.0.0.1", "http", "localhost"],
        ("127.0.0.1",): ["203.0.113.7", "https", "localhost"],
    }


@pytest.mark.parametrize(
    "sent", ["\t", "a\x85b", '"', "a%0d%0ab", "\u00e9", "a b", "a" * 129, "a\r\nX-Request-ID: b"]
)
@on_uvloop
async def test_forged_request_id_stays_out_of_the_log(tmp_path: Path, sent: str) -> None:
    """An id that is not one clean word is replaced: in the answer, and in log lines that stay one line each."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        async with connect(gateway.running) as client:
            reply = await client.ask(ask_chat(CHAT, f"X-Request-ID: {sent}"))
        await gateway.running.settle()
    given = reply.headers["x-request-id"]
    assert uuid.UUID(given).version == 4
    lines = read_log(tmp_path)
    assert given in {line["request_id"] for line in lines}
    assert {line["request_id"] for line in lines} <= {given, "-"}
    assert asyncio.all_tasks() == {asyncio.current_task()}
