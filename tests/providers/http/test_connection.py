"""Our own connections to vendors, over real sockets: what comes, how a body ends, what is kept, what is closed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from models import GatewayError
from providers.http.connection import Connection
from providers.http.pool import Origin, Pool
from providers.http.response_head import Head
from simulator.endpoints import certified_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

REQUEST = b"POST /chat HTTP/1.1\r\nHost: vendor\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n6\r\n world\r\n0\r\n\r\n"
)


class Vendor:
    """Answers each request of each connection with the next step; `gone` is set at each end."""

    def __init__(self, *answers: bytes | Answer) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.requests = 0
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self.origin = Origin("127.0.0.1", 0, is_secure=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.read(65_536):
                self.requests += 1
                self.asked.set()
                answer = self.answers.pop(0)
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(reader, writer)
        except ConnectionError:
            pass  # the gateway has gone, as some tests want
        finally:
            self.gone.set()
            writer.close()


@asynccontextmanager
async def vendor(
    *answers: bytes | Answer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Vendor]:
    """A vendor that listens while the block runs."""
    standing = Vendor(*answers)
    async with await asyncio.start_server(standing.serve, host, 0, ssl=tls) as server:
        standing.origin = Origin(
            host, server.sockets[0].getsockname()[1], is_secure=tls is not None
        )
        yield standing


@asynccontextmanager
async def pool(
    *, keep_alive: float = 60, connect: float = 5, trusted: ssl.SSLContext | None = None
) -> AsyncIterator[Pool]:
    context = trusted or ssl.create_default_context()
    connections = Pool(connect_seconds=connect, keep_alive_seconds=keep_alive, context=context)
    yield connections
    connections.close()


async def read_all(connection: Connection) -> bytes:
    body = b""
    while chunk := await connection.read():
        body += chunk
    return body


async def ask(connections: Pool, to: Vendor) -> tuple[Head, bytes]:
    """One whole answer; the connection is given back."""
    connection, head = await connections.ask(to.origin, REQUEST)
    body = await read_all(connection)
    connections.give_back(to.origin, connection)
    return head, body


def byte_by_byte(data: bytes) -> Answer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place in range(len(data)):
            writer.write(data[place : place + 1])
            await writer.drain()

    return answer


async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


def then(data: bytes, ending: Answer) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await ending(reader, writer)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED,
        byte_by_byte(CHUNKED),
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nHello world",
        then(b"HTTP/1.1 200 OK\r\n\r\nHello world", close),
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + CHUNKED,
    ],
    ids=["chunked", "a byte a write", "length", "until the connection ends", "after a 1xx"],
)
async def test_body_is_read_to_its_end(answer: bytes | Answer) -> None:
    """However the vendor frames its body, and however the network cuts it."""
    async with vendor(answer) as to, pool() as connections:
        head, body = await ask(connections, to)
    assert (head.status, body) == (200, b"Hello world")


async def test_what_came_in_one_read_is_one_chunk() -> None:
    """Chunks of HTTP that arrived together leave together."""
    async with vendor(CHUNKED) as to, pool() as connections:
        connection, _ = await connections.ask(to.origin, REQUEST)
        assert await connection.read() == b"Hello world"
        connections.give_back(to.origin, connection)


async def test_connection_is_kept_for_the_next_request() -> None:
    """After a whole answer: no second connection, no second handshake."""
    async with vendor(CHUNKED, CHUNKED) as to, pool() as connections:
        await ask(connections, to)
        await ask(connections, to)
    assert (to.connections, to.requests) == (1, 2)


async def test_connection_is_not_kept_beyond_its_time() -> None:
    """What has waited too long may be dead; it is closed, and a new one is made."""
    async with vendor(CHUNKED, CHUNKED) as to, pool(keep_alive=0) as connections:
        await ask(connections, to)
        await ask(connections, to)
    assert to.connections == 2


async def test_connection_that_the_vendor_ends_is_not_kept() -> None:
    """`Connection: close` is heeded."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    async with vendor(answer, answer) as to, pool() as connections:
        await ask(connections, to)
        await ask(connections, to)
    assert to.connections == 2


@pytest.mark.parametrize("ending", [close, reset])
async def test_kept_connection_that_closes_under_a_request_costs_nothing(ending: Answer) -> None:
    """The vendor's idle timeout and our request cross: the request goes out again, on a new connection."""
    async with vendor(CHUNKED, ending, CHUNKED) as to, pool() as connections:
        await ask(connections, to)
        _, body = await ask(connections, to)
    assert (body, to.connections, to.requests) == (b"Hello world", 2, 3)


@pytest.mark.parametrize("ending", [close, reset])
async def test_new_connection_that_closes_is_a_failure(ending: Answer) -> None:
    """Without an answer on a new connection there is nothing to be quiet about."""
    async with vendor(ending) as to, pool() as connections:
        with pytest.raises(ConnectionResetError):
            await connections.ask(to.origin, REQUEST)


async def test_half_an_answer_is_not_asked_for_again() -> None:
    """A kept connection that had begun to answer took the request: it is not sent twice."""
    async with vendor(CHUNKED, then(b"HTTP/1.1 200", reset)) as to, pool() as connections:
        await ask(connections, to)
        with pytest.raises((ConnectionResetError, GatewayError)):
            await ask(connections, to)
    assert to.requests == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (then(CHUNKED[:60], close), "upstream_truncated"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "upstream_bad_response"),
        (b"SSH-2.0-OpenSSH\r\n", "upstream_bad_response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "upstream_bad_response"),
        (then(b"HTTP/1.1 200 OK\r\nX: 1\r\n", close), "upstream_bad_response"),
    ],
    ids=["body cut short", "bad chunk", "no HTTP", "endless head", "half a head"],
)
async def test_broken_answer_has_its_code(answer: bytes | Answer, code: str) -> None:
    """Its error says what it is, and its connection is closed."""
    async with vendor(answer) as to, pool() as connections:
        with pytest.raises(GatewayError) as raised:
            await ask(connections, to)
        assert raised.value.code == code
        await asyncio.wait_for(to.gone.wait(), 1)


async def test_unread_answer_is_closed_at_once() -> None:
    """Given back before its end, a connection is of no use: the vendor stops writing."""
    async with vendor(then(CHUNKED[:60], silence)) as to, pool() as connections:
        connection, _ = await connections.ask(to.origin, REQUEST)
        connections.give_back(to.origin, connection)
        await asyncio.wait_for(to.gone.wait(), 1)


async def test_answer_that_came_unread_stops_no_other_request() -> None:
    """One so large that it stopped the socket, and whole: its connection is not kept, for nothing more comes on it."""
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + bytes(70_000)
    async with asyncio.timeout(5), vendor(large, CHUNKED) as to, pool() as connections:
        connection, _ = await connections.ask(to.origin, REQUEST)
        connections.give_back(to.origin, connection)
        assert (await ask(connections, to))[1] == b"Hello world"


async def test_cancelled_request_closes_its_connection() -> None:
    """A caller that stops waiting for the head closes the connection."""
    async with vendor(silence) as to, pool() as connections:
        asking = asyncio.create_task(connections.ask(to.origin, REQUEST))
        await to.asked.wait()
        asking.cancel()
        await asyncio.wait({asking})
        await asyncio.wait_for(to.gone.wait(), 1)


async def test_reader_that_is_slow_stops_the_socket() -> None:
    """What is read ahead is bounded, whatever the vendor sends; and nothing of it is lost."""
    size = 20_000_000
    body = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    async with vendor(body) as to, pool() as connections:
        connection, _ = await connections.ask(to.origin, REQUEST)
        first = await connection.read()
        await asyncio.sleep(0.1)  # the vendor writes on, as far as it can
        ahead = await connection.read()
        assert first
        assert ahead
        assert len(ahead) < 1_000_000
        assert len(first) + len(ahead) + len(await read_all(connection)) == size
        connections.give_back(to.origin, connection)


async def test_connecting_has_a_timeout() -> None:
    """A host that takes no connection costs the connect timeout, and no more."""
    with socket.socket() as full, socket.socket() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # one may wait to be accepted; further ones are not answered
        waiting.connect(full.getsockname())
        origin = Origin("127.0.0.1", full.getsockname()[1], is_secure=False)
        async with pool(connect=0.05) as connections:
            with pytest.raises(TimeoutError):
                await connections.ask(origin, REQUEST)


async def test_tls_is_verified(tmp_path: Path) -> None:
    """A certificate that we trust, for the host that we asked, is accepted; any other ends the connection."""
    authority = tmp_path / "authority.pem"
    serving = certified_context("127.0.0.1", 1, authority)
    trusting = ssl.create_default_context(cafile=authority)
    async with vendor(CHUNKED, CHUNKED, tls=serving) as to:
        async with pool(trusted=trusting) as connections:
            assert (await ask(connections, to))[1] == b"Hello world"
        async with pool() as connections:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connections.ask(to.origin, REQUEST)


async def late_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(CHUNKED[:-5])
    await writer.drain()
    await asyncio.sleep(0.05)  # vendors send the end of a body apart from the end mark within it
    writer.write(CHUNKED[-5:])


async def test_answered_connection_waits_for_the_end_of_its_body() -> None:
    """All that is wanted of it has come: the few bytes to its end are worth a moment, and it is kept."""
    async with vendor(late_end, CHUNKED) as to, pool() as connections:
        connection, _ = await connections.ask(to.origin, REQUEST)
        assert await connection.read() == b"Hello world"
        connections.give_back(to.origin, connection, is_answered=True)
        async with asyncio.timeout(5):
            while not connection.is_reusable:  # noqa: ASYNC110 - the kernel does not say when
                await asyncio.sleep(0.01)
        await ask(connections, to)
    assert (to.connections, to.requests) == (1, 2)


async def test_answered_connection_does_not_wait_for_long() -> None:
    """A vendor that holds its socket after the end mark is left."""
    async with vendor(then(CHUNKED[:-5], silence)) as to, pool() as connections:
        connection, _ = await connections.ask(to.origin, REQUEST)
        await connection.read()
        connections.give_back(to.origin, connection, is_answered=True)
        assert not to.gone.is_set()
        await asyncio.wait_for(to.gone.wait(), 2)
