"""How much of the gateway one client may take, and who has to go when the house is full."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass, field
from typing import Protocol

from configuration import Settings

_MOST_FILES = 65_536  # open at once in a process; more is nobody's need, and a hard limit can be a billion

_LEAST_BYTES_PER_SECOND = 64  # that a client has to read of what is written; the slowest modem was faster


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a client may take of us, in seconds, bytes, and connections of one process."""

    head_seconds: float = 10  # from the connection, or from a head's first byte, to the head's end
    body_seconds: float = 30  # from the head's end
    write_seconds: float = 30  # without reading what fills the buffer; SEND_TIMEOUT_SECONDS
    linger_seconds: float = 2  # for an answer to be read whose request has not wholly come
    head_bytes: int = 2**16  # a head of 8 KiB is a large one; other servers take 8 to 64
    headers: int = 100  # a browser behind two proxies sends 30
    connections: int = 11_000


def limit_connections(settings: Settings) -> ConnectionLimits:
    """The limits of a process. Raises its limit of open files as far as it may.

    There may be ten connections for each stream, but no more than half the open files: a chat needs a second one, to
    its vendor, and a connection that is sent away lingers for a moment.
    """
    return ConnectionLimits(
        write_seconds=settings.send_timeout_seconds,
        connections=min(1_000 + 10 * settings.max_streams, _raise_file_limit() // 2),
    )


def _raise_file_limit() -> int:
    soft, hard = (limit if limit != resource.RLIM_INFINITY else _MOST_FILES for limit in _file_limits())
    wanted = min(hard, _MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, _file_limits()[1]))
    return max(soft, wanted)


def _file_limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


class Connection(Protocol):
    """What can be asked to go."""

    def leave_room(self) -> None:
        """Go, in favour of a new connection."""


@dataclass(frozen=True, slots=True)
class Door:
    """A process's connections that wait for their client, the one that waits longest first, and their limits."""

    limits: ConnectionLimits
    waiting: dict[Connection, None] = field(default_factory=dict)

    def make_room(self) -> None:
        """Have the connection go that waits longest. There is always one: a new connection waits."""
        next(iter(self.waiting)).leave_room()


class ReaderDeadline:
    """Aborts a transport whose client does not read what is written: hardly anything in so many seconds."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look after the reader, from now on."""
        if not self._timer:
            self._look_again()

    def stop(self) -> None:
        """It has read, or is gone."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        unread = self._transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._judge, unread)

    def _judge(self, unread: int) -> None:
        if unread - self._transport.get_write_buffer_size() < _LEAST_BYTES_PER_SECOND * self._seconds:
            self._transport.abort()
        else:
            self._look_again()
