"""A network path that fails silently is noticed in the connect timeout, not when the content is overdue."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys

import pytest

from models import GatewayError
from providers.http.sockets import explain_loss, open_socket
from tests.clients.raw_client import on_uvloop
from tests.project.source_files import ROOT
from tests.providers.http.test_connection import CHUNKED, pool, read_all, vendor
from tests.providers.http.test_connection_reuse import LARGE
from tests.vendors import dropped_route

UNSHARE = ["unshare", "--user", "--map-root-user", "--net"]


def find_obstacle() -> str | None:
    """Why no link can be made here; None if one can."""
    try:
        made = subprocess.run(
            [*UNSHARE, "ip", "link", "add", "gate", "type", "veth", "peer", "name", "far"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "there is no unshare"
    return made.stderr.strip() or "unshare failed" if made.returncode else None


async def test_connections_of_a_silent_path_end_soon() -> None:
    """A request on a kept connection, and a stream that has begun: each after about the connect timeout."""
    if obstacle := find_obstacle():
        pytest.skip(f"no network namespace with a link can be made here: {obstacle}")
    command = [*UNSHARE, sys.executable, "-m", dropped_route.__name__]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=ROOT)
    async with asyncio.timeout(60):
        found = json.loads((await process.communicate())[0])
    assert len(found) == 2
    for code, reason, seconds in found.values():
        assert (code, reason) == ("upstream_timeout", "unacknowledged")
        assert dropped_route.SECONDS <= seconds < 10 * dropped_route.SECONDS


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="Linux has these options")
@pytest.mark.parametrize(("seconds", "idle", "interval"), [(5, 2, 1), (30, 12, 6), (0.1, 1, 1)])
async def test_idle_path_is_probed_by_the_kernel(seconds: float, idle: int, interval: int) -> None:
    """Three probes, so that one lost packet ends nothing; a stream that waits for its content is idle as well."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        opened = await open_socket(
            "127.0.0.1", server.getsockname()[1], unacknowledged_seconds=seconds
        )
        with opened:
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == interval
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@on_uvloop
async def test_vendor_that_reads_late_is_waited_for() -> None:
    """It acknowledges that it can take no more for now: it is busy, and the path has not failed."""

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(2.5)  # is what the test is about
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        rest = len(LARGE) - 65_536
        while rest > 0:
            rest -= len(await reader.read(rest))
        writer.write(CHUNKED)

    async with asyncio.timeout(30), vendor(busy) as to, pool(connect=1) as connections:
        connection, head = await connections.ask(to.origin, LARGE)
        assert (head.status, await read_all(connection)) == (200, b"Hello world")
        connections.give_back(to.origin, connection)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (TimeoutError(110, "timed out"), "unacknowledged"),
        (OSError(113, "no route to host"), "unacknowledged"),
        (OSError(101, "network is unreachable"), "unacknowledged"),
        (ConnectionResetError(104, "reset"), None),
        (BrokenPipeError(32, "broken pipe"), None),
    ],
)
def test_end_by_the_kernel_is_distinguished_from_a_reset(
    failure: OSError, reason: str | None
) -> None:
    """A reset is worth a second request to the same model, a path that has failed is not."""
    explained = explain_loss(failure)
    if reason is None:
        assert explained is failure
    else:
        assert isinstance(explained, GatewayError)
        assert (explained.code, explained.reason) == ("upstream_timeout", reason)
