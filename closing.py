"""Closing to the end, whatever comes between: cleanup that a cancellation must not cut short."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from types import AsyncGeneratorType
from typing import Any, cast

from logging_config import debug_with_context

_CLOSE_SECONDS = 1.0

_logger = logging.getLogger("gateway.closing")


async def close_surely(closing: Coroutine[Any, Any, None]) -> None:
    """Await a close to its end, for a second at most; a cancellation that comes meanwhile does not stop it."""
    task = asyncio.ensure_future(_close(closing))
    await asyncio.shield(task)


async def close_stream(stream: AsyncGenerator[Any, None]) -> None:
    """The same for a generator; one that has ended has nothing to close, and costs no task."""
    if not has_ended(stream):
        await close_surely(stream.aclose())


def is_running(stream: AsyncGenerator[Any, None]) -> bool:
    """Whether somebody waits for the generator's next value."""
    return cast(AsyncGeneratorType[Any, None], stream).ag_running


def has_ended(stream: AsyncGenerator[Any, None]) -> bool:
    """Whether the generator has nothing left to do."""
    return cast(AsyncGeneratorType[Any, None], stream).ag_frame is None


async def _close(closing: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await closing
    except Exception as error:  # noqa: BLE001 - nothing is left to do, and it must not hide what led to it
        debug_with_context(_logger, "closing failed", error=type(error).__name__)
