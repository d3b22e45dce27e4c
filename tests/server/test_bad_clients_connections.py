"""Many connections, idle connections, connections used in odd ways: there is room for all requests."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from models import Text
from tests.clients.raw_client import (
    HEALTH,
    Answer,
    RawClient,
    ask,
    ask_chat,
    connect,
    limit,
    on_uvloop,
    open_socket,
)
from tests.clients.simple_client import join_text, read_events
from tests.gateways.scripted import answer, scripted_gateway
from tests.vendors.scripted_provider import STOP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateways.loopback import RunningGateway

HALF_HEAD = b"GET /health HTTP/1.1\r\nHo"


async def hold(
    stack: AsyncExitStack, gateway: RunningGateway, number: int, *sent: bytes
) -> list[RawClient]:
    """Connections that stay open, each having sent the next of these bytes in turn."""
    clients = [await stack.enter_async_context(connect(gateway)) for _ in range(number)]
    for place, client in enumerate(clients):
        client.writer.write(sent[place % len(sent)] if sent else b"")
    return clients


@on_uvloop
async def test_health_answers_beside_a_thousand_silent_sockets(tmp_path: Path) -> None:
    """Idle sockets cost others nothing: /health and chats are answered, each in far under a second."""
    async with scripted_gateway(tmp_path) as gateway, AsyncExitStack() as stack:
        for _ in range(1_000):
            stack.enter_context(await open_socket(gateway.running))
        async with asyncio.timeout(1), connect(gateway.running) as client:
            assert (await client.ask(HEALTH)).status == 200
            gateway.gpt.enqueue(*answer("Hi"))
            assert (await client.ask(ask_chat())).status == 200
        assert len(gateway.running.server.server_state.connections) >= 1_000


@on_uvloop
async def test_longest_waiting_connection_makes_room(tmp_path: Path) -> None:
    """At the limit the oldest silent, half or idle connection is closed, with a 503 if it never asked.

    One with a response in progress stays, and a new client is served.
    """
    gate = asyncio.Event()
    async with scripted_gateway(tmp_path) as gateway, AsyncExitStack() as stack:
        shared = limit(gateway.running, connections=10)
        chats = await hold(stack, gateway.running, 3)
        for chat in chats:
            gateway.gpt.enqueue([Text("Hel")], gate.wait, *answer("lo"))
            await chat.send(ask_chat())
            await gateway.gpt.next_asked()
        waiting = await hold(stack, gateway.running, 6, b"", HALF_HEAD, b"\r\n")
        used = await stack.enter_async_context(connect(gateway.running))
        assert (await used.ask(HEALTH)).status == 200
        for _ in range(6):
            new = await stack.enter_async_context(connect(gateway.running))
            assert (await new.ask(HEALTH)).status == 200
        for client in waiting:
            reply = await client.read_answer()
            assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (
                503,
                "overloaded",
                "1",
            )
        gate.set()
        for chat in chats:
            assert join_text(read_events((await chat.read_answer()).body.decode())) == "Hello"
        assert (await used.ask(HEALTH)).status == 200
        assert len(shared.waiting) <= 10


@on_uvloop
async def test_full_gateway_refuses_and_recovers(tmp_path: Path) -> None:
    """If every connection has a response in progress, a new one gets 503 with Retry-After."""
    gate = asyncio.Event()
    async with scripted_gateway(tmp_path) as gateway, AsyncExitStack() as stack:
        limit(gateway.running, connections=2)
        chats = await hold(stack, gateway.running, 2)
        for chat in chats:
            gateway.gpt.enqueue([Text("Hel")], gate.wait, *answer("lo"))
            await chat.send(ask_chat())
            await gateway.gpt.next_asked()
        async with connect(gateway.running) as new:
            reply = await new.ask(HEALTH)
            assert (reply.status, reply.headers["retry-after"], reply.headers["connection"]) == (
                503,
                "1",
                "close",
            )
            assert await new.read_to_end() == b""
        gate.set()
        for chat in chats:
            assert (await chat.read_answer()).status == 200
        async with connect(gateway.running) as new:
            assert (await new.ask(HEALTH)).status == 200


@on_uvloop
async def test_thousand_clients_at_once_are_served_or_refused(tmp_path: Path) -> None:
    """Of 1,000 connections that ask at once each gets its answer or a 503 with Retry-After; then all is as before."""
    patient = {"first_content_timeout_seconds": 300, "last_first_content_timeout_seconds": 300}
    async with scripted_gateway(tmp_path, max_streams=50, **patient) as gateway:
        gate = asyncio.Event()
        for _ in range(50):
            gateway.gpt.enqueue(gate.wait, *answer("Hi"))

        async def come(place: int) -> Answer:
            async with connect(gateway.running) as client:
                return await client.ask(ask_chat() if place % 4 == 0 else HEALTH)

        coming = [asyncio.create_task(come(place)) for place in range(1_000)]
        for _, coming_next in zip(range(950), asyncio.as_completed(coming), strict=False):
            await coming_next
        gate.set()
        replies = await asyncio.gather(*coming)
        await gateway.running.settle()
        chats = [answered for place, answered in enumerate(replies) if place % 4 == 0]
        assert sum(answered.status == 200 for answered in chats) == 50
        refused = [answered for answered in replies if answered.status != 200]
        assert {(answered.status, answered.headers["retry-after"]) for answered in refused} == {
            (503, "1")
        }
        health = (await gateway.client.get("/health")).json()
        assert (health["status"], health["streams"]["open"]) == ("OK", 0)


@on_uvloop
async def test_connection_goes_on_after_a_stream(tmp_path: Path) -> None:
    """A connection carries chat after chat, and other requests between, however much that is together."""
    half_heads = [HEALTH[:20], HEALTH[20:-2] + b"Cookie: " + b"a" * 10_000 + b"\r\n\r\n"]
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        for text in ("one", "two", "three"):
            gateway.gpt.enqueue(*answer(text))
            reply = await client.ask(ask_chat())
            assert join_text(read_events(reply.body.decode())) == text
            for _ in range(5):
                await client.send(half_heads[0])
                assert (await gateway.client.get("/health/live")).status_code == 200
                assert (await client.ask(half_heads[1])).status == 200


@on_uvloop
async def test_server_that_stops_closes_after_the_answer(tmp_path: Path) -> None:
    """A request that is still coming in when the server stops is answered, and is its connection's last."""
    request = ask_chat()
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        gateway.gpt.enqueue(*answer("Hi"))
        await client.send(request[:-20])
        assert (await gateway.client.get("/health/live")).status_code == 200
        for connection in list(gateway.running.server.server_state.connections):
            connection.shutdown()
        reply = await client.ask(request[-20:])
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await client.read_to_end() == b""


@pytest.mark.parametrize(
    "cut", [None, 30, len(ask_chat()) + 30], ids=["at once", "in a head", "in the second head"]
)
@on_uvloop
async def test_pipelined_requests_are_answered_in_order(tmp_path: Path, cut: int | None) -> None:
    """Requests sent without waiting for answers get them one after the other, however they are cut."""
    requests = ask_chat() + HEALTH + ask_chat() + ask("GET", "/nowhere")
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        for words in ("one", "two"):
            gateway.gpt.enqueue([Text(words[:1])], 0.01, [Text(words[1:])], [STOP])
        await client.send(requests[:cut])
        await client.send(requests[len(requests) if cut is None else cut :])
        replies = [await client.read_answer() for _ in range(4)]
    assert [answered.status for answered in replies] == [200, 200, 200, 404]
    assert [join_text(read_events(replies[place].body.decode())) for place in (0, 2)] == [
        "one",
        "two",
    ]


@on_uvloop
async def test_client_that_leaves_its_second_answer_is_noticed(tmp_path: Path) -> None:
    """The end of a response takes nothing from the one behind it, which has begun by then."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], 0.01, [Text("lo")], [STOP])
        gateway.gpt.enqueue([Text("Goo")], asyncio.Event().wait)
        async with connect(gateway.running) as client:
            await client.send(ask_chat() + ask_chat())
            await client.reader.readuntil(b"Goo")
            _, second = [await gateway.gpt.next_asked() for _ in range(2)]
        async with asyncio.timeout(1):
            await second.closed.wait()
        await gateway.running.settle()
        assert gateway.running.app.state.services.streams.open == 0


@on_uvloop
async def test_client_that_pipelined_can_leave_too(tmp_path: Path) -> None:
    """A request behind the one under way does not hide that its client has left: the vendor's stream is closed."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], asyncio.Event().wait)
        async with connect(gateway.running) as client:
            await client.send(ask_chat())
            asked = await gateway.gpt.next_asked()
            await client.reader.readuntil(b"Hel")
            await client.send(HEALTH)
        async with asyncio.timeout(1):
            await asked.closed.wait()
        await gateway.running.settle()
        assert len(gateway.gpt.history) == 1


@on_uvloop
async def test_flood_of_pipelined_requests_is_cut_off(tmp_path: Path) -> None:
    """A few requests may wait behind the one under way; with thousands the connection is over."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], asyncio.Event().wait)
        async with connect(gateway.running) as client:
            await client.send(ask_chat())
            await client.reader.readuntil(b"Hel")
            await client.send(HEALTH * 5_000)
            assert b"HTTP/1.1" not in await client.read_to_end()
        await gateway.running.settle()


@on_uvloop
async def test_garbage_does_not_get_into_an_answer(tmp_path: Path) -> None:
    """Bytes that are no request, sent in the midst of an answer, end it; nothing but the answer's own was written."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], asyncio.Event().wait)
        async with connect(gateway.running) as client:
            await client.send(ask_chat())
            head = await client.reader.readuntil(b"\r\n\r\n")
            await client.reader.readuntil(b"Hel")
            await client.send(b"\x00\x01\x02")
            rest = await client.read_to_end()
        await gateway.running.settle()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1" not in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert json.loads((tmp_path / "app.log").read_text().splitlines()[-1])
