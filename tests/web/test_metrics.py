"""`GET /metrics` of one process: who may read it, and what it has beside chats."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from settings.gateway_keys import GatewayKey
from telemetry.exposition import Sample, read_samples, total
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a-key-of-the-test"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


def one_key(**scope: Any) -> dict[str, Any]:
    hashed = hashlib.sha256(KEY.encode()).hexdigest()
    return {"gateway_api_keys": (GatewayKey(name="team-a", sha256=hashed, **scope),)}


async def scrape(gateway: ScriptedGateway) -> list[Sample]:
    response = await gateway.client.get("/metrics", headers=AUTHORIZED)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return list(read_samples(response.text))


async def test_metrics_are_not_there_unless_configured(tmp_path: Path) -> None:
    """With METRICS_PORT alone they are there, and not here."""
    async with scripted_gateway(tmp_path) as gateway:
        assert (await gateway.client.get("/metrics")).status_code == 404
    async with scripted_gateway(tmp_path, metrics_port=9) as gateway:
        assert (await gateway.client.get("/metrics")).status_code == 404


async def test_metrics_need_a_key(tmp_path: Path) -> None:
    """They say who asks how much. The refusal is counted."""
    async with scripted_gateway(tmp_path, metrics=True, **one_key()) as gateway:
        assert (await gateway.client.get("/metrics")).status_code == 401
        seen = await scrape(gateway)
    assert total(seen, "chat_gateway_refusals_total", code="unauthorized") == 1


async def test_key_may_be_for_chats_alone(tmp_path: Path) -> None:
    """As those of KEYS_FILE are, unless it says otherwise."""
    async with scripted_gateway(tmp_path, metrics=True, **one_key(metrics=False)) as gateway:
        refused = await gateway.client.get("/metrics", headers=AUTHORIZED)
    assert (refused.status_code, refused.json()["error"]["reason"]) == (403, "metrics")


async def test_chat_is_in_the_metrics_when_it_has_ended(tmp_path: Path) -> None:
    """With its key; and a refusal by a limit is no chat."""
    async with scripted_gateway(tmp_path, metrics=True, max_messages=1, **one_key()) as gateway:
        gateway.gpt.enqueue(*answer("Hello"))
        await gateway.chat(headers=AUTHORIZED)
        message = {"role": "user", "content": "Hello?"}
        refused = await gateway.chat(headers=AUTHORIZED, messages=[message, message])
        assert refused.status_code == 422
        await gateway.running.settle()
        seen = await scrape(gateway)
    assert total(seen, "chat_gateway_chats_total") == 1
    assert total(seen, "chat_gateway_key_chats_total", key="team-a", outcome="ok") == 1
    assert total(seen, "chat_gateway_refusals_total", code="invalid_request") == 1


async def test_process_is_measured(tmp_path: Path) -> None:
    """Slots, memory, breakers, and how late the event loop is."""
    async with scripted_gateway(tmp_path, metrics=True, max_streams=7) as gateway:
        async with asyncio.timeout(30):
            while True:
                seen = await scrape(gateway)
                if total(seen, "chat_gateway_event_loop_delay_seconds_count"):
                    break
    assert total(seen, "chat_gateway_streams_limit") == 7
    assert total(seen, "chat_gateway_workers") == 1
    assert 1e6 < total(seen, "chat_gateway_memory_bytes") < 1e11
    breakers = [sample for sample in seen if sample.name == "chat_gateway_breaker_state"]
    assert {sample.labels["model"] for sample in breakers} == {"luna", "nova"}


async def test_failed_chat_is_no_refusal(tmp_path: Path) -> None:
    """It is in the record of the chat."""
    async with scripted_gateway(tmp_path, metrics=True) as gateway:
        response = await gateway.client.post("/chat/groq", json={"messages": []})
        assert response.status_code == 422
        unconfigured = {"messages": [{"role": "user", "content": "Hello?"}]}
        assert (await gateway.client.post("/chat/groq", json=unconfigured)).status_code == 503
        await gateway.running.settle()
        seen = await scrape(gateway)
    assert total(seen, "chat_gateway_chats_total", outcome="rejected") == 1
    assert total(seen, "chat_gateway_refusals_total") == 1
