"""The tokens of a prompt, counted by each vendor's free call: what is sent, and what is made of the response."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from models import AnswerOptions, GatewayError, Prompt, Text, Tool, Turn
from tests.providers.test_provider_requests import open_provider
from tests.vendors.loopback_vendor import SentRequest, open_vendor, response

SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')
OPTIONS = AnswerOptions(tools=(Tool("search", SCHEMA),), max_tokens=100, stop=("END",))
PROMPT = Prompt("Be brief.", (Turn("user", (Text("Hello?"),)),), OPTIONS)
ANSWERS = {
    "claude": {"input_tokens": 42},
    "responses": {"object": "response.input_tokens", "input_tokens": 42},
    "gemini": {"totalTokens": 42},
}


async def count(name: str, reply: Any, status: str = "200 OK") -> tuple[int | None, SentRequest]:
    """The number, and the request that was sent for it."""
    body = response(json.dumps(reply).encode(), status, content_type="application/json")
    async with open_vendor(body) as vendor, open_provider(name, vendor) as provider:
        tokens = await provider.count_tokens(PROMPT, "some/model")
    (request,) = vendor.requests
    return tokens, request


@pytest.mark.parametrize("name", ANSWERS)
async def test_vendor_counts(name: str) -> None:
    """By one call."""
    tokens, request = await count(name, ANSWERS[name])
    assert (tokens, request.method) == (42, "POST")
    assert request.header("content-type") == ["application/json"]


async def test_anthropic_counts_messages_and_tools() -> None:
    """What it takes of a chat."""
    _, request = await count("claude", ANSWERS["claude"])
    assert request.target == "/v1/messages/count_tokens"
    assert request.json == {
        "model": "some/model",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello?"}]}],
        "system": "Be brief.",
        "tools": [{"name": "search", "input_schema": {"type": "object", "properties": {}}}],
    }


async def test_openai_counts_input_and_tools() -> None:
    """By the Responses API."""
    _, request = await count("responses", ANSWERS["responses"])
    assert request.target == "/v1/responses/input_tokens"
    assert request.json["input"] == [{"role": "user", "content": "Hello?"}]
    assert request.json["instructions"] == "Be brief."
    assert [tool["name"] for tool in request.json["tools"]] == ["search"]
    assert not {"stream", "store", "max_output_tokens"} & set(request.json)


async def test_gemini_counts_a_whole_request() -> None:
    """The contents alone would leave out the system prompt and the tools."""
    _, request = await count("gemini", ANSWERS["gemini"])
    assert request.target == "/v1/models/some/model:countTokens"
    (name, asked) = next(iter(request.json.items()))
    assert (name, asked["model"]) == ("generateContentRequest", "models/some/model")
    assert asked["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert asked["tools"][0]["functionDeclarations"][0]["name"] == "search"


@pytest.mark.parametrize("name", ["gpt", "groq", "local"])
async def test_vendor_without_such_a_call_is_not_asked(name: str) -> None:
    """Nothing is known then."""
    async with open_vendor(b"") as vendor, open_provider(name, vendor) as provider:
        assert await provider.count_tokens(PROMPT, "some/model") is None
    assert vendor.requests == []


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_server_without_the_call_knows_nothing(name: str, status: str) -> None:
    """At the vendor's address may be a proxy that has chats alone."""
    tokens, _ = await count(name, {"error": {"message": "No such path"}}, status)
    assert tokens is None


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("401 Unauthorized", "upstream_auth"),
        ("500 Internal Server Error", "upstream_unavailable"),
    ],
)
async def test_failure_is_an_error_of_the_gateway(name: str, status: str, code: str) -> None:
    """It is translated like that of a chat."""
    with pytest.raises(GatewayError) as raised:
        await count(name, {"error": {"message": "No"}}, status)
    assert raised.value.code == code


@pytest.mark.parametrize("reply", [{}, [], {"input_tokens": "many"}, {"input_tokens": None}])
async def test_response_without_a_number_is_an_error(reply: Any) -> None:
    """It is not taken for 0."""
    with pytest.raises(GatewayError) as raised:
        await count("claude", reply)
    assert raised.value.code == "upstream_bad_response"
