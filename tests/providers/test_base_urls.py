"""Base URLs as documentation writes them lead to the vendor's API; a provider without one is asked nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from configuration import ConfigurationError
from models import GatewayError
from providers.factory import ProviderFactory
from tests.providers.test_provider_requests import STREAMS, identify
from tests.vendors.loopback_vendor import LoopbackVendor, SentRequest, open_vendor, response
from tests.vendors.scripted_provider import collect, joined, make_settings

ANTHROPIC = "/v1/messages"
GEMINI = "/v1/models/m:streamGenerateContent?alt=sse"
GEMINI_BETA = "/v1beta/models/m:streamGenerateContent?alt=sse"
GROQ = "/openai/v1/chat/completions"
OPENAI = "/v1/chat/completions"
RESPONSES = "/v1/responses"
DEPLOYMENT = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"

# Provider, what stands after the host in the base URL, and the target of a chat.
CHATS = [
    ("gpt", "", OPENAI),
    ("gpt", "/", OPENAI),
    ("gpt", "/v1", OPENAI),
    ("gpt", "/v1/", OPENAI),
    ("gpt", "/v1/chat/completions", OPENAI),
    ("gpt", "/v1/chat/completions/", OPENAI),
    ("gpt", "/openai/deployments/gpt-4o?api-version=2024-10-21", DEPLOYMENT),
    ("gpt", "/openai/deployments/gpt-4o/?api-version=2024-10-21", DEPLOYMENT),
    ("gpt", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", DEPLOYMENT),
    ("gpt", "/v1beta/openai/", "/v1beta/openai/chat/completions"),
    ("gpt", "/api/paas/v4", "/api/paas/v4/chat/completions"),
    ("gpt", "?a=b", f"{OPENAI}?a=b"),
    ("responses", "", RESPONSES),
    ("responses", "/v1/", RESPONSES),
    ("responses", "/v1/responses", RESPONSES),
    ("responses", "/v1?a=b", f"{RESPONSES}?a=b"),
    ("local", "", OPENAI),
    ("local", "/v1", OPENAI),
    ("local", "/v1/models", OPENAI),
    ("local", "/api/v1/", "/api/v1/chat/completions"),
    ("claude", "", ANTHROPIC),
    ("claude", "/", ANTHROPIC),
    ("claude", "/v1", ANTHROPIC),
    ("claude", "/v1/", ANTHROPIC),
    ("claude", "/v1/messages", ANTHROPIC),
    ("claude", "/anthropic", "/anthropic/v1/messages"),
    ("claude", "/anthropic/v1/", "/anthropic/v1/messages"),
    ("claude", "/v1?beta=true", f"{ANTHROPIC}?beta=true"),
    ("gemini", "", GEMINI),
    ("gemini", "/", GEMINI),
    ("gemini", "/v1", GEMINI),
    ("gemini", "/v1beta", GEMINI_BETA),
    ("gemini", "/v1beta/", GEMINI_BETA),
    ("gemini", "/v1beta/models", GEMINI_BETA),
    ("gemini", "/gateway/google", f"/gateway/google{GEMINI}"),
    ("gemini", "/v1beta?key=of-the-proxy", GEMINI_BETA.replace("?", "?key=of-the-proxy&")),
    ("groq", "", GROQ),
    ("groq", "/", GROQ),
    ("groq", "/openai", GROQ),
    ("groq", "/openai/v1", GROQ),
    ("groq", "/openai/v1/", GROQ),
    ("groq", "/openai/v1/chat/completions", GROQ),
    ("groq", "/openai/v1?a=b", f"{GROQ}?a=b"),
    ("groq", "/v1", "/v1/chat/completions"),
]


def factory_at(vendor: LoopbackVendor, name: str, after_host: str, model: str) -> ProviderFactory:
    base_url = vendor.url + after_host
    settings = make_settings(
        **identify(name),
        base_url=base_url,
        model_default=model,
        model_fallback=None,
        max_attempts=1,
    )
    return ProviderFactory([settings])


async def targets(name: str, after_host: str, model: str = "m") -> tuple[str, str]:
    """The addresses of a chat and of a free call."""
    async with open_vendor(response(STREAMS[name])) as vendor:
        factory = factory_at(vendor, name, after_host, model)
        try:
            provider = factory.get(identify(name)["name"])
            assert joined(await collect(provider)) == "Hello"
            vendor.reply = response(b"{}", content_type="application/json")
            assert await provider.health_check(model)
        finally:
            await factory.aclose()
    chat, check = vendor.requests
    return chat.target, check.target


@pytest.mark.parametrize(("name", "after_host", "target"), CHATS)
async def test_chat_goes_where_the_documentation_means(
    name: str, after_host: str, target: str
) -> None:
    """With or without a version, a slash, an endpoint, a query; the free call goes to the same place."""
    chat, check = await targets(name, after_host)
    assert chat == target
    path, _, query = chat.partition("?")
    root = re.sub(
        r"/(chat/completions|responses|messages|models/m:streamGenerateContent)$", "", path
    )
    query = query.removesuffix("alt=sse").removesuffix("&")
    assert check == f"{root}/models/m" + (f"?{query}" if query else "")


@pytest.mark.parametrize("model", ["models/m", "tunedModels/m"])
async def test_gemini_model_may_be_named_as_its_list_names_it(model: str) -> None:
    """The name is a resource already."""
    assert await targets("gemini", "", model) == (
        f"/v1/{model}:streamGenerateContent?alt=sse",
        f"/v1/{model}",
    )


@pytest.mark.parametrize("name", STREAMS)
def test_provider_without_an_address_is_not_built(name: str) -> None:
    """An adapter has no address of its own that a subclass could inherit: the key would go to another vendor."""
    settings = make_settings(**identify(name), base_url=None)
    with pytest.raises(ConfigurationError, match="has no address"):
        ProviderFactory([settings]).get(settings.name)


# --- the free calls ----------------------------------------------------------------------------------

NO_SUCH_PATH: list[tuple[str, dict[str, Any]]] = [
    ("404 Not Found", {"detail": "Not Found"}),  # vLLM
    (
        "404 Not Found",
        {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}},
    ),  # llama.cpp
    ("405 Method Not Allowed", {"detail": "Method Not Allowed"}),
    ("501 Not Implemented", {}),
]
NO_SUCH_MODEL = (
    "404 Not Found",
    {"error": {"code": "model_not_found", "message": "The model does not exist"}},
)
OPENAI_LIST = {"object": "list", "data": [{"id": "org/m"}, {"id": "other"}]}


async def check(name: str, model: str, one: tuple[str, Any], many: tuple[str, Any]) -> bool:
    """The free check of a vendor that answers the call for a model with `one` and that for the list with `many`."""

    def reply(request: SentRequest) -> bytes:
        status, body = many if request.target.partition("?")[0].endswith("/models") else one
        return response(json.dumps(body).encode(), status, content_type="application/json")

    async with open_vendor(reply) as vendor:
        factory = factory_at(vendor, name, "", model)
        try:
            return await factory.get(identify(name)["name"]).health_check(model)
        finally:
            await factory.aclose()


@pytest.mark.parametrize("missing", NO_SUCH_PATH)
@pytest.mark.parametrize("name", STREAMS)
async def test_list_decides_if_there_is_no_call_for_one_model(
    name: str, missing: tuple[str, Any]
) -> None:
    """Its models by id or by resource name; one that is not in it is not there."""
    listed = (
        {"models": [{"name": "models/org/m"}, {"name": "models/n"}]}
        if name == "gemini"
        else OPENAI_LIST
    )
    assert await check(name, "org/m", missing, ("200 OK", listed))
    with pytest.raises(GatewayError):
        await check(name, "absent", missing, ("200 OK", listed))


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("llama3.2", {"data": [{"id": "llama3.2:latest"}, {"id": "b"}]}),
        ("llama3.2:latest", {"data": [{"id": "llama3.2"}, {"id": "b"}]}),
        (
            "any-name",
            {"data": [{"id": "/models/file.gguf"}]},
        ),  # llama.cpp answers with its one model
        ("m", [{"id": "m"}, {"id": "b"}]),
        ("m", ["m", "b"]),
        ("m", {"models": [{"name": "m"}, {"name": "b"}]}),
    ],
)
async def test_list_may_have_the_shapes_of_local_servers(model: str, listed: object) -> None:
    """Ollama's tags, llama.cpp's only model, bare lists."""
    assert await check("local", model, NO_SUCH_PATH[0], ("200 OK", listed))


@pytest.mark.parametrize("missing", NO_SUCH_PATH)
async def test_server_without_free_calls_says_nothing(missing: tuple[str, Any]) -> None:
    """Neither good nor bad: its traffic decides."""
    assert not await check("local", "m", missing, missing)


@pytest.mark.parametrize(
    ("one", "many", "code"),
    [
        (NO_SUCH_MODEL, ("200 OK", {"data": [{"id": "only"}]}), "upstream_model_not_found"),
        (NO_SUCH_PATH[0], ("401 Unauthorized", {}), "upstream_auth"),
        (NO_SUCH_PATH[0], ("500 Oops", {}), "upstream_unavailable"),
        (NO_SUCH_PATH[0], ("200 OK", {"data": {}}), "upstream_model_not_found"),
        (NO_SUCH_PATH[0], ("200 OK", 5), "upstream_bad_response"),
        (("401 Unauthorized", {}), ("200 OK", OPENAI_LIST), "upstream_auth"),
        (("500 Oops", {}), ("200 OK", OPENAI_LIST), "upstream_unavailable"),
    ],
)
async def test_failed_check_has_its_code(
    one: tuple[str, Any], many: tuple[str, Any], code: str
) -> None:
    """A model that is not there, a refused key, a server that fails."""
    with pytest.raises(GatewayError) as raised:
        await check("local", "org/m", one, many)
    assert raised.value.code == code
