"""Demo mode within a running gateway: the real SDKs talk to the simulator, and every answer says so.

`test_command_line` has what an unconfigured process does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions
from tests.clients.plain_http import make_client
from tests.clients.simple_client import join_text, read_events
from tests.gateways.loopback import make_settings, running_gateway
from tests.vendors.simulated_vendor import DEFAULT, QUESTION, simulated_vendor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VENDORS = ("gpt", "claude", "gemini", "groq")
UNCONFIGURED = {name: ProviderOptions() for name in VALID_PROVIDERS}

pytestmark = pytest.mark.usefixtures("quick_demo")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway with models but no key, with DEMO=auto."""
    vendors = UNCONFIGURED | {name: ProviderOptions(model_default=DEFAULT) for name in VENDORS}
    settings = make_settings(tmp_path, vendors=vendors, demo="auto")
    async with (
        running_gateway(settings) as gateway,
        make_client(gateway.url, timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_every_demo_answer_says_that_it_is_one(
    client: httpx.AsyncClient, stream: bool
) -> None:
    """In the start event or the JSON answer, and in a header that pages of other origins may read."""
    response = await client.post("/chat/claude", json=QUESTION | {"stream": stream})
    shown = read_events(response.text)[0] if stream else response.json()
    assert (shown["demo"], response.headers["x-gateway-demo"]) == (True, "true")


async def test_demo_answers_are_about_the_question(client: httpx.AsyncClient) -> None:
    """They quote the last question, and think if they are asked to."""
    question = "Do you think that it will rain?"
    response = await client.post(
        "/chat/groq", json={"messages": [{"role": "user", "content": question}]}
    )
    start, *deltas, _, _ = read_events(response.text)
    assert question in join_text(deltas)
    assert any(event["delta"].get("reasoning") for event in deltas)
    assert start["model"] == DEFAULT


async def test_demo_answers_by_a_schema_without_a_stream(tmp_path: Path) -> None:
    """Groq has no stream for it: the demo's Groq gives one JSON body, whose text is one event."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    vendors = UNCONFIGURED | {"groq": ProviderOptions(model_default="openai/gpt-oss-120b")}
    settings = make_settings(tmp_path, vendors=vendors, demo="auto")
    question = [{"role": "user", "content": "Do you think that it rains in Rome?"}]
    async with running_gateway(settings) as gateway, make_client(gateway.url, timeout=30) as client:
        body = {"messages": question, "response_format": form}
        response = await client.post("/chat/groq", json=body)
    start, thought, delta, end, done = read_events(response.text)
    assert json.loads(delta["delta"]["content"]) == {"city": "Rome"}
    assert "simulated" in thought["delta"]["reasoning"]
    assert (start["demo"], end["finish_reason"], done) == (True, "stop", "[DONE]")
    assert end["usage"]["output_tokens"] > end["usage"]["reasoning_tokens"] > 0


async def test_demo_asks_gpt_by_the_responses_api(client: httpx.AsyncClient) -> None:
    """As a key would; the answer says how it came."""
    response = await client.post("/chat/gpt", json=QUESTION)
    *_, end, _ = events = read_events(response.text)
    assert "events of the Responses API" in join_text(events[1:-2])
    assert end["raw_finish_reason"] == "completed"


async def test_unknown_provider_is_unknown_in_demo_too(client: httpx.AsyncClient) -> None:
    """Demo mode invents no vendor."""
    assert (await client.post("/chat/hal", json=QUESTION)).status_code == 404


async def test_no_answer_of_a_vendor_says_demo(tmp_path: Path) -> None:
    """With a key, even one for a server on loopback, nothing claims to be simulated."""
    async with simulated_vendor(tmp_path, "gpt", demo="auto") as vendor:
        response = await vendor.chat()
        health = (await vendor.client.get("/health")).json()
    assert "demo" not in read_events(response.text)[0]
    assert "x-gateway-demo" not in response.headers
    assert health["demo"] is False


async def test_demo_that_is_asked_for_leaves_real_vendors_alone(tmp_path: Path) -> None:
    """With DEMO=on a configured vendor gets no prompt, and its key is sent to no other server."""
    async with simulated_vendor(tmp_path, "gpt", demo="on") as vendor:
        response = await vendor.chat()
        report = await vendor.client.get("/health/gpt")
        assert (vendor.simulator.count(), vendor.simulator.count_checks()) == (0, 0)
    assert read_events(response.text)[0]["demo"] is True
    assert report.json()["status"] == "OK"


async def test_demo_knows_no_key(tmp_path: Path) -> None:
    """A real key is not in the simulator's hands: the settings that providers get have a made-up one."""
    key = "sk-real-key-of-an-operator"
    vendors = UNCONFIGURED | {"gpt": ProviderOptions(api_key=SecretStr(key), model_default=DEFAULT)}
    settings = make_settings(tmp_path, vendors=vendors, demo="on")
    async with running_gateway(settings) as gateway:
        provider = gateway.app.state.services.gateway.factory.get("gpt")
        given = provider.settings.api_key.get_secret_value()
    assert given != key
