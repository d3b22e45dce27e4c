"""A vendor's response without a vendor: what its reads bring stands in the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8"}


class ScriptedResponse:
    """A response whose reads are the given chunks; an exception among them is raised at its place."""

    def __init__(
        self, *reads: bytes | Exception, headers: Mapping[str, str] = EVENT_STREAM
    ) -> None:
        self._reads = reads
        self.headers = headers
        self.extensions: dict[str, Any] = {}
        self.request: Any = None
        self.read = 0
        self.is_closed = False

    async def open(self) -> Self:
        """The response itself, as an adapter opens one."""
        return self

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        for read in self._reads:
            self.read += 1
            if isinstance(read, Exception):
                raise read
            yield read

    async def aclose(self) -> None:
        self.is_closed = True
