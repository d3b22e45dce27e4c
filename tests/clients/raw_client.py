"""A client that writes what it likes: raw bytes over a real socket, to the gateway as it is served in production."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec

import uvloop

from server.connection_limits import ConnectionLimits
from server.http_protocol import HttpProtocol
from server.shared_connections import SharedConnections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from tests.gateways.loopback import RunningGateway

P = ParamSpec("P")

CHAT = b'{"messages":[{"role":"user","content":"Hello?"}]}'
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PATIENCE_SECONDS = 20  # for what must come; longer than any test waits for what it expects


def on_uvloop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on the loop that serves in production: its sockets have ways of their own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def ask(method: str, path: bytes | str, *headers: str, body: bytes = b"") -> bytes:
    """A request's bytes. It has a Host, and a Content-Length if it has a body."""
    target = path.encode() if isinstance(path, str) else path
    lines = ["Host: localhost", *headers, *([f"Content-Length: {len(body)}"] if body else [])]
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (
        method.encode(),
        target,
        "\r\n".join(lines).encode("latin-1"),
        body,
    )


def ask_chat(body: bytes = CHAT, *headers: str, path: str = "/chat/gpt") -> bytes:
    """A chat's bytes."""
    return ask("POST", path, "Content-Type: application/json", *headers, body=body)


@dataclass(frozen=True)
class Answer:
    """A response; `headers` by lower-case name, the last one of two."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error, in the gateway's format."""
        error: dict[str, Any] = json.loads(self.body)["error"]
        assert error["status"] == self.status
        return error


@dataclass(frozen=True)
class RawClient:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Write bytes, and wait until they have gone out."""
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, data: bytes) -> Answer:
        """Write bytes and read one response."""
        await self.send(data)
        return await self.read_answer(has_body=not data.startswith(b"HEAD "))

    async def read_answer(self, *, has_body: bool = True) -> Answer:
        """Read one response to its end."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            status, *lines = (
                (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            )
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
            }
            body = await self._read_body(headers) if has_body else b""
        return Answer(int(status.split()[1]), headers, body)

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def read_to_end(self) -> bytes:
        """All that comes until the server ends the connection, in order or by a reset."""
        got = b""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            try:
                while data := await self.reader.read(65_536):
                    got += data
            except ConnectionError:
                pass  # a reset is an end too
        return got

    def reset(self) -> None:
        """End the connection by a reset, not in order."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def open_socket(gateway: RunningGateway, receive_buffer: int | None = None) -> socket.socket:
    """A connection as a bare socket, which reads nothing on its own; a small receive buffer is in bytes."""
    raw = socket.socket()
    raw.setblocking(False)
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(raw, (gateway.host, gateway.port))
    return raw


@asynccontextmanager
async def connect(gateway: RunningGateway) -> AsyncIterator[RawClient]:
    """A connection, closed at the end."""
    reader, writer = await asyncio.open_connection(sock=await open_socket(gateway))
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


def limit(gateway: RunningGateway, **limits: Any) -> SharedConnections:
    """Give the connections that come from now on these limits; the rest of them is as in production."""
    connections = SharedConnections(ConnectionLimits(**limits))
    gateway.server.config.http_protocol_class = partial(HttpProtocol, connections)  # type: ignore[assignment]
    return connections
