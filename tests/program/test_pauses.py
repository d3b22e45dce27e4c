"""After a pause of the process no vendor and no client is blamed: received data is read first."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from models import GatewayError
from streams.deadline import CancelScope, ScopeCancelledError, Timer
from streams.pauses import Pauses, pauses
from tests.clients.plain_http import make_client
from tests.clients.raw_client import limit
from tests.clients.simple_client import join_text, read_events
from tests.gateways.scripted import answer, scripted_gateway
from tests.gateways.served import Served, served
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from pathlib import Path

CHATS = 5
STOPPED_SECONDS = 2.5
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
STOP = (
    b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    + CHUNK
    + STOP
)
BODY = json.dumps({"messages": [{"role": "user", "content": "Hello?"}]}).encode()
PAUSES = pytest.mark.parametrize(
    "seconds", [0.3, 1.2], ids=["shorter than is measured", "measured"]
)


class HeldVendor:
    """Answers once it is released."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.released = asyncio.Event()
        self.all_asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        self.models.append(json.loads(await reader.readexactly(length))["model"])
        if len(self.models) == CHATS:
            self.all_asked.set()
        await self.released.wait()
        writer.write(ANSWER)
        await writer.drain()
        writer.close()


async def chat(gateway: Served) -> list[Any]:
    async with make_client(gateway.url, timeout=30) as client:
        headers = {"Content-Type": "application/json"}
        return read_events((await client.post("/chat/local", content=BODY, headers=headers)).text)


async def health(gateway: Served) -> Any:
    async with make_client(gateway.url, timeout=30) as client:
        return (await client.get("/health/local")).json()


async def test_answers_that_came_while_the_process_was_stopped_are_delivered(
    tmp_path: Path,
) -> None:
    """They lie whole in the sockets, far beyond their deadline: no fallback, no open breaker, one line in the log."""
    vendor = HeldVendor()
    async with (
        asyncio.timeout(60),
        await asyncio.start_server(vendor.serve, "127.0.0.1", 0) as server,
        served(
            tmp_path,
            local_base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1",
            local_model_default="first",
            local_model_fallback="second",
            first_content_timeout_seconds=1,
            drain_grace_seconds=0,
        ) as gateway,
    ):
        chats = [asyncio.create_task(chat(gateway)) for _ in range(CHATS)]
        await vendor.all_asked.wait()
        os.kill(gateway.process.pid, signal.SIGSTOP)
        vendor.released.set()
        await asyncio.sleep(STOPPED_SECONDS)  # is what the test is about
        os.kill(gateway.process.pid, signal.SIGCONT)
        answers = await asyncio.gather(*chats)
        state = await health(gateway)
        noted = [
            json.loads(line)
            for line in gateway.log().splitlines()
            if "the process was paused" in line
        ]
    assert [join_text(events) for events in answers] == ["Hello"] * CHATS
    assert {events[-2]["fallback"] for events in answers} == {None}
    assert vendor.models == ["first"] * CHATS
    assert state["breaker"] == {"first": "closed", "second": "closed"}
    assert len(noted) == 1
    assert STOPPED_SECONDS - 0.5 <= noted[0]["context"]["seconds"] < 3 * STOPPED_SECONDS


def pause(seconds: float) -> None:
    """Nothing of this process's loop runs for so long."""
    time.sleep(seconds)


@PAUSES
async def test_client_whose_request_came_during_a_pause_is_answered(
    tmp_path: Path, seconds: float
) -> None:
    """The rest of its head lay in the socket when its deadline had passed."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, head_seconds=0.15)
        with socket.create_connection(("127.0.0.1", gateway.running.port)) as client:
            client.sendall(b"GET /health/live HTTP/1.1\r\n")
            await asyncio.sleep(0.05)
            client.sendall(b"Host: localhost\r\nConnection: close\r\n\r\n")
            pause(seconds)
            assert (await receive(client)).startswith(b"HTTP/1.1 200")


@PAUSES
async def test_client_whose_body_came_during_a_pause_is_answered(
    tmp_path: Path, seconds: float
) -> None:
    """So did the rest of this one's body."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hello"))
        limit(gateway.running, body_seconds=0.15)
        head = b"POST /chat/gpt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        with socket.create_connection(("127.0.0.1", gateway.running.port)) as client:
            client.sendall(head + BODY[:10])
            await asyncio.sleep(0.05)
            client.sendall(BODY[10:])
            pause(seconds)
            assert (await receive(client)).startswith(b"HTTP/1.1 200")


async def test_status_line_waits_longer_by_a_pause(tmp_path: Path) -> None:
    """A failure that comes just after it is a real status, as it would have been without the pause."""

    async def pause_and_wait() -> None:
        asyncio.get_running_loop().call_soon(pause, 1.5)
        await asyncio.sleep(1.7)

    async with scripted_gateway(tmp_path, status_hold_seconds=1) as gateway:
        gateway.gpt.enqueue(pause_and_wait, GatewayError("content_filtered"))
        assert (await gateway.chat()).status_code == 422


async def receive(client: socket.socket) -> bytes:
    client.setblocking(False)
    received = b""
    async with asyncio.timeout(10):
        while data := await asyncio.get_running_loop().sock_recv(client, 65_536):
            received += data
    return received


@PAUSES
@pytest.mark.parametrize("has_come", [True, False], ids=["come", "not come"])
async def test_deadline_that_is_late_reads_what_has_come(seconds: float, has_come: bool) -> None:
    """And fires if nothing has: a pause never stops a deadline."""
    near, far = socket.socketpair()
    with far, pauses.watched():
        reader, writer = await asyncio.open_connection(sock=near)
        read = b""
        try:
            with CancelScope(asyncio.get_running_loop().time() + 0.1):
                if has_come:
                    far.sendall(b"x")
                asyncio.get_running_loop().call_soon(pause, seconds)
                read = await reader.read(1)
        except ScopeCancelledError:
            assert not has_come
        else:
            assert (has_come, read) == (True, b"x")
        finally:
            writer.close()
            await writer.wait_closed()


async def test_deadline_is_moved_by_the_pause() -> None:
    """What was waited for has as much time as without it, and the limit of all deadlines is as much later."""
    with pauses.watched():
        began = asyncio.get_running_loop().time()
        with pytest.raises(ScopeCancelledError), CancelScope(began + 0.2, began + 0.3) as scope:  # noqa: PT012 - what rings is all of it
            pause(1.0)
            await asyncio.get_running_loop().create_future()
        took = asyncio.get_running_loop().time() - began
    assert scope.limit >= began + 1.3
    assert took >= 1.2


async def test_timer_is_moved_by_the_pause_and_can_be_cancelled() -> None:
    """At any time, also while it lets the loop read."""
    rung = asyncio.Event()
    with pauses.watched():
        began = asyncio.get_running_loop().time()
        Timer(0.1, rung.set)
        pause(1.0)
        await rung.wait()
        took = asyncio.get_running_loop().time() - began
        rung.clear()
        timer = Timer(0, rung.set)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        timer.cancel()
        await asyncio.sleep(0.05)
    assert took >= 1.1
    assert not rung.is_set()


async def test_pause_is_measured_and_noted_once(caplog: pytest.LogCaptureFixture) -> None:
    """However many ask; a busy moment is none."""
    watch = Pauses()
    with caplog.at_level(logging.WARNING, "gateway.pauses"), watch.watched(), watch.watched():
        pause(0.3)
        await asyncio.sleep(0)
        watch.notice()
        assert watch.total == 0
        pause(1.0)
        watch.notice()
        watch.notice()
        await asyncio.sleep(0.3)
    assert 1.0 <= watch.total < 5
    assert len(caplog.records) == 1
    pause(1.0)
    watch.notice()
    assert watch.total < 5  # nothing is measured any more


@in_virtual_time
async def test_idle_loop_is_not_paused() -> None:
    """Hours without anything to do are no pause: the loop ticks."""
    watch = Pauses()
    with watch.watched():
        await asyncio.sleep(3_600)
    assert watch.total == 0
