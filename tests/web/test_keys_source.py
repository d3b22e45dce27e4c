"""KEYS_FILE while the gateway runs: read again when it changes, kept when it is wrong."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from configuration import ConfigurationError
from settings.new_keys import new_key
from tests.gateways.log_files import read_log
from tests.gateways.loopback import make_settings
from tests.gateways.scripted import answer, scripted_gateway
from web.keys_source import load_keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateways.scripted import ScriptedGateway

KEY, SHA256 = new_key("phone")
OLD = {"Authorization": f"Bearer {KEY}"}
NEW_KEY, NEW_SHA256 = new_key("web")
NEW = {"Authorization": f"Bearer {NEW_KEY}"}
PATIENCE_SECONDS = 30


def table(name: str, sha256: str, more: str = "") -> str:
    """A key's table."""
    return f'[keys.{name}]\nsha256 = "{sha256}"\n{more}\n'


@asynccontextmanager
async def keyed_gateway(folder: Path) -> AsyncIterator[tuple[ScriptedGateway, Path]]:
    """A gateway whose keys are in a file, and that file."""
    file = folder / "keys.toml"
    file.write_text(table("phone", SHA256))
    async with scripted_gateway(folder, keys_file=file) as gateway:
        yield gateway, file


async def status_becomes(gateway: ScriptedGateway, headers: dict[str, str], status: int) -> None:
    """Wait until a request with the key gets this status."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            response = await gateway.client.get("/v1/models", headers=headers)
            if response.status_code == status:
                return
            await asyncio.sleep(0.02)


async def reported(folder: Path) -> str:
    """Wait until the log has a problem of the file."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for line in read_log(folder, "error"):
                if "KEYS_FILE is wrong" in line["message"]:
                    return str(line["context"]["problem"])
            await asyncio.sleep(0.02)


async def test_change_of_the_file_counts_without_a_restart(tmp_path: Path) -> None:
    """A new key opens, a removed one does not, and the audit log has their names."""
    async with keyed_gateway(tmp_path) as (gateway, file):
        await status_becomes(gateway, OLD, 200)
        file.write_text(table("web", NEW_SHA256))
        await status_becomes(gateway, NEW, 200)
        await status_becomes(gateway, OLD, 401)
        read = [line for line in read_log(tmp_path, "audit") if line["message"] == "keys read"]
    assert [(line["context"]["added"], line["context"]["removed"]) for line in read] == [
        (["web"], ["phone"])
    ]


async def test_wrong_file_keeps_the_old_keys_and_is_reported(tmp_path: Path) -> None:
    """With the line of the mistake; when the file is right again it counts."""
    async with keyed_gateway(tmp_path) as (gateway, file):
        file.write_text(table("web", NEW_SHA256, 'doors = ["no-such-door"]'))
        problem = await reported(tmp_path)
        await status_becomes(gateway, OLD, 200)
        await status_becomes(gateway, NEW, 401)
        file.unlink()
        file.write_text(table("web", NEW_SHA256))
        await status_becomes(gateway, NEW, 200)
    assert "line 3: keys.web: doors should be" in problem


async def test_chat_of_a_removed_key_goes_on(tmp_path: Path) -> None:
    """It was admitted; only new chats are refused."""
    async with keyed_gateway(tmp_path) as (gateway, file):
        proceed = asyncio.Event()
        one, two, end = answer("one ", "two")
        gateway.gpt.enqueue(one, proceed.wait, two, end)
        async with gateway.client.stream(
            "POST",
            "/chat/gpt",
            json={"messages": [{"role": "user", "content": "Hello?"}]},
            headers=OLD,
        ) as response:
            file.write_text(table("web", NEW_SHA256))
            await status_becomes(gateway, NEW, 200)
            proceed.set()
            text = (await response.aread()).decode()
        await status_becomes(gateway, OLD, 401)
    assert text.endswith("data: [DONE]\n\n")


async def test_keys_can_be_in_both_places(tmp_path: Path) -> None:
    """In the environment and in the file."""
    file = tmp_path / "keys.toml"
    file.write_text(table("phone", SHA256))
    keys = [{"name": "web", "sha256": NEW_SHA256}]
    async with scripted_gateway(tmp_path, keys_file=file, gateway_api_keys=keys) as gateway:
        await status_becomes(gateway, OLD, 200)
        await status_becomes(gateway, NEW, 200)
        await status_becomes(gateway, {}, 401)


def test_wrong_file_prevents_a_start(tmp_path: Path) -> None:
    """There are no old keys to keep."""
    file = tmp_path / "keys.toml"
    file.write_text("[keys.phone]\n")
    with pytest.raises(ConfigurationError, match=r"keys\.toml: line 1: keys\.phone"):
        load_keys(make_settings(tmp_path, keys_file=file))
