"""Several workers, as processes: how they share connections, and how lost ones are replaced."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.raw_client import HEALTH, RawClient
from tests.gateways.served import UNASKED_VENDOR, served
from tests.gateways.worker_processes import is_worker, wait_for_another, wait_until, workers_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.gateways.served import Served

CLIENTS = 64
FEWEST = 4  # of so many, if two workers share them by chance: less comes once in 10^14 times
PATIENCE_SECONDS = 60
NO_ROOM = "no room for a worker"
NOT_GONE = "a worker does not go"
LIVE = HEALTH.replace(b"/health", b"/health/live")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc; elsewhere all workers share one socket"
)


def count_connections(gateway: Served, worker: int) -> int:
    """How many clients' connections the process holds, by the kernel's table."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port, established = f":{gateway.port:04X}", "01"
    inodes = {row[9] for row in rows if row[1].endswith(port) and row[3] == established}
    return len(inodes & set(_sockets_of(worker)))


def _sockets_of(process: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has just been closed
            yield descriptor.readlink().name.removeprefix("socket:[").removesuffix("]")


@asynccontextmanager
async def two_workers(folder: Path, **variables: float) -> AsyncIterator[Served]:
    """A gateway both of whose workers serve, and get clients."""
    async with served(folder, workers=2, **UNASKED_VENDOR, **variables) as gateway:
        await wait_until(lambda: started(gateway) == 2)
        await wait_until_each_gets_clients(gateway)
        yield gateway


async def wait_until_each_gets_clients(gateway: Served) -> None:
    """A worker gets connections once the parent knows that it serves, a moment after its log line."""
    clients = list[RawClient]()
    async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as stack:
        while not all(count_connections(gateway, worker) for worker in workers_of(gateway)):
            clients.append(await open_client(gateway, stack))
            await clients[-1].ask(LIVE)


def started(gateway: Served) -> int:
    """How many workers have begun to serve so far."""
    return gateway.log().count("startup complete")


async def open_client(gateway: Served, stack: AsyncExitStack) -> RawClient:
    """A client that has connected, and keeps its connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    stack.callback(writer.transport.abort)
    return RawClient(reader, writer)


async def ask_once(gateway: Served) -> int:
    """The status that a client with a connection of its own gets."""
    async with AsyncExitStack() as stack:
        client = await open_client(gateway, stack)
        return (await client.ask(LIVE)).status


async def ask_together(gateway: Served, seconds: float) -> list[int]:
    """The statuses of many clients that connect at once. Raises TimeoutError if one has none in time."""
    async with asyncio.timeout(seconds):
        return await asyncio.gather(*(ask_once(gateway) for _ in range(CLIENTS)))


async def test_clients_that_connect_at_once_are_shared_by_the_workers(tmp_path: Path) -> None:
    """They keep their connections, so what a worker got at first it has for long."""
    async with two_workers(tmp_path) as gateway, AsyncExitStack() as stack:
        clients = [await open_client(gateway, stack) for _ in range(CLIENTS)]
        answers = await asyncio.gather(*(client.ask(LIVE) for client in clients))
        assert {answer.status for answer in answers} == {200}
        counted = [count_connections(gateway, worker) for worker in workers_of(gateway)]
    assert sum(counted) == CLIENTS
    assert min(counted) >= FEWEST


async def test_connections_of_a_killed_worker_are_answered_by_its_successor(tmp_path: Path) -> None:
    """A connection that it has not accepted is not reset, and what was asked on it is not lost."""
    async with two_workers(tmp_path) as gateway, AsyncExitStack() as stack:
        worker = min(workers_of(gateway))
        os.kill(worker, signal.SIGSTOP)  # so that clients wait for it
        clients = [await open_client(gateway, stack) for _ in range(CLIENTS)]
        answers = [asyncio.create_task(client.ask(LIVE)) for client in clients]
        _, waiting = await asyncio.wait(answers, timeout=1)
        os.kill(worker, signal.SIGKILL)
        assert waiting
        assert {answer.status for answer in await asyncio.gather(*answers)} == {200}
        await wait_until(
            lambda: started(gateway) == 3
        )  # a thread writes the line, maybe after the answers


async def test_new_clients_go_around_a_worker_that_stands_still(tmp_path: Path) -> None:
    """After a moment none is sent to it any more, and earlier clients are answered when it goes on."""
    async with two_workers(tmp_path) as gateway, AsyncExitStack() as stack:
        worker = min(workers_of(gateway))
        os.kill(worker, signal.SIGSTOP)
        early = [await open_client(gateway, stack) for _ in range(CLIENTS)]
        answers = [asyncio.create_task(client.ask(LIVE)) for client in early]
        async with asyncio.timeout(PATIENCE_SECONDS):
            late = list[int]()
            while not late:  # all of them go to the other worker by chance once in 10^19 times
                with suppress(TimeoutError):
                    late = await ask_together(gateway, seconds=1)
        os.kill(worker, signal.SIGCONT)
        assert {answer.status for answer in await asyncio.gather(*answers)} == {200}
        assert set(late) == {200}


async def test_killed_worker_is_replaced(tmp_path: Path) -> None:
    """What the kernel kills for want of memory comes back by itself; the other one serves meanwhile, at once."""
    async with two_workers(tmp_path) as gateway:
        before = workers_of(gateway)
        os.kill(min(before), signal.SIGKILL)
        await wait_until(lambda: "a worker has died" in gateway.log())
        rounds = 0
        while started(gateway) < 3:
            assert set(await ask_together(gateway, seconds=10)) == {200}
            rounds += 1
        assert rounds > 1  # a client that waits for the successor is answered after its start
        assert len(workers_of(gateway)) == 2
        assert len(workers_of(gateway) & before) == 1


async def test_supervisor_without_resources_for_a_worker_tries_again(tmp_path: Path) -> None:
    """As many files as it may have are open: a place stays empty, none is added or replaced, until there is room."""
    async with two_workers(tmp_path) as gateway:
        parent = gateway.process.pid
        soft, hard = resource.prlimit(parent, resource.RLIMIT_NOFILE)
        resource.prlimit(
            parent, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{parent}/fd")), hard)
        )
        for signalled, number in (
            (min(workers_of(gateway)), signal.SIGKILL),
            (parent, signal.SIGTTIN),
            (parent, signal.SIGHUP),
        ):
            said = gateway.log().count(NO_ROOM)
            os.kill(signalled, number)
            await gateway.wait_logged(NO_ROOM, said + 1)
        resource.prlimit(parent, resource.RLIMIT_NOFILE, (soft, hard))
        await wait_until(lambda: started(gateway) == 3)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.ended(20) == 0


async def test_worker_is_added_and_removed(tmp_path: Path) -> None:
    """At SIGTTIN and SIGTTOU; meanwhile every client is answered, each worker gets some, and the last one stays."""
    async with two_workers(tmp_path) as gateway:
        for number, workers in (
            (signal.SIGTTIN, 3),
            (signal.SIGTTOU, 2),
            (signal.SIGTTOU, 1),
            (signal.SIGTTOU, 1),
        ):
            gateway.process.send_signal(number)
            while len(workers_of(gateway)) != workers or started(gateway) < 3:
                assert set(await ask_together(gateway, seconds=10)) == {200}
            await wait_until_each_gets_clients(gateway)
        await wait_until(lambda: "the last worker stays" in gateway.log())
        assert await ask_once(gateway) == 200
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.ended(20) == 0


async def test_gateway_ends_while_its_workers_are_replaced(tmp_path: Path) -> None:
    """SIGTERM need not wait until SIGHUP is done."""
    async with served(tmp_path, workers=2, drain_grace_seconds=0, **UNASKED_VENDOR) as gateway:
        await wait_until(lambda: started(gateway) == 2)
        gateway.process.send_signal(signal.SIGHUP)
        await wait_until(lambda: len(workers_of(gateway)) == 3)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.ended(20) == 0


async def test_slot_whose_workers_do_not_start_is_tried_after_a_pause(tmp_path: Path) -> None:
    """Of a second, and then of two; a worker that SIGTERM ends before its handler is set has not failed."""
    async with two_workers(tmp_path, drain_grace_seconds=0) as gateway:
        known = workers_of(gateway)
        os.kill(min(known), signal.SIGKILL)
        new = await wait_for_another(gateway, known)
        for pause in (1, 2):
            known.add(new)
            killed = time.monotonic()
            os.kill(new, signal.SIGKILL)
            new = await wait_for_another(gateway, known)
            assert time.monotonic() - killed >= pause
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.ended(20) == 0


async def test_worker_that_does_not_exit_is_killed(tmp_path: Path) -> None:
    """Some seconds after its drain should be over; the gateway's exit status shows it."""
    async with two_workers(tmp_path, drain_grace_seconds=0, drain_timeout_seconds=1) as gateway:
        os.kill(min(workers_of(gateway)), signal.SIGSTOP)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.ended(20) == 1
        assert NOT_GONE in gateway.log()


async def test_worker_is_added_when_the_one_that_was_removed_has_gone(tmp_path: Path) -> None:
    """The kernel counts the old one's socket until then, and would send the new one's clients to it."""
    async with two_workers(tmp_path, drain_grace_seconds=0, drain_timeout_seconds=1) as gateway:
        os.kill(max(workers_of(gateway)), signal.SIGSTOP)
        gateway.process.send_signal(signal.SIGTTOU)
        await gateway.wait_logged('"workers: 1"')
        gateway.process.send_signal(signal.SIGTTIN)
        await wait_until(lambda: started(gateway) == 3)
        assert gateway.log().index(NOT_GONE) < gateway.log().rindex("startup complete")
        await wait_until_each_gets_clients(gateway)


async def test_workers_drain_when_their_parent_is_killed(tmp_path: Path) -> None:
    """No process would replace them: they drain as at SIGTERM, and none goes on serving the port."""
    async with two_workers(tmp_path, drain_grace_seconds=0) as gateway:
        workers = workers_of(gateway)
        gateway.process.kill()
        await wait_until(lambda: not any(is_worker(worker) for worker in workers))
        assert gateway.log().count('"draining"') == 2
