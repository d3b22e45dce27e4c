"""A default model that is dead: its users have the fallback's answers, and the default serves again when it recovers.

The whole run, against a gateway in a process of its own, is `make dead-default`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions
from resilience.client import Chat, ask
from resilience.dead_default import RefusingVendor
from resilience.load import tick
from simulator import WIRES, Error, Scripted, Silence, Simulator
from tests.exhaustive import exhaustive
from tests.gateways.loopback import make_settings, running_gateway
from tests.vendors.simulated_vendor import DEFAULT, FALLBACK, simulated_vendor

if TYPE_CHECKING:
    from pathlib import Path

    from simulator import Behaviour

CHATS, AT_ONCE = 200, 20
HEALTHY = Scripted(("Hello ", "there."))
PROMISED_CALLS = 1.2  # a chat, once the breaker is open
PROMISED_SECONDS = 30.0
SOON = 1.0  # FIRST_CONTENT_TIMEOUT_SECONDS


async def ask_many(port: int, count: int) -> list[Chat]:
    """So many chats, a few at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def ask_one() -> Chat:
        async with places:
            return await ask(port, "gpt")

    return await asyncio.gather(*(ask_one() for _ in range(count)))


async def wait_for_default(port: int) -> None:
    """Until the default model answers. Raises TimeoutError if that takes longer than promised."""
    async with asyncio.timeout(PROMISED_SECONDS):
        async for _ in tick(5):
            if (await ask(port, "gpt")).model == DEFAULT:
                return


@pytest.mark.parametrize("dead", [Silence(), *exhaustive(Error(503))], ids=["silent", "503"])
async def test_dead_default_costs_no_answer(tmp_path: Path, dead: Behaviour) -> None:
    """Every chat is whole; once the breaker is open hardly any asks twice; the default is back within 30 seconds."""
    async with simulated_vendor(tmp_path, "gpt", first_content_timeout_seconds=SOON) as vendor:
        port = vendor.gateway.port
        vendor.simulator.behaviours |= {DEFAULT: dead, FALLBACK: HEALTHY}
        finding_out = await ask_many(port, AT_ONCE)
        asked = vendor.simulator.count()
        chats = await ask_many(port, CHATS - AT_ONCE)
        asked = vendor.simulator.count() - asked
        vendor.simulator.behaviours[DEFAULT] = HEALTHY
        await wait_for_default(port)
    assert {(chat.ending, chat.model) for chat in finding_out + chats} == {("end", FALLBACK)}
    assert len(chats) <= asked <= PROMISED_CALLS * len(chats)


async def test_vendor_that_refuses_connections_is_left_for_another(tmp_path: Path) -> None:
    """The same if connections to the vendor's address are refused, and the operator has named another provider."""
    dead = RefusingVendor()
    async with Simulator(default=HEALTHY) as simulator:
        key = SecretStr("key-of-a-test")
        address = f"http://127.0.0.1:{dead.port}{WIRES['gpt'].base_path}"
        vendors = {name: ProviderOptions() for name in VALID_PROVIDERS} | {
            "gpt": ProviderOptions(
                api_key=key, base_url=address, model_default=DEFAULT, fallback_providers=("groq",)
            ),
            "groq": ProviderOptions(
                api_key=key, base_url=simulator.base_urls["groq"], model_default=FALLBACK
            ),
        }
        async with running_gateway(make_settings(tmp_path, vendors=vendors)) as gateway:
            finding_out = await ask_many(gateway.port, AT_ONCE)
            chats = await ask_many(gateway.port, CHATS - AT_ONCE)
            await dead.recover()
            await wait_for_default(gateway.port)
            await dead.die()
    assert {(chat.ending, chat.model) for chat in finding_out + chats} == {("end", FALLBACK)}
    assert sum(chat.attempts for chat in chats) <= PROMISED_CALLS * len(chats)
