"""`LimitBroker`: the counters of all workers, in a thread of the supervisor.

Each worker has a socket pair to it, so there is no address to find, to protect or to clean up: the
worker inherits its end, and when it dies the broker sees the end of the stream and gives back what
it held. Messages are lines of JSON.

A worker whose broker does not answer lets chats in, and reports that: a limit that cannot be
checked must not stop the service.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import threading
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from cluster.count_file import kept_counts
from cluster.limit_counters import UNCHECKED, LimitCounters, Standing, Verdict
from cluster.status_board import Status, StatusBoard, WorkerReport
from settings.client_limits import ClientLimits
from telemetry.once_per_minute import OncePerMinute

_ANSWER_SECONDS = 1.0
_CLOSE_SECONDS = 5.0
_LAST_SECONDS = 0.5
# More than the reports of all workers can be: `StatusBoard` keeps a limited number of key uses.
_LINE_BYTES = 2**26

_logger = logging.getLogger("gateway.limits")


class Enter(msgspec.Struct, tag=True):
    """A request of a client. The reply has the same number."""

    number: int
    client: str
    limits: ClientLimits


class Leave(msgspec.Struct, tag=True):
    """The end of a stream."""

    client: str


class Charge(msgspec.Struct, tag=True):
    """What a chat has used."""

    client: str
    tokens: int
    nanodollars: int


class Report(msgspec.Struct, tag=True):
    """How the worker does."""

    report: WorkerReport


class ReadStatus(msgspec.Struct, tag=True):
    """A request for the reports of all workers. The reply has the same number."""

    number: int


class Look(msgspec.Struct, tag=True):
    """A request for the standings of a client. The reply has the same number."""

    number: int
    client: str
    limits: ClientLimits


class Reply(NamedTuple):
    """The answer to `Enter`, `Look` or `ReadStatus`."""

    number: int
    verdict: Verdict = UNCHECKED
    status: Status | None = None


_Message = Enter | Leave | Charge | Report | ReadStatus | Look
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_reply = msgspec.json.Decoder(Reply).decode
_encode = msgspec.json.Encoder().encode


class LimitBroker:
    """Counts for the workers of one supervisor, until it is closed."""

    def __init__(self, counters: LimitCounters, file: Path | None = None) -> None:
        """Goes on with the counts of the file, if there is one, and keeps them there."""
        self._counters = counters
        self._board = StatusBoard()
        self._loop = asyncio.new_event_loop()
        self._numbers = itertools.count()
        self._serving: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="limits", daemon=True)
        self._thread.start()
        self._kept = AsyncExitStack()
        opening = self._kept.enter_async_context(kept_counts(counters, file))
        asyncio.run_coroutine_threadsafe(opening, self._loop).result()

    def connect(self) -> socket.socket:
        """A worker's end of a new connection. It is closed here as soon as the worker has it."""
        ours, theirs = socket.socketpair()

        def serve() -> None:
            serving = self._loop.create_task(self._serve(ours, theirs))
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)

        self._loop.call_soon_threadsafe(serve)
        return theirs

    def close(self) -> None:
        """End all connections, and the thread."""
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        ending.result(_CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        self._loop.close()

    async def _end(self) -> None:
        if self._serving:  # workers that have ended may have sent their last charges
            await asyncio.wait(self._serving, timeout=_LAST_SECONDS)
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._kept.aclose()

    async def _serve(self, ours: socket.socket, theirs: socket.socket) -> None:
        worker = next(self._numbers)
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_LINE_BYTES)
        try:
            while line := await reader.readline():
                theirs.close()  # the worker has a copy: else its end would not be noticed
                for reply in self._handle(line, worker):
                    writer.write(_encode(reply) + b"\n")
        except Exception:
            _logger.exception("a worker's connection to the limits has failed")
        finally:
            self._counters.drop_worker(worker)
            self._board.drop_worker(worker)
            theirs.close()
            writer.close()

    def _handle(self, line: bytes, worker: int) -> list[Reply]:
        if not line.strip():
            return []  # the greeting
        match _decode_message(line):
            case Enter(number, client, limits):
                return [Reply(number, self._counters.enter(client, limits, worker))]
            case Leave(client):
                self._counters.leave(client, worker)
            case Charge(client, tokens, nanodollars):
                self._counters.charge(client, tokens, nanodollars)
            case Report(report):
                self._board.post(report, worker)
            case ReadStatus(number):
                return [Reply(number, status=self._board.read())]
            case Look(number, client, limits):
                standings = self._counters.look(client, limits)
                return [Reply(number, Verdict(standings=standings, is_counted=False))]
        return []


class RemoteLimiter:
    """The limiter of a worker, which asks its broker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._late: dict[int, str] = {}  # clients for whose reply no chat waits any more
        self._is_lost = False
        self._problems = OncePerMinute()
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, end: socket.socket) -> RemoteLimiter:
        """The limiter that asks by this socket."""
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=_LINE_BYTES)
        writer.write(b"\n")
        return cls(reader, writer)

    async def enter(self, client: str, limits: ClientLimits) -> Verdict:
        """Count a request and take a stream, unless a limit refuses it."""
        number = next(self._numbers)
        waiting = self._expect(number)
        self._send(Enter(number, client, limits))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return (await waiting).verdict
        except OSError as error:
            if not self._is_lost:
                self._late[number] = client
            if self._problems.allows("broker"):
                context = {"error": type(error).__name__}
                _logger.error("LIMITS ARE NOT CHECKED", extra={"context": context})  # noqa: TRY400
            return UNCHECKED
        except asyncio.CancelledError:  # the client is gone
            if waiting.cancelled():
                self._late[number] = client
            elif not waiting.exception() and waiting.result().verdict.refused_by is None:
                self.leave(client)
            raise
        finally:
            del self._waiting[number]

    def leave(self, client: str) -> None:
        """Give back a stream."""
        self._send(Leave(client))

    def charge(self, client: str, tokens: int, nanodollars: int) -> None:
        """Count what a chat has used."""
        self._send(Charge(client, tokens, nanodollars))

    def report(self, report: WorkerReport) -> None:
        """Show the other workers how this one does."""
        self._send(Report(report))

    async def read_status(self) -> Status:
        """What all workers have reported. Raises OSError."""
        reply = await self._ask(ReadStatus(next(self._numbers)))
        return reply.status or Status((), {})

    async def look(self, client: str, limits: ClientLimits) -> tuple[Standing, ...]:
        """How a client stands with its limits. Counts nothing. Raises OSError."""
        reply = await self._ask(Look(next(self._numbers), client, limits))
        return reply.verdict.standings

    async def aclose(self) -> None:
        """Send what has not been sent, and close the connection."""
        self._reading.cancel()
        self._writer.close()
        with suppress(OSError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._writer.wait_closed()

    def _expect(self, number: int) -> asyncio.Future[Reply]:
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        if self._is_lost:
            waiting.set_exception(ConnectionError("the limits are gone"))
        return waiting

    async def _ask(self, message: ReadStatus | Look) -> Reply:
        waiting = self._expect(message.number)
        self._send(message)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await waiting
        finally:
            del self._waiting[message.number]

    def _send(self, message: _Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(_encode(message) + b"\n")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                reply = _decode_reply(line)
                if (waiting := self._waiting.get(reply.number)) and not waiting.done():
                    waiting.set_result(reply)
                elif (
                    client := self._late.pop(reply.number, None)
                ) and reply.verdict.refused_by is None:
                    self.leave(client)
            _logger.error("the connection to the limits is lost")
        except Exception:
            _logger.exception("the connection to the limits is lost")
        finally:  # nothing waits for a reply, now or later
            self._is_lost = True
            self._late.clear()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError("the limits are gone"))
