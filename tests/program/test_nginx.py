"""The gateway behind nginx with `docs/nginx.conf`, in which nothing but its addresses and its log's path is changed."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from starlette.responses import JSONResponse

from main import server_options
from models import Text
from tests.clients.plain_http import make_client
from tests.clients.simple_client import join_text, read_events
from tests.gateways.loopback import make_settings
from tests.gateways.scripted import answer, scripted_gateway, silence
from tests.vendors.scripted_provider import STOP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

CONFIGURATION = (Path(__file__).parents[2] / "docs" / "nginx.conf").read_text(encoding="utf-8")
NGINX = shutil.which(
    "nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin"
)
QUESTION = {"messages": [{"role": "user", "content": "Hello?"}]}
START_SECONDS = 10

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

AROUND = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/gateway.conf;
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def adapt(text: str, changes: dict[str, str]) -> str:
    """The text with each of these places changed, every one of which it must have once."""
    for place, change in changes.items():
        assert text.count(place) == 1, place
        text = text.replace(place, change)
    return text


@asynccontextmanager
async def nginx(
    folder: Path, gateway_port: int, **changes: str
) -> AsyncIterator[httpx.AsyncClient]:
    """nginx before a gateway, and a client of it; `changes` are values of directives that a test has shorter."""
    port = free_port()
    own = {
        "127.0.0.1:3050": f"127.0.0.1:{gateway_port}",
        "listen 80;": f"listen 127.0.0.1:{port};",
        "/var/log/nginx": str(folder),
    }
    async with running_nginx(folder, adapt(CONFIGURATION, own | changes), port) as client:
        yield client


@asynccontextmanager
async def running_nginx(folder: Path, text: str, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """nginx with this text in its http block, which has it listen at the port, and a client of it."""
    (folder / "gateway.conf").write_text(text)
    (folder / "nginx.conf").write_text(AROUND.format(user=getpass.getuser(), folder=folder))
    command = [
        str(NGINX),
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        str(folder / "error.log"),
    ]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await wait_until_listening(process, port, folder)
        async with make_client(f"http://127.0.0.1:{port}", timeout=10) as client:
            yield client
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def wait_until_listening(
    process: asyncio.subprocess.Process, port: int, folder: Path
) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.returncode is None, (folder / "error.log").read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def test_delta_arrives_before_the_stream_ends(tmp_path: Path) -> None:
    """nginx holds nothing back: the client reads the first words while the vendor has yet to say the next."""
    go_on = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        nginx(tmp_path, gateway.running.port) as client,
    ):
        gateway.gpt.enqueue([Text("Hel")], go_on.wait, [Text("lo")], [STOP])
        async with client.stream("POST", "/chat/gpt", json=QUESTION) as response:
            chunks = response.aiter_text()
            first = await anext(chunks)
            assert join_text(read_events(first)) == "Hel"
            go_on.set()
            whole = first + "".join([chunk async for chunk in chunks])
    events = read_events(whole)
    assert (response.status_code, join_text(events), events[-1]) == (200, "Hello", "[DONE]")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_request_id_comes_through(tmp_path: Path) -> None:
    """The client's id reaches the gateway and comes back once; if there is none, nginx's log has the gateway's."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        nginx(tmp_path, gateway.running.port) as client,
    ):
        gateway.gpt.enqueue(*answer("Hi"))
        response = await client.post("/chat/gpt", json=QUESTION, headers={"X-Request-ID": "r-1"})
        without = await client.get("/nowhere")
    made = without.headers["x-request-id"]
    assert response.headers.get_list("x-request-id") == ["r-1"]
    assert read_events(response.text)[0]["request_id"] == "r-1"
    assert without.json()["error"]["request_id"] == made
    lines = (tmp_path / "gateway.log").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["r-1", made]


async def test_readiness_probe_shows_the_gateways_state(tmp_path: Path) -> None:
    """`/health` is the gateway's own: 200 while it takes chats, 503 while it does not; no line a probe is logged."""
    async with (
        scripted_gateway(tmp_path, max_streams=1) as gateway,
        nginx(tmp_path, gateway.running.port) as client,
    ):
        ready = await client.get("/health")
        with gateway.running.app.state.services.streams:
            full = await client.get("/health")
    assert (ready.status_code, ready.json()["status"]) == (200, "OK")
    assert (full.status_code, full.json()["status"]) == (503, "OVERLOADED")
    assert (tmp_path / "gateway.log").read_text() == ""


@pytest.mark.parametrize(("heartbeat", "is_whole"), [(0.25, True), (0, False)])
async def test_silent_stream_survives_by_its_heartbeat(
    tmp_path: Path, heartbeat: float, is_whole: bool
) -> None:
    """A silence longer than nginx waits ends no stream that has heartbeats; without them nginx cuts it."""
    silent = asyncio.Event()
    short = {"proxy_read_timeout 620s;": "proxy_read_timeout 1s;"}
    async with (
        scripted_gateway(tmp_path, heartbeat_seconds=heartbeat) as gateway,
        nginx(tmp_path, gateway.running.port, **short) as client,
    ):
        asyncio.get_running_loop().call_later(2.5, silent.set)
        gateway.gpt.enqueue([Text("Hel")], silent.wait, [Text("lo")], [STOP])
        stream = await read_stream(client)
    assert (read_events(stream)[-1] == "[DONE]") is is_whole
    assert (": keep-alive" in stream) is is_whole


async def read_stream(client: httpx.AsyncClient) -> str:
    """What of a chat arrives, whether it ends well or is cut."""
    text = ""
    try:
        async with client.stream("POST", "/chat/gpt", json=QUESTION) as response:
            async for chunk in response.aiter_text():
                text += chunk
    except httpx.RemoteProtocolError:
        return text
    return text


async def test_client_leaving_closes_the_vendor_stream(tmp_path: Path) -> None:
    """nginx passes on at once that its client has left."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        nginx(tmp_path, gateway.running.port) as client,
    ):
        gateway.gpt.enqueue([Text("Hel")], silence)
        async with client.stream("POST", "/chat/gpt", json=QUESTION) as response:
            await anext(response.aiter_text())
        (asked,) = gateway.gpt.history
        async with asyncio.timeout(2):
            await asked.closed.wait()


async def test_page_is_of_the_same_origin(tmp_path: Path) -> None:
    """The gateway learns the host and port that the browser sees: its own page may ask, another site's may not."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        nginx(tmp_path, gateway.running.port) as client,
    ):
        gateway.gpt.enqueue(*answer("Hi"))
        own = str(client.base_url).rstrip("/")
        allowed = await client.post("/chat/gpt", json=QUESTION, headers={"Origin": own})
        foreign = await client.post(
            "/chat/gpt", json=QUESTION, headers={"Origin": "http://foreign.example.com"}
        )
    assert (allowed.status_code, foreign.status_code) == (200, 403)


async def test_gateway_itself_refuses_a_large_body(tmp_path: Path) -> None:
    """A body over MAX_BODY_BYTES is answered in the gateway's JSON, not by a page of nginx's."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        nginx(tmp_path, gateway.running.port) as client,
    ):
        content = b" " * (8 * 2**20 + 1)
        response = await client.post(
            "/chat/gpt", content=content, headers={"Content-Type": "application/json"}
        )
    assert (response.status_code, response.json()["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(("trusted", "is_believed"), [(["127.0.0.1"], True), ([], False)])
async def test_forwarded_address_is_believed_of_trusted_proxies_alone(
    tmp_path: Path, trusted: list[str], is_believed: bool
) -> None:
    """TRUSTED_PROXIES decides whether nginx's X-Forwarded-For is read; a client's own claim never comes through."""
    async with serving(show_client, tmp_path, trusted) as port, nginx(tmp_path, port) as client:
        response = await client.get(
            "/", headers={"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "gopher"}
        )
    seen = response.json()
    assert (seen["host"], seen["scheme"]) == ("127.0.0.1", "http")
    assert (
        seen["port"] == 0
    ) is is_believed  # the header has no port; nginx's own connection has one


@pytest.mark.parametrize(
    ("path", "is_denied"),
    [
        *((path, True) for path in ("/admin", "/metrics", "/admin/status", "/ai/admin")),
        *((path, True) for path in ("/ai/metrics", "/ai/%61dmin", "//ai//admin", "/a/b/metrics/")),
        *((path, False) for path in ("/", "/ai/administrator", "/ai/chat/my-metrics")),
    ],
)
async def test_operators_paths_are_for_the_networks_that_may(
    tmp_path: Path, path: str, is_denied: bool
) -> None:
    """Also under the prefix of a ROOT_PATH. Here they are for another address than the test's."""
    async with (
        serving(show_client, tmp_path, []) as port,
        nginx(tmp_path, port, **{"allow 127.0.0.1;": "allow 192.0.2.1;"}) as client,
    ):
        response = await client.get(f"{str(client.base_url).rstrip('/')}{path}")
    assert (response.status_code == 403) is is_denied


async def test_claims_about_the_proxy_are_dropped(tmp_path: Path) -> None:
    """What a client says of a host, a prefix or a way that its request took does not come through."""
    claims = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "for=203.0.113.7",
    }
    async with (
        serving(show_client, tmp_path, ["127.0.0.1"]) as port,
        nginx(tmp_path, port) as client,
    ):
        response = await client.get("/", headers=claims)
    assert not {name.lower() for name in claims} & set(response.json()["headers"])


LIMITS = {
    "connections": {"limit_conn gateway_connections 100;": "limit_conn gateway_connections 1;"},
    "requests": {"rate=20r/s": "rate=1r/m", "burst=100 nodelay;": "nodelay;"},
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_one_address_is_limited(tmp_path: Path, limit: str) -> None:
    """In the gateway's shape, with a time to wait; the stream that is under way goes on."""
    go_on = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        nginx(tmp_path, gateway.running.port, **LIMITS[limit]) as client,
    ):
        gateway.gpt.enqueue([Text("Hel")], go_on.wait, [Text("lo")], [STOP])
        async with client.stream("POST", "/chat/gpt", json=QUESTION) as response:
            chunks = response.aiter_text()
            text = await anext(chunks)
            refused = await client.post("/chat/gpt", json=QUESTION)
            go_on.set()
            text += "".join([chunk async for chunk in chunks])
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["status"]) == (429, "rate_limited", 429)
    assert (refused.headers["retry-after"], error["request_id"]) == (
        "1",
        refused.headers["x-request-id"],
    )
    assert read_events(text)[-1] == "[DONE]"


async def test_unfinished_head_is_closed(tmp_path: Path) -> None:
    """By nginx, which does not bother the gateway with it."""
    short = {"client_header_timeout 10s;": "client_header_timeout 1s;"}
    async with (
        scripted_gateway(tmp_path) as gateway,
        nginx(tmp_path, gateway.running.port, **short) as client,
    ):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        async with asyncio.timeout(10):
            assert await read_to_end(reader) == b""
        writer.close()


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """What still comes; a connection that is reset has ended, too."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def show_client(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that answers with what its server knows of the client."""
    host, port = scope["client"]
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = {"host": host, "port": port, "scheme": scope["scheme"], "headers": headers}
    await JSONResponse(body)(scope, receive, send)


@asynccontextmanager
async def serving(app: Any, log_dir: Path, trusted: list[str]) -> AsyncIterator[int]:
    """An app served as `python main.py` serves the gateway; its port."""
    options = server_options(make_settings(log_dir, trusted_proxies=trusted)) | {
        "host": "127.0.0.1",
        "port": 0,
    }
    config = uvicorn.Config(app, lifespan="off", **options)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()
