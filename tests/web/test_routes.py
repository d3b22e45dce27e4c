"""Chats over a real socket with a scripted provider: what a client sees of every way in which a chat can go."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from configuration import VALID_PROVIDERS, GatewayKey
from models import ERROR_KINDS, GatewayError, Text
from tests.clients.simple_client import join_text, read_events
from tests.gateways.scripted import answer, scripted_gateway, silence

if TYPE_CHECKING:
    from pathlib import Path

KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")
VENDOR_TEXT = "quota of org-1234 is spent"
FRIEND = "https://chat.example.com"


async def test_answer_streams(tmp_path: Path) -> None:
    """A chat comes as start, deltas, end and [DONE], with headers that say what it is and which model answers."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hel", "lo", " \U0001f600"))
        response = await gateway.chat(conversation_id="c-1", headers={"X-Request-ID": "r-1"})
        events = read_events(response.text)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (response.headers["x-gateway-provider"], response.headers["x-gateway-model"]) == (
        "gpt",
        "luna",
    )
    assert [event if event == "[DONE]" else event["type"] for event in events] == [
        *("start", "delta", "delta", "delta", "end", "[DONE]")
    ]
    assert (events[0]["conversation_id"], events[0]["request_id"]) == ("c-1", "r-1")
    assert join_text(events) == "Hello \U0001f600"


async def test_provider_gets_the_prompt(tmp_path: Path) -> None:
    """The provider is asked once, for its default model, with the client's words and the answer's own id."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        events = read_events(
            (await gateway.chat(model="gpt-99", base_url="http://example.com")).text
        )
        (asked,) = gateway.gpt.history
    assert (asked.model, asked.message_id) == ("luna", events[0]["id"])
    assert "Hello?" in str(asked.prompt.turns)
    assert "example.com" not in str(asked.prompt)


async def test_conversation_gets_an_id(tmp_path: Path) -> None:
    """If the client sends none, the start event has one to go on with."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        (start, *_) = read_events((await gateway.chat()).text)
    assert str(uuid.UUID(start["conversation_id"])) == start["conversation_id"]


async def test_whole_answer_is_one_json_object(tmp_path: Path) -> None:
    """With `"stream": false` the same chat is one JSON answer."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hel", "lo"))
        response = await gateway.chat(stream=False)
    assert response.headers["content-type"] == "application/json"
    assert (response.json()["content"], response.json()["finish_reason"]) == ("Hello", "stop")


async def test_whole_answer_that_breaks_is_an_error(tmp_path: Path) -> None:
    """With `"stream": false` a failure of every model after content still has its true status."""
    async with scripted_gateway(tmp_path) as gateway:
        for _ in ("luna", "nova"):
            gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_bad_event"))
        response = await gateway.chat(stream=False)
    assert (response.status_code, response.json()["error"]["stage"]) == (502, "before_content")
    assert "Hel" not in response.text


async def test_fallback_is_named(tmp_path: Path) -> None:
    """Before content the next model answers; headers, start and end say which one, and why."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(GatewayError("upstream_timeout"))
        gateway.gpt.enqueue(*answer("Hi"), model="nova")
        response = await gateway.chat()
        start, _, end, _ = read_events(response.text)
    assert response.headers["x-gateway-model"] == "nova"
    assert response.headers["x-gateway-fallback"] == "luna; reason=upstream_timeout"
    assert (
        start["fallback"]
        == end["fallback"]
        == {"from": "luna", "to": "nova", "reason": "upstream_timeout"}
    )
    assert (start["model"], end["model"], end["attempts"]) == ("nova", "nova", 2)


async def test_broken_answer_is_never_spliced(tmp_path: Path) -> None:
    """After content a failure ends the stream in an error with what was sent; the next model is not asked."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], [Text("lo")], GatewayError("upstream_truncated"))
        response = await gateway.chat()
        *_, error = read_events(response.text)
        assert [asked.model for asked in gateway.gpt.history] == ["luna"]
    assert response.status_code == 200
    assert (error["error"]["stage"], error["error"]["partial_chars"]) == ("after_content", 5)
    assert "[DONE]" not in response.text


async def test_client_can_ask_for_a_restart(tmp_path: Path) -> None:
    """With `"on_break": "restart"` the next model's whole answer follows one restart event."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
        gateway.gpt.enqueue(*answer("Hi"), model="nova")
        events = read_events((await gateway.chat(on_break="restart")).text)
    assert [event["type"] for event in events[:-1]] == ["start", "delta", "restart", "delta", "end"]
    assert (events[2]["model"], events[2]["partial_chars"]) == ("nova", 3)


@pytest.mark.parametrize(
    "code",
    [code for code in ERROR_KINDS if code.startswith("upstream_")]
    + [
        "rate_limited",
        "rejected_by_provider",
        "context_length_exceeded",
        "content_filtered",
        "event_too_large",
    ],
)
async def test_failure_has_its_status_and_shape(tmp_path: Path, code: str) -> None:
    """If no model answers, the client gets the code's own status, all attempts, and no word of the vendor's."""
    async with scripted_gateway(tmp_path) as gateway:
        for model in ("luna", "luna", "nova", "nova"):
            failure = GatewayError(
                code, retry_after=7 if code == "rate_limited" else None, detail={"m": VENDOR_TEXT}
            )
            gateway.gpt.enqueue(failure, model=model)
        response = await gateway.chat()
        attempts = [{"model": asked.model, "code": code} for asked in gateway.gpt.history]
    error, kind = response.json()["error"], ERROR_KINDS[code]
    assert response.status_code == error["status"] == kind.status
    assert (error["code"], error["retryable"], error["stage"]) == (
        code,
        kind.retryable,
        "before_content",
    )
    assert error["attempts"] == attempts
    assert {
        "message",
        "retry_after",
        "reason",
        "provider",
        "model",
        "partial_chars",
        "request_id",
        "timestamp",
    } <= set(error)
    assert ("retry-after" in response.headers) == (kind.retryable and kind.status in (429, 503))
    assert VENDOR_TEXT not in response.text


async def test_longest_wait_is_sent(tmp_path: Path) -> None:
    """Of several waits that vendors asked for, the client gets the longest, rounded up."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(GatewayError("rate_limited", retry_after=6.2))
        gateway.gpt.enqueue(GatewayError("rate_limited", retry_after=3), model="nova")
        response = await gateway.chat()
    assert response.headers["retry-after"] == "7"
    assert response.json()["error"]["retry_after"] == 7


async def test_unforeseen_failure_shows_nothing(tmp_path: Path) -> None:
    """An unexpected exception is an error in the one shape, without its text."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(RuntimeError(VENDOR_TEXT))
        gateway.gpt.enqueue(RuntimeError(VENDOR_TEXT), model="nova")
        response = await gateway.chat()
    assert response.status_code >= 500
    assert response.json()["error"]["code"] in ERROR_KINDS
    assert VENDOR_TEXT not in response.text


async def test_late_failure_has_its_status_in_the_stream(tmp_path: Path) -> None:
    """Past the hold the response is a 200 with a heartbeat; what happens then is an event."""
    gate = asyncio.Event()
    async with scripted_gateway(tmp_path, status_hold_seconds=0.05) as gateway:
        gateway.gpt.enqueue(gate.wait, GatewayError("upstream_auth"))
        body = {"messages": [{"role": "user", "content": "Hello?"}]}
        async with gateway.client.stream("POST", "/chat/gpt", json=body) as response:
            chunks = response.aiter_text()
            assert await anext(chunks) == ": keep-alive\n\n"
            gate.set()
            (error,) = read_events("".join([chunk async for chunk in chunks]))
    assert (response.status_code, error["error"]["status"], error["error"]["code"]) == (
        200,
        502,
        "upstream_auth",
    )


async def test_unknown_provider_lists_the_valid_ones(tmp_path: Path) -> None:
    """A 404 says what could have been meant; a provider that is not supported here is as unknown."""
    body = {"messages": [{"role": "user", "content": "Hello?"}]}
    async with scripted_gateway(tmp_path) as gateway:
        error = (await gateway.client.post("/chat/unheard-of", json=body)).json()["error"]
    assert (error["status"], error["code"]) == (404, "unknown_provider")
    assert all(name in error["message"] for name in VALID_PROVIDERS)
    async with scripted_gateway(tmp_path, supported_providers=("gpt",)) as gateway:
        assert (await gateway.client.post("/chat/claude", json=body)).json()["error"][
            "code"
        ] == "unknown_provider"


async def test_provider_without_a_key_is_not_configured(tmp_path: Path) -> None:
    """A provider that is not configured is no 404: it is a 503 that says so."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await gateway.client.post(
            "/chat/claude", json={"messages": [{"role": "user", "content": "Hi"}]}
        )
    assert (response.status_code, response.json()["error"]["code"]) == (
        503,
        "provider_not_configured",
    )
    assert "retry-after" not in response.headers


async def test_chat_needs_a_key_if_keys_are_configured(tmp_path: Path) -> None:
    """Without a valid key no vendor is asked; with one the chat goes on. Health stays open."""
    async with scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway:
        refused = [await gateway.chat(), await gateway.chat(headers={"X-API-Key": "wrong"})]
        assert gateway.gpt.history == []
        gateway.gpt.enqueue(*answer("Hi"))
        taken = await gateway.chat(headers={"Authorization": "Bearer gw-phone"})
        open_pages = [
            await gateway.client.get(path)
            for path in ("/health", "/health/live", "/health/gpt", "/")
        ]
    assert [
        (response.status_code, response.headers["www-authenticate"]) for response in refused
    ] == [(401, "Bearer")] * 2
    assert taken.status_code == 200
    assert [response.status_code for response in open_pages] == [200] * 4


async def test_chats_over_the_limit_get_a_503(tmp_path: Path) -> None:
    """One chat too many gets 503 and when to come back, before a vendor is asked; an ended one makes room."""
    async with scripted_gateway(tmp_path, max_streams=1) as gateway:
        gateway.gpt.enqueue([Text("Hel")], silence)
        first = asyncio.create_task(gateway.chat())
        await gateway.gpt.next_asked()
        second = await gateway.chat()
        first.cancel()
        await asyncio.wait({first})
        await gateway.running.settle()
        gateway.gpt.enqueue(*answer("Hi"))
        third = await gateway.chat()
    assert (second.status_code, second.json()["error"]["code"], second.headers["retry-after"]) == (
        503,
        "overloaded",
        "1",
    )
    assert third.status_code == 200


@pytest.mark.parametrize(
    "path", ["/chat/gpt", "/chat/claude", "/chat/unheard-of", "/nowhere", "/sentry-debug"]
)
async def test_allowed_origin_reads_every_answer(tmp_path: Path, path: str) -> None:
    """A page that CORS_ORIGINS names may read success and failure alike, with the headers that matter."""
    async with scripted_gateway(tmp_path, cors_origins=(FRIEND,)) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        body = {"messages": [{"role": "user", "content": "Hello?"}]}
        method = "GET" if path == "/sentry-debug" else "POST"
        response = await gateway.client.request(method, path, json=body, headers={"Origin": FRIEND})
    assert response.headers["access-control-allow-origin"] == FRIEND
    exposed = {
        name.strip().lower()
        for name in response.headers["access-control-expose-headers"].split(",")
    }
    assert {
        "x-request-id",
        "x-gateway-provider",
        "x-gateway-model",
        "x-gateway-fallback",
        "retry-after",
    } <= exposed


async def test_allowed_origin_may_ask_with_a_key(tmp_path: Path) -> None:
    """The preflight of a chat with JSON and a key is answered; another site's is refused."""
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with scripted_gateway(tmp_path, cors_origins=(FRIEND,)) as gateway:
        taken = await gateway.client.options("/chat/gpt", headers={"Origin": FRIEND} | asks)
        refused = await gateway.client.options(
            "/chat/gpt", headers={"Origin": "https://example.org"} | asks
        )
    assert (taken.status_code, taken.headers["access-control-allow-origin"]) == (200, FRIEND)
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)
