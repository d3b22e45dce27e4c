"""What a key may do: providers, doors, models and deep checks, refused in each door's own shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions
from settings.gateway_keys import GatewayKey, ModelScope
from settings.new_keys import new_key
from tests.gateways.scripted import answer, scripted_gateway
from web.doors import DOORS

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.gateways.scripted import ScriptedGateway

KEY, SHA256 = new_key("phone")
HEADERS = {"Authorization": f"Bearer {KEY}"}
MESSAGES = [{"role": "user", "content": "Hello?"}]
BODIES: dict[str, dict[str, Any]] = {
    "native": {"messages": MESSAGES},
    "openai_chat": {"model": "gpt", "messages": MESSAGES},
    "openai_responses": {"model": "gpt", "input": "Hello?"},
    "anthropic": {"model": "gpt", "max_tokens": 9, "messages": MESSAGES},
    "ui_message": {
        "id": "c-1",
        "messages": [{"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello?"}]}],
    },
}
PATHS = {door.name: path.format(provider="gpt") for path, door in DOORS.items()}
DOOR_NAMES = sorted(PATHS)


def make_key(**rights: Any) -> GatewayKey:
    """The key with these rights."""
    return GatewayKey("phone", SHA256, **rights)


async def ask(gateway: ScriptedGateway, door: str) -> httpx.Response:
    """The response to a chat with `gpt` by a door."""
    return await gateway.client.post(PATHS[door], json=BODIES[door], headers=HEADERS)


def words_of(response: httpx.Response, door: str) -> tuple[int, str]:
    """The status, and the word by which the door's clients know the error."""
    if door == "ui_message":
        return response.status_code, response.headers["x-gateway-error"]
    error = response.json()["error"]
    return response.status_code, error["type" if door == "anthropic" else "code"]


@pytest.mark.parametrize("door", DOOR_NAMES)
@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        ({"scope": ModelScope(frozenset({"claude"}))}, "provider"),
        ({"scope": ModelScope(None, ("other-*",))}, "model"),
        ({"doors": frozenset({"none"})}, "door"),
    ],
)
async def test_key_is_refused_beyond_its_scope(
    tmp_path: Path, door: str, rights: dict[str, Any], reason: str
) -> None:
    """403 in the door's shape; no vendor is asked."""
    async with scripted_gateway(tmp_path, gateway_api_keys=(make_key(**rights),)) as gateway:
        response = await ask(gateway, door)
        assert gateway.gpt.history == []
    assert words_of(response, door) == (
        403,
        "permission_error" if door == "anthropic" else "forbidden",
    )
    if door == "native":
        assert response.json()["error"]["reason"] == reason


@pytest.mark.parametrize("door", DOOR_NAMES)
async def test_key_opens_what_is_in_its_scope(tmp_path: Path, door: str) -> None:
    """The provider, the door and a model of the chain."""
    key = make_key(
        scope=ModelScope(frozenset({"gpt"}), ("lun*",)), doors=frozenset({door}), deep_health=False
    )
    async with scripted_gateway(tmp_path, gateway_api_keys=(key,)) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        response = await ask(gateway, door)
    assert response.status_code == 200


async def test_model_out_of_scope_is_never_asked(tmp_path: Path) -> None:
    """Neither first nor as a fallback: of `luna` and `nova` only the second one is allowed."""
    key = make_key(scope=ModelScope(None, ("nova",)))
    async with scripted_gateway(tmp_path, gateway_api_keys=(key,)) as gateway:
        gateway.gpt.enqueue(*answer("Hi"), model="nova")
        response = await ask(gateway, "openai_chat")
        assert gateway.gpt.history == ["nova"]
    answered = response.json()
    assert (answered["model"], answered["gateway"]["fallback"]) == ("nova", None)


async def test_provider_out_of_scope_is_no_fallback(tmp_path: Path) -> None:
    """What the key may not ask does not receive the prompt if another vendor fails."""
    key = make_key(scope=ModelScope(frozenset({"gpt"})))
    vendors = {name: ProviderOptions() for name in VALID_PROVIDERS} | {
        "gpt": ProviderOptions(
            api_key=SecretStr("k"), model_default="luna", fallback_providers=("claude",)
        ),
        "claude": ProviderOptions(api_key=SecretStr("k"), model_default="opus"),
    }
    async with scripted_gateway(tmp_path, gateway_api_keys=(key,), vendors=vendors) as gateway:
        services = gateway.running.app.state.services
        claude = services.gateway.factory.built["claude"]
        response = await gateway.chat(headers=HEADERS)
        assert (set(gateway.gpt.history), claude.history) == ({"luna"}, [])
    assert response.status_code >= 500


async def test_list_of_models_has_what_the_key_may_ask(tmp_path: Path) -> None:
    key = make_key(scope=ModelScope(frozenset({"gpt"}), ("nova",)))
    async with scripted_gateway(tmp_path, gateway_api_keys=(key,)) as gateway:
        listed = await gateway.client.get("/v1/models", headers=HEADERS)
        other = await gateway.client.get("/v1/models/claude", headers=HEADERS)
    assert {model["id"] for model in listed.json()["data"]} == {"gpt", "nova"}
    assert other.status_code == 403


async def test_deep_check_needs_a_key_that_may(tmp_path: Path) -> None:
    """It costs tokens; a check without a generation is open."""
    keys = (make_key(deep_health=False),)
    async with scripted_gateway(tmp_path, gateway_api_keys=keys) as gateway:
        refused = await gateway.client.get("/health/gpt?deep=true", headers=HEADERS)
        assert gateway.gpt.history == []
        free = await gateway.client.get("/health/gpt", headers=HEADERS)
    assert (refused.status_code, refused.json()["error"]["reason"]) == (403, "deep_health")
    assert free.status_code == 200
