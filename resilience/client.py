"""A client over a bare socket: it asks one chat and tells how that ended, or leaves at a moment of its choice."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

CHAT = b'{"messages":[{"role":"user","content":"Tell me something."}]}'
_PATIENCE_SECONDS = 120.0  # longer than any clock of the gateway's that a chat here meets
_NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close sends RST

Ending = Literal["end", "error", "refused", "cut"]
"""`end` and `error` are honest: in a stream, or by a status; `refused` is no connection, or a 503 of the gateway's."""


@dataclass(slots=True)
class Chat:
    """What became of a chat. Times are the loop's, in seconds; `cause` is an error's code, or what the socket said."""

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
    """A chat's request, the connection's last."""
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
        async with asyncio.timeout(_PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request(provider))
                await _read(reader, chat)
            finally:
                writer.transport.abort()
    except ConnectionRefusedError:
        chat.ending = "refused"
    except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
        chat.cause = type(error).__name__  # cut: what came so far had no end
    chat.ended_at = now()
    return chat


async def _read(reader: asyncio.StreamReader, chat: Chat) -> None:
    status, is_chunked, length = _parse((await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower())
    if status != 200:
        _take_error(msgspec.json.decode(await reader.readexactly(length))["error"], chat)
        return
    if not is_chunked:
        raise ValueError("a stream has no length")
    rest = b""
    async for data in read_chunks(reader):
        *frames, rest = (rest + data).split(b"\n\n")
        for frame in frames:
            _take_frame(frame, chat)


def _parse(head: str) -> tuple[int, bool, int]:
    length = head.partition("content-length: ")[2].partition("\r\n")[0]
    return int(head.split()[1]), "transfer-encoding: chunked" in head, int(length or 0)


async def read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A chunked body, chunk by chunk; EOFError where it is cut."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


def _take_frame(frame: bytes, chat: Chat) -> None:
    if frame.startswith(b'data: {"type":"delta"'):
        chat.first_content_at = chat.first_content_at or asyncio.get_running_loop().time()
    elif frame == b"data: [DONE]":
        chat.ending = "end" if chat.attempts else "cut"  # an end without its `end` event is none
    elif frame.startswith(b"data: "):
        event: dict[str, Any] = msgspec.json.decode(frame[6:])
        if event["type"] == "end":
            chat.model, chat.attempts = event["model"], event["attempts"]
            chat.has_fallen_back = event["fallback"] is not None
        elif event["type"] == "error":
            _take_error(event["error"], chat)


def _take_error(error: dict[str, Any], chat: Chat) -> None:
    chat.cause = error["code"]
    chat.ending = "refused" if error["code"] in ("draining", "overloaded") and error["stage"] == "request" else "error"


def leave_politely(writer: asyncio.StreamWriter) -> None:
    """FIN."""
    writer.close()


def leave_rudely(writer: asyncio.StreamWriter) -> None:
    """RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


WAYS: tuple[Callable[[asyncio.StreamWriter], None], ...] = (leave_politely, leave_rudely)
