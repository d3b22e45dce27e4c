"""Chats at a steady rate, regardless of how earlier ones end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


async def tick(rate: float) -> AsyncIterator[int]:
    """Numbers from 0, `rate` of them a second, without drift."""
    now = asyncio.get_running_loop().time
    began, number = now(), 0
    while True:
        await asyncio.sleep(max(0.0, began + number / rate - now()))
        yield number
        number += 1


async def ask_many(
    ask: Callable[[int], Coroutine[object, object, T]], count: int, rate: float
) -> list[T]:
    """Start `count` tasks, `rate` of them a second. Returns the results, in order."""
    tasks: list[asyncio.Task[T]] = []
    async for number in tick(rate):
        tasks.append(asyncio.create_task(ask(number)))
        if len(tasks) == count:
            break
    return await asyncio.gather(*tasks)
