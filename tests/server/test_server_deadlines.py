"""Connections that keep the gateway waiting: each has its deadline, and none costs another client anything."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING

import pytest
from starlette.responses import Response

from configuration import Settings
from models import Text
from server.connection_limits import ConnectionLimits
from server.http_protocol import http_protocol
from tests.clients.raw_client import (
    CHAT,
    HEALTH,
    ask,
    ask_chat,
    connect,
    limit,
    on_uvloop,
    open_socket,
)
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from tests.vendors.scripted_provider import Step

SOON = 0.15  # seconds: a deadline for a test
HALF_HEAD = b"POST /chat/gpt HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: r-1\r\nX-Half"


def now() -> float:
    return asyncio.get_running_loop().time()


def test_deadlines_are_the_promised_ones() -> None:
    """10 s for a head, 30 s for a body, SEND_TIMEOUT_SECONDS for a reader; 64 KiB and 100 headers a head."""
    limits = ConnectionLimits()
    assert (limits.head_seconds, limits.body_seconds, limits.head_bytes, limits.headers) == (
        10,
        30,
        65_536,
        100,
    )
    served = pickle.loads(
        pickle.dumps(http_protocol(Settings(vendors={}, send_timeout_seconds=7, max_streams=50)))
    )
    (door,) = served.args  # as it reaches a worker process
    assert door.limits.write_seconds == 7
    assert 500 <= door.limits.connections <= 1_500


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"], ids=["silent", "blank lines"])
@on_uvloop
async def test_connection_without_a_request_is_closed(tmp_path: Path, sent: bytes) -> None:
    """It is closed without a response."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, head_seconds=SOON)
        async with connect(gateway.running) as client:
            await client.send(sent)
            assert await client.read_to_end() == b""


@pytest.mark.parametrize("sent", [b"G", b"POST /chat/gpt HT", b"GET /health\r\n", HALF_HEAD])
@on_uvloop
async def test_half_a_head_is_a_request_timeout(tmp_path: Path, sent: bytes) -> None:
    """A head that does not come to its end gets a 408 in our shape, with an id, and the connection is closed."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, head_seconds=SOON)
        async with connect(gateway.running) as client:
            reply = await client.ask(sent)
            assert await client.read_to_end() == b""
    assert (reply.status, reply.error["code"], reply.headers["connection"]) == (
        408,
        "request_timeout",
        "close",
    )
    assert reply.error["request_id"] == reply.headers["x-request-id"] != "-"


@pytest.mark.parametrize("is_first", [True, False], ids=["first request", "after another one"])
@on_uvloop
async def test_dribbled_head_has_the_same_deadline(tmp_path: Path, is_first: bool) -> None:
    """A byte now and then buys no time, neither for a first request nor on a connection that was used before."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, head_seconds=SOON)
        async with connect(gateway.running) as client:
            if not is_first:
                assert (await client.ask(HEALTH)).status == 200
            reading = asyncio.create_task(client.read_to_end())
            began = now()
            for byte in b"\r\n" + HALF_HEAD + b"x" * 10_000:
                client.writer.write(bytes([byte]))
                if (await asyncio.wait({reading}, timeout=SOON / 20))[0]:
                    break
            assert now() - began < 5 * SOON
            assert (await reading).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("framing", ["Content-Length: 500", "Transfer-Encoding: chunked"])
@on_uvloop
async def test_half_a_body_is_a_request_timeout(tmp_path: Path, framing: str) -> None:
    """A body that does not come to its end gets a 408 from the app, with the request's own id; no vendor is asked."""
    head = ask("POST", "/chat/gpt", "Content-Type: application/json", "X-Request-ID: r-1", framing)
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, body_seconds=SOON)
        async with connect(gateway.running) as client:
            reply = await client.ask(head + b"20\r\n" + CHAT[:20])
            assert await client.read_to_end() == b""
        assert gateway.gpt.history == []
    assert (reply.status, reply.error["code"], reply.headers["connection"]) == (
        408,
        "request_timeout",
        "close",
    )
    assert reply.error["request_id"] == reply.headers["x-request-id"] == "r-1"


@on_uvloop
async def test_unread_body_has_its_deadline_too(tmp_path: Path) -> None:
    """An answer that needs no body is the connection's last if the body has not come; then it is closed."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, linger_seconds=SOON)
        async with connect(gateway.running) as client:
            reply = await client.ask(ask("POST", "/nowhere", "Content-Length: 500") + b"x")
            assert (reply.status, reply.headers["connection"]) == (404, "close")
            assert await client.read_to_end() == b""
        await gateway.running.settle()


@on_uvloop
async def test_idle_connection_is_kept_as_configured(tmp_path: Path) -> None:
    """Between requests the deadline is the keep-alive's, not the head's."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, head_seconds=SOON)
        gateway.running.server.config.timeout_keep_alive = 1
        async with connect(gateway.running) as client:
            assert (await client.ask(HEALTH)).status == 200
            began = now()
            assert await client.read_to_end() == b""
            assert 0.9 < now() - began < 2


@pytest.mark.parametrize("half", [HALF_HEAD, ask_chat()[:-20]], ids=["half a head", "half a body"])
@on_uvloop
async def test_slow_answer_meets_no_deadline_of_the_request(tmp_path: Path, half: bytes) -> None:
    """Once the request is there it is the client that waits; what it sends meanwhile ends nothing either."""
    gate = asyncio.Event()
    async with scripted_gateway(tmp_path) as gateway:
        limit(
            gateway.running,
            head_seconds=SOON,
            body_seconds=SOON,
            linger_seconds=SOON,
            write_seconds=SOON,
        )
        gateway.gpt.enqueue([Text("Hel")], gate.wait, *answer("lo"))
        async with connect(gateway.running) as client:
            await client.send(ask_chat() + half)
            asyncio.get_running_loop().call_later(4 * SOON, gate.set)
            reply = await client.read_answer()
            assert reply.body.endswith(b"data: [DONE]\n\n")
            assert (await client.read_answer()).status == 408


@pytest.mark.parametrize("bytes_read", [0, 1], ids=["never", "a byte at a time"])
@on_uvloop
async def test_client_that_does_not_read_is_cut_off(tmp_path: Path, bytes_read: int) -> None:
    """It is dropped after SEND_TIMEOUT_SECONDS, its vendor's stream closed; little was buffered for it, and
    another client had its whole answer meanwhile.
    """
    size, taken, loop = 2**16, 0, asyncio.get_running_loop()

    async def take() -> None:
        nonlocal taken
        taken += size

    steps: list[Step] = [take, [Text("x" * size)]]
    async with scripted_gateway(
        tmp_path, send_timeout_seconds=4 * SOON, max_answer_chars=100_000_000
    ) as gateway:
        gateway.gpt.enqueue(*steps * 1_000)
        with await open_socket(gateway.running, receive_buffer=4_096) as client:
            await loop.sock_sendall(client, ask_chat())
            stuck = await gateway.gpt.next_asked()
            gateway.gpt.enqueue(*answer("Hi"))
            assert (await gateway.chat()).text.endswith("data: [DONE]\n\n")
            assert not stuck.closed.is_set()
            closing = asyncio.create_task(stuck.closed.wait())
            async with asyncio.timeout(20 * SOON):
                while not closing.done():
                    await asyncio.wait({closing}, timeout=SOON / 5 if bytes_read else None)
                    if bytes_read and not closing.done():
                        await loop.sock_recv(client, bytes_read)
        await gateway.running.settle()
        assert gateway.running.app.state.services.streams.open == 0
        assert taken < 12 * 2**20


async def send_much(request: Request) -> Response:
    """A page that fits into no buffer."""
    return Response(b"x" * 2**25)


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@on_uvloop
async def test_client_that_does_not_read_a_page_is_dropped(tmp_path: Path, connection: str) -> None:
    """Not chats alone have a reader's deadline; others are served meanwhile."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, write_seconds=SOON)
        gateway.running.app.router.add_route("/much", send_much)
        assert (await gateway.client.get("/health/live")).status_code == 200
        with await open_socket(gateway.running, receive_buffer=4_096) as client:
            page = ask("GET", "/much", f"Connection: {connection}")
            await asyncio.get_running_loop().sock_sendall(client, page)
            assert (await gateway.client.get("/health/live")).status_code == 200
            assert len(gateway.running.server.server_state.connections) == 2
            async with asyncio.timeout(20 * SOON):
                while len(gateway.running.server.server_state.connections) > 1:
                    assert (await gateway.client.get("/health/live")).status_code == 200


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@on_uvloop
async def test_slow_reader_gets_its_page(tmp_path: Path, connection: str) -> None:
    """A client that reads, however slowly, is not dropped, though it takes many times the deadline."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, write_seconds=3 * SOON)  # a busy machine may hold up a read for one
        gateway.running.server.config.timeout_keep_alive = 0
        gateway.running.app.router.add_route("/much", send_much)
        async with connect(gateway.running) as client:
            await client.send(ask("GET", "/much", f"Connection: {connection}"))
            await client.reader.readuntil(b"\r\n\r\n")
            began = now()
            for _ in range(32):
                assert len(await client.reader.readexactly(2**20)) == 2**20
                await asyncio.sleep(SOON / 2)
            assert now() - began > 4 * 3 * SOON
            assert await client.read_to_end() == b""


@on_uvloop
async def test_reader_that_caught_up_has_no_deadline(tmp_path: Path) -> None:
    """A full buffer that was read leaves nothing behind: the connection is as good as any afterwards."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, write_seconds=SOON)
        gateway.running.app.router.add_route("/much", send_much)
        async with connect(gateway.running) as client:
            assert len((await client.ask(ask("GET", "/much"))).body) == 2**25
            await asyncio.sleep(2 * SOON)
            assert (await client.ask(HEALTH)).status == 200
