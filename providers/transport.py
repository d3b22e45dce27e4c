"""The gateway's own transport under an SDK's client, in the classes of the `httpx` or `httpx2` that it is built on.

aiohttp, the SDKs' official fast transport, costs twice as much a read. `UPSTREAM_TRANSPORT=aiohttp` goes back to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

from providers.connection import Connection, Origin, Pool


def make_transport(httpx: ModuleType, pool: Pool) -> Any:
    """A transport over the pool, which it closes.

    In a response's `extensions`: `read` gives its body's next chunk, `answered` says that no more is wanted of it.
    """

    class Body(httpx.AsyncByteStream):  # type: ignore[name-defined, misc]
        def __init__(self, origin: Origin, connection: Connection) -> None:
            self._origin, self._connection = origin, connection
            self._is_answered = False

        def set_answered(self) -> None:
            self._is_answered = True

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while chunk := await self._connection.read():
                yield chunk

        async def aclose(self) -> None:
            pool.give_back(self._origin, self._connection, is_answered=self._is_answered)

    class Transport(httpx.AsyncBaseTransport):  # type: ignore[name-defined, misc]
        async def handle_async_request(self, request: Any) -> Any:
            origin = _origin(request.url)
            connection, head = await pool.ask(origin, _encode(request, await request.aread()))
            body = Body(origin, connection)
            return httpx.Response(
                head.status,
                headers=head.headers,
                stream=body,
                extensions={"read": connection.read, "answered": body.set_answered},
            )

        async def aclose(self) -> None:
            pool.close()

    return Transport()


def _origin(url: Any) -> Origin:
    is_secure = url.scheme == "https"
    return Origin(url.raw_host.decode("ascii"), url.port or (443 if is_secure else 80), is_secure)


def _encode(request: Any, body: bytes) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
