"""The tokens of a chat, counted by the vendor's free call: with the real SDKs, over the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from simulator import Error, Silence
from tests.clients.anthropic_sdk import connect_anthropic
from tests.vendors.simulated_vendor import simulated_vendor

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.vendors.simulated_vendor import SimulatedVendor

COUNTING = ("claude", "gpt", "gemini")
CALL = {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "four five"}
CHAT: dict[str, Any] = {
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": "one two three"},
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [RESULT]},
    ],
    "tools": [{"name": "search", "input_schema": {"type": "object"}}],
}
MANY = {**CHAT, "max_tokens": 128_000, "temperature": 0.5, "stop_sequences": ["END"]}


async def count(vendor: SimulatedVendor, **fields: Any) -> httpx.Response:
    """The response to a request for the tokens of a chat."""
    body = {"model": vendor.provider, **CHAT, **fields}
    return await vendor.client.post("/v1/messages/count_tokens", json=body)


@pytest.mark.parametrize("provider", COUNTING)
async def test_vendor_counts_the_tokens(tmp_path: Path, provider: str) -> None:
    """Of its default model, by a call that costs nothing; the simulator's tokens are words."""
    async with simulated_vendor(tmp_path, provider, openai_api="responses") as vendor:
        async with connect_anthropic(vendor.gateway.url) as client:
            counted = await client.messages.count_tokens(model=provider, **CHAT)
        assert 5 <= counted.input_tokens <= 7
        (call,) = vendor.simulator.calls
        assert (call.model, call.is_check, vendor.simulator.count()) == ("luna", True, 0)


@pytest.mark.parametrize(
    ("provider", "fields"),
    [
        ("claude", {"model", "messages", "system", "tools"}),
        ("gpt", {"model", "input", "instructions", "tools"}),
    ],
)
async def test_vendor_gets_what_it_counts(tmp_path: Path, provider: str, fields: set[str]) -> None:
    """Without limits and sampling, which this call does not take."""
    async with simulated_vendor(tmp_path, provider, openai_api="responses") as vendor:
        response = await count(vendor, **MANY)
        assert response.status_code == 200
        assert fields <= set(vendor.simulator.calls[0].body)
        assert not {"max_tokens", "max_output_tokens", "stream", "stop_sequences", "store"} & set(
            vendor.simulator.calls[0].body
        )


async def test_response_names_the_model(tmp_path: Path) -> None:
    """In the headers."""
    async with simulated_vendor(tmp_path, "claude") as vendor:
        response = await count(vendor)
    assert (response.status_code, set(response.json())) == (200, {"input_tokens"})
    assert response.headers["x-gateway-provider"] == "claude"
    assert response.headers["x-gateway-model"] == "luna"


@pytest.mark.parametrize("provider", ["groq", "local"])
async def test_vendor_without_such_a_call_is_not_found(tmp_path: Path, provider: str) -> None:
    """Nothing is guessed: a client can estimate the number itself."""
    async with simulated_vendor(tmp_path, provider) as vendor:
        response = await count(vendor)
        assert len(vendor.simulator.calls) == 0
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_server_without_the_call_is_not_found(tmp_path: Path, status: int) -> None:
    """At the vendor's address may be a proxy that has chats alone."""
    async with simulated_vendor(tmp_path, "claude") as vendor:
        vendor.simulator.check_behaviours["luna"] = Error(status)
        response = await count(vendor)
    assert (response.status_code, response.json()["gateway"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "upstream_auth"), (429, "rate_limited"), (500, "upstream_unavailable")],
)
async def test_failure_of_the_vendor_is_an_error(tmp_path: Path, status: int, code: str) -> None:
    """It names the model, is asked once, and does not count for the health of the chats."""
    async with simulated_vendor(tmp_path, "claude") as vendor:
        vendor.simulator.check_behaviours["luna"] = Error(status)
        response = await count(vendor)
        body = response.json()
        assert (body["gateway"]["code"], body["gateway"]["model"]) == (code, "luna")
        assert len(vendor.simulator.calls) == 1
        health = (await vendor.client.get("/health")).json()
        assert health["providers"]["claude"] == "UNKNOWN"


async def test_response_without_a_number_is_an_error(tmp_path: Path) -> None:
    """It is not taken for 0."""
    async with simulated_vendor(tmp_path, "claude") as vendor:
        vendor.simulator.check_behaviours["luna"] = Error(200, body=b'{"input_tokens":"many"}')
        response = await count(vendor)
    assert response.json()["gateway"]["code"] == "upstream_bad_response"


async def test_silent_vendor_is_a_timeout(tmp_path: Path) -> None:
    """A count has the time that a chat has for its first content."""
    async with simulated_vendor(tmp_path, "claude", first_content_timeout_seconds=0.1) as vendor:
        vendor.simulator.check_behaviours["luna"] = Silence()
        response = await count(vendor)
    assert (response.status_code, response.json()["error"]["type"]) == (504, "timeout_error")


async def test_count_needs_what_a_chat_needs(tmp_path: Path) -> None:
    """A body that is valid, a model that is known, and a slot."""
    async with simulated_vendor(tmp_path, "claude", max_streams=1) as vendor:
        assert (await count(vendor, messages=[])).status_code == 400
        assert (await count(vendor, model="unheard-of")).status_code == 404
        services = vendor.gateway.app.state.services
        with services.streams:
            assert (await count(vendor)).status_code == 529
        assert (await count(vendor)).status_code == 200
        assert services.streams.open == 0


async def test_sdk_raises_for_what_is_not_counted(tmp_path: Path) -> None:
    """With the exception of its own."""
    async with (
        simulated_vendor(tmp_path, "groq") as vendor,
        connect_anthropic(vendor.gateway.url) as client,
    ):
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.count_tokens(model="groq", messages=CHAT["messages"])
