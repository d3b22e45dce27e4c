"""The listening sockets: one for each worker, so that the kernel distributes connections evenly.

With one shared socket, the fastest worker would accept most of a burst. A pending connection
belongs to a socket, not to a process: the supervisor keeps all sockets open, so none is lost when a
worker is replaced or dies.
"""

from __future__ import annotations

import array
import logging
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import uvicorn

_LINUX = sys.platform == "linux"  # elsewhere SO_REUSEPORT does not distribute connections
_ATTACH_REUSEPORT_CBPF = 51  # SO_ATTACH_REUSEPORT_CBPF of Linux's socket.h, which Python lacks
_UNACKED = 24  # offset of tcpi_unacked in Linux's tcp_info: the pending connections of a listener

# Instructions of a classic BPF program, from Linux's filter.h and bpf_common.h.
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_MODULO = 0x94  # BPF_ALU | BPF_MOD | BPF_K
_SKIP_UNLESS_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K, with one instruction to skip if not
_RETURN = 0x06  # BPF_RET | BPF_K
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM

_logger = logging.getLogger("gateway.web")


class Listeners:
    """The listening sockets by worker slot; one socket for all slots if they are not `separate`."""

    def __init__(self, config: uvicorn.Config, *, separate: bool = _LINUX) -> None:
        """Listen on the config's address, with a socket for each worker. Raises OSError.

        `::` includes IPv4. The first socket listens before SO_REUSEPORT is set on it. Otherwise a
        second gateway of the same user would silently share the port instead of failing.
        """
        self._backlog = config.backlog
        self._are_separate = separate
        host = str(config.host)
        # Without SO_REUSEPORT: a second gateway on the port is refused.
        first = socket.create_server(
            (host, config.port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=config.backlog,
            dualstack_ipv6=host == "::",
        )
        self._sockets = [first]
        self._chosen: list[int] = []
        try:
            for _ in range(1, config.workers):
                self.add()
        except OSError as error:
            _logger.warning(
                "the workers share one socket: another on its port is refused",
                extra={"context": {"error": repr(error)}},
            )
            while len(self) > 1:
                self.remove()
            self._are_separate = False

    @property
    def url(self) -> str:
        """The URL of the gateway for clients on this machine or network."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def __len__(self) -> int:
        return len(self._sockets)

    def __getitem__(self, slot: int) -> socket.socket:
        return self._sockets[slot if self._are_separate else 0]

    def add(self) -> None:
        """Add a socket for one more slot."""
        if not self._are_separate:
            return
        first = self._sockets[0]
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with ExitStack() as stack:
            another = stack.enter_context(socket.socket(first.family))
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if first.family == socket.AF_INET6:
                only = first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                another.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            another.bind(first.getsockname())
            another.listen(self._backlog)
            stack.pop_all()
        self._sockets.append(another)

    def remove(self) -> None:
        """Close the last slot's socket. Its worker still accepts what is pending there."""
        if self._are_separate:
            self._sockets.pop().close()

    def close(self, slot: int) -> None:
        """Close a slot's socket at shutdown, so that no connection waits for an ended worker."""
        if self._are_separate:
            self._sockets[slot].close()

    def count_waiting(self, slot: int) -> int:
        """How many connections the slot's worker has not accepted; 0 if all share one socket."""
        if not self._are_separate:
            return 0
        tcp_info = self._sockets[slot].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED + 4)
        return int.from_bytes(tcp_info[_UNACKED:], sys.byteorder)

    def choose(self, slots: Sequence[int]) -> None:
        """Send new connections to these slots only.

        They go to any slot if none is given or the kernel has no support.
        """
        chosen = list(slots) or [*range(len(self._sockets))]
        if self._are_separate and chosen != self._chosen:
            self._chosen = chosen
            try:
                _attach_choice(self._sockets[0], chosen)
            except OSError as error:
                _logger.warning(
                    "the kernel does not let connections go around a worker",
                    extra={"context": {"error": repr(error)}},
                )


def _attach_choice(listener: socket.socket, slots: Sequence[int]) -> None:
    """Let a BPF program choose among the port's sockets: one of the slots, at random.

    The kernel numbers them in the order of their creation.
    """
    steps = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(slots))]
    for number, slot in enumerate(slots[1:], 1):
        steps += [(_SKIP_UNLESS_EQUAL, 0, 1, number), (_RETURN, 0, 0, slot)]
    steps.append((_RETURN, 0, 0, slots[0]))
    # struct sock_filter, and below struct sock_fprog
    program = array.array("B", b"".join(struct.pack("HBBI", *step) for step in steps))
    address, _ = program.buffer_info()
    filter_program = struct.pack("HP", len(steps), address)
    listener.setsockopt(socket.SOL_SOCKET, _ATTACH_REUSEPORT_CBPF, filter_program)
