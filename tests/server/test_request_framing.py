"""What frames a request: trailers, chunk extensions, pipelining and upgrades cost little and mean nothing."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from configuration import GatewayKey
from models import GatewayError, Text
from server.request_bytes import RequestBytes
from tests.clients.raw_client import (
    CHAT,
    HEALTH,
    RawClient,
    ask,
    ask_chat,
    connect,
    limit,
    on_uvloop,
)
from tests.clients.simple_client import join_text, read_events
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from tests.vendors.scripted_provider import Step

KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")
SOON = 0.15  # seconds: a deadline for a test
MIB = 2**20
LAST_CHUNK = b"0\r\n"
CHUNKED_HEALTH = ask("GET", "/health", "Transfer-Encoding: chunked")


def chunked_chat(*headers: str, trailers: bytes = b"") -> bytes:
    """A chat in one chunk, with trailers."""
    head = ask(
        "POST",
        "/chat/gpt",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        *headers,
    )
    return b"%b%x\r\n%b\r\n0\r\n%b\r\n" % (head, len(CHAT), CHAT, trailers)


def measure_memory() -> int:
    """This process's memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def flood(client: RawClient, piece: bytes, total: int) -> tuple[int, int, bytes]:
    """Send a piece over and over for as long as it is taken: bytes sent, memory grown, what was answered."""
    sent, before, most = 0, measure_memory(), 0
    reading = asyncio.create_task(client.read_to_end())
    try:
        while sent < total and not reading.done():
            await client.send(piece)
            sent += len(piece)
            most = max(most, measure_memory() - before)
            await asyncio.sleep(0)
    except ConnectionError:
        pass  # the gateway has ended it, as it should
    return sent, most, await reading


FLOODS = {
    "trailers": (LAST_CHUNK, b"X-Trailer: a\r\n" * 1_000),
    "a trailer's value": (LAST_CHUNK + b"X-Trailer: ", b"a" * 10_000),
    "a trailer's name": (LAST_CHUNK, b"a" * 10_000),
    "a chunk's extension": (b"1;a=", b"a" * 10_000),
    "extensions": (b"", b"1;a=%b\r\nx\r\n" % (b"a" * 1_000)),
}


@pytest.mark.parametrize("behind", [b"", HEALTH * 3], ids=["alone", "behind unread requests"])
@pytest.mark.parametrize("kind", FLOODS)
@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["no keys", "keys"])
@on_uvloop
async def test_endless_framing_is_cut_off(
    tmp_path: Path, kind: str, behind: bytes, keys: tuple[GatewayKey, ...]
) -> None:
    """Trailers and chunk extensions are counted like a head: past the limit the connection ends."""
    opening, piece = FLOODS[kind]
    async with scripted_gateway(tmp_path, gateway_api_keys=keys) as gateway:
        async with connect(gateway.running) as client:
            await client.send(behind + CHUNKED_HEALTH + opening)
            sent, grown, _ = await flood(client, piece, 100 * MIB)
        await gateway.running.settle()
    assert sent < 12 * MIB  # of which the sockets' buffers hold the most
    assert grown < 12 * MIB


@on_uvloop
async def test_endless_framing_behind_an_open_stream_is_cut_off(tmp_path: Path) -> None:
    """It is counted while an answer streams, and behind requests that wait for it."""
    async with scripted_gateway(tmp_path) as gateway:
        for kind, (opening, piece) in FLOODS.items():
            gateway.gpt.enqueue([Text("Hel")], asyncio.Event().wait)
            async with connect(gateway.running) as client:
                await client.send(ask_chat())
                await client.reader.readuntil(b"Hel")
                await client.send(HEALTH * 3 + CHUNKED_HEALTH + opening)
                sent, grown, _ = await flood(client, piece, 100 * MIB)
            assert (kind, sent < 12 * MIB, grown < 12 * MIB) == (kind, True, True)
            await gateway.running.settle()


@pytest.mark.parametrize(
    "trailer", [b"Authorization: Bearer gw-phone\r\n", b"X-API-Key: gw-phone\r\n"]
)
@on_uvloop
async def test_key_in_a_trailer_does_not_authenticate(tmp_path: Path, trailer: bytes) -> None:
    """Trailers are dropped: none becomes a header, neither of its own request nor of the next."""
    async with scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway:
        for behind in (b"", HEALTH):
            async with connect(gateway.running) as client:
                await client.send(behind + chunked_chat(trailers=trailer) + ask_chat())
                replies = [await client.read_answer() for _ in range(3 if behind else 2)]
                assert [answered.status for answered in replies[-2:]] == [401, 401]
        assert gateway.gpt.history == []


@on_uvloop
async def test_chunked_chat_with_trailers_is_answered(tmp_path: Path) -> None:
    """Trailers that are not too large are read over, and the connection goes on."""
    trailers = b"X-Checksum: 1\r\nX-Request-ID: other\r\nHost: other\r\nExpect: 100-continue\r\n"
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        for _ in range(2):
            gateway.gpt.enqueue(*answer("Hi"))
            reply = await client.ask(chunked_chat("X-Request-ID: mine", trailers=trailers))
            assert (reply.status, reply.headers["x-request-id"]) == (200, "mine")
            assert join_text(read_events(reply.body.decode())) == "Hi"


@on_uvloop
async def test_body_in_chunks_of_one_byte_is_answered(tmp_path: Path) -> None:
    """A body however small its chunks is within the limit of framing."""
    body = CHAT.replace(b"Hello?", b"a" * 50_000)
    head = ask("POST", "/chat/gpt", "Content-Type: application/json", "Transfer-Encoding: chunked")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        gateway.gpt.enqueue(*answer("Hi"))
        assert (await client.ask(head + chunks)).status == 200


def test_framing_is_counted_in_each_state() -> None:
    """A state may have its limit of framing, and eight bytes more for each byte of body."""
    received = RequestBytes(100)
    received.enter_state()
    received.finish_read(5_000)  # the state was entered in this read
    received.finish_read(100)
    received.enter_state()
    received.add_body(10)
    received.finish_read(5_000)
    received.finish_read(180)
    received.add_body(50)
    received.finish_read(50)
    with pytest.raises(GatewayError, match="headers_too_large"):
        received.finish_read(401)


HALF_REQUESTS = {
    "a head": b"GET /health HTTP/1.1\r\nHo",
    "a body": ask("POST", "/chat/gpt", "Content-Length: 500") + b"{",
    "trailers": CHUNKED_HEALTH + LAST_CHUNK + b"X-Trailer: a",
    "a chunk": CHUNKED_HEALTH + b"5\r\nab",
}


@pytest.mark.parametrize("half", HALF_REQUESTS.values(), ids=HALF_REQUESTS.keys())
@on_uvloop
async def test_half_a_request_behind_a_stream_has_its_deadline(tmp_path: Path, half: bytes) -> None:
    """Its time runs while an answer streams; it is answered with 408 in its turn, and what still came is not read."""
    gate = asyncio.Event()
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, head_seconds=SOON, body_seconds=SOON, linger_seconds=SOON / 10)
        gateway.gpt.enqueue([Text("Hel")], gate.wait, *answer("lo"))
        async with connect(gateway.running) as client:
            await client.send(ask_chat() + HEALTH + half)
            await client.reader.readuntil(b"Hel")
            await asyncio.sleep(2 * SOON)  # the same loop's timers: the deadline is over
            await client.send(b"\r\n\r\n" + b"x" * 600)  # too late
            gate.set()
            rest = await client.read_to_end()
    assert rest.count(b"HTTP/1.1 200 ") == 1  # of /health, after the end of the chat
    assert rest.count(b"HTTP/1.1 408 ") == 1
    assert rest.index(b"data: [DONE]") < rest.index(b"HTTP/1.1 200 ") < rest.index(b"HTTP/1.1 408 ")


@on_uvloop
async def test_each_pipelined_request_has_its_own_deadline(tmp_path: Path) -> None:
    """Requests that come one after the other, each in time, are answered, though together they took longer."""
    async with scripted_gateway(tmp_path) as gateway:
        limit(gateway.running, head_seconds=4 * SOON)
        async with connect(gateway.running) as client:
            for _ in range(4):
                await client.send(HEALTH[:20])
                await asyncio.sleep(1.5 * SOON)
                await client.send(HEALTH[20:] + HEALTH[:20])
                await asyncio.sleep(1.5 * SOON)
                await client.send(HEALTH[20:])
            assert [(await client.read_answer()).status for _ in range(8)] == [200] * 8


@pytest.mark.parametrize(("waiting", "is_served"), [(4, True), (5, False)])
@on_uvloop
async def test_four_requests_may_wait_behind_one(
    tmp_path: Path, waiting: int, is_served: bool
) -> None:
    """A fifth ends the connection."""
    gate = asyncio.Event()
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], gate.wait, *answer("lo"))
        async with connect(gateway.running) as client:
            await client.send(ask_chat())
            await client.reader.readuntil(b"Hel")
            await client.send(HEALTH * waiting)
            if is_served:
                gate.set()
                await client.reader.readuntil(b"[DONE]\n\n\r\n0\r\n\r\n")
                assert [(await client.read_answer()).status for _ in range(waiting)] == [
                    200
                ] * waiting
            else:
                assert b"HTTP/1.1" not in await client.read_to_end()


UPGRADES = [
    ("Connection: Upgrade, close", "Upgrade: h2c"),
    ("Connection: close, Upgrade", "Upgrade: websocket"),
    ("Connection: close", "Connection: Upgrade", "Upgrade: h2c"),
    ("Upgrade: h2c", "Connection: upgrade,close"),
    (
        "Connection: Upgrade, HTTP2-Settings, close",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    ),
]


@pytest.mark.parametrize("offer", UPGRADES, ids=str)
@on_uvloop
async def test_upgrade_that_also_closes_is_answered(tmp_path: Path, offer: tuple[str, ...]) -> None:
    """It is answered in HTTP/1.1, and the connection is closed as was asked; a body is read, however it is cut."""
    async with scripted_gateway(tmp_path) as gateway:
        for cut in (None, -20):
            gateway.gpt.enqueue(*answer("Hi"))
            async with connect(gateway.running) as client:
                whole = ask_chat(CHAT, *offer)
                await client.send(whole[:cut])
                await client.send(whole[cut:] if cut else b"")
                reply = await client.read_answer()
                assert (reply.status, reply.headers["connection"]) == (200, "close")
                assert join_text(read_events(reply.body.decode())) == "Hi"
                assert await client.read_to_end() == b""
        async with connect(gateway.running) as client:
            assert (await client.ask(ask("GET", "/health", *offer))).status == 200


@pytest.mark.parametrize("more", [(), ("Connection: keep-alive",)], ids=["plain", "keep-alive"])
@on_uvloop
async def test_old_client_gets_a_body_without_chunks(tmp_path: Path, more: tuple[str, ...]) -> None:
    """HTTP/1.0 knows no chunks: a stream, and any page, is its bytes alone and ends with the connection."""
    async with scripted_gateway(tmp_path) as gateway:
        for words in (("Hi",), ("Hel", "lo", " there")):
            steps: list[Step] = [[Text(word)] for word in words]
            gateway.gpt.enqueue(*steps, *answer("!"))
            async with connect(gateway.running) as client:
                await client.send(ask_chat(CHAT, *more).replace(b"HTTP/1.1", b"HTTP/1.0"))
                head, _, body = (await client.read_to_end()).partition(b"\r\n\r\n")
            assert b"transfer-encoding" not in head.lower()
            assert b"connection: close" in head.lower()
            assert join_text(read_events(body.decode())) == "".join(words) + "!"
            assert body.startswith(b"data: ")
            assert body.endswith(b"data: [DONE]\n\n")
        for path in ("/", "/health", "/nowhere", "/static/page.js", "/openapi.json"):
            for method in ("GET", "HEAD"):
                async with connect(gateway.running) as client:
                    await client.send(ask(method, path, *more).replace(b"HTTP/1.1", b"HTTP/1.0"))
                    head, _, body = (await client.read_to_end()).partition(b"\r\n\r\n")
                assert (path, b"transfer-encoding" in head.lower()) == (path, False)
                assert (path, body[:1] in (b"<", b"{", b"/", b"i", b"")) == (path, True)
