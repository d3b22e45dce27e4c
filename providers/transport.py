"""The gateway's own connections under an SDK's client, in the classes of the `httpx` or `httpx2` that it is built on.

aiohttp, the SDKs' official fast transport, costs twice as much a read. `UPSTREAM_TRANSPORT=aiohttp` goes back to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

from providers.connection import Connection
from providers.pool import Origin, Pool

_ENCODING = "iso-8859-1"  # reads any byte: the libraries would try others on all headers first
_OWN_NAMES = frozenset({b"host", b"content-length", b"transfer-encoding"})  # given by a caller, they replace ours
_Pairs = list[tuple[bytes, bytes]]


def make_client(httpx: ModuleType, pool: Pool, **options: Any) -> Any:
    """An `AsyncClient` over the pool, which it closes.

    A request with a body of bytes, as each chat is, becomes the same bytes as in the library at a fifth of its cost;
    anything else is built as the library does. A request is sent without what is of no use here: redirects, cookies,
    hooks, authentication of its own; with options it is sent as the library does.
    """
    transport = make_transport(httpx, pool)
    parse = lru_cache(maxsize=32)(httpx.URL)

    class Client(httpx.AsyncClient):  # type: ignore[name-defined, misc]
        def build_request(
            self, method: str, url: Any, *, content: Any = None, headers: Any = None, timeout: Any = None, **rest: Any
        ) -> Any:
            given = _pairs(headers)
            names = {name.lower() for name, _ in given}
            target = parse(url) if isinstance(url, str) else url
            is_plain = isinstance(content, bytes) and content and target.host and _OWN_NAMES.isdisjoint(names)
            if not is_plain or any(rest.values()):
                return super().build_request(method, url, content=content, headers=headers, timeout=timeout, **rest)
            defaults = [pair for pair in self.headers.raw if pair[0].lower() not in names]
            pairs = [(b"Host", target.netloc), *defaults, *given, (b"Content-Length", b"%d" % len(content))]
            request = httpx.Request(method, target, headers=pairs, stream=httpx.ByteStream(content))
            request.headers.encoding = _ENCODING
            return request

        async def send(self, request: Any, *, stream: bool = False, **rest: Any) -> Any:
            if rest or self.is_closed:
                return await super().send(request, stream=stream, **rest)
            response = await transport.handle_async_request(request)
            response.request = request
            if not stream:
                await _read(response)
            return response

    return Client(transport=transport, **options)


def make_transport(httpx: ModuleType, pool: Pool) -> Any:
    """A transport over the pool, which it closes. A request's body is let go as it is sent.

    In a response's `extensions`: `read` gives its body's next chunk, `answered` says that no more is wanted of it.
    """

    class Body(_Body, httpx.AsyncByteStream):  # type: ignore[name-defined, misc]
        """The libraries read no stream but their own."""

    nothing = httpx.ByteStream(b"")

    class Transport(httpx.AsyncBaseTransport):  # type: ignore[name-defined, misc]
        async def handle_async_request(self, request: Any) -> Any:
            origin = _origin(request.url)
            encoded = await _encode(request)
            request.stream = nothing
            connection, head = await pool.ask(origin, encoded)
            body = Body(pool, origin, connection)
            response = httpx.Response(
                head.status,
                headers=head.headers,
                stream=body,
                extensions={"read": connection.read, "answered": body.set_answered},
            )
            response.headers.encoding = _ENCODING
            return response

        async def aclose(self) -> None:
            pool.close()

    return Transport()


class _Body:
    """An answer's body as it comes, and its connection until it is closed."""

    def __init__(self, pool: Pool, origin: Origin, connection: Connection) -> None:
        self._pool, self._origin, self._connection = pool, origin, connection
        self._is_answered = False

    def set_answered(self) -> None:
        """Nothing more is wanted of it."""
        self._is_answered = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._connection.read():
                yield chunk
        except BaseException:
            await self.aclose()  # httpx, unlike httpx2, leaves it open where reading is cancelled
            raise

    async def aclose(self) -> None:
        """Give the connection back."""
        self._pool.give_back(self._origin, self._connection, is_answered=self._is_answered)


def _pairs(headers: Any) -> _Pairs:
    """Headers as they go out, of the kinds that the SDKs give: their library's own, a mapping of text, pairs of it."""
    if hasattr(headers, "raw"):
        return list(headers.raw)
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in pairs]


def _origin(url: Any) -> Origin:
    is_secure = url.scheme == "https"
    return Origin(url.raw_host.decode("ascii"), url.port or (443 if is_secure else 80), is_secure)


async def _encode(request: Any) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += map(b": ".join, request.headers.raw)
    return b"\r\n".join([*lines, b"", b""]) + b"".join([part async for part in request.stream])


async def _read(response: Any) -> None:
    try:
        await response.aread()
    except BaseException:
        await response.aclose()
        raise
