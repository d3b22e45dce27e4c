"""How many connections one gateway key may have to a process: refused early, with a time to come again, and freed."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from server.connection_limits import ConnectionLimits
from server.shared_connections import SharedConnections
from settings.client_limits import ClientLimits
from settings.gateway_keys import GatewayKey
from settings.new_keys import new_key
from tests.clients.raw_client import HEALTH, ask, ask_chat, connect, on_uvloop
from tests.gateways.log_files import read_log
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.raw_client import Answer, RawClient
    from tests.gateways.scripted import ScriptedGateway

PHONE, PHONE_SHA = new_key("phone")
WEB, WEB_SHA = new_key("web")
PATIENCE_SECONDS = 30


def keys(limit: int | None = 2) -> dict[str, Any]:
    """`phone` has this limit, and `web` the limit of one connection."""
    return {
        "gateway_api_keys": (
            GatewayKey("phone", PHONE_SHA, limits=ClientLimits(connections=limit)),
            GatewayKey("web", WEB_SHA, limits=ClientLimits(connections=1)),
        )
    }


async def list_models(client: RawClient, key: str = PHONE) -> Answer:
    """The response to a request that needs a key, and no vendor."""
    return await client.ask(ask("GET", "/v1/models", f"Authorization: Bearer {key}"))


async def open_clients(
    stack: AsyncExitStack, gateway: ScriptedGateway, count: int
) -> list[RawClient]:
    return [await stack.enter_async_context(connect(gateway.running)) for _ in range(count)]


@on_uvloop
async def test_connection_beyond_the_keys_limit_is_refused_and_closed(tmp_path: Path) -> None:
    """With 429 and Retry-After, while those that are open go on; the log has why."""
    async with scripted_gateway(tmp_path, **keys()) as gateway, AsyncExitStack() as stack:
        first, second, third = await open_clients(stack, gateway, 3)
        for client in (first, second, first, second):
            assert (await list_models(client)).status == 200
        refused = await list_models(third)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert json.loads(refused.body)["error"]["code"] == "rate_limit_exceeded"
        assert refused.headers["connection"] == "close"
        assert await third.reader.read() == b""
        assert (await list_models(first)).status == 200
        (line,) = [line for line in read_log(tmp_path) if line["message"].startswith("answered")]
    assert (line["client"], line["context"]["reason"]) == ("phone", "connections")


@on_uvloop
async def test_chat_is_refused_before_its_body(tmp_path: Path) -> None:
    """The body is not waited for, and no vendor is asked."""
    async with scripted_gateway(tmp_path, **keys(1)) as gateway, AsyncExitStack() as stack:
        first, second = await open_clients(stack, gateway, 2)
        assert (await list_models(first)).status == 200
        head = ask_chat(b"x" * 100_000, f"Authorization: Bearer {PHONE}")[:-100_000]
        refused = await second.ask(head)
        assert (refused.status, refused.error["reason"]) == (429, "connections")
        assert gateway.gpt.history == []


@on_uvloop
async def test_closed_connection_is_free_again(tmp_path: Path) -> None:
    """However often they come and go; and so is that of a client that leaves within a chat."""
    async with scripted_gateway(tmp_path, **keys(1)) as gateway:
        for _ in range(5):
            async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as stack:
                while True:
                    (client,) = await open_clients(stack, gateway, 1)
                    if (await list_models(client)).status == 200:
                        break
                    await asyncio.sleep(0.01)  # until the server has seen that the last one closed
                gateway.gpt.enqueue(*answer("Hi"))
                await client.send(ask_chat(b"{}", f"Authorization: Bearer {PHONE}"))


@on_uvloop
async def test_connection_belongs_to_the_newest_key(tmp_path: Path) -> None:
    """A client that changes its key gives back the place of the other."""
    async with scripted_gateway(tmp_path, **keys(1)) as gateway, AsyncExitStack() as stack:
        first, second, third = await open_clients(stack, gateway, 3)
        assert (await list_models(first, PHONE)).status == 200
        assert (await list_models(first, WEB)).status == 200
        assert (await list_models(second, PHONE)).status == 200
        assert (await list_models(third, WEB)).status == 429


@on_uvloop
async def test_wrong_key_and_health_take_no_place(tmp_path: Path) -> None:
    """A stranger cannot use up another's connections."""
    async with scripted_gateway(tmp_path, **keys(1)) as gateway, AsyncExitStack() as stack:
        for client in await open_clients(stack, gateway, 5):
            assert (await client.ask(HEALTH)).status == 200
            assert (await list_models(client, "gw_wrong")).status == 401
        (own,) = await open_clients(stack, gateway, 1)
        assert (await list_models(own)).status == 200


@pytest.mark.parametrize(
    "options", [keys(None), keys(1) | {"trusted_proxies": ("127.0.0.1",)}], ids=["none", "proxy"]
)
@on_uvloop
async def test_connections_are_not_counted(tmp_path: Path, options: dict[str, Any]) -> None:
    """Without a limit, and those of a proxy, which carry the requests of many clients."""
    async with scripted_gateway(tmp_path, **options) as gateway, AsyncExitStack() as stack:
        for client in await open_clients(stack, gateway, 5):
            assert (await list_models(client)).status == 200


def test_request_that_outlives_its_connection_counts_no_more() -> None:
    """What it would count has no end that could give it back."""
    connections = SharedConnections(ConnectionLimits())
    closed = connections.make_claim()
    assert closed.take("phone", 1)
    closed.release()
    assert closed.take("phone", 1)
    assert [connections.make_claim().take("phone", 1) for _ in range(2)] == [True, False]
