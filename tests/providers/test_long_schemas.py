"""A long schema of an answer takes tenths of a second to look at: it does not hold the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING

from msgspec import Raw

from models import AnswerOptions, JsonSchema
from providers.needs import find_needs, prepare_needs
from providers.schemas import adapt
from streams.off_loop import call_off_loop
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path


def make_schema(prefix: str, count: int) -> dict[str, object]:
    """A schema that no other test has."""
    properties = {f"{prefix}_{number}": {"type": "string"} for number in range(count)}
    return {"type": "object", "properties": properties, "required": list(properties)}


async def test_long_schema_is_looked_at_once_in_the_thread() -> None:
    """What the chat needs is known afterwards."""
    schema = Raw(json.dumps(make_schema("looked_at", 400)).encode())
    options = AnswerOptions(output=JsonSchema("a", schema, strict=True))
    is_free = threading.Event()
    blocking = asyncio.create_task(call_off_loop(is_free.wait))
    await asyncio.sleep(0)
    preparing = asyncio.create_task(prepare_needs(options))
    await asyncio.sleep(0)
    assert not preparing.done()  # it waits for the thread
    is_free.set()
    await asyncio.gather(blocking, preparing)
    misses = adapt._to_strict.cache_info().misses
    assert "schema" in find_needs(options, ())
    assert adapt._to_strict.cache_info().misses == misses


async def test_chat_with_a_long_schema_prepares_it(tmp_path: Path) -> None:
    """Before its models are chosen."""
    form = {"name": "a", "schema": make_schema("asked", 400)}
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "response_format": {"type": "json_schema", "json_schema": form},
        "stream": False,
    }
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("{}"))
        is_free = threading.Event()
        blocking = asyncio.create_task(call_off_loop(is_free.wait))
        asking = asyncio.create_task(gateway.client.post("/chat/gpt", json=body))
        health = await gateway.client.get("/health")
        assert (health.status_code, gateway.gpt.history) == (200, [])
        is_free.set()
        await blocking
        assert (await asking).json()["content"] == "{}"
