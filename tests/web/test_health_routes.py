"""The health routes over a real socket: their answers, and the vendor calls that they cause."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from configuration import GatewayKey
from models import GatewayError, Text
from tests.gateways.scripted import answer, scripted_gateway, silence
from tests.vendors.scripted_provider import STOP

if TYPE_CHECKING:
    from pathlib import Path

KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")
SHOWN = {"X-API-Key": "gw-phone"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_gateway_is_ready(tmp_path: Path, method: str) -> None:
    """A load balancer's probe gets 200, by either method, without a vendor being asked."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await gateway.client.request(method, "/health")
        assert (gateway.gpt.history, gateway.gpt.checked) == ([], [])
    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 0
    if method == "GET":
        state = response.json()
        assert (state["status"], state["message"], state["demo"]) == (
            "OK",
            "System operational",
            False,
        )
        assert (state["providers"]["gpt"], state["providers"]["claude"]) == (
            "UNKNOWN",
            "NOT_CONFIGURED",
        )


async def test_full_gateway_says_so(tmp_path: Path) -> None:
    """With every slot taken the probe gets 503 and when to retry; as soon as one is free, 200."""
    async with scripted_gateway(tmp_path, max_streams=1) as gateway:
        gateway.gpt.enqueue([Text("Hel")], silence)
        chat = asyncio.create_task(gateway.chat())
        await gateway.gpt.next_asked()
        full, alive = await gateway.client.get("/health"), await gateway.client.get("/health/live")
        chat.cancel()
        await asyncio.wait({chat})
        await gateway.running.settle()
        free = await gateway.client.get("/health")
    assert (full.status_code, full.json()["status"], full.headers["retry-after"]) == (
        503,
        "OVERLOADED",
        "1",
    )
    assert full.json()["streams"] == {"open": 1, "limit": 1}
    assert (alive.status_code, free.status_code, free.json()["status"]) == (200, 200, "OK")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_process_is_alive(tmp_path: Path, method: str) -> None:
    """A request that asks only if the process answers gets 200."""
    async with scripted_gateway(tmp_path) as gateway:
        assert (await gateway.client.request(method, "/health/live")).status_code == 200


async def test_provider_state_comes_from_its_traffic(tmp_path: Path) -> None:
    """After a chat no model needs to be asked: the chat itself is the proof."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        await gateway.chat()
        response = await gateway.client.get("/health/gpt")
        assert gateway.gpt.checked == []
        assert (await gateway.client.get("/health")).json()["providers"]["gpt"] == "OK"
    state = response.json()
    assert response.status_code == 200
    assert (state["status"], state["provider"], state["source"], state["error"]) == (
        "OK",
        "gpt",
        "traffic",
        None,
    )
    assert state["model"] == {"default": "luna", "fallback": "nova"}
    assert state["metrics"]["success_rate"] == 1.0
    assert isinstance(state["metrics"]["responseTime"], float)
    assert state["checked_at"].endswith("Z")


async def test_response_time_is_that_of_the_first_content(tmp_path: Path) -> None:
    """In seconds to the millisecond, however long the answer goes on."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(0.05, [Text("Hel")], 0.4, [Text("lo")], [STOP])
        began = time.monotonic()
        await gateway.chat()
        took = time.monotonic() - began
        state = (await gateway.client.get("/health/gpt")).json()
    seconds = state["metrics"]["responseTime"]
    assert 0.05 <= seconds <= took - 0.4
    assert seconds == round(seconds, 3)


async def test_failing_chats_degrade_the_provider(tmp_path: Path) -> None:
    """Some failures among successes are DEGRADED, which is no 503: the provider can still be asked."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(GatewayError("upstream_timeout"))
        gateway.gpt.enqueue(*answer("Hi"), model="nova")
        await gateway.chat()
        response = await gateway.client.get("/health/gpt")
    assert (response.status_code, response.json()["status"]) == (200, "DEGRADED")


async def test_many_probes_are_one_check(tmp_path: Path) -> None:
    """However many ask at once and after, a provider without traffic is asked once, for its default model, for free."""
    gate = asyncio.Event()
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.check = [gate.wait]
        probes = [asyncio.create_task(gateway.client.get("/health/gpt")) for _ in range(20)]
        await asyncio.wait(probes, timeout=0.2)
        gate.set()
        responses = [*await asyncio.gather(*probes), await gateway.client.get("/health/gpt")]
        assert (gateway.gpt.checked, gateway.gpt.history) == (["luna"], [])
    assert {(response.status_code, response.json()["status"]) for response in responses} == {
        (200, "OK")
    }
    assert responses[-1].json()["source"] == "probe"


async def test_stale_state_is_checked_again(tmp_path: Path) -> None:
    """What was seen longer ago than HEALTH_CACHE_SECONDS is asked anew."""
    async with scripted_gateway(tmp_path, health_cache_seconds=1e-6) as gateway:
        await gateway.client.get("/health/gpt")
        await gateway.client.get("/health/gpt")
        assert gateway.gpt.checked == ["luna", "luna"]


async def test_failing_check_is_a_503(tmp_path: Path) -> None:
    """A provider whose check fails is ERROR with the code; the gateway itself stays ready."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.check = [GatewayError("upstream_auth", detail={"m": "sk-of-a-test is wrong"})]
        response = await gateway.client.get("/health/gpt")
        ready = await gateway.client.get("/health")
    state = response.json()
    assert (response.status_code, state["status"], state["error"]) == (
        503,
        "ERROR",
        "upstream_auth",
    )
    assert "sk-of-a-test" not in response.text
    assert (ready.status_code, ready.json()["providers"]["gpt"]) == (200, "ERROR")


async def test_unconfigured_provider_is_a_503(tmp_path: Path) -> None:
    """A provider without a key cannot answer, and says why."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await gateway.client.get("/health/claude")
    assert (response.status_code, response.json()["status"]) == (503, "ERROR")
    assert response.json()["error"] == "provider_not_configured"


async def test_unknown_provider_is_a_404(tmp_path: Path) -> None:
    """An unknown name has no state of health."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await gateway.client.get("/health/unheard-of")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_provider")


async def test_deep_check_needs_a_key(tmp_path: Path) -> None:
    """No client without a gateway key can make the gateway spend tokens: not even if none is configured."""
    async with scripted_gateway(tmp_path) as gateway:
        without = await gateway.client.get("/health/gpt?deep=true", headers=SHOWN)
        assert gateway.gpt.history == []
    async with scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway:
        wrong = await gateway.client.get("/health/gpt?deep=true", headers={"X-API-Key": "gw-other"})
        assert gateway.gpt.history == []
    assert [response.status_code for response in (without, wrong)] == [401, 401]


async def test_deep_check_generates_once(tmp_path: Path) -> None:
    """With a key the default model answers a test message; the next one has to wait."""
    async with scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway:
        gateway.gpt.enqueue(*answer("OK"))
        first = await gateway.client.get("/health/gpt?deep=true", headers=SHOWN)
        second = await gateway.client.get("/health/gpt?deep=true", headers=SHOWN)
        assert [asked.model for asked in gateway.gpt.history] == ["luna"]
        assert gateway.gpt.checked == []
    assert (first.status_code, first.json()["status"], first.json()["source"]) == (
        200,
        "OK",
        "probe",
    )
    assert (second.status_code, second.json()["error"]["code"]) == (429, "rate_limited")
    assert 1 <= int(second.headers["retry-after"]) <= 30


@pytest.mark.parametrize("deep", ["maybe", "", "true&deep=maybe"])
async def test_unreadable_query_is_a_422(tmp_path: Path, deep: str) -> None:
    """A query that cannot be read is the client's mistake, reported in the one shape."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await gateway.client.get(f"/health/gpt?deep={deep}")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")
