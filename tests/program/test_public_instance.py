"""A public instance as `docs/deployment.md` has it, under attack: keys, and nginx with `docs/nginx.conf` in front."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from settings.new_keys import new_key
from simulator import Demo, Scripted, Simulator
from tests.clients.plain_http import make_client
from tests.gateways.keys_file import bearer, write_keys
from tests.gateways.log_files import read_log
from tests.gateways.served import groq_at, served
from tests.program.test_nginx import NGINX, nginx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateways.served import Served

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="other loopback addresses need Linux"),
]

ROOT, ROOT_SHA = new_key("root")
PHONE, PHONE_SHA = new_key("phone")
HOST = "chat.example.com"
MODEL = "openai/gpt-oss-120b"
STRANGER = "127.0.0.9"  # an address that is not nginx's own
FLOODER = "127.0.0.11"  # one whose lines in the logs become fewer
QUESTION = {"messages": [{"role": "user", "content": "Hello?"}], "stream": False}
PATIENCE_SECONDS = 60
CHANGES = {
    # with the time that a client on a loaded machine may pause in a body that nginx has refused
    "\n    send_timeout 30s;": "\n    send_timeout 1s;\n    lingering_time 60s;\n    lingering_timeout 60s;",
    "burst=100 nodelay;": "burst=1000 nodelay;",
}
KEYS = f"""
[keys.root]
sha256 = "{ROOT_SHA}"
admin = true
metrics = true
doors = []

[keys.phone]
sha256 = "{PHONE_SHA}"
"""


@dataclass(frozen=True)
class Public:
    """The gateway's process, its vendor, nginx's port, and the folder of nginx."""

    gateway: Served
    simulator: Simulator
    port: int
    folder: Path

    def client(self, address: str = STRANGER) -> httpx.AsyncClient:
        """A client of nginx that comes from this address."""
        transport = httpx.AsyncHTTPTransport(local_address=address)
        return make_client(
            f"http://127.0.0.1:{self.port}",
            transport=transport,
            timeout=PATIENCE_SECONDS,
            headers={"Host": HOST},
        )

    async def send(self, data: bytes) -> bytes:
        """What comes back for these bytes, until nginx ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(PATIENCE_SECONDS):
                try:
                    return await reader.read()
                except ConnectionResetError:
                    return b""
        finally:
            writer.close()

    async def audited(self, request_id: str) -> list[dict[str, Any]]:
        """The lines of the audit log about a request that has been answered."""
        await self.gateway.wait_logged(request_id, name="audit.log")
        lines = read_log(self.gateway.log_dir, "audit")
        return [line for line in lines if line["request_id"] == request_id]


@asynccontextmanager
async def public_instance(folder: Path, **variables: str | float | Path) -> AsyncIterator[Public]:
    """Started as the documentation says; the variables are the gateway's."""
    own, proxy = folder / "gateway", folder / "nginx"
    own.mkdir()
    proxy.mkdir()
    async with (
        Simulator() as simulator,
        served(
            own,
            trusted_proxies="127.0.0.1",
            allowed_hosts=HOST,
            metrics="true",
            max_answer_chars=10**8,
            send_timeout_seconds=600,  # so that it is nginx that ends a slow reader
            **groq_at(simulator),
            **variables,
        ) as gateway,
        nginx(proxy, gateway.port, **CHANGES) as client,
    ):
        simulator.behaviours[MODEL] = Demo(first=0, pace=0)
        assert client.base_url.port
        yield Public(gateway, simulator, client.base_url.port, proxy)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def public(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Public]:
    """One instance with keys for all tests: what one attack leaves behind, the next one meets."""
    folder = tmp_path_factory.mktemp("public")
    async with public_instance(folder, keys_file=write_keys(folder, KEYS)) as instance:
        yield instance


async def check_well(public: Public) -> None:
    """A client with a key gets its own answers, and what was asked before them is in the audit log."""
    async with public.client() as client:
        for _ in range(4):
            request_id = f"well-{uuid.uuid4()}"
            headers = bearer(PHONE) | {"X-Request-ID": request_id}
            response = await client.post("/chat/groq", json=QUESTION, headers=headers)
            assert response.status_code == 200, response.text
            assert response.headers["x-request-id"] == request_id
            assert response.json()["request_id"] == request_id
    assert len(await public.audited(request_id)) == 1


async def test_client_with_a_key_is_served(public: Public) -> None:
    """Else the refusals below would prove nothing."""
    await check_well(public)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        (bearer("gw_wrong"), ""),
        ({}, "?key=KEY"),
        ({}, "?api_key=KEY&access_token=KEY"),
        ({"Cookie": "authorization=KEY; x-api-key=KEY"}, ""),
        ({"Proxy-Authorization": "Bearer KEY"}, ""),
        ({"X-Api_Key": "KEY", "X_Api_Key": "KEY"}, ""),
    ],
)
async def test_key_counts_in_its_headers_alone(
    public: Public, headers: dict[str, str], query: str
) -> None:
    """Not in a query, a cookie or a header with a similar name; and it is in no log, nginx's included."""
    sent = {name: value.replace("KEY", PHONE) for name, value in headers.items()}
    asked = len(public.simulator.calls)
    async with public.client() as client:
        path = f"/chat/groq{query.replace('KEY', PHONE)}"
        response = await client.post(path, json=QUESTION, headers=sent)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
    assert len(public.simulator.calls) == asked
    await public.audited(response.headers["x-request-id"])
    logs = [*public.folder.glob("*.log"), *public.gateway.log_dir.glob("*.log")]
    assert len(logs) > 4
    assert [log.name for log in logs if PHONE in log.read_text(errors="replace")] == []


CHUNKED = "POST /chat/groq HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
HIDDEN = (
    "GET /v1/models HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
    "X-Request-ID: {id}\r\n\r\n"
)
SMUGGLED = {
    "trailers with a key": CHUNKED
    + "Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n2\r\n{{}}\r\n0\r\n"
    "Authorization: Bearer {key}\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n",
    "a length and chunks": CHUNKED
    + "Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    "two lengths": CHUNKED + "Content-Length: 2\r\nContent-Length: {length}\r\n\r\n{{}}{hidden}",
    "a length with a sign": CHUNKED + "Content-Length: +{length}\r\n\r\n{hidden}",
    "another coding": CHUNKED + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}",
    "two codings": CHUNKED
    + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{hidden}",
    "a space before the colon": CHUNKED
    + "Transfer-Encoding : chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n{hidden}",
    "a folded header": CHUNKED
    + "X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n{hidden}",
    "a bare carriage return": CHUNKED
    + "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n{hidden}",
    "a size with a sign": CHUNKED + "Transfer-Encoding: chunked\r\n\r\n-1\r\n{hidden}",
    "a huge size": CHUNKED + "Transfer-Encoding: chunked\r\n\r\n" + "f" * 20 + "\r\n{hidden}",
    "an old version": "POST /chat/groq HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n"
    "Connection: keep-alive\r\n\r\n0\r\n\r\n{hidden}",
    "a key for the connection alone": "GET /v1/models HTTP/1.1\r\nHost: {host}\r\n"
    "Connection: close, X-Forwarded-For, Authorization\r\nUpgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("attack", SMUGGLED)
async def test_nothing_is_smuggled_past_nginx(public: Public, attack: str) -> None:
    """The gateway sees no request that nginx has not seen, and the next clients have their own answers.

    The hidden request has a key, so that it has a line in the audit log whatever else is asked.
    """
    request_id = f"hidden-{list(SMUGGLED).index(attack)}"
    hidden = HIDDEN.format(host=HOST, key=PHONE, id=request_id)
    length = len(hidden) + len("0\r\n\r\n")
    text = SMUGGLED[attack].format(host=HOST, key=PHONE, hidden=hidden, length=length)
    last = f"GET /end HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
    answer = await public.send((text + last).encode("latin-1"))
    assert int(answer.split()[1]) in (400, 401, 404, 411, 413, 501), answer[:300]
    await check_well(public)
    reached = [
        line
        for line in read_log(public.gateway.log_dir, "audit")
        if line["request_id"] == request_id
    ]
    seen = [
        line
        for line in (public.folder / "gateway.log").read_text().splitlines()
        if line.endswith(f" {request_id}")
    ]
    assert len(reached) <= len(seen)


@pytest.mark.parametrize("host", ["evil.example.net", "chat.example.com.evil.net", "10.0.0.7", "a"])
@pytest.mark.parametrize("path", ["/chat/groq", "/v1/models", "/", "/admin", "/metrics"])
async def test_rebound_host_is_refused(public: Public, host: str, path: str) -> None:
    """By the gateway, which is sent the name that the browser had, even to a client of this machine with a key."""
    async with public.client("127.0.0.1") as client:
        headers = bearer(ROOT) | {"Host": host, "Origin": f"http://{host}"}
        method = "POST" if path.startswith("/chat") else "GET"
        response = await client.request(method, path, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (421, "forbidden_host")


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/",
        "/admin/status",
        "/metrics",
        "/metrics?a=b",
        "//admin/status",
        "/./admin/status",
        "/health/../admin/status",
        "/%61dmin/status",
        "/admin%2Fstatus",
        "/admin/%2e/status",
        "/Admin/status",
        "/admin;a=b/status",
        "http://chat.example.com/admin/status",
        "/static/../metrics",
        "/metrics%00",
        "/metrics/..;/metrics",
    ],
)
async def test_operators_paths_are_out_of_a_strangers_reach(public: Public, path: str) -> None:
    """However they are written, and even with the operator's key."""
    head = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {ROOT}\r\n"
    lines = head + "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nConnection: close\r\n\r\n"
    stream = socket.socket()
    stream.setblocking(False)
    stream.bind((STRANGER, 0))
    await asyncio.get_running_loop().sock_connect(stream, ("127.0.0.1", public.port))
    reader, writer = await asyncio.open_connection(sock=stream)
    writer.write(lines.encode())
    answer = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    writer.close()
    status = int(answer.split()[1])
    assert status in (400, 403, 404), answer[:300]
    assert b"chat_gateway_" not in answer
    assert b'"workers"' not in answer


async def test_operator_on_the_machine_needs_the_key(public: Public) -> None:
    """Another key does not do, and a page of another site may not use it."""
    async with public.client("127.0.0.1") as client:
        paths = ("/admin/status", "/metrics")
        statuses = {
            name: [(await client.get(path, headers=headers)).status_code for path in paths]
            for name, headers in {
                "none": {},
                "wrong": bearer("gw_wrong"),
                "other": bearer(PHONE),
                "own": bearer(ROOT),
            }.items()
        }
        foreign = await client.get(
            "/admin/status", headers=bearer(ROOT) | {"Origin": "https://evil.example.net"}
        )
    assert statuses == {
        "none": [401, 401],
        "wrong": [401, 401],
        "other": [403, 403],
        "own": [200, 200],
    }
    assert foreign.json()["error"]["code"] == "forbidden_origin"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_huge_body_ends_at_a_limit(public: Public, *, is_chunked: bool) -> None:
    """With or without a length: 413, and neither the gateway nor a vendor holds it."""
    asked = len(public.simulator.calls)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 2**16

    content: Any = pieces() if is_chunked else b" " * (12 * 2**20)
    async with public.client() as client:
        headers = bearer(PHONE) | {"Content-Type": "application/json"}
        response = await client.post("/chat/groq", content=content, headers=headers)
    assert response.status_code == 413
    assert len(public.simulator.calls) == asked
    await check_well(public)


async def test_forged_addresses_are_in_no_log_and_share_one_bound(public: Public) -> None:
    """Guesses of keys under ever new addresses are still one client's: its lines are limited, its address is true."""
    async with public.client(FLOODER) as client:
        for number in range(150):
            forged = f"203.0.113.{number}"
            headers = bearer(f"gw_{number}") | {
                "X-Forwarded-For": forged,
                "X-Real-IP": forged,
                "Forwarded": f"for={forged}",
                "X-Request-ID": f"forged-{number}",
            }
            response = await client.get("/v1/models", headers=headers)
            assert response.status_code == 401
    await public.audited("forged-0")
    lines = read_log(public.gateway.log_dir, "audit") + read_log(public.gateway.log_dir, "debug")
    forged_lines = [line for line in lines if line["request_id"].startswith("forged-")]
    assert {line["address"] for line in forged_lines} == {FLOODER}
    assert 0 < len(forged_lines) < 150
    assert "203.0.113." not in json.dumps(lines)


async def test_slow_reader_is_dropped_and_slows_no_other(public: Public) -> None:
    """It reads nothing of a long answer: nginx ends it, the gateway its chat, and others have theirs meanwhile."""
    asked = len(public.simulator.calls)
    # it has no end: a machine with large buffers takes all of it before nginx ends it
    public.simulator.behaviours[MODEL] = Scripted(("x" * 10_000,) * 2_000, then="hang")
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stream, ("127.0.0.1", public.port))
    body = json.dumps(QUESTION | {"stream": True})
    head = (
        f"POST /chat/groq HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {PHONE}\r\n"
        f"X-Request-ID: slow-reader\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        await loop.sock_sendall(stream, (head + body).encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(public.simulator.calls) == asked:  # noqa: ASYNC110 - another process asks
                await asyncio.sleep(0.01)
            public.simulator.behaviours[MODEL] = Demo(first=0, pace=0)
            await check_well(public)
            while not (ended := ends_of(public, "slow-reader")):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
    finally:
        stream.close()
        public.simulator.behaviours[MODEL] = Demo(first=0, pace=0)
    assert ended == ["client_gone"]


def ends_of(public: Public, request_id: str) -> list[str]:
    """The outcomes of the chats with this request id that have ended."""
    return [
        line["context"]["outcome"]
        for line in read_log(public.gateway.log_dir)
        if line["message"] == "chat finished" and line["request_id"] == request_id
    ]


async def test_anonymous_limit_is_that_of_the_true_address(tmp_path: Path) -> None:
    """Without keys: forged addresses bring no further requests; another client's address has its own."""
    async with public_instance(
        tmp_path, allow_anonymous="true", anonymous_requests_per_minute=3
    ) as public:
        statuses = []
        async with public.client() as client:
            for number in range(8):
                forged = f"203.0.113.{number}"
                headers = {"X-Forwarded-For": forged, "Forwarded": f"for={forged}"}
                response = await client.post("/chat/groq", json=QUESTION, headers=headers)
                statuses.append(response.status_code)
        async with public.client("127.0.0.10") as other:
            answered = await other.post("/chat/groq", json=QUESTION)
        async with public.client("127.0.0.1") as local:
            admin, metrics = [
                (await local.get(path)).status_code for path in ("/admin", "/metrics")
            ]
    assert statuses == [200] * 3 + [429] * 5
    assert answered.status_code == 200
    assert (admin, metrics) == (404, 404)
