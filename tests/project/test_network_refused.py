"""No test can reach anything but this machine, whatever it connects with."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvloop

from tests.conftest import NetworkRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

FOREIGN_ADDRESS = "192.0.2.1"  # RFC 5737: documentation only, no host answers
FOREIGN_NAME = "gateway.test"  # RFC 2606: never resolves

LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@pytest.fixture
def expect_refusal(network_refused: list[str]) -> Iterator[None]:
    """The test fails unless it was refused something."""
    yield
    assert network_refused
    network_refused.clear()


def run_in(
    new_loop: Callable[[], asyncio.AbstractEventLoop], action: Callable[[], Awaitable[Any]]
) -> Any:
    async def act() -> Any:
        return await action()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(act())


@pytest.mark.usefixtures("expect_refusal")
@pytest.mark.parametrize("connect", ["connect", "connect_ex"])
def test_blocking_socket_is_refused(connect: str) -> None:
    with socket.socket() as client, pytest.raises(NetworkRefusedError):
        getattr(client, connect)((FOREIGN_ADDRESS, 443))


@pytest.mark.usefixtures("expect_refusal")
def test_datagram_is_refused() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(NetworkRefusedError):
        client.sendto(b"?", (FOREIGN_ADDRESS, 53))


@pytest.mark.usefixtures("expect_refusal")
@pytest.mark.parametrize(
    "look_up",
    [lambda: socket.getaddrinfo(FOREIGN_NAME, 443), lambda: socket.gethostbyname(FOREIGN_NAME)],
    ids=["getaddrinfo", "gethostbyname"],
)
def test_name_lookup_is_refused(look_up: Callable[[], object]) -> None:
    with pytest.raises(NetworkRefusedError):
        look_up()


@LOOPS
@pytest.mark.usefixtures("expect_refusal")
@pytest.mark.parametrize("host", [FOREIGN_ADDRESS, FOREIGN_NAME])
def test_stream_of_either_loop_is_refused(
    new_loop: Callable[[], asyncio.AbstractEventLoop], host: str
) -> None:
    with pytest.raises(NetworkRefusedError):
        run_in(new_loop, lambda: asyncio.open_connection(host, 443))


@LOOPS
@pytest.mark.usefixtures("expect_refusal")
def test_lookup_by_either_loop_is_refused(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with pytest.raises(NetworkRefusedError):
        run_in(new_loop, lambda: asyncio.get_running_loop().getaddrinfo(FOREIGN_NAME, 443))


@pytest.mark.usefixtures("expect_refusal")
async def test_http_client_is_refused() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(NetworkRefusedError):
            await client.get(f"https://{FOREIGN_NAME}/")


async def _greet_over_loopback(host: str) -> bytes:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
        greeting = await reader.read()
        writer.close()
        await writer.wait_closed()
        return greeting


@LOOPS
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_reached(new_loop: Callable[[], asyncio.AbstractEventLoop], host: str) -> None:
    assert run_in(new_loop, lambda: _greet_over_loopback(host)) == b"hello"
