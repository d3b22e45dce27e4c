"""What browsers learn about pages of other origins: preflights, refusals, and answers that may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateways.log_files import read_log
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.gateways.scripted import ScriptedGateway

FRIEND = "https://chat.example.com"
FOREIGN = "https://foreign.example.com"
OPENAI_SDK = (
    "authorization,content-type,idempotency-key,openai-organization,openai-project,x-stainless-arch,x-stainless-helper-method,"
    "x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,"
    "x-stainless-runtime-version,x-stainless-timeout"
)
ANTHROPIC_SDK = (
    "anthropic-beta,anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,x-stainless-arch,"
    "x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,"
    "x-stainless-runtime-version,x-stainless-timeout"
)
INSTRUMENTED = "authorization,baggage,content-type,sentry-trace,traceparent,tracestate,x-request-id,x-requested-with"
EXPOSED = {
    "x-request-id",
    "x-gateway-provider",
    "x-gateway-model",
    "x-gateway-fallback",
    "x-gateway-demo",
    "retry-after",
}


async def preflight(
    gateway: ScriptedGateway,
    headers: str = "content-type",
    *,
    origin: str = FRIEND,
    method: str = "POST",
    path: str = "/chat/gpt",
) -> httpx.Response:
    asks = {"Access-Control-Request-Method": method} | (
        {"Access-Control-Request-Headers": headers} if headers else {}
    )
    return await gateway.client.options(path, headers={"Origin": origin} | asks)


def listed(response: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in response.headers[header].split(",")}


@pytest.mark.parametrize(
    "headers",
    ["", "content-type", "authorization,content-type", INSTRUMENTED, INSTRUMENTED.upper(), "x-api-key, content-type",
     "x-stainless-os,x-stainless-retry-count,openai-organization", "anthropic-version,anthropic-beta,x-api-key",
     "x-gateway-on-break", "x-b3-traceid,b3", "x-datadog-trace-id", "last-event-id,cache-control", "x-client"],
)  # fmt: skip
async def test_preflight_of_an_instrumented_front_end_is_answered(
    tmp_path: Path, headers: str
) -> None:
    async with scripted_gateway(
        tmp_path, cors_origins=(FRIEND,), cors_headers=("X-Client",)
    ) as gateway:
        response = await preflight(gateway, headers)
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, FRIEND)
    assert "POST" in response.headers["access-control-allow-methods"]
    if headers:
        asked = {name.strip().lower() for name in headers.split(",")}
        assert listed(response, "access-control-allow-headers") == asked
    assert "origin" in listed(response, "vary")


@pytest.mark.parametrize(
    ("headers", "method", "reason"),
    [("x-odd", "POST", "header"), ("content-type,x-odd", "POST", "header"), ("", "DELETE", "method"),
     ("", "post", "method")],
)  # fmt: skip
async def test_preflight_that_asks_too_much_is_an_error_that_the_page_may_read(
    tmp_path: Path, headers: str, method: str, reason: str
) -> None:
    """In the one shape, with the CORS headers of an allowed origin, and with a line in the log."""
    async with scripted_gateway(tmp_path, cors_origins=(FRIEND,)) as gateway:
        response = await preflight(gateway, headers, method=method)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["reason"]) == (
        403,
        "forbidden_origin",
        reason,
    )
    assert response.headers["access-control-allow-origin"] == FRIEND
    assert "forbidden_origin" in (tmp_path / "app.log").read_text()


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [("/v1/chat/completions", "POST", OPENAI_SDK), ("/v1/models", "GET", OPENAI_SDK),
     ("/v1/models", "GET", ANTHROPIC_SDK), ("/v1/chat/completions", "POST", f"{OPENAI_SDK},{INSTRUMENTED}")],
)  # fmt: skip
async def test_preflight_of_an_sdk_in_a_page_is_answered(
    tmp_path: Path, path: str, method: str, headers: str
) -> None:
    """With all the headers that the SDK adds, whose answers the page may read."""
    async with scripted_gateway(tmp_path, cors_origins=(FRIEND,)) as gateway:
        response = await preflight(gateway, headers, method=method, path=path)
        read = await gateway.client.get("/v1/models", headers={"Origin": FRIEND})
    assert response.status_code == 200
    assert listed(response, "access-control-allow-headers") == set(headers.split(","))
    assert read.headers["access-control-allow-origin"] == FRIEND


async def test_any_header_is_allowed_if_the_operator_says_so(tmp_path: Path) -> None:
    async with scripted_gateway(tmp_path, cors_origins=(FRIEND,), cors_headers=("*",)) as gateway:
        assert (await preflight(gateway, "x-odd")).status_code == 200


@pytest.mark.parametrize("origins", [(), (FRIEND,)], ids=["none allowed", "another one allowed"])
@pytest.mark.parametrize("origin", [FOREIGN, "null"])
async def test_preflight_of_another_origin_is_refused_in_the_one_shape(
    tmp_path: Path, origins: tuple[str, ...], origin: str
) -> None:
    async with scripted_gateway(tmp_path, cors_origins=origins) as gateway:
        response = await preflight(gateway, origin=origin)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (403, "forbidden_origin")
    assert "CORS_ORIGINS" in error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert "access-control-allow-origin" not in response.headers
    lines = read_log(tmp_path)
    assert origin in {line.get("context", {}).get("origin") for line in lines}


@pytest.mark.parametrize("origin", [FRIEND, f"{FRIEND}:443", FRIEND.upper()])
async def test_refusals_of_any_kind_can_be_read_by_an_allowed_page(
    tmp_path: Path, origin: str
) -> None:
    """A wrong key, path, method, type, body and host: with the CORS headers, and what matters exposed."""
    keys = [{"name": "a", "sha256": "0" * 64}]
    options = {
        "cors_origins": (FRIEND,),
        "gateway_api_keys": keys,
        "allowed_hosts": ("chat.example.com",),
    }
    async with scripted_gateway(tmp_path, **options) as gateway:
        gateway.client.headers["Origin"] = origin
        refused = [
            await gateway.chat(),
            await gateway.client.get("/nowhere"),
            await gateway.client.put("/health"),
            await gateway.client.get("/static/nowhere.js"),
            await gateway.chat(headers={"Host": "elsewhere.example.com"}),
        ]
    assert [response.status_code for response in refused] == [401, 404, 405, 404, 421]
    for response in refused:
        assert response.headers["access-control-allow-origin"] == origin
        assert listed(response, "access-control-expose-headers") >= EXPOSED
        assert "origin" in listed(response, "vary")


async def test_another_origins_page_may_not_read_what_it_gets(tmp_path: Path) -> None:
    """Nor may a shared cache give it the answer that was made for an allowed one."""
    async with scripted_gateway(tmp_path, cors_origins=(FRIEND,)) as gateway:
        response = await gateway.client.get("/health", headers={"Origin": FOREIGN})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert "origin" in listed(response, "vary")


async def test_any_origin_may_be_allowed(tmp_path: Path) -> None:
    async with scripted_gateway(tmp_path, cors_origins=("*",)) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        response = await gateway.chat(headers={"Origin": FOREIGN})
        asked = await preflight(gateway, origin="null")
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "*")
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "*")


async def test_own_pages_preflight_is_answered(tmp_path: Path) -> None:
    """A proxy in between may make the browser think that one is needed."""
    async with scripted_gateway(tmp_path) as gateway:
        assert (await preflight(gateway, origin=gateway.running.url)).status_code == 200


async def test_balancers_that_ask_by_options_get_the_readiness(tmp_path: Path) -> None:
    async with scripted_gateway(tmp_path, max_streams=1) as gateway:
        ready = await gateway.client.options("/health")
        alive = await gateway.client.options("/health/live")
        with gateway.running.app.state.services.streams:
            full = await gateway.client.options("/health")
    assert (ready.status_code, alive.status_code, full.status_code) == (200, 200, 503)
