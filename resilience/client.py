"""A client over a plain socket: asks for one chat and reports how it ended, or disconnects."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

CHAT = b'{"messages":[{"role":"user","content":"Say something now."}]}'
_TIMEOUT_SECONDS = 120.0  # longer than the gateway's own for a chat
_NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close sends RST

Ending = Literal["end", "error", "refused", "cut"]
"""`end` and `error`: in a stream, or by a status.

`refused`: no connection, or the gateway's 503.
"""


@dataclass(slots=True)
class Chat:
    """The outcome of a chat. Times are the loop's; `cause` is an error's code or type."""

    provider: str
    asked_at: float = 0.0
    first_content_at: float | None = None
    ended_at: float = 0.0
    ending: Ending = "cut"
    cause: str = ""
    model: str | None = None
    has_fallen_back: bool = False
    attempts: int = 0


def request(provider: str, body: bytes = CHAT) -> bytes:
    """A chat's request, the last one of its connection."""
    head = (
        f"POST /chat/{provider} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ask(port: int, provider: str) -> Chat:
    """Ask, and read to the end."""
    now = asyncio.get_running_loop().time
    chat = Chat(provider, asked_at=now())
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request(provider))
                await _read_answer(reader, chat)
            finally:
                writer.transport.abort()
    except ConnectionRefusedError:
        chat.ending = "refused"
    except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
        chat.cause = type(error).__name__  # the answer was cut
    chat.ended_at = now()
    return chat


async def _read_answer(reader: asyncio.StreamReader, chat: Chat) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if head.split()[1] != "200":
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        _take_error(msgspec.json.decode(await reader.readexactly(length))["error"], chat)
        return
    if "transfer-encoding: chunked" not in head:
        raise ValueError("a stream has no length")
    rest = b""
    async for data in read_chunks(reader):
        *frames, rest = (rest + data).split(b"\n\n")
        for frame in frames:
            if frame.startswith(b'data: {"type":"delta"'):
                chat.first_content_at = chat.first_content_at or asyncio.get_running_loop().time()
            elif frame == b"data: [DONE]":
                chat.ending = "end" if chat.attempts else "cut"  # cut, if the `end` is missing
            elif frame.startswith(b"data: "):
                event: dict[str, Any] = msgspec.json.decode(frame[6:])
                if event["type"] == "end":
                    chat.model, chat.attempts = event["model"], event["attempts"]
                    chat.has_fallen_back = event["fallback"] is not None
                elif event["type"] == "error":
                    _take_error(event["error"], chat)


async def read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A chunked body, chunk by chunk. Raises EOFError if it is cut."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


def _take_error(error: dict[str, Any], chat: Chat) -> None:
    chat.cause = error["code"]
    chat.ending = (
        "refused"
        if error["code"] in ("draining", "overloaded") and error["stage"] == "request"
        else "error"
    )


def close_in_order(writer: asyncio.StreamWriter) -> None:
    """Disconnect by FIN."""
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Disconnect by RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


WAYS: tuple[Callable[[asyncio.StreamWriter], None], ...] = (close_in_order, reset)
