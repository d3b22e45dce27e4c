"""The gateway against its own OpenAPI document, by schemathesis: whatever is asked, the answer is documented."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import pytest_asyncio
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

from main import create_app
from models import ERROR_KINDS
from tests.clients.named_events import read_named
from tests.clients.simple_client import join_text, read_events
from tests.clients.ui_reader import read_message
from tests.fuzzing import fuzzed
from tests.gateways.loopback import make_settings
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway
from web.openapi import describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from schemathesis import Case

MODES = {"fitting": GenerationMode.POSITIVE, "misfit": GenerationMode.NEGATIVE}
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PURGE")
NAMES = ("gpt", "claude", "unheard-of", "")
TEXT = "Hello"
# The vendor answers; so these are the only ways in which the gateway may have no answer of its own.
DESIGNED = {"provider_not_configured"}
CONFORMANCE = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
]


def read_document() -> dict[str, Any]:
    """The document that /openapi.json shows."""
    return describe(create_app(make_settings(Path())))


DOCUMENT = read_document()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {
    f"{method.upper()} {path}": SCHEMA[path][method]
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedGateway]:
    """One for all examples: it has to take them one after the other, as a real one has."""
    async with scripted_gateway(
        tmp_path_factory.mktemp("logs"), max_messages=5, max_message_chars=100
    ) as running:
        yield running


@cache
def cases(operation: str, mode: str) -> st.SearchStrategy[Case[Any]]:
    """Requests that fit the document, or don't if there is a way not to, to a provider that may be known."""

    def aim(case: Case[Any], name: str) -> Case[Any]:
        if "provider" in (case.path_parameters or {}):
            case.path_parameters["provider"] = name
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = name
        return case

    method, path = operation.split(" ", 1)
    described = DOCUMENT["paths"][path][method.lower()]
    places = {parameter["in"] for parameter in described.get("parameters", ())}
    may_misfit = "requestBody" in described or "query" in places  # any text is a path
    fuzz = OPERATIONS[operation].as_strategy(
        generation_mode=MODES[mode] if may_misfit else GenerationMode.POSITIVE
    )
    return st.one_of(fuzz, st.builds(aim, fuzz, st.sampled_from(NAMES)))


async def ask(gateway: ScriptedGateway, case: Case[Any]) -> httpx.Response:
    """The answer to a case."""
    gateway.gpt.enqueue(*answer(TEXT))
    sent = case.as_transport_kwargs(base_url=gateway.running.url)
    assert not sent.pop("cookies")
    if isinstance(sent.get("data"), bytes):
        sent["content"] = sent.pop("data")
    return await gateway.client.request(**sent)


def check_answer(response: httpx.Response) -> None:
    """What the contract says of every answer."""
    (request_id,) = response.headers.get_list("x-request-id")
    if code := response.headers.get("x-gateway-error"):  # the body is a text
        assert request_id in response.text
        assert ERROR_KINDS[code].status == response.status_code
        assert response.status_code < 500 or code in DESIGNED
        return
    if response.status_code == 204:
        return
    said = response.json() if response.status_code != 200 else {}
    if (
        response.status_code == 200 or said.get("status") == "ERROR"
    ):  # a provider's state, of one without a key
        return
    facts = said["gateway" if "gateway" in said else "error"]  # as the door has it
    assert facts["request_id"] == request_id
    assert facts["code"] in ERROR_KINDS
    assert facts["status"] == response.status_code
    assert response.status_code < 500 or facts["code"] in DESIGNED


def check_message(response: httpx.Response, wanted: object) -> None:
    """The same at Anthropic's door."""
    if wanted is True:
        events = read_named(response.text)
        assert events[-1] == {"type": "message_stop"}
        pieces = [event["delta"]["text"] for event in events if "text" in event.get("delta", {})]
        assert "".join(pieces) == TEXT
    else:
        assert response.json()["content"] == [{"type": "text", "text": TEXT}]


def check_chat(response: httpx.Response, wanted: object) -> None:
    """A chat that was taken is whole, in the wire that was asked for."""
    if wanted is False:
        assert response.json()["content"] == TEXT
    else:
        events = read_events(response.text)
        assert (join_text(events), events[-1]) == (TEXT, "[DONE]")


def check_completion(response: httpx.Response, wanted: object) -> None:
    """The same by OpenAI's protocol."""
    if wanted is not True:
        assert response.json()["choices"][0]["message"]["content"] == TEXT
        return
    *chunks, done = read_events(response.text)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    text = "".join(choice["delta"].get("content", "") for choice in choices)
    assert (text, choices[-1]["finish_reason"], done) == (TEXT, "stop", "[DONE]")


def check_page(response: httpx.Response, wanted: object) -> None:
    """The same by the AI SDK's protocol."""
    message = response.json() if wanted is False else read_message(response.text)
    assert [part.get("text") for part in message["parts"]] == [None, TEXT]


def check_response(response: httpx.Response, wanted: object) -> None:
    """The same by OpenAI's Responses."""
    whole = response.json() if wanted is not True else read_named(response.text)[-1]["response"]
    assert whole["status"] == "completed"
    assert [part["text"] for item in whole["output"] for part in item["content"]] == [TEXT]


CHAT_CHECKS = {
    "POST /chat/{provider}": check_chat,
    "POST /v1/chat/completions": check_completion,
    "POST /v1/messages": check_message,
    "POST /ui/chat/{provider}": check_page,
    "POST /v1/responses": check_response,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.asyncio(loop_scope="module")
@fuzzed
@given(data=st.data())
async def test_every_answer_is_documented(
    gateway: ScriptedGateway, operation: str, mode: str, data: st.DataObject
) -> None:
    """Status, type, headers and shape are the document's, no 5xx but the designed; a chat is whole or refused."""
    case = data.draw(cases(operation, mode))
    response = await ask(gateway, case)
    content_type = response.headers.get("content-type", "")
    is_stream = content_type.startswith("text/event-stream")  # documented as one string; read below
    shape = [] if is_stream else [checks.response_schema_conformance]
    case.validate_response(response, checks=[*CONFORMANCE, *shape])
    check_answer(response)
    if operation in CHAT_CHECKS and response.status_code == 200:
        CHAT_CHECKS[operation](response, json.loads(response.request.content).get("stream"))


@pytest.mark.asyncio(loop_scope="module")
@fuzzed
@given(method=st.sampled_from(METHODS), path=st.text(), query=st.text())
async def test_every_path_and_method_is_answered(
    gateway: ScriptedGateway, method: str, path: str, query: str
) -> None:
    """Pages that are and pages that are not, by any method: the contract's shape, and the request's id."""
    response = await gateway.client.request(method, "/" + quote(path), params=query)
    if method != "HEAD":
        check_answer(response)
    assert response.status_code < 500
