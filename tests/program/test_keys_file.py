"""KEYS_FILE with two workers: a key that is removed is refused within a second by each of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from settings.new_keys import new_key
from tests.clients.plain_http import make_client
from tests.gateways.served import UNASKED_VENDOR, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateways.served import Served

KEY, SHA256 = new_key("phone")
_, OTHER = new_key("other")
HEADERS = {"Authorization": f"Bearer {KEY}", "Connection": "close"}
PATIENCE_SECONDS = 60
ASKED = 24  # on as many connections, which two workers share evenly


async def statuses(gateway: Served) -> list[int]:
    """What requests with the key get, on connections of their own, at the same time."""
    async with make_client(gateway.url) as client:
        asked = [client.get("/v1/models", headers=HEADERS) for _ in range(ASKED)]
        return [response.status_code for response in await asyncio.gather(*asked)]


async def all_become(gateway: Served, status: int) -> float:
    """Wait until every request gets this status. Returns after how many seconds."""
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while set(await statuses(gateway)) != {status}:  # noqa: ASYNC110 - other processes read it
            await asyncio.sleep(0.05)
    return time.monotonic() - began


def processes_that_read(gateway: Served) -> set[int]:
    """Those that have read the file again, by the audit log."""
    lines = [json.loads(line) for line in gateway.log("audit.log").splitlines()]
    return {line["context"]["process"] for line in lines if line["message"] == "keys read"}


async def test_every_worker_reads_the_file_again(tmp_path: Path) -> None:
    """A removed key is refused by both; a wrong file changes nothing, in both."""
    file = tmp_path / "keys.toml"
    file.write_text(f'[keys.phone]\nsha256 = "{SHA256}"\n')
    async with served(tmp_path, workers=2, keys_file=file, **UNASKED_VENDOR) as gateway:
        await all_become(gateway, 200)
        file.write_text("[keys.phone]\nsha = 1\n")
        await gateway.wait_logged("KEYS_FILE is wrong", 2)
        assert set(await statuses(gateway)) == {200}
        file.write_text(f'[keys.other]\nsha256 = "{OTHER}"\n')
        await all_become(gateway, 401)
        await gateway.wait_logged("keys read", 2, "audit.log")
        assert len(processes_that_read(gateway)) == 2


@pytest.mark.parametrize("workers", [1, 2])
async def test_hangup_reads_the_file_and_goes_on(tmp_path: Path, workers: int) -> None:
    """Even if its stamp has not changed: a single process does not stop then, as it does without a file."""
    file = tmp_path / "keys.toml"
    first, second = (f'[keys.phone]\nsha256 = "{sha256}"\n' for sha256 in (SHA256, OTHER))
    file.write_text(first)
    before = file.stat()
    async with served(tmp_path, workers=workers, keys_file=file, **UNASKED_VENDOR) as gateway:
        await all_become(gateway, 200)
        file.write_text(second)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        gateway.process.send_signal(signal.SIGHUP)
        await all_become(gateway, 401)
        assert gateway.process.returncode is None
