"""What one client address, one path and one slow reader may take: a share, 8 KiB, and two minutes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from starlette.responses import Response, StreamingResponse

from configuration import Settings
from models import Text
from server.connection_limits import ConnectionLimits, limit_connections
from server.shared_connections import SharedConnections
from tests.clients.raw_client import HEALTH, ask, ask_chat, connect, limit, on_uvloop, open_socket
from tests.clients.simple_client import join_text, read_events
from tests.gateways.scripted import answer, scripted_gateway
from tests.vendors.scripted_provider import STOP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from starlette.requests import Request

    from tests.vendors.scripted_provider import Step

SOON = 0.15  # seconds: a deadline for a test


class Waiter:
    """A connection that notes when it has to go."""

    def __init__(self, connections: SharedConnections, host: str | None) -> None:
        self.is_gone = False
        self._connections = connections
        self.share = connections.add(host)
        connections.wait(self, self.share)
        connections.evict_excess(len(connections.waiting), self.share)

    def evict(self) -> None:
        """Note it, and close."""
        self.is_gone = True
        self._connections.remove(self, self.share)


def come(connections: SharedConnections, *hosts: str | None) -> list[bool]:
    """Whether each of these connections, which come one after the other, had to go by the end."""
    waiters = [Waiter(connections, host) for host in hosts]
    return [waiter.is_gone for waiter in waiters]


@pytest.mark.parametrize(
    ("hosts", "gone"),
    [
        (["10.0.0.1"] * 3, [True, False, False]),
        (["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"], [False] * 4),
        (["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.1"], [True, False, False, False]),
        (["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"], [True, False, False]),
        (["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"], [False] * 3),
        (["fe80::1%eth0", "fe80::2%eth0", "fe80::3%eth1"], [True, False, False]),
        (["10.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.1"], [True, False, False]),
        (["192.168.7.1"] * 4, [False] * 4),
        (["::ffff:192.168.7.1"] * 4, [False] * 4),
        (["fd00::7"] * 4, [False] * 4),
        ([None] * 4, [False] * 4),
    ],
    ids=str,
)
def test_address_has_a_share_of_the_connections(hosts: list[str | None], gone: list[bool]) -> None:
    """The one of the same address that waits longest goes; trusted proxies and local sockets have no such limit."""
    connections = SharedConnections(
        ConnectionLimits(connections_per_address=2), ("192.168.7.0/24", "fd00::/8")
    )
    assert come(connections, *hosts) == gone


def test_share_is_free_again_when_its_connections_have_ended() -> None:
    connections = SharedConnections(ConnectionLimits(connections_per_address=2))
    for _ in range(5):
        waiters = [Waiter(connections, "10.0.0.1") for _ in range(2)]
        for waiter in waiters:
            assert not waiter.is_gone
            connections.remove(waiter, waiter.share)
    assert connections._shares == {}


def test_share_is_a_quarter_unless_configured() -> None:
    limits = limit_connections(Settings(vendors={}, max_streams=50))
    assert limits.connections_per_address == limits.connections // 4
    configured = limit_connections(Settings(vendors={}, max_connections_per_address=7))
    assert configured.connections_per_address == 7


@on_uvloop
async def test_client_with_too_many_connections_loses_its_oldest(tmp_path: Path) -> None:
    """It gets 503 if it never asked; the connection with a response in progress stays."""
    gate = asyncio.Event()
    async with scripted_gateway(tmp_path) as gateway, AsyncExitStack() as stack:
        limit(gateway.running, connections_per_address=3)
        gateway.gpt.enqueue([Text("Hel")], gate.wait, *answer("lo"))
        chat = await stack.enter_async_context(connect(gateway.running))
        await chat.send(ask_chat())
        await gateway.gpt.next_asked()
        silent = await stack.enter_async_context(connect(gateway.running))
        for _ in range(4):
            new = await stack.enter_async_context(connect(gateway.running))
            assert (await new.ask(HEALTH)).status == 200
        reply = await silent.read_answer()
        assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (
            503,
            "overloaded",
            "1",
        )
        gate.set()
        assert join_text(read_events((await chat.read_answer()).body.decode())) == "Hello"


@on_uvloop
async def test_client_that_is_being_refused_makes_room_too(tmp_path: Path) -> None:
    """It had its response, and keeps its connection open: a new client is served nevertheless."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, connections_per_address=1, head_seconds=SOON, linger_seconds=60)
        async with connect(gateway.running) as slow:
            assert (await slow.ask(HEALTH[:20])).status == 408
            async with connect(gateway.running) as new:
                assert (await new.ask(HEALTH)).status == 200
            assert await slow.read_to_end() == b""


@pytest.mark.parametrize(
    "target", ["/" + "a" * 8_192, "/?" + "a=b&" * 3_000, "/chat/" + "%41" * 3_000]
)
@on_uvloop
async def test_long_path_or_query_is_refused(tmp_path: Path, target: str) -> None:
    """Over 8 KiB: 414 in our shape, and the connection is closed."""
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        reply = await client.ask(ask("GET", target))
        assert (reply.status, reply.error["code"], reply.headers["connection"]) == (
            414,
            "uri_too_long",
            "close",
        )
        assert await client.read_to_end() == b""
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        assert (await client.ask(ask("GET", "/" + "a" * 8_191))).status == 404


async def send_at_once(request: Request) -> Response:
    """A page that fits into no socket's buffer."""
    return Response(b"x" * 2**25)


async def send_in_pieces(request: Request) -> Response:
    """The same, as files are sent."""

    async def produce() -> AsyncIterator[bytes]:
        for _ in range(2**9):
            yield b"x" * 2**16

    return StreamingResponse(produce())


@pytest.mark.parametrize("send", [send_at_once, send_in_pieces])
@on_uvloop
async def test_slow_reader_of_a_page_is_dropped(
    tmp_path: Path, send: Callable[[Request], Awaitable[Response]]
) -> None:
    """A few bytes now and then, enough for the deadline of a single write, buy no more than the page's whole time."""
    loop = asyncio.get_running_loop()
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, response_seconds=2 * SOON)
        gateway.running.app.router.add_route("/page", send)
        connections = gateway.running.server.server_state.connections
        with await open_socket(gateway.running, receive_buffer=2_304) as client:
            await loop.sock_sendall(client, ask("GET", "/page"))
            assert len(await loop.sock_recv(client, 100)) > 0
            async with asyncio.timeout(40 * SOON):
                while connections:
                    await loop.sock_recv(client, 100)
                    await asyncio.sleep(SOON / 10)


@on_uvloop
async def test_long_stream_to_a_slow_reader_is_not_dropped(tmp_path: Path) -> None:
    """A stream may take longer than a page, however often its buffer is full."""
    steps: list[Step] = [[Text("x" * 2**16)] for _ in range(100)]
    async with scripted_gateway(tmp_path, max_answer_chars=10_000_000) as gateway:
        limit(gateway.running, response_seconds=SOON)
        gateway.gpt.enqueue(*steps, [STOP])
        async with connect(gateway.running) as client:
            await client.send(ask_chat())
            for _ in range(10):
                assert len(await client.reader.read(2**15)) > 0
                await asyncio.sleep(SOON / 3)
            got = b""
            async with asyncio.timeout(10):
                while not got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
                    piece = await client.reader.read(2**16)
                    assert piece
                    got = got[-100:] + piece
