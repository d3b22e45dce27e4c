"""Bodies that are too large, wrong, late or hostile, over real sockets: refused early and cheaply, or harmless."""

from __future__ import annotations

import asyncio
import json
import resource
from pathlib import Path

import pytest

from configuration import GatewayKey
from tests.clients.raw_client import CHAT, Answer, RawClient, ask, ask_chat, connect, on_uvloop
from tests.clients.simple_client import join_text, read_events
from tests.gateways.scripted import answer, scripted_gateway

KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")
MIB = 2**20
CHUNK = b"x" * 2**16
CHUNKED = (b"%x\r\n" % len(CHUNK)) + CHUNK + b"\r\n"
JSON = "Content-Type: application/json"
EXPECT = "Expect: 100-continue"


def measure_memory() -> int:
    """This process's memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def push(client: RawClient, head: bytes, chunk: bytes, total: int) -> tuple[Answer, int, int]:
    """Send a body for as long as the server takes it: the answer, the bytes sent by then, and the memory grown."""
    before = most = measure_memory()
    sent = 0
    answering = asyncio.create_task(client.read_answer())
    await client.send(head)
    while sent < total and not answering.done():
        await client.send(chunk)
        sent += len(chunk)
        most = max(most, measure_memory())
        await asyncio.sleep(0)
    return await answering, sent, most - before


@pytest.mark.parametrize("framing", ["Content-Length: 104857600", "Transfer-Encoding: chunked"])
@on_uvloop
async def test_huge_body_is_refused_at_the_limit(tmp_path: Path, framing: str) -> None:
    """100 MB get a 413 when the limit is reached at the latest, without memory for more; then it is over."""
    head = ask("POST", "/chat/gpt", JSON, framing)
    async with scripted_gateway(tmp_path, max_body_bytes=4 * MIB) as gateway:
        async with connect(gateway.running) as client:
            chunk = CHUNKED if "chunked" in framing else CHUNK
            reply, sent, grown = await push(client, head, chunk, 100 * MIB)
            assert (reply.status, reply.error["code"], reply.headers["connection"]) == (
                413,
                "payload_too_large",
                "close",
            )
            assert sent < 8 * MIB  # of which the sockets' buffers hold a part
            assert grown < 8 * MIB
            assert await client.read_to_end() == b""
        await gateway.running.settle()
        assert gateway.gpt.history == []


@on_uvloop
async def test_refusal_reaches_a_client_that_sends_all_first(tmp_path: Path) -> None:
    """The answer is not lost by a reset, even if the client reads only after it has sent a large body."""
    body = b"x" * (16 * MIB)
    async with (
        scripted_gateway(tmp_path, max_body_bytes=MIB) as gateway,
        connect(gateway.running) as client,
    ):
        reply = await client.ask(ask_chat(body))
        assert (reply.status, reply.error["code"]) == (413, "payload_too_large")


@on_uvloop
async def test_rest_of_a_body_is_not_a_second_request(tmp_path: Path) -> None:
    """A body longer than it said ends in an error and a closed connection; the rest is no request."""
    short = ask("POST", "/chat/gpt", JSON, f"Content-Length: {len(CHAT) - 5}") + CHAT
    async with scripted_gateway(tmp_path) as gateway:
        async with connect(gateway.running) as client:
            reply = await client.ask(short)
            assert (reply.status, reply.headers["connection"]) == (400, "close")
            assert await client.read_to_end() == b""
        await gateway.running.settle()
        assert gateway.gpt.history == []


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ((JSON, "X-API-Key: wrong", "Content-Length: 50"), "/chat/gpt", 401),
        ((JSON, "X-API-Key: gw-phone", "Content-Length: 50"), "/chat/unknown", 404),
        (
            ("Content-Type: text/plain", "X-API-Key: gw-phone", "Content-Length: 50"),
            "/chat/gpt",
            415,
        ),
        ((JSON, "X-API-Key: gw-phone", "Content-Length: 500000000"), "/chat/gpt", 413),
    ],
    ids=["wrong key", "no provider", "no JSON", "too large"],
)
@on_uvloop
async def test_body_is_not_asked_for_in_vain(
    tmp_path: Path, headers: tuple[str, ...], path: str, status: int
) -> None:
    """A client that waits to be asked for its body is refused before, and its connection is closed."""
    async with (
        scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway,
        connect(gateway.running) as client,
    ):
        reply = await client.ask(ask("POST", path, EXPECT, *headers))
        assert (reply.status, reply.headers["connection"]) == (status, "close")
        assert await client.read_to_end() == b""


@on_uvloop
async def test_body_is_asked_for(tmp_path: Path) -> None:
    """A client that may go on gets 100, once, and the connection is as good as any afterwards."""
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        for _ in range(2):
            gateway.gpt.enqueue(*answer("Hi"))
            reply = await client.ask(
                ask("POST", "/chat/gpt", JSON, EXPECT, f"Content-Length: {len(CHAT)}")
            )
            assert (reply.status, reply.body) == (100, b"")
            assert (await client.ask(CHAT)).status == 200


REFUSED = {
    b"": 400,
    b"null": 422,
    b"[]": 422,
    b'"text"': 422,
    b'{"messages":[]}': 422,
    CHAT[:-1]: 400,
    CHAT.replace(b'"Hello?"', b"NaN"): 400,
    CHAT.replace(b'"Hello?"', b"1e999"): 422,
    CHAT.replace(b"Hello?", b"\\ud800"): 400,
    CHAT.replace(b"user", b"\\ud800"): 400,
    CHAT.replace(b'"content"', b'"\\ud800"'): 400,
    CHAT.replace(b"Hello?", b"\xff"): 400,
    b"\xef\xbb\xbf" + CHAT: 400,
    CHAT.decode().encode("utf-16"): 400,
    b"[" * 100_000: 422,
    CHAT.replace(b'"Hello?"', b"[" * 990 + b"]" * 990): 422,
    CHAT.replace(b'"Hello?"', b"9" * 5_000): 422,
    CHAT.replace(b'"role"', b'"role":"system","role"'): 400,
    CHAT.replace(b"user", b"tool"): 422,
    CHAT.replace(b'"Hello?"', b"null"): 422,
    json.dumps({"messages": [{"role": "user", "content": "Hi"}] * 10_000}).encode(): 422,
    json.dumps({"messages": [{"role": 1}] * 10_000}).encode(): 422,
    json.dumps({"messages": [{"role": 1}] * 200}).encode(): 422,
}


@on_uvloop
async def test_wrong_bodies_get_small_answers(tmp_path: Path) -> None:
    """Whatever a body is, it is a 400 or 422 of some hundred bytes in our shape; the connection goes on."""
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        for body, status in REFUSED.items():
            reply = await client.ask(ask_chat(body) if body else ask_chat(b"", "Content-Length: 0"))
            assert (body[:80], reply.status) == (body[:80], status)
            assert reply.error["code"] == ("invalid_json" if status == 400 else "invalid_request")
            assert (body[:80], len(reply.body) < 2_000) == (body[:80], True)
        for media_type in (
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "",
        ):
            reply = await client.ask(
                ask("POST", "/chat/gpt", f"Content-Type: {media_type}", "Content-Length: 0")
            )
            assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
        assert gateway.gpt.history == []


@pytest.mark.parametrize(
    "text",
    [
        "\n\ndata: [DONE]\n\n",
        '\r\n\r\nevent: error\r\ndata: {"type":"error"}\r\n\r\n',
        "\n\n: x\n\n",
        "\u2028\u0085\x00\x0b",
    ],
)
@pytest.mark.parametrize("part", ["question", "answer"])
@on_uvloop
async def test_text_cannot_forge_an_event(tmp_path: Path, text: str, part: str) -> None:
    """What looks like the stream's own framing, said by the model or echoed from the client, is text."""
    said = f"Hel{text}lo"
    body = json.dumps(
        {"messages": [{"role": "user", "content": said}], "conversation_id": text[:128]}
    ).encode()
    async with scripted_gateway(tmp_path) as gateway, connect(gateway.running) as client:
        gateway.gpt.enqueue(*answer(*(said if part == "answer" else "Hi")))
        reply = await client.ask(ask_chat(body))
    events = read_events(reply.body.decode())
    assert join_text(events) == (said if part == "answer" else "Hi")
    assert [event["type"] for event in events[:-1]] == [
        "start",
        *["delta"] * (len(events) - 3),
        "end",
    ]
    assert reply.body.count(b"\n\n") == len(events)
    assert events[0]["conversation_id"] == text


HOSTILE_FIELDS = ("base_url", "api_base", "proxy", "api_key", "model", "webhook", "user")
HOSTILE_HEADERS = ("X-Forwarded-Host", "X-Base-URL", "Referer", "X-Stainless-Base-Url")


@on_uvloop
async def test_client_cannot_choose_where_the_gateway_goes(tmp_path: Path) -> None:
    """No field or header leads to another host: a server that is named in all of them receives nothing."""
    hits: list[object] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append(writer.get_extra_info("peername"))
        writer.close()

    async with (
        await asyncio.start_server(count, "127.0.0.1", 0) as canary,
        scripted_gateway(tmp_path) as gateway,
    ):
        url = "http://{}:{}".format(*canary.sockets[0].getsockname())
        hostile: dict[str, object] = dict.fromkeys(HOSTILE_FIELDS, url)
        hostile |= {"extra_headers": {"Host": url}, "extra_body": {"base_url": url}}
        message = {"role": "user", "content": f"See {url}", **hostile}
        headers = (f"{name}: {url}" for name in HOSTILE_HEADERS)
        gateway.gpt.enqueue(*answer("Hi"))
        async with connect(gateway.running) as client:
            body = json.dumps({"messages": [message], **hostile}).encode()
            assert (await client.ask(ask_chat(body, *headers))).status == 200
            for part in (
                {"type": "image_url", "image_url": {"url": f"{url}/a.png"}},
                {"type": "image_url", "image_url": f"{url}/a.png"},
                {"type": "image", "media_type": "image/png", "url": f"{url}/a.png"},
                {"type": "image", "media_type": "image/png", "data": f"{url}/a.png"},
                {"type": "file", "file": {"file_url": url}},
            ):
                body = json.dumps({"messages": [{**message, "content": [part]}]}).encode()
                reply = await client.ask(ask_chat(body))
                refused = (part, 422, "invalid_request")
                assert (part, reply.status, reply.error["code"]) == refused
    (asked,) = gateway.gpt.history
    assert (asked.model, str(asked.prompt).count(url)) == ("luna", 1)
    assert hits == []
