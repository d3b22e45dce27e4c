"""The client that the SDKs are given: its fast path sends what the library would, and keeps nothing of it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import GatewayError
from providers.http.pool import Pool
from providers.http.transport import make_client
from tests.providers.http.test_connection import vendor as vendor_connections
from tests.providers.test_provider_requests import EVERY_VENDOR, STREAMS, open_provider
from tests.vendors.loopback_vendor import LoopbackVendor, open_vendor, response
from tests.vendors.scripted_provider import collect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

OPTIONS: dict[str, Any] = {"trust_env": False, "headers": {"Accept-Encoding": "identity"}}
EVERY_LIBRARY = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])

NAMES = st.sampled_from(
    [
        "Accept",
        "accept",
        "Accept-Encoding",
        "user-agent",
        "X-Request-ID",
        "Content-Type",
        "Host",
        "content-length",
    ]
)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
URLS = st.sampled_from(
    [
        "https://api.example.com/v1/chat/completions",
        "http://127.0.0.1:8123/v1/messages?beta=true",
        "HTTPS://Bücher.example:443/v1/models/a b:stream?alt=sse#part",
        "http://[::1]:99",
    ]
)


def make(library: ModuleType) -> Any:
    """The client, over a pool that is asked nothing until a request is sent."""
    pool = Pool(
        connect_seconds=5, keep_alive_seconds=5, context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    return make_client(library, pool, **OPTIONS)


def make_theirs(library: ModuleType) -> Any:
    """The library's own client with the same options."""
    return library.AsyncClient(transport=library.AsyncBaseTransport(), **OPTIONS)


@asynccontextmanager
async def opened(library: ModuleType, vendor: LoopbackVendor) -> AsyncIterator[tuple[Any, Any]]:
    """The client, and a request to the vendor."""
    client = make(library)
    try:
        yield client, client.build_request("POST", f"{vendor.url}/v1/chat", content=b"the prompt")
    finally:
        await client.aclose()


@EVERY_LIBRARY
@given(
    method=st.sampled_from(["POST", "post", "GET"]),
    url=URLS,
    pairs=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    kind=st.sampled_from(["pairs", "mapping", "library"]),
    content=st.one_of(st.none(), st.text(max_size=4), st.binary(max_size=8)),
    parsed=st.booleans(),
)
async def test_request_is_what_the_library_builds(
    library: ModuleType,
    method: str,
    url: str,
    pairs: list[tuple[str, str]],
    kind: str,
    content: Any,
    parsed: bool,
) -> None:
    """Method, target, every header in its place and as it is written, body: to the byte."""
    headers = {"pairs": pairs, "mapping": dict(pairs), "library": library.Headers(pairs)}[kind]
    target = library.URL(url) if parsed else url
    sent: list[Any] = []
    for client in (make(library), make_theirs(library)):
        request = client.build_request(
            method, target, headers=headers, content=content, files=None, params=None
        )
        sent.append((request.method, request.url, request.headers.raw, await request.aread()))
    assert sent[0] == sent[1]


@EVERY_LIBRARY
async def test_what_no_chat_has_is_sent_as_the_library_does(library: ModuleType) -> None:
    """A query, JSON or an extension: the fast path leaves them to the library."""
    for rest in (
        {"json": {"a": "b"}},
        {"content": b"x", "params": {"a": "b"}},
        {"content": b"x", "cookies": {"a": "b"}},
        {"content": b"x", "extensions": {"a": "b"}},
    ):
        theirs = make_theirs(library).build_request("POST", "http://127.0.0.1/v1", **rest)
        ours = make(library).build_request("POST", "http://127.0.0.1/v1", **rest)
        assert (ours.url, ours.headers.raw, ours.content) == (
            theirs.url,
            theirs.headers.raw,
            theirs.content,
        )
        assert ours.extensions.get("a") == theirs.extensions.get("a")


@EVERY_LIBRARY
async def test_open_answer_does_not_keep_the_prompt(library: ModuleType) -> None:
    """What was sent is needed no more once the head is there; a stream may last ten minutes."""
    async with (
        open_vendor(response(b"data: 1\n\n")) as vendor,
        opened(library, vendor) as (client, request),
    ):
        answer = await client.send(request, stream=True)
        assert vendor.requests[0].body == b"the prompt"
        assert answer.request is request
        assert await request.aread() == b""
        await answer.aclose()


@EVERY_LIBRARY
async def test_connection_is_given_back_once(library: ModuleType) -> None:
    """Also if the body was complete when it turned out too long: two requests must never share a connection."""
    size = 8 * 2**20 + 1
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with vendor_connections(large) as vendor:
        pool = Pool(connect_seconds=5, keep_alive_seconds=5, context=None)
        client = make_client(library, pool, **OPTIONS)
        with pytest.raises(GatewayError, match="upstream_bad_response"):
            await client.post(f"http://127.0.0.1:{vendor.origin.port}/", content=b"the prompt")
        assert [len(idle) for idle in pool._idle.values()] == [1]
        await client.aclose()


@EVERY_LIBRARY
async def test_closed_answer_stays_closed(library: ModuleType) -> None:
    """To mark it as answered afterwards does not give its connection back a second time."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with vendor_connections(whole) as vendor:
        pool = Pool(connect_seconds=5, keep_alive_seconds=5, context=None)
        client = make_client(library, pool, **OPTIONS)
        url = f"http://127.0.0.1:{vendor.origin.port}/"
        request = client.build_request("POST", url, content=b"the prompt")
        answer = await client.send(request, stream=True)
        assert await answer.aread() == b"ok"
        await answer.stream.aclose()
        answer.extensions["answered"]()
        await answer.stream.aclose()
        assert [len(idle) for idle in pool._idle.values()] == [1]
        await client.aclose()


@EVERY_LIBRARY
async def test_whole_answer_is_read(library: ModuleType) -> None:
    """Not asked for as a stream, an answer has its content, as the SDKs' health calls need it."""
    async with open_vendor(response(b"{}")) as vendor, opened(library, vendor) as (client, request):
        answer = await client.send(request)
        assert (answer.content, answer.is_closed) == (b"{}", True)


@EVERY_LIBRARY
async def test_answer_that_cannot_be_read_is_closed(library: ModuleType) -> None:
    """The failure is raised as it came, and the vendor's connection does not stay open."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with vendor_connections(head + b"no chunk") as vendor:
        client = make(library)
        request = client.build_request(
            "POST", f"http://127.0.0.1:{vendor.origin.port}/v1", content=b"the prompt"
        )
        with pytest.raises(GatewayError):
            await client.send(request)
        async with asyncio.timeout(5):
            await vendor.gone.wait()
        await client.aclose()


@EVERY_LIBRARY
async def test_header_in_another_encoding_is_read(library: ModuleType) -> None:
    """One byte that is no ASCII in one header makes none of the others unreadable."""
    reply = response(b"", x_note="caf\xe9").decode().encode("latin-1")
    async with open_vendor(reply) as vendor, opened(library, vendor) as (client, request):
        answer = await client.send(request, stream=True)
        assert answer.headers.get("content-type") == "text/event-stream"
        assert answer.headers.get("x-note") == "café"
        await answer.aclose()


@EVERY_LIBRARY
async def test_closed_client_sends_no_request(library: ModuleType) -> None:
    """A connection that is opened after the close would never be closed."""
    async with open_vendor(response(b"")) as vendor:
        async with opened(library, vendor) as (client, request):
            pass
        with pytest.raises(RuntimeError, match="closed"):
            await client.send(request)
    assert vendor.requests == []


@EVERY_VENDOR
async def test_cookie_of_one_chat_is_not_sent_with_the_next(name: str) -> None:
    """A vendor cannot connect chats by a cookie."""
    reply = response(STREAMS[name], set_cookie="session=1; Path=/")
    async with open_vendor(reply) as vendor, open_provider(name, vendor) as provider:
        for _ in range(2):
            await collect(provider)
    assert [request.header("cookie") for request in vendor.requests] == [[], []]


class StallingVendor(LoopbackVendor):
    """Answers with an error of which half the body comes; `closed` is set when its client has left."""

    def __init__(self) -> None:
        super().__init__()
        self.answered, self.closed = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b'HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"err'
        )
        self.answered.set()
        with suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        self.closed.set()
        writer.close()


@EVERY_VENDOR
async def test_leaving_in_the_midst_of_an_error_closes_the_connection(name: str) -> None:
    """The SDKs read an error's body to its end; if that is given up, nothing stays open."""
    vendor = StallingVendor()
    async with await asyncio.start_server(vendor.serve, "127.0.0.1", 0) as server:
        vendor.port = server.sockets[0].getsockname()[1]
        async with open_provider(name, vendor) as provider:
            chat = asyncio.create_task(collect(provider))
            await vendor.answered.wait()
            await asyncio.wait(
                {chat}, timeout=0.2
            )  # until the SDK is reading what comes of the body
            chat.cancel()
            await asyncio.wait({chat})
            async with asyncio.timeout(1):
                await vendor.closed.wait()
