"""Cleanup that a cancellation does not interrupt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from types import AsyncGeneratorType
from typing import Any, cast

_CLOSE_SECONDS = 1.0

_logger = logging.getLogger("gateway.closing")


async def close_surely(closing: Coroutine[Any, Any, None]) -> None:
    """Await a close for at most one second; a cancellation in the meantime does not stop it."""
    task = asyncio.ensure_future(_close(closing))
    await asyncio.shield(task)


async def close_stream(stream: AsyncGenerator[Any, None]) -> None:
    """Close a generator in the same way. For one that has ended no task is created."""
    if not has_ended(stream):
        await close_surely(stream.aclose())


def has_ended(stream: AsyncGenerator[Any, None]) -> bool:
    """Whether the generator has finished or was closed."""
    return cast(AsyncGeneratorType[Any, None], stream).ag_frame is None


async def _close(closing: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await closing
    except Exception as error:  # noqa: BLE001 - it must not replace the cause of the close
        _logger.debug("closing failed", extra={"context": {"error": type(error).__name__}})
