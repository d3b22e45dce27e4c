"""What the chat page asks before anything else: the limits, and the providers that it can ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from configuration import GatewayKey
from models import GatewayError
from tests.clients.plain_http import make_client
from tests.gateways.demo import VENDORS, demo_gateway
from tests.gateways.scripted import scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")


async def test_limits_are_those_of_the_configuration(tmp_path: Path) -> None:
    """A page that keeps to them is not refused for its size."""
    limits = {
        "max_body_bytes": 70_000,
        "max_messages": 7,
        "max_message_chars": 1_000,
        "max_image_bytes": 2_000,
        "max_file_bytes": 3_000,
    }
    async with scripted_gateway(tmp_path, **limits) as gateway:
        response = await gateway.client.get("/ui/config")
    types = ["image/gif", "image/jpeg", "image/png", "image/webp"]
    assert response.json()["limits"] == {
        **limits,
        "image_types": types,
    }
    assert response.headers["cache-control"] == "no-store"


async def test_configured_providers_have_their_models_and_states(tmp_path: Path) -> None:
    """No vendor is asked; one without a key is not listed."""
    async with scripted_gateway(tmp_path) as gateway:
        before = (await gateway.client.get("/ui/config")).json()
        assert gateway.gpt.checked == []
        for model in ("luna", "luna", "nova", "nova"):
            gateway.gpt.enqueue(GatewayError("upstream_unavailable"), model=model)
        await gateway.chat()
        after = (await gateway.client.get("/ui/config")).json()
    chain = {"default": "luna", "fallback": "nova"}
    gpt: dict[str, Any] = {"name": "gpt", "seconds": None, "model": chain, "files": True}
    assert before["providers"] == [gpt | {"state": "UNKNOWN"}]
    assert after["providers"] == [gpt | {"state": "ERROR"}]
    assert before["demo"] is False


@pytest.mark.parametrize("keys", [(), (KEY,)])
async def test_needs_no_key_and_says_whether_chats_do(
    tmp_path: Path, keys: tuple[GatewayKey, ...]
) -> None:
    """It shows no more than the page's own files and the health routes do."""
    async with scripted_gateway(tmp_path, gateway_api_keys=keys) as gateway:
        response = await gateway.client.get("/ui/config")
    assert (response.status_code, response.json()["key_needed"]) == (200, bool(keys))
    assert "phone" not in response.text


async def test_demo_has_its_providers(tmp_path: Path) -> None:
    """Whose models a simulator plays, and the page can say so."""
    async with demo_gateway(tmp_path) as gateway, make_client(gateway.url) as client:
        config = (await client.get("/ui/config")).json()
        probe = await client.head("/ui/config")
    assert config["demo"] is True
    assert tuple(provider["name"] for provider in config["providers"]) == VENDORS
    assert {provider["model"]["default"] for provider in config["providers"]} == {"luna"}
    assert (probe.status_code, probe.content) == (200, b"")
