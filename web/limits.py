"""The limit of concurrent chats."""

from __future__ import annotations

import asyncio
from types import TracebackType

from models import GatewayError


class StreamLimit:
    """The limit of concurrent chats in this process. A chat holds a slot by `with limit:`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0
        self.is_closed = False  # the instance is about to stop: no chat is admitted
        self.all_free = asyncio.Event()
        self.all_free.set()

    @property
    def is_reached(self) -> bool:
        """Whether another chat would be refused."""
        return self.open >= self.limit

    def check(self) -> None:
        """Raise GatewayError `overloaded` if no slot is free."""
        if self.is_reached:
            raise GatewayError("overloaded", retry_after=1)

    def __enter__(self) -> None:
        """Take a slot. Raises GatewayError `overloaded`."""
        self.check()
        self.open += 1
        self.all_free.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the slot."""
        self.open -= 1
        if not self.open:
            self.all_free.set()
