"""The limits of a client: its timeouts, the sizes of what it sends, and its connections."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from configuration import Settings

_MAX_OPEN_FILES = 65_536  # in a process; a hard limit can be a billion


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Timeouts in seconds, sizes in bytes, and numbers of connections to one process."""

    head_seconds: float = 10  # from the connect, or from a head's first byte, to the head's end
    body_seconds: float = 30  # from the head's end
    write_seconds: float = 30  # with a full write buffer and no read; SEND_TIMEOUT_SECONDS
    linger_seconds: float = 2  # to read a response that was sent before its request was complete
    response_seconds: float = 120  # to read it all, from a full write buffer or its end
    head_bytes: int = 2**16  # other servers accept 8 to 64 KiB; a browser's is rarely over 8
    target_bytes: int = 2**13  # path and query; the gateway's own are far shorter
    headers: int = 100  # a browser behind two proxies sends 30
    connections: int = 11_000
    connections_per_address: int = 2_750


def limit_connections(settings: Settings) -> ConnectionLimits:
    """The limits of this process. Raises the process's limit of open files as far as permitted.

    The connection limit is ten for each stream, but at most half of the open files: each chat needs
    a second connection, to its vendor, and a rejected connection stays open for a moment.
    """
    soft, hard = (
        limit if limit != resource.RLIM_INFINITY else _MAX_OPEN_FILES for limit in _file_limits()
    )
    wanted = min(hard, _MAX_OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, _file_limits()[1]))
    connections = min(1_000 + 10 * settings.max_streams, max(soft, wanted) // 2)
    return ConnectionLimits(
        write_seconds=settings.send_timeout_seconds,
        connections=connections,
        connections_per_address=settings.max_connections_per_address or max(1, connections // 4),
    )


def _file_limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)
