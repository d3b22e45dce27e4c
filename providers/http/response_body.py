"""Size limits of bodies that are read whole: errors and lists of models.

Streams are limited by their reader.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import cast

import httpx2

from models import GatewayError

_MAX_ERROR_BYTES = 65_536  # the beginning of an error is enough to classify it
_MAX_WHOLE_BYTES = 8 * 2**20
_PLAIN_ENCODINGS = frozenset({"", "identity", "none", "utf-8", "utf8"})  # not compressed


def check_encoding(content_encoding: str, status: int) -> None:
    """Raise GatewayError for a compressed body: a few bytes could decompress to any size."""
    if not {coding.strip().lower() for coding in content_encoding.split(",")} <= _PLAIN_ENCODINGS:
        raise GatewayError(
            "upstream_bad_response", reason="compressed", detail={"vendor_status": status}
        )


class BodyLimit:
    """Counts the bytes of one body.

    An error's body is cut at its limit; any other raises GatewayError above it.
    """

    def __init__(self, status: int) -> None:
        self._is_error = status >= 300
        self._left = _MAX_ERROR_BYTES if self._is_error else _MAX_WHOLE_BYTES

    @property
    def is_reached(self) -> bool:
        """Whether to stop reading."""
        return self._is_error and self._left <= 0

    def take(self, chunk: bytes) -> bytes:
        """The chunk, cut at the limit of an error's body."""
        taken = chunk[: self._left]
        self._left -= len(chunk)
        if self._left < 0 and not self._is_error:
            raise GatewayError("upstream_bad_response", reason="too_long")
        return taken


def limit_response(httpx: ModuleType) -> Callable[[httpx2.Response], Awaitable[None]]:
    """A response hook for a client of `httpx` or `httpx2` that applies these limits."""

    class Limited(httpx.AsyncByteStream):  # type: ignore[name-defined, misc]
        def __init__(self, stream: httpx2.AsyncByteStream, status: int) -> None:
            self._stream = stream
            self._status = status

        async def __aiter__(self) -> AsyncIterator[bytes]:
            limit = BodyLimit(self._status)
            async for chunk in self._stream:
                yield limit.take(chunk)
                if limit.is_reached:
                    return

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def check(response: httpx2.Response) -> None:
        status = response.status_code
        check_encoding(response.headers.get("content-encoding", ""), status)
        if status >= 300:  # a stream is limited by its reader
            response.stream = Limited(cast(httpx2.AsyncByteStream, response.stream), status)

    return check
