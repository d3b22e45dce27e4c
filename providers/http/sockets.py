"""Socket operations of a connection that the event loop's transport does not offer."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import math
import os
import select
import socket
import struct
import termios
from contextlib import suppress

from aiohappyeyeballs import start_connection

from models import GatewayError

_RACE_SECONDS = 0.25  # before a host's next address is tried in parallel (RFC 8305)
LEAST_UNACKNOWLEDGED_SECONDS = 1.0  # with less, one lost packet would end a connection
_TCP_INFO = struct.Struct("8B13I")  # the beginning of Linux's struct tcp_info
_UNACKNOWLEDGED, _LAST_ACK_RECEIVED = 12, 20  # packets; milliseconds ago
_NO_ANSWER = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


async def open_socket(host: str, port: int, *, unacknowledged_seconds: float) -> socket.socket:
    """Connect to the first of the host's addresses that answers. Raises OSError.

    The kernel closes an idle connection whose peer is gone: if three probes within about
    `unacknowledged_seconds` are not answered.
    """
    addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    opened = await start_connection(addresses, happy_eyeballs_delay=_RACE_SECONDS)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {
        "TCP_KEEPIDLE": max(1, math.floor(0.4 * unacknowledged_seconds)),
        "TCP_KEEPINTVL": max(1, math.floor(0.2 * unacknowledged_seconds)),
        "TCP_KEEPCNT": 3,
    }
    for name, value in options.items():
        if hasattr(socket, name):  # Linux has them all
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened


def count_unacknowledged_seconds(transport: asyncio.Transport) -> float:
    """The seconds since the peer's last acknowledgement.

    0 if all data is acknowledged, or if the system does not say. TCP_USER_TIMEOUT would watch the
    same, but also end a connection whose peer acknowledges with a full receive window, such as a
    busy server.
    """
    descriptor = transport.get_extra_info("socket").fileno()
    if descriptor < 0 or not hasattr(socket, "TCP_INFO"):
        return 0
    with socket.socket(fileno=os.dup(descriptor)) as same:
        info = _TCP_INFO.unpack(
            same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        )
    return info[_LAST_ACK_RECEIVED] / 1000 if info[_UNACKNOWLEDGED] else 0


def unacknowledged(**detail: str) -> GatewayError:
    """The error for a network path that drops all packets."""
    return GatewayError("upstream_timeout", reason="unacknowledged", detail=dict(detail))


def explain_loss(error: Exception) -> Exception:
    """The failure of a socket, as a GatewayError if the peer did not acknowledge."""
    if isinstance(error, OSError) and error.errno in _NO_ANSWER:
        return unacknowledged(exception=type(error).__name__)
    return error


def count_unsent(transport: asyncio.Transport) -> int:
    """The written bytes that the peer has not acknowledged, in the transport or the kernel."""
    sock, in_kernel = transport.get_extra_info("socket"), 0
    # if the socket is closed, or the system does not support the request
    with suppress(OSError):
        (in_kernel,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
    return transport.get_write_buffer_size() + in_kernel


def poll_reads(transport: asyncio.Transport) -> select.poll:
    """A poll that shows what the loop has not read: data, the peer's close, or an error."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return poll
