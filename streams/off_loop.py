"""Runs what takes long in a thread, so that the event loop goes on.

There is one thread for all of it: a second one would only take time from the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_thread = ThreadPoolExecutor(1, "large-prompts")  # it starts with the first call


async def call_off_loop(call: Callable[[], T], *, is_long: bool = True) -> T:
    """Call a function that uses nothing of the event loop, in the thread if it takes long.

    There it has none of the task's context.
    """
    return await asyncio.get_running_loop().run_in_executor(_thread, call) if is_long else call()
