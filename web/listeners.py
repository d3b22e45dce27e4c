"""Where a gateway of several workers listens: a socket for each, so that the kernel shares connections out evenly.

With one socket for all, whichever worker is quickest takes what comes at once. A connection that waits belongs to a
socket and not to a process: the supervisor keeps all of them open, so none is lost when a worker is replaced or dies.
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

_LINUX = sys.platform == "linux"  # elsewhere SO_REUSEPORT shares nothing out, or has another name
_ATTACH_REUSEPORT_CBPF = 51  # SO_ATTACH_REUSEPORT_CBPF of Linux's socket.h, which Python does not name
_UNACKED = 24  # where Linux's tcp_info has tcpi_unacked: of a listening socket, the connections that wait

# Instructions of a classic BPF program, from Linux's filter.h and bpf_common.h.
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_MODULO = 0x94  # BPF_ALU | BPF_MOD | BPF_K
_SKIP_UNLESS_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K, with one instruction to skip if not
_RETURN = 0x06  # BPF_RET | BPF_K
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM

_logger = logging.getLogger("gateway.web")


class Listeners:
    """The listening sockets by worker's place; the same one for all places where they are not `separate`."""

    def __init__(self, config: uvicorn.Config, *, separate: bool = _LINUX) -> None:
        """Listen at the config's address, for its workers. Raises OSError, or SystemExit where uvicorn has said why.

        The first socket listens before it may share its port: who is there already, be it another gateway of the
        same user, is an error and not a partner.
        """
        self._backlog = config.backlog
        self._are_separate = separate
        first = config.bind_socket()
        first.listen(config.backlog)  # fails where two gateways have bound the port at the same moment
        self._sockets = [first]
        self._chosen: list[int] = []
        try:
            for _ in range(1, config.workers):
                self.add()
        except OSError as error:
            self._share(error)

    def _share(self, error: OSError) -> None:
        _logger.warning(
            "the workers share one socket: another on its port is refused", extra={"context": {"error": repr(error)}}
        )
        while len(self) > 1:
            self.remove()
        self._are_separate = False

    def __len__(self) -> int:
        return len(self._sockets)

    def __getitem__(self, place: int) -> socket.socket:
        return self._sockets[place if self._are_separate else 0]

    def add(self) -> None:
        """Listen for one place more."""
        if not self._are_separate:
            return
        first = self._sockets[0]
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with ExitStack() as stack:
            another = stack.enter_context(socket.socket(first.family))
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            another.bind(first.getsockname())
            another.listen(self._backlog)
            stack.pop_all()
        self._sockets.append(another)

    def remove(self) -> None:
        """Listen no more for the last place; what waits there is its worker's, as long as that has the socket open."""
        if self._are_separate:
            self._sockets.pop().close()

    def close(self, place: int) -> None:
        """Let nobody wait for a worker who will not come; to be called when all are about to end."""
        if self._are_separate:
            self._sockets[place].close()

    def count_waiting(self, place: int) -> int:
        """How many connections the place's worker has not accepted yet; 0 where all share them."""
        if not self._are_separate:
            return 0
        described = self._sockets[place].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED + 4)
        return int.from_bytes(described[_UNACKED:], sys.byteorder)

    def choose(self, places: Sequence[int]) -> None:
        """Send new connections to these places alone; to any where none is named, or the kernel cannot choose."""
        chosen = list(places) or [*range(len(self._sockets))]
        if self._are_separate and chosen != self._chosen:
            self._chosen = chosen
            try:
                _attach(self._sockets[0], _program(chosen))
            except OSError as error:
                _logger.warning(
                    "the kernel does not let connections go around a worker", extra={"context": {"error": repr(error)}}
                )


def _program(places: Sequence[int]) -> bytes:
    """A program for the kernel, which answers one of the places at random."""
    steps = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(places))]
    for number, place in enumerate(places[1:], 1):
        steps += [(_SKIP_UNLESS_EQUAL, 0, 1, number), (_RETURN, 0, 0, place)]
    steps.append((_RETURN, 0, 0, places[0]))
    return b"".join(struct.pack("HBBI", *step) for step in steps)  # struct sock_filter


def _attach(listener: socket.socket, program: bytes) -> None:
    """Let the program choose among the sockets of the listener's port, which the kernel numbers as they came."""
    steps = array.array("B", program)
    address, size = steps.buffer_info()
    described = struct.pack("HP", size // struct.calcsize("HBBI"), address)  # struct sock_fprog
    listener.setsockopt(socket.SOL_SOCKET, _ATTACH_REUSEPORT_CBPF, described)
