"""A client over a plain socket: asks for one chat and reports how it ended, or disconnects."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from resilience.doors import NATIVE, Door, find_facts

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


async def ask(port: int, provider: str, door: Door = NATIVE) -> Chat:
    """Ask, and read to the end."""
    now = asyncio.get_running_loop().time
    chat = Chat(provider, asked_at=now())
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(door.request(provider))
                await _read_answer(reader, chat, door)
            finally:
                writer.transport.abort()
    except ConnectionRefusedError:
        chat.ending = "refused"
    except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
        chat.cause = type(error).__name__  # the answer was cut
    chat.ended_at = now()
    return chat


async def hold(port: int, provider: str) -> asyncio.StreamWriter:
    """Ask, read to the beginning of the answer, and leave it open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(NATIVE.request(provider))
    if b" 200 " not in await reader.readuntil(b"\r\n"):
        raise ValueError("no answer has begun")
    return writer


async def ask_in_vain(port: int, provider: str, times: int) -> None:
    """Ask again and again on one connection. Raises ValueError if it is not refused each time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = NATIVE.request(provider).replace(b"Connection: close\r\n", b"")
    try:
        for _ in range(times):
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            if head.split()[1] != "503":
                raise ValueError(f"no refusal: {head}")
            await reader.readexactly(int(_read_header(head, "content-length")))
    finally:
        writer.transport.abort()


async def _read_answer(reader: asyncio.StreamReader, chat: Chat, door: Door) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if head.split()[1] != "200":
        body = await reader.readexactly(int(_read_header(head, "content-length") or 0))
        code = _read_header(head, "x-gateway-error")  # of a page, whose body is a text
        facts = {"code": code} if code else find_facts(msgspec.json.decode(body))
        _take_error(facts, chat)
        return
    if "transfer-encoding: chunked" not in head:
        raise ValueError("a stream has no length")
    rest = b""
    async for data in read_chunks(reader):
        *frames, rest = (rest + data).split(b"\n\n")
        for frame in frames:
            _take_frame(frame, chat, door)


def _read_header(head: str, name: str) -> str:
    return head.partition(f"\r\n{name}: ")[2].partition("\r\n")[0]


def _take_frame(frame: bytes, chat: Chat, door: Door) -> None:
    if door.content in frame:
        chat.first_content_at = chat.first_content_at or asyncio.get_running_loop().time()
        return
    if door.error in frame:
        _take_error(_read_facts(frame), chat)
    elif door.end in frame:
        facts = _read_facts(frame)
        chat.model, chat.attempts = facts["model"], facts["attempts"]
        chat.has_fallen_back = facts["fallback"] is not None
    if door.last in frame and chat.ending != "error":
        chat.ending = "end" if chat.attempts else "cut"  # cut, if the end is missing


def _read_facts(frame: bytes) -> dict[str, Any]:
    return find_facts(msgspec.json.decode(frame.partition(b"data: ")[2]))


async def read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A chunked body, chunk by chunk. Raises EOFError if it is cut."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


def _take_error(facts: dict[str, Any], chat: Chat) -> None:
    """An error. The second one of a page has no code."""
    chat.cause = facts.get("code", chat.cause)
    is_refusal = chat.cause in ("draining", "overloaded")
    is_early = chat.first_content_at is None and facts.get("stage", "request") == "request"
    chat.ending = "refused" if is_refusal and is_early else "error"


def close_in_order(writer: asyncio.StreamWriter) -> None:
    """Disconnect by FIN."""
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Disconnect by RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


WAYS: tuple[Callable[[asyncio.StreamWriter], None], ...] = (close_in_order, reset)
