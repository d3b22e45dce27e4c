"""The host names by which the gateway may be asked: a page that resolves its own name to this machine has another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from settings.hosts import host_name, is_loopback, normalise_origin
from tests.clients.raw_client import CHAT, ask_chat, connect, on_uvloop
from tests.gateways.log_files import read_log
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.raw_client import Answer
    from tests.gateways.scripted import ScriptedGateway

KEY = {"gateway_api_keys": [{"name": "a", "sha256": "0" * 64}]}
REBOUND = "rebound.example.com"


def request(host: str, *headers: str, target: str = "/chat/gpt", method: str = "POST") -> bytes:
    """A chat's bytes with this Host; without one if it is empty."""
    whole = ask_chat(CHAT, *headers, path=target).replace(b"POST", method.encode(), 1)
    return whole.replace(b"Host: localhost\r\n", f"Host: {host}\r\n".encode() if host else b"")


async def ask(gateway: ScriptedGateway, data: bytes) -> Answer:
    async with connect(gateway.running) as client:
        return await client.ask(data)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:3050", "localhost.", "localhost:1", "chat.localhost", "127.0.0.1", "127.0.0.1:3050",
     "127.9.8.7", "[::1]", "[::1]:3050", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]:1"],
)  # fmt: skip
@on_uvloop
async def test_without_keys_loopback_names_are_accepted_at_any_port(
    tmp_path: Path, host: str
) -> None:
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        page = (
            f"Origin: http://{host}",
            "Sec-Fetch-Site: same-origin",
            "Referer: http://localhost/",
        )
        assert (await ask(gateway, request(host, *page))).status == 200


@pytest.mark.parametrize(
    "host",
    [REBOUND, f"{REBOUND}:3050", "localhost.example.com", "127.0.0.1.example.com", "127.0.0.1.nip.io", "192.168.1.2",
     "0.0.0.0", "127.1", "[::]", "[2001:db8::1]", "[::ffff:192.0.2.1]", "localhost..", "xlocalhost.", "x.local"],
)  # fmt: skip
@on_uvloop
async def test_without_keys_another_host_is_refused_before_any_vendor_is_asked(
    tmp_path: Path, host: str
) -> None:
    """An Origin that is the Host's, as a rebound page has it, changes nothing."""
    own = (f"Origin: http://{host}", "Sec-Fetch-Site: same-origin")
    async with scripted_gateway(tmp_path) as gateway:
        for headers in ((), own[:1], own):
            if not headers and host == "xlocalhost.":
                continue  # one word, and no browser
            received = await ask(gateway, request(host, *headers))
            assert (received.status, received.error["code"]) == (421, "forbidden_host")
            assert "ALLOWED_HOSTS" in received.error["message"]
            assert received.headers["x-request-id"] == received.error["request_id"]
        assert gateway.gpt.history == []
    lines = read_log(tmp_path)
    assert host in {line.get("context", {}).get("host") for line in lines}


BROWSER = [
    "Origin: http://gateway",
    "Referer: http://gateway/",
    "Sec-Fetch-Site: none",
    "Sec-Fetch-Mode: navigate",
]


@on_uvloop
async def test_name_without_a_dot_is_accepted_from_scripts_only(tmp_path: Path) -> None:
    """Containers and scripts use names without a dot; a browser does not need to, and nor does a list that is set."""
    async with scripted_gateway(tmp_path) as gateway:
        for host in ("x", "gateway", "gateway:3050"):
            gateway.gpt.enqueue(*answer("Hi"))
            assert (await ask(gateway, request(host))).status == 200
            for header in BROWSER:
                assert (await ask(gateway, request(host, header))).status == 421
    async with scripted_gateway(tmp_path, allowed_hosts=("chat.example.com",)) as gateway:
        assert (await ask(gateway, request("gateway"))).status == 421


@on_uvloop
async def test_number_is_read_as_an_address(tmp_path: Path) -> None:
    """Resolvers read it as an IPv4 address; names with digits in them are names."""
    async with scripted_gateway(tmp_path) as gateway:
        for host in (
            "2130706433",
            "2130706433:3050",
            "0x7f000001",
            "0X7F000001",
            "017700000001",
            "0",
            "0x",
        ):
            assert (await ask(gateway, request(host, target="/", method="GET"))).status == 421
        for name in ("gateway2", "2gateway", "0xgateway", "3f2a9c"):
            assert (await ask(gateway, request(name, target="/", method="GET"))).status == 200


FORWARDED = ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https", "x-forwarded-host: a", "X-Forwarded-Port: 1",
             "Forwarded: for=[::1]", "Forwarded: proto=https", "X-Real-IP: ::1", "Via: 1.1 proxy"]  # fmt: skip


@on_uvloop
async def test_name_without_a_dot_is_refused_from_proxies(tmp_path: Path) -> None:
    """A proxy serves others, and sends the name of its upstream; by a loopback name it may serve this machine."""
    async with scripted_gateway(tmp_path) as gateway:
        for header in FORWARDED:
            assert (
                await ask(gateway, request("gateway", header, target="/", method="GET"))
            ).status == 421
            assert (
                await ask(gateway, request("localhost", header, target="/", method="GET"))
            ).status == 200


ELSEWHERE = [
    ("X-Forwarded-For: 203.0.113.7",),
    ("X-Forwarded-For: 192.168.1.2:4711",),
    ("X-Forwarded-For: 127.0.0.1, 203.0.113.7",),
    ("X-Forwarded-For: 203.0.113.7, 127.0.0.1",),
    ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 203.0.113.7"),
    ("X-Forwarded-For: [2001:db8::1]:80",),
    ("X-Forwarded-For: 2001:db8::1",),
    ("X-Forwarded-For: ::ffff:203.0.113.7",),
    ("X-Forwarded-For: unknown",),
    ("X-Real-IP: 203.0.113.7",),
    ("X-Forwarded-For: 127.0.0.1", "X-Real-IP: 203.0.113.7"),
    ("Forwarded: for=203.0.113.7",),
    ("Forwarded: proto=https;FOR=203.0.113.7",),
    ('Forwarded: for=127.0.0.1;by=a , for = "[2001:db8::1]:80"',),
    ('Forwarded: by=", for=203.0.113.7',),
    ('Forwarded: for=", for=203.0.113.7',),
    ("Forwarded: for=_hidden",),
]
HERE = [
    ("X-Forwarded-For: 127.0.0.1",),
    ("X-Forwarded-For: 127.0.0.1:4711, ::1, [::1]:80, ::ffff:127.0.0.1, localhost",),
    ("X-Forwarded-For: ",),
    ("X-Real-IP: ::1",),
    ('Forwarded: for=127.0.0.1;proto=http, For="[::1]:80"',),
    ("Forwarded: by=203.0.113.7;host=203.0.113.7",),
    ("X-Forwarded-Host: 203.0.113.7", "Via: 1.1 203.0.113.7"),
]


@on_uvloop
async def test_without_keys_a_proxy_serves_this_machine_alone(tmp_path: Path) -> None:
    """Its connections come from loopback, whichever client sent it: without keys it is open to this machine only."""
    async with scripted_gateway(tmp_path) as gateway:
        for headers in ELSEWHERE:
            received = await ask(gateway, request("127.0.0.1:3050", *headers))
            assert (headers, received.status, received.error["code"]) == (
                headers,
                421,
                "forbidden_host",
            )
            assert "GATEWAY_API_KEYS" in received.error["message"]
            assert "ALLOW_ANONYMOUS" in received.error["message"]
            health = await ask(
                gateway, request("127.0.0.1:3050", *headers, target="/health", method="GET")
            )
            assert health.status == 200
        assert gateway.gpt.history == []
        for headers in HERE:
            gateway.gpt.enqueue(*answer("Hi"))
            received = await ask(gateway, request("127.0.0.1:3050", *headers))
            assert (headers, received.status) == (headers, 200)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"allowed_hosts": ("chat.example.com",)}, 421),
        ({"allow_anonymous": True}, 200),
        (KEY, 200),
        (KEY | {"allowed_hosts": ("localhost",)}, 200),
    ],
    ids=str,
)
@on_uvloop
async def test_proxy_may_serve_others_once_access_is_configured(
    tmp_path: Path, options: dict[str, Any], status: int
) -> None:
    async with scripted_gateway(tmp_path, **options) as gateway:
        received = await ask(gateway, request("localhost", *ELSEWHERE[0], target="/", method="GET"))
    assert received.status == status


@on_uvloop
async def test_request_without_a_host_is_accepted_from_scripts_only(tmp_path: Path) -> None:
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        async with connect(gateway.running) as client:
            await client.send(request("").replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert (await client.read_to_end()).startswith(b"HTTP/1.1 200")
        async with connect(gateway.running) as client:
            await client.send(request("", BROWSER[0]).replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert (await client.read_to_end()).startswith(b"HTTP/1.1 421")


@on_uvloop
async def test_authority_of_an_absolute_target_is_the_host(tmp_path: Path) -> None:
    """Whatever the Host beside it says, in both directions."""
    async with scripted_gateway(tmp_path) as gateway:
        refused = await ask(gateway, request("localhost", target=f"http://{REBOUND}/chat/gpt"))
        page = f"Origin: http://{REBOUND}"
        foreign = await ask(gateway, request(REBOUND, page, target="http://localhost/chat/gpt"))
        gateway.gpt.enqueue(*answer("Hi"))
        taken = await ask(gateway, request(REBOUND, target="http://localhost:3050/chat/gpt"))
        broken = await ask(gateway, request("localhost", target="http://a@localhost/chat/gpt"))
    assert (refused.status, refused.error["code"]) == (421, "forbidden_host")
    assert (foreign.status, foreign.error["code"]) == (403, "forbidden_origin")
    assert (taken.status, broken.status) == (200, 400)


@on_uvloop
async def test_health_is_open_to_any_host_and_nothing_else_is(tmp_path: Path) -> None:
    async with scripted_gateway(tmp_path) as gateway:
        for path in ("/health", "/health/live", "/health/gpt"):
            assert (await ask(gateway, request(REBOUND, target=path, method="GET"))).status == 200
        for path in (
            "/",
            "/docs",
            "/openapi.json",
            "/static/page.js",
            "/nowhere",
            "/healthy",
            "/sentry-debug",
        ):
            assert (await ask(gateway, request(REBOUND, target=path, method="GET"))).status == 421


@pytest.mark.parametrize(
    ("options", "host", "is_accepted"),
    [
        ({"allowed_hosts": ("chat.example.com",)}, "chat.example.com", True),
        ({"allowed_hosts": ("chat.example.com",)}, "CHAT.example.com:8443", True),
        ({"allowed_hosts": ("chat.example.com",)}, "localhost", True),
        ({"allowed_hosts": ("chat.example.com",)}, "a.chat.example.com", False),
        ({"allowed_hosts": ("2001:db8::1",)}, "[2001:db8:0::1]:80", True),
        (KEY, REBOUND, True),
        (KEY | {"allowed_hosts": ("chat.example.com",)}, REBOUND, False),
        ({"allow_anonymous": True}, REBOUND, False),
        ({"allow_anonymous": True, "trusted_proxies": ("127.0.0.1",)}, REBOUND, True),
        ({"allow_anonymous": True, "host": "0.0.0.0"}, REBOUND, True),
        (
            {"allow_anonymous": True, "host": "0.0.0.0", "allowed_hosts": ("chat.example.com",)},
            REBOUND,
            False,
        ),
    ],
    ids=str,
)
@on_uvloop
async def test_names_are_checked_without_keys_on_loopback_and_if_they_are_listed(
    tmp_path: Path, options: dict[str, Any], host: str, is_accepted: bool
) -> None:
    async with scripted_gateway(tmp_path, **options) as gateway:
        received = await ask(gateway, request(host, target="/", method="GET"))
    assert (received.status == 200) is is_accepted


@pytest.mark.parametrize(
    ("authority", "name"),
    [("A.Example:80", "a.example"), ("a.example.", "a.example"), ("[::1]:80", "::1"), ("[0::1]", "::1"),
     ("::1", "::1"), ("", ""), (":80", ""), ("a:b", "a:b"), ("a@b", "a@b"), ("[::ffff:127.0.0.1]", "127.0.0.1")],
)  # fmt: skip
def test_host_has_one_spelling(authority: str, name: str) -> None:
    assert host_name(authority) == name


def test_only_what_is_always_this_machine_is_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "a.localhost", "127.0.0.1", "127.255.0.1", "::1")))
    assert not any(
        map(
            is_loopback,
            ("", "local", "alocalhost", "localhost.example", "0.0.0.0", "::", "10.0.0.1"),
        )
    )


@pytest.mark.parametrize(
    ("origin", "same"),
    [("http://A:80", "http://a"), ("https://a:443", "https://a"), ("http://a:443", "http://a:443"),
     ("https://a:80", "https://a:80"), ("http://[::1]:80", "http://[::1]"), ("http://a:8080", "http://a:8080"),
     ("ftp://a:80", "ftp://a:80"), ("null", "null"), ("*", "*"), ("", "")],
)  # fmt: skip
def test_origin_has_one_spelling(origin: str, same: str) -> None:
    assert normalise_origin(origin) == same
