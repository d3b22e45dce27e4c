"""The load: many streams at once over plain sockets.

While it runs, it only stores what is received, and when.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import cast

import msgspec

from benchmarks.answers import CHAT, Answer, Wire

_QUESTION = {"role": "user", "content": "Say something now."}
_CHAT = {"messages": [_QUESTION], "stream": True}
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """A request's target: port, path, the body for this wire, and headers, one a line."""

    name: str
    port: int
    path: str
    body: bytes
    headers: tuple[str, ...] = ("Authorization: Bearer benchmark-key",)
    wire: Wire = CHAT

    @classmethod
    def gateway(cls, port: int, provider: str, messages: Sequence[object] = (_QUESTION,)) -> Target:
        """The gateway's native protocol."""
        return cls(
            "gateway",
            port,
            f"/chat/{provider}",
            msgspec.json.encode(_CHAT | {"messages": messages}),
        )

    @classmethod
    def vendor(cls, name: str, port: int, path: str, model: str, **more: object) -> Target:
        """OpenAI's protocol, of the simulator or of a gateway in front of it."""
        return cls(name, port, path, msgspec.json.encode(_CHAT | {"model": model, **more}))

    @classmethod
    def door(cls, port: int, path: str, wire: Wire, **more: object) -> Target:
        """Another protocol of the gateway: its question is one of the fields."""
        return cls(path, port, path, msgspec.json.encode({"stream": True, **more}), wire=wire)

    @property
    def request(self) -> bytes:
        """The whole HTTP request."""
        lines = (
            f"POST {self.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Content-Type: application/json",
            *self.headers,
            f"Content-Length: {len(self.body)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + self.body


class Connection(asyncio.Protocol):
    """One client: sends one request after another, and stores what it receives."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._tail = b""
        self._is_chunked = False
        self.is_open = True
        self.answer = Answer(time.monotonic(), wire=wire)
        self._over: asyncio.Future[None] = self._loop.create_future()
        self.begun: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._settle()

    def data_received(self, data: bytes) -> None:
        self.answer.times.append(time.monotonic())
        self.answer.reads.append(data)
        self._is_chunked = self._is_chunked or b"chunked" in data
        before = self._wire.before_text
        if not self.begun.done() and before in data.replace(before + b'"', b""):
            self.begun.set_result(None)
        self._tail = (
            (self._tail + data)[-len(_LAST_CHUNK) :] if len(data) < len(_LAST_CHUNK) else data[-7:]
        )
        if self._tail == _LAST_CHUNK or (
            not self._is_chunked and _is_all(b"".join(self.answer.reads))
        ):
            self._settle()

    def ask(self, request: bytes) -> asyncio.Future[None]:
        """Send the request. The future completes when its answer has ended in any way."""
        self._over, self.begun = self._loop.create_future(), self._loop.create_future()
        self._tail, self._is_chunked = b"", False
        self.answer = Answer(time.monotonic(), wire=self._wire)
        self._transport.write(request)
        return self._over

    def leave(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _settle(self) -> None:
        for future in (self._over, self.begun):
            if not future.done():
                future.set_result(None)


def _is_all(data: bytes) -> bool:
    """Whether this is a complete answer with a Content-Length, such as an error."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(length) and len(body) >= int(length)


@dataclass(frozen=True, slots=True)
class Result:
    """The answers of a load, its duration, and the CPU seconds that the load itself took."""

    answers: list[Answer]
    seconds: float
    cpu_seconds: float

    @property
    def asked(self) -> int:
        """How many streams were asked for."""
        return len(self.answers)

    @property
    def whole(self) -> int:
        """How many of them ended with their end mark."""
        return sum(answer.has_ended for answer in self.answers)

    @property
    def first_content_ms(self) -> list[float]:
        """From each request to its first content, for those that had any."""
        return [
            delay for answer in self.answers if (delay := answer.first_content_ms()) is not None
        ]

    def count_whole(self, deltas: int) -> int:
        """How many are complete, to the last character, as loads of this many deltas."""
        return sum(answer.is_whole(deltas) for answer in self.answers)


async def run(
    target: Target, streams: int, *, at_once: int, stagger_seconds: float = 0.0
) -> Result:
    """Ask for `streams` streams, each on its own connection, with at most `at_once` open.

    Their starts are spread over the stagger.
    """
    places = asyncio.Semaphore(at_once)
    request = target.request

    async def ask(number: int) -> Answer:
        await asyncio.sleep(stagger_seconds * number / streams)
        async with places:
            connection = await _connect(target)
            await connection.ask(request)
            connection.leave()
            return connection.answer

    with _Accounting() as accounting:
        answers = await asyncio.gather(*(ask(number) for number in range(streams)))
    return Result(answers, accounting.seconds, accounting.cpu_seconds)


async def run_for(target: Target, clients: int, seconds: float) -> Result:
    """Have `clients` clients ask for `seconds` seconds, each again as soon as it has its answer."""
    request, answers = target.request, list[Answer]()

    async def ask_again() -> None:
        connection = await _connect(target)
        while time.monotonic() < accounting.began + seconds:
            if not connection.is_open:
                connection = await _connect(target)
            await connection.ask(request)
            # else it was closed for its age as we asked
            if connection.is_open or connection.answer.reads:
                answers.append(connection.answer)
        connection.leave()

    with _Accounting() as accounting:
        await asyncio.gather(*(ask_again() for _ in range(clients)))
    return Result(answers, accounting.seconds, accounting.cpu_seconds)


@asynccontextmanager
async def held(target: Target, streams: int, at_once: int) -> AsyncIterator[list[Answer]]:
    """This many streams at their first content; they are closed at the end of the block."""
    places = asyncio.Semaphore(at_once)
    request = target.request

    async def begin() -> Connection:
        async with places:
            connection = await _connect(target)
            over = connection.ask(request)
            await connection.begun
            if over.done():
                received = b"".join(connection.answer.reads)[:300]
                raise RuntimeError(f"{target.name}: a stream ended early: {received!r}")
            return connection

    connections = await asyncio.gather(*(begin() for _ in range(streams)))
    try:
        yield [connection.answer for connection in connections]
    finally:
        for connection in connections:
            connection.leave()


async def leave_midway(target: Target, after_seconds: float) -> None:
    """Ask as one client, and disconnect during the stream."""
    connection = await _connect(target)
    with suppress(TimeoutError):
        async with asyncio.timeout(after_seconds):
            await connection.ask(target.request)
    connection.leave()


async def _connect(target: Target) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        partial(Connection, target.wire), "127.0.0.1", target.port
    )
    return connection


class _Accounting:
    """The seconds of a block, and this process's CPU seconds, without garbage collection."""

    def __enter__(self) -> _Accounting:
        gc.collect()
        gc.disable()
        self.began, self._cpu = time.monotonic(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu_seconds = (
            time.monotonic() - self.began,
            time.process_time() - self._cpu,
        )
        gc.enable()
