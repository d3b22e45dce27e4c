"""When a vendor's connection carries another request: only if nothing of the last one is left on it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from providers.http.pool import Origin
from tests.providers.http.test_connection import (
    CHUNKED,
    REQUEST,
    ask,
    close,
    pool,
    read_all,
    vendor,
)

if TYPE_CHECKING:
    from tests.providers.http.test_connection import Answer

EARLY = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"
LARGE = b"POST /chat HTTP/1.1\r\nHost: vendor\r\nContent-Length: 20000000\r\n\r\n" + bytes(
    20_000_000
)


async def test_connection_whose_request_is_unsent_is_not_used_again() -> None:
    """A vendor answers 400 after the head and reads no further: what is unsent would stand before the next request."""
    held = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(EARLY)
        await held.wait()

    async with asyncio.timeout(10), vendor(answer, CHUNKED) as to, pool() as connections:
        connection, head = await connections.ask(to.origin, LARGE)
        assert (head.status, await read_all(connection)) == (400, b"{}")
        assert not connection.is_reusable
        connections.give_back(to.origin, connection)
        assert (await ask(connections, to))[1] == b"Hello world"
        held.set()
    assert to.connections == 2


async def test_connection_whose_large_request_was_sent_is_used_again() -> None:
    """Its size alone is no reason against it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = len(LARGE) - first
        while rest > 0:
            rest -= len(await reader.read(rest))
        writer.write(CHUNKED)

    first = 65_536  # what the vendor's loop has read
    async with asyncio.timeout(20), vendor(answer, CHUNKED) as to, pool() as connections:
        connection, _ = await connections.ask(to.origin, LARGE)
        await read_all(connection)
        assert connection.is_reusable
        connections.give_back(to.origin, connection)
        await ask(connections, to)
    assert to.connections == 1


def unasked(data: bytes) -> Answer:
    """A whole answer, and then something more."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(data)

    return answer


@pytest.mark.parametrize("data", [b"\r\n", b"x", CHUNKED, b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_idle_connection_on_which_something_comes_is_closed(data: bytes) -> None:
    """It would be taken for the next request's answer."""
    async with asyncio.timeout(10), vendor(unasked(data), CHUNKED) as to, pool() as connections:
        await ask(connections, to)
        await to.gone.wait()
        assert (await ask(connections, to))[1] == b"Hello world"
    assert to.connections == 2


@pytest.mark.parametrize("data", [b"x", CHUNKED, b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx"])
async def test_what_comes_with_the_end_of_an_answer_changes_nothing_of_it(data: bytes) -> None:
    """The answer is whole; its connection is not used again."""
    async with asyncio.timeout(10), vendor(CHUNKED + data, CHUNKED) as to, pool() as connections:
        head, body = await ask(connections, to)
        assert (head.status, body) == (200, b"Hello world")
        assert (await ask(connections, to))[1] == b"Hello world"
    assert to.connections == 2


async def test_bytes_that_the_loop_has_not_read_yet_count_too() -> None:
    """They lie in the socket at the moment when the connection is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        origin = Origin("127.0.0.1", listening.getsockname()[1], is_secure=False)
        async with asyncio.timeout(10), pool() as connections:
            asking = asyncio.create_task(connections.ask(origin, REQUEST))
            served, _ = await loop.sock_accept(listening)
            with served:
                served.setblocking(False)
                await loop.sock_sendall(served, CHUNKED)
                connection, _ = await asking
                await read_all(connection)
                connections.give_back(origin, connection)
                assert served.send(b"HTTP/1.1 200 OK\r\n") > 0
                while (
                    connection.is_silent
                ):  # loopback delivers within the call; nothing here lets the loop run
                    pass
                asking = asyncio.create_task(connections.ask(origin, REQUEST))
                second, _ = await loop.sock_accept(listening)
                with second:
                    second.setblocking(False)
                    await loop.sock_sendall(second, CHUNKED)
                    connection, head = await asking
                    assert (head.status, await read_all(connection)) == (200, b"Hello world")
                    connections.give_back(origin, connection)


async def test_answer_with_an_end_of_its_connection_is_not_used_again() -> None:
    """A body without a length ends with its connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nHello")
        await writer.drain()
        await close(reader, writer)

    async with asyncio.timeout(10), vendor(answer, CHUNKED) as to, pool() as connections:
        assert (await ask(connections, to))[1] == b"Hello"
        assert (await ask(connections, to))[1] == b"Hello world"
