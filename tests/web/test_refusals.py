"""What every refusal has in common, whatever refuses: its shape, its log line, its CORS headers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from models import ERROR_KINDS
from tests.gateways.log_files import logs_in, read_log
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

FRIEND = "https://chat.example.com"
BODY = b'{"messages": [{"role": "user", "content": "Hello?"}]}'
JSON = {"Content-Type": "application/json"}
CHAT: dict[str, Any] = {"method": "POST", "url": "/chat/gpt", "content": BODY, "headers": JSON}

REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "path": ("not_found", {"method": "GET", "url": "/nowhere"}),
    "file": ("not_found", {"method": "GET", "url": "/static/nowhere.js"}),
    "method": ("method_not_allowed", {"method": "PUT", "url": "/health"}),
    "provider": ("unknown_provider", CHAT | {"url": "/chat/nowhere"}),
    "health of a provider": ("unknown_provider", {"method": "GET", "url": "/health/nowhere"}),
    "no key of the vendor": ("provider_not_configured", CHAT | {"url": "/chat/groq"}),
    "type": ("unsupported_media_type", CHAT | {"headers": {"Content-Type": "text/plain"}}),
    "no JSON": ("invalid_json", CHAT | {"content": b'{"messages": NaN}'}),
    "field": ("invalid_request", CHAT | {"content": b'{"messages": []}'}),
    "size": ("payload_too_large", CHAT | {"content": b'{"a": "%b"}' % (b"x" * 5_000)}),
    "host": ("forbidden_host", CHAT | {"headers": JSON | {"Host": "elsewhere.example.com"}}),
    "preflight": (
        "forbidden_origin",
        {
            "method": "OPTIONS",
            "url": "/chat/gpt",
            "headers": {
                "Origin": "https://foreign.example.com",
                "Access-Control-Request-Method": "POST",
            },
        },
    ),
    "origin": (
        "forbidden_origin",
        CHAT | {"headers": JSON | {"Origin": "https://foreign.example.com"}},
    ),
}


@pytest.mark.parametrize(("code", "request_"), REFUSALS.values(), ids=REFUSALS)
async def test_refusal_has_the_one_shape_and_a_log_line(
    tmp_path: Path, code: str, request_: dict[str, Any]
) -> None:
    """The code with its status, the request id in body, header and log; and the page may read it."""
    headers = {"Origin": FRIEND, "X-Request-ID": "r-1"} | request_.get("headers", {})
    with logs_in(tmp_path):
        async with scripted_gateway(
            tmp_path, cors_origins=(FRIEND,), max_body_bytes=2_000
        ) as gateway:
            response = await gateway.client.request(**(request_ | {"headers": headers}))
        lines = [line for line in read_log(tmp_path, "debug") if line["request_id"] == "r-1"]
    error = response.json()["error"]
    assert (error["code"], error["status"]) == (code, response.status_code)
    assert response.status_code == ERROR_KINDS[code].status
    assert error["request_id"] == response.headers["x-request-id"] == "r-1"
    assert error["timestamp"].endswith("Z")
    assert code in {line["context"].get("code") for line in lines if line.get("context")}
    is_friends = headers["Origin"] == FRIEND
    assert (response.headers.get("access-control-allow-origin") == FRIEND) == is_friends


NULL_BODIES: dict[str, dict[str, Any]] = {
    "/chat/gpt": {},
    "/v1/chat/completions": {"model": "gpt"},
    "/v1/messages": {"model": "gpt", "max_tokens": 9},
    "/v1/responses": {"model": "gpt", "messages": None, "input": "Hello?"},
}


@pytest.mark.parametrize("path", NULL_BODIES)
async def test_null_for_stream_is_as_if_it_were_absent(tmp_path: Path, path: str) -> None:
    """At each door: the native one streams by default, OpenAI's and Anthropic's do not."""
    body = {"messages": [{"role": "user", "content": "Hello?"}]} | NULL_BODIES[path]
    async with scripted_gateway(tmp_path) as gateway:
        types = []
        for stream in ({"stream": None}, {}):
            gateway.gpt.enqueue(*answer("Hello"))
            response = await gateway.client.post(
                path, content=json.dumps(body | stream), headers=JSON
            )
            assert response.status_code == 200
            types.append(response.headers["content-type"].partition(";")[0])
    assert types == ["text/event-stream" if path == "/chat/gpt" else "application/json"] * 2
