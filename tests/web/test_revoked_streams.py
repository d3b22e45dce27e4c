"""REVOKED_STREAMS: what becomes of the streams of a key that is removed or has expired."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.gateways.log_files import read_log
from tests.gateways.scripted import answer, scripted_gateway, silence
from tests.web.test_key_scopes import BODIES, DOOR_NAMES, PATHS, words_of
from tests.web.test_keys_source import (
    NEW,
    NEW_SHA256,
    OLD,
    PATIENCE_SECONDS,
    SHA256,
    reported,
    status_becomes,
    table,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.gateways.scripted import ScriptedGateway

# how each protocol writes it into a stream
WORDS = {
    "native": '"code":"unauthorized"',
    "openai_chat": '"code":"invalid_api_key"',
    "openai_responses": '"code":"invalid_api_key"',
    "anthropic": '"type":"authentication_error"',
    "ui_message": '"code":"unauthorized"',
}
BOTH = table("phone", SHA256) + table("web", NEW_SHA256)
EXPIRED = table("phone", SHA256, "expires = 2026-01-01") + table("web", NEW_SHA256)


@asynccontextmanager
async def ending_gateway(folder: Path) -> AsyncIterator[tuple[ScriptedGateway, Path]]:
    """A gateway that ends the streams of revoked keys, and the file of its two keys."""
    file = folder / "keys.toml"
    file.write_text(BOTH)
    async with scripted_gateway(folder, keys_file=file, revoked_streams="end") as gateway:
        yield gateway, file


async def becomes(condition: Callable[[], bool]) -> None:
    """Wait for what the gateway does."""
    while not condition():  # noqa: ASYNC110 - a script has no event of it
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("door", DOOR_NAMES)
async def test_stream_of_a_removed_key_ends_in_the_doors_words(tmp_path: Path, door: str) -> None:
    """After the content that it had, with an error and without the mark of a whole answer."""
    async with ending_gateway(tmp_path) as (gateway, file):
        gateway.gpt.enqueue(answer("one ", "two")[0], silence)
        body = BODIES[door] | {"stream": True}
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            gateway.client.stream("POST", PATHS[door], json=body, headers=OLD) as response,
        ):
            assert response.status_code == 200
            file.write_text(table("web", NEW_SHA256))
            text = (await response.aread()).decode()
    assert "one" in text
    assert WORDS[door] in text.replace('": ', '":')
    assert "[DONE]" not in text
    lines = read_log(tmp_path)
    (record,) = [line["context"] for line in lines if line["message"] == "chat finished"]
    assert (record["outcome"], record["error_code"]) == ("rejected", "unauthorized")


async def test_stream_of_another_key_goes_on(tmp_path: Path) -> None:
    """Only the expired key's one ends."""
    async with ending_gateway(tmp_path) as (gateway, file):
        proceed = asyncio.Event()
        one, two, end = answer("one ", "two")
        gateway.gpt.enqueue(one, silence)
        gateway.gpt.enqueue(one, proceed.wait, two, end)
        async with asyncio.timeout(PATIENCE_SECONDS):
            expired = asyncio.create_task(gateway.chat(headers=OLD))
            await becomes(lambda: bool(gateway.gpt.history))
            other = asyncio.create_task(gateway.chat(headers=NEW))
            file.write_text(EXPIRED)
            assert '"unauthorized"' in (await expired).text
            proceed.set()
            assert (await other).text.endswith("data: [DONE]\n\n")
            assert "two" in (await other).text


@pytest.mark.parametrize("door", DOOR_NAMES)
async def test_chat_without_content_is_refused(tmp_path: Path, door: str) -> None:
    """With the status of a request that has no key."""
    async with ending_gateway(tmp_path) as (gateway, file):
        gateway.gpt.enqueue(silence)
        async with asyncio.timeout(PATIENCE_SECONDS):
            asked = asyncio.create_task(
                gateway.client.post(PATHS[door], json=BODIES[door], headers=OLD)
            )
            await becomes(lambda: bool(gateway.gpt.history))
            file.write_text(EXPIRED)
            status, word = words_of(await asked, door)
    assert status == 401
    assert word in WORDS[door]


async def test_wrong_file_ends_no_stream(tmp_path: Path) -> None:
    """The keys that were read before stay valid."""
    async with ending_gateway(tmp_path) as (gateway, file):
        proceed = asyncio.Event()
        one, two, end = answer("one ", "two")
        gateway.gpt.enqueue(one, proceed.wait, two, end)
        async with asyncio.timeout(PATIENCE_SECONDS):
            chat = asyncio.create_task(gateway.chat(headers=OLD))
            file.write_text("[keys.web]\n")
            await reported(tmp_path)
            await status_becomes(gateway, OLD, 200)
            proceed.set()
            assert (await chat).text.endswith("data: [DONE]\n\n")
