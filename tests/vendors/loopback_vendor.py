"""A vendor on loopback that keeps what it was sent, byte for byte, and answers what a test wrote down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

CHAT_COMPLETIONS = (
    b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
RESPONSES = (
    b'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", '
    b'"output_index": 0, "content_index": 0, "delta": "Hello"}\n\n'
    b'event: response.completed\ndata: {"type": "response.completed", '
    b'"response": {"id": "resp_1", "status": "completed", "output": []}}\n\n'
)
MESSAGES = (
    b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, '
    b'"delta": {"type": "text_delta", "text": "Hello"}}\n\n'
    b'event: message_delta\ndata: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}\n\n'
    b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
)
GENERATE_CONTENT = (
    b'data: {"candidates": [{"content": {"parts": [{"text": "Hello"}]}, '
    b'"finishReason": "STOP", "index": 0}]}\r\n\r\n'
)


@dataclass
class SentRequest:
    """One request as it came: header names in lower case, in their order."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class LoopbackVendor:
    """Answers every request with `reply`, or what it gives for the request; `requests` has what came.

    It takes `seconds` to make each answer.
    """

    reply: bytes | Callable[[SentRequest], bytes] = b""
    port: int = 0
    seconds: float = 0
    requests: list[SentRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request, answer it, close."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = [
            (name.lower(), value.strip())
            for name, _, value in (line.partition(":") for line in lines)
        ]
        length = next((int(value) for name, value in headers if name == "content-length"), 0)
        self.requests.append(SentRequest(method, target, headers, await reader.readexactly(length)))
        await asyncio.sleep(self.seconds)
        writer.write(self.reply if isinstance(self.reply, bytes) else self.reply(self.requests[-1]))
        await writer.drain()
        writer.close()


def response(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """An answer of HTTP/1.1 that ends with its connection; a stream of events unless headers say otherwise."""
    chosen = {"content-type": "text/event-stream"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in chosen.items())
    return f"HTTP/1.1 {status}\r\n{lines}connection: close\r\n\r\n".encode() + body


@asynccontextmanager
async def open_vendor(
    reply: bytes | Callable[[SentRequest], bytes],
) -> AsyncIterator[LoopbackVendor]:
    """A vendor that listens while the block runs."""
    vendor = LoopbackVendor(reply)
    async with await asyncio.start_server(vendor.serve, "127.0.0.1", 0) as server:
        vendor.port = server.sockets[0].getsockname()[1]
        yield vendor
