"""Receives a request's body within its limits. Large bodies are decoded in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from configuration import Settings
from models import GatewayError
from streams.deadline import CancelScope, ScopeCancelledError

T = TypeVar("T")

_MAX_BYTES_ON_LOOP = 2**15  # larger bodies are decoded in the thread; at most a few milliseconds


class PendingBodies:
    """The bodies that are being received or decoded; all together are limited to MAX_PENDING_BYTES.

    Large bodies are decoded in one thread. A second one would only take time from the event loop.
    """

    def __init__(self, max_pending_bytes: int) -> None:
        self._limit = self._free = max_pending_bytes
        self._thread = ThreadPoolExecutor(1, "bodies")

    @property
    def reserved(self) -> int:
        """The bytes that are reserved."""
        return self._limit - self._free

    def reserve(self, size: int) -> None:
        """Reserve `size` bytes. Raises GatewayError `overloaded`."""
        if size > self._free:
            raise GatewayError(
                "overloaded", "The gateway is at its limit of bodies being received.", retry_after=1
            )
        self._free -= size

    def release(self, size: int) -> None:
        """Release `size` reserved bytes."""
        self._free += size

    async def decode(self, body: bytearray, read: Callable[[bytes], T]) -> T:
        """Call `read` with a body without blocking the event loop, and clear the body."""
        if len(body) <= _MAX_BYTES_ON_LOOP:
            return _take(body, read)
        return await asyncio.get_running_loop().run_in_executor(self._thread, _take, body, read)

    def close(self) -> None:
        """Stop the thread after the body that it is decoding."""
        self._thread.shutdown(cancel_futures=True)


async def read_body(
    request: Request,
    settings: Settings,
    pending: PendingBodies,
    read: Callable[[bytes], T],
) -> T:
    """Receive the body within its limits, and call `read` with it.

    Raises GatewayError `unsupported_media_type`, `payload_too_large`, `overloaded`,
    `request_timeout`, and what `read` raises.
    """
    media_type, *parameters = request.headers.get("content-type", "").lower().split(";")
    pairs = [parameter.partition("=") for parameter in parameters]
    charsets = {value.strip().strip('"') for name, _, value in pairs if name.strip() == "charset"}
    if media_type.strip() != "application/json" or not charsets <= {"", "utf-8", "utf8"}:
        raise GatewayError("unsupported_media_type")
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise GatewayError("unsupported_media_type", "Send the body uncompressed.")
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > settings.max_body_bytes:
        raise _too_large(length, settings.max_body_bytes)
    body = bytearray()
    try:
        await _receive(request, body, settings.max_body_bytes, pending)
    except BaseException:
        pending.release(len(body))
        raise
    size = len(body)
    try:
        return await pending.decode(body, read)
    finally:
        pending.release(size)


def _take(body: bytearray, read: Callable[[bytes], T]) -> T:
    copy = bytes(body)
    body.clear()  # the buffer may be waiting for the thread, so no body is held twice
    return read(copy)


async def _receive(request: Request, body: bytearray, limit: int, pending: PendingBodies) -> None:
    """Append the received chunks to `body`. All bytes in it are reserved."""
    deadline = request.scope.get("extensions", {}).get("gateway.body_deadline")
    try:
        with CancelScope(deadline) if deadline else nullcontext():
            async for chunk in request.stream():
                pending.reserve(len(chunk))
                body += chunk
                if len(body) > limit:
                    raise _too_large(f"more than {limit}", limit)
    except ClientDisconnect:
        raise GatewayError(
            "request_timeout", "The client disconnected before its body was complete."
        ) from None
    except ScopeCancelledError:
        raise GatewayError("request_timeout", "The body was not received in time.") from None


def _too_large(seen: object, limit: int) -> GatewayError:
    return GatewayError(
        "payload_too_large", f"The body has {seen} bytes; MAX_BODY_BYTES is {limit}."
    )
