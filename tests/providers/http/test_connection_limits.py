"""What a vendor may send beside a body, and in one that is read as a whole: all of it has a limit."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
from httpx_aiohttp import HttpxAiohttpClient
from httpx_aiohttp.httpx2 import Httpx2AiohttpClient

from models import GatewayError
from providers.http.client import make_http_client
from tests.providers.http.test_connection import (
    CHUNKED,
    REQUEST,
    ask,
    byte_by_byte,
    close,
    pool,
    then,
    vendor,
)
from tests.vendors.scripted_provider import make_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

OK = b"HTTP/1.1 200 OK\r\n"
GZIP = gzip.compress(bytes(10_000_000))
LIBRARIES = pytest.mark.parametrize(
    ("library", "aiohttp_client"),
    [(httpx, HttpxAiohttpClient), (httpx2, Httpx2AiohttpClient)],
    ids=["httpx", "httpx2"],
)
TRANSPORTS = pytest.mark.parametrize("transport", ["own", "aiohttp"])


async def endless(piece: bytes, writer: asyncio.StreamWriter) -> None:
    for _ in range(40_000):
        writer.write(piece)
        await writer.drain()


def repeat(beginning: bytes, piece: bytes) -> Any:
    """An answer that begins well and then repeats a piece until the connection is closed."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await endless(piece * (4_096 // len(piece) + 1), writer)

    return answer


BODY = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        repeat(OK, b"X: y\r\n"),
        repeat(OK + b"X: ", b"y"),
        repeat(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        repeat(b"", b"HTTP/1.1 103 Early Hints\n\n"),
        repeat(b"HTTP/1.1 200 OK\n", b"X : y\n"),
        OK
        + b"".join(b"X-%d: y\r\n" % number for number in range(600))
        + b"Content-Length: 0\r\n\r\n",
        OK + b"X: " + b"y" * 80_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        repeat(BODY + b"0\r\n", b"X: y\r\n"),
        repeat(BODY + b"0\r\nX: ", b"y"),
        repeat(BODY + b"6;a=", b"b"),
    ],
    ids=[
        "headers",
        "one header",
        "1xx",
        "1xx with line feeds alone",
        "odd headers",
        "many headers",
        "a long header and its body",
        "trailers",
        "one trailer",
        "a chunk's extension",
    ],
)
async def test_all_that_is_beside_a_body_has_a_limit(answer: Any) -> None:
    """An endless head, trailer or chunk extension ends the connection after some kilobytes, however it is read."""
    async with asyncio.timeout(10), vendor(answer) as to, pool() as connections:
        with pytest.raises(GatewayError) as raised:
            await ask(connections, to)
        assert (raised.value.code, raised.value.reason) == ("upstream_bad_response", "protocol")
        await to.gone.wait()


async def test_unread_stream_takes_no_endless_trailers() -> None:
    """Nor does their limit depend on a reader: a client that reads nothing has the same."""
    async with (
        asyncio.timeout(10),
        vendor(repeat(BODY + b"0\r\n", b"X: y\r\n")) as to,
        pool() as connections,
    ):
        connection, _ = await connections.ask(to.origin, REQUEST)
        await to.gone.wait()
        assert await connection.read() == b"Hello"
        with pytest.raises(GatewayError):
            await connection.read()


async def test_trailers_are_dropped() -> None:
    """A trailer is no header, whatever its name."""
    answer = BODY + b"0\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\n\r\n"
    async with vendor(answer) as to, pool() as connections:
        head, body = await ask(connections, to)
    assert (head.headers, body) == ([(b"Transfer-Encoding", b"chunked")], b"Hello")


async def test_chunk_lines_sent_apart_from_their_chunks_add_up_to_no_limit() -> None:
    """The limit is for what comes in a row: a long stream of small chunks is none of it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(30):
            for piece in (b"1;" + b"e" * 4_000, b"\r\na", b"\r\n"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)
        writer.write(b"0\r\n\r\n")

    async with asyncio.timeout(10), vendor(answer) as to, pool() as connections:
        assert (await ask(connections, to))[1] == b"a" * 30


ODD_HEADS = [
    OK + b"Content-Length: 999\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 5\n\nHello",
    b"HTTP/1.1 103 Early Hints\nLink: </x>\n\nHTTP/1.1 200 OK\nContent-Length: 5\n\nHello",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 5\r\n\r\nHello",
    OK + b"X-Odd : 1\r\nContent-Length: 5\r\n\r\nHello",
    OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nHello",
    OK + b"Content-Length: 5, 5\r\n\r\nHello",
    OK + b"no header\r\nContent-Length: 5\r\n\r\nHello",
]


@pytest.mark.parametrize("cut", [False, True], ids=["at once", "a byte a write"])
@pytest.mark.parametrize("answer", ODD_HEADS)
async def test_odd_head_that_can_be_read_is_the_answer(answer: bytes, cut: bool) -> None:
    """The body is found as the rules say; what follows on such a connection is not trusted: it is not used again."""
    sent = byte_by_byte(answer) if cut else answer
    async with asyncio.timeout(10), vendor(sent, CHUNKED) as to, pool() as connections:
        head, body = await ask(connections, to)
        await ask(connections, to)
    assert (head.status, body, to.connections) == (200, b"Hello", 2)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"Content-Encoding: gzip", "compressed"),
        (b"content-encoding: identity, br", "compressed"),
        (b"Content-Encoding: Zstd ", "compressed"),
        (b"Content-Encoding: unheard-of", "compressed"),
        (b"Transfer-Encoding: gzip, chunked", "compressed"),
        (b"Transfer-Encoding: gzip", "compressed"),
        (b"Content-Encoding: identity ", None),
        (b"Content-Encoding: Identity", None),
        (b"Content-Encoding:", None),
        (b"Content-Encoding: utf-8", None),
        (b"Content-Encoding: none", None),
        (b"Transfer-Encoding: identity", None),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 503])
async def test_compressed_body_is_refused_whatever_its_status(
    status: int, header: bytes, reason: str | None
) -> None:
    """By its head, before a byte of it is unpacked; what names no compression is read as it is."""
    answer = b"HTTP/1.1 %d OK\r\n%b\r\nConnection: close\r\n\r\nHello" % (status, header)
    async with asyncio.timeout(10), vendor(then(answer, close)) as to, pool() as connections:
        if reason is None:
            assert (await ask(connections, to))[1] == b"Hello"
            return
        with pytest.raises(GatewayError) as raised:
            await ask(connections, to)
    assert (raised.value.code, raised.value.reason) == ("upstream_bad_response", reason)
    assert raised.value.detail == {"vendor_status": status}


@asynccontextmanager
async def client_of(library: ModuleType, aiohttp_client: Any, transport: str) -> AsyncIterator[Any]:
    client = make_http_client(library, aiohttp_client, make_settings(transport=transport))
    try:
        yield client
    finally:
        await client.aclose()


@TRANSPORTS
@LIBRARIES
async def test_error_body_is_read_to_its_limit(
    library: ModuleType, aiohttp_client: Any, transport: str
) -> None:
    """What an error says stands at its beginning: the rest is not waited for, and its connection is closed."""
    error = b"HTTP/1.1 500 No\r\nContent-Length: 300000000\r\n\r\n"
    async with (
        asyncio.timeout(10),
        vendor(repeat(error, b"x")) as to,
        client_of(library, aiohttp_client, transport) as client,
    ):
        answer = await client.post(f"http://127.0.0.1:{to.origin.port}/", content=b"{}")
        assert (answer.status_code, len(answer.content)) == (500, 65_536)
        await to.gone.wait()


@TRANSPORTS
@LIBRARIES
async def test_compressed_error_is_never_unpacked(
    library: ModuleType, aiohttp_client: Any, transport: str
) -> None:
    """A few kilobytes that would unpack to ten megabytes are refused in every transport."""
    error = b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(GZIP)
    async with (
        asyncio.timeout(10),
        vendor(error + GZIP) as to,
        client_of(library, aiohttp_client, transport) as client,
    ):
        with pytest.raises(GatewayError) as raised:
            await client.post(f"http://127.0.0.1:{to.origin.port}/", content=b"{}")
    assert raised.value.reason == "compressed"


@LIBRARIES
async def test_answer_read_as_a_whole_has_a_limit(library: ModuleType, aiohttp_client: Any) -> None:
    """A list of models, say: half of one would be misread, so it is refused."""
    large = OK + b"Content-Length: 300000000\r\n\r\n"
    async with (
        asyncio.timeout(20),
        vendor(repeat(large, b"x")) as to,
        client_of(library, aiohttp_client, "own") as client,
    ):
        with pytest.raises(GatewayError) as raised:
            await client.get(f"http://127.0.0.1:{to.origin.port}/")
        await to.gone.wait()
    assert (raised.value.code, raised.value.reason) == ("upstream_bad_response", "too_long")
