"""The workers of a started gateway, as processes. Reads /proc."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateways.served import Served

PATIENCE_SECONDS = 60


def workers_of(gateway: Served) -> set[int]:
    """The processes that serve: multiprocessing has a helper of its own among the children."""
    pid = gateway.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if is_worker(int(child))}


def is_worker(process: int) -> bool:
    """Whether this process is there and serves, by what it runs."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


async def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so in other processes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 - it is so in another process
            await asyncio.sleep(0.05)


async def wait_for_another(gateway: Served, known: set[int]) -> int:
    """A worker that is not among these."""
    await wait_until(lambda: bool(workers_of(gateway) - known))
    return min(workers_of(gateway) - known)
