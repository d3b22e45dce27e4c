"""The addresses of a vendor's name: raced, so that a dead one costs a quarter of a second."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from providers.errors import translate
from providers.http.sockets import open_socket

Address = tuple[str, int]


class ResolvingLoop(asyncio.SelectorEventLoop):
    """A loop whose resolver gives these addresses for any name."""

    def __init__(self, *addresses: Address) -> None:
        super().__init__()
        self._addresses = addresses

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (families[":" in name], socket.SOCK_STREAM, 6, "", (name, at))
            for name, at in self._addresses
        ]


def connect(*addresses: Address) -> tuple[Any, float]:
    """The peer that was connected to, or the failure, and after how many seconds."""

    async def run() -> Any:
        async with asyncio.timeout(10):
            with await open_socket("vendor.example", 443, unacknowledged_seconds=5) as opened:
                return opened.getpeername()[:2]

    began = time.monotonic()
    with asyncio.Runner(loop_factory=lambda: ResolvingLoop(*addresses)) as runner:
        try:
            return runner.run(run()), time.monotonic() - began
        except OSError as error:
            return error, time.monotonic() - began


@contextmanager
def silent() -> Iterator[Address]:
    """An address that answers nothing: its queue is full."""
    with socket.socket() as full, socket.socket() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())
        yield full.getsockname()


@contextmanager
def alive() -> Iterator[Address]:
    """An address that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def refusing() -> Address:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()  # type: ignore[no-any-return]


def test_dead_address_costs_a_quarter_of_a_second() -> None:
    """The next one is tried beside it, and the first that answers is taken."""
    with silent() as dead, alive() as good:
        peer, seconds = connect(dead, good)
    assert peer == good
    assert 0.2 < seconds < 3


def test_refusing_address_costs_nothing() -> None:
    """A failure is no reason to wait."""
    with alive() as good:
        peer, seconds = connect(refusing(), refusing(), good)
    assert peer == good
    assert seconds < 0.25


def test_first_address_that_answers_is_taken() -> None:
    """Others are not tried."""
    with alive() as first, alive() as second:
        assert connect(first, second)[0] == first


@pytest.mark.parametrize("count", [1, 2, 3])
def test_refusal_of_every_address_is_a_refusal(count: int) -> None:
    """However many there are, the failure keeps its kind."""
    failure, _ = connect(*(refusing() for _ in range(count)))
    error = translate(failure)
    assert (error.code, error.reason) == ("upstream_unavailable", "refused")
