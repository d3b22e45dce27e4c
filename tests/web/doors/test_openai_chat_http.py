"""The paths below /v1 over HTTP: keys, errors in the client's shape, and requests that look like a browser's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from starlette.datastructures import Headers

from models import GatewayError
from tests.clients.simple_client import read_events
from tests.gateways.scripted import answer, scripted_gateway
from web.doors import DOORS, NATIVE, OPENAI_CHAT, find_door

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.gateways.scripted import ScriptedGateway

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": "Hello?"}]}
KEYS = [{"name": "phone", "sha256": hashlib.sha256(b"gw-phone").hexdigest()}]
ANTHROPIC = {"anthropic-version": "2023-06-01"}
# What Node's fetch sends, which is no browser.
NODE = {"accept": "*/*", "accept-language": "*", "sec-fetch-mode": "cors", "user-agent": "node"}


async def post(gateway: ScriptedGateway, path: str = CHAT, **options: Any) -> httpx.Response:
    return await gateway.client.post(path, **({"json": BODY} | options))


def check_error(response: httpx.Response, status: int, code: str) -> None:
    """An error in OpenAI's shape, with what the gateway knows beside it."""
    error, facts = response.json()["error"], response.json()["gateway"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error.keys() == {"message", "type", "code", "param"}
    assert facts["request_id"] == response.headers["x-request-id"] == response.headers["request-id"]
    assert response.headers["x-should-retry"] == ("true" if facts["retryable"] else "false")


@pytest.mark.parametrize(
    ("path", "headers", "door"),
    [
        (CHAT, {}, OPENAI_CHAT),
        (CHAT, ANTHROPIC, OPENAI_CHAT),
        ("/v1", {}, OPENAI_CHAT),
        ("/v1/models", {}, OPENAI_CHAT),
        ("/v1/models/a/b", {}, OPENAI_CHAT),
        ("/v1/embeddings", {}, OPENAI_CHAT),
        ("/v1/models", ANTHROPIC, DOORS.get("/v1/messages", OPENAI_CHAT)),
        ("/v1/complete", ANTHROPIC, DOORS.get("/v1/messages", OPENAI_CHAT)),
        ("/v10", {}, NATIVE),
        ("/models", ANTHROPIC, NATIVE),
    ],
)
def test_errors_below_v1_are_shaped_for_its_clients(
    path: str, headers: dict[str, str], door: object
) -> None:
    """Anthropic's clients send a header, all others there are OpenAI's."""
    assert find_door(path, Headers(headers)) is door


async def test_every_refusal_has_openais_shape(tmp_path: Path) -> None:
    """A wrong key, path, method, type, size and body."""
    async with scripted_gateway(tmp_path, gateway_api_keys=KEYS, max_body_bytes=100) as gateway:
        check_error(await post(gateway), 401, "invalid_api_key")
        check_error(await gateway.client.get("/v1/models"), 401, "invalid_api_key")
        check_error(await gateway.client.get("/v1/models/luna"), 401, "invalid_api_key")
        gateway.client.headers["Authorization"] = "Bearer gw-phone"
        check_error(await post(gateway, "/v1/embeddings"), 404, "not_found")
        check_error(await gateway.client.get(CHAT), 405, "method_not_allowed")
        check_error(await post(gateway, json=None, content=b"{}"), 415, "unsupported_media_type")
        check_error(await post(gateway, json=BODY | {"user": "x" * 100}), 413, "payload_too_large")
        check_error(await post(gateway, json={"messages": 7}), 400, "invalid_request")
        check_error(await post(gateway, json=BODY | {"n": 2}), 400, "unsupported")
        check_error(await post(gateway, json=BODY | {"model": "x"}), 404, "model_not_found")


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_either_header_has_the_key(tmp_path: Path, header: str) -> None:
    value = "gw-phone" if header == "X-API-Key" else "Bearer gw-phone"
    async with scripted_gateway(tmp_path, gateway_api_keys=KEYS) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        chat = await post(gateway, headers={header: value})
        models = await gateway.client.get("/v1/models", headers={header: value})
    assert (chat.status_code, models.status_code) == (200, 200)


async def test_provider_that_is_not_configured_says_so(tmp_path: Path) -> None:
    """Its name is known, so it is no 404."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await post(gateway, json=BODY | {"model": "claude-haiku-5-5"})
    check_error(response, 503, "provider_not_configured")


async def test_headers_name_who_answers(tmp_path: Path) -> None:
    """As on every door."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(GatewayError("upstream_timeout"), model="luna")
        gateway.gpt.enqueue(*answer("Hi"), model="nova")
        accept = {"Accept": "application/json"}  # OpenAI's SDK sends it for streams, too
        response = await post(gateway, json=BODY | {"stream": True}, headers=accept)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-gateway-model"] == "nova"
    assert response.headers["x-gateway-fallback"] == "luna; reason=upstream_timeout"
    assert read_events(response.text)[-1] == "[DONE]"


async def test_named_model_is_asked_as_the_operator_allows(tmp_path: Path) -> None:
    """Any other name leads to the provider's own models; the answer has the one that served."""
    async with scripted_gateway(tmp_path, model_aliases="fast=gpt/nova") as gateway:
        for model, served in (("gpt", "luna"), ("gpt-6-anything", "luna"), ("fast", "nova")):
            gateway.gpt.enqueue(*answer("Hi"))
            response = await post(gateway, json=BODY | {"model": model})
            assert response.json()["model"] == served
    assert gateway.gpt.history == ["luna", "luna", "nova"]


@pytest.mark.parametrize(
    "headers", [NODE, {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty"}], ids=str
)
async def test_clients_that_are_no_browsers_are_not_judged_as_such(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    """Without an Origin there is no page, whatever else they send of a browser's headers."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        response = await post(gateway, headers=headers)
    assert response.status_code == 200


async def test_page_of_another_origin_is_refused_in_openais_shape(tmp_path: Path) -> None:
    async with scripted_gateway(tmp_path) as gateway:
        response = await post(gateway, headers={"Origin": "https://foreign.example.com"})
    check_error(response, 403, "forbidden_origin")


async def test_models_are_in_the_shape_of_the_client(tmp_path: Path) -> None:
    """Both APIs have the path; Anthropic's clients send a header."""
    async with scripted_gateway(tmp_path) as gateway:
        listed = (await gateway.client.get("/v1/models")).json()
        page = (await gateway.client.get("/v1/models?limit=1", headers=ANTHROPIC)).json()
        one = (await gateway.client.get("/v1/models/luna", headers=ANTHROPIC)).json()
        head = await gateway.client.head("/v1/models/luna")
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["gpt", "luna", "nova"]
    assert listed["data"][1] == {"id": "luna", "object": "model", "created": 0, "owned_by": "gpt"}
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("gpt", "nova", False)
    assert page["data"][1] == one
    assert one == {
        "type": "model",
        "id": "luna",
        "display_name": "luna",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    }
    assert head.status_code == 200


@pytest.mark.parametrize("name", ["openai/fast", "openai%2Ffast"])
async def test_models_name_may_have_slashes(tmp_path: Path, name: str) -> None:
    """As it is, or escaped."""
    async with scripted_gateway(tmp_path, model_aliases="openai/fast=gpt") as gateway:
        response = await gateway.client.get(f"/v1/models/{name}")
    assert (response.status_code, response.json()["id"]) == (200, "openai/fast")
