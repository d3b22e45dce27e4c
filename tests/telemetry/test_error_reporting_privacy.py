"""What never reaches Sentry, whatever happens to a chat; and that a dead Sentry changes no answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from configuration import GatewayKey, ProviderOptions
from models import GatewayError
from simulator import Behaviour, Error, Raw, Scripted, Simulator
from tests.clients.plain_http import make_client
from tests.gateways.loopback import make_settings, running_gateway
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway
from tests.gateways.spawned import run
from tests.telemetry.sentry_envelopes import BrokenTransport, KeptEnvelopes, reporting_to

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vendors.scripted_provider import Step

PROMPT, ANSWER = "canary-prompt", "canary-answer"
VENDOR_KEY, GATEWAY_KEY = "canary-vendor-key", "canary-gateway-key"
GATEWAY_KEY_ENTRY = GatewayKey(
    name="front-end", sha256=hashlib.sha256(GATEWAY_KEY.encode()).hexdigest()
)
ONE_MODEL = ProviderOptions(api_key=SecretStr(VENDOR_KEY), model_default="luna")
HEADERS = {
    "Authorization": f"Bearer {GATEWAY_KEY}",
    "Cookie": "session=canary-cookie",
    "X-Custom": "canary-header",
    "X-Forwarded-For": "203.0.113.77",
    "Referer": "https://example.com/canary-referer",
    "User-Agent": "a browser",
    "X-Request-ID": "r-1",
    "sentry-trace": "771a43a4192642f0b136d5159a501700-1234567890abcdef-1",
    "baggage": "sentry-public_key=canary-baggage",
}
BODY = {
    "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": PROMPT}],
    "conversation_id": "c-1",
}


def assert_clean(kept: KeptEnvelopes) -> None:
    """No envelope has anything of the request but its method, its URL and the headers on the list."""
    sent = b"".join(kept.sent)
    assert b"canary" not in sent
    assert b"203.0.113.77" not in sent
    for payload in [*kept.events, *kept.items("transaction")]:
        request = payload.get("request", {"headers": {}})
        assert set(request) <= {"method", "url", "headers"}
        assert set(request["headers"]) <= {
            "user-agent",
            "content-type",
            "content-length",
            "host",
            "x-request-id",
        }
        assert "breadcrumbs" not in payload or not payload["breadcrumbs"]["values"]


FAILURES: dict[str, list[Step]] = {
    "none": answer(ANSWER),
    "bug": [RuntimeError(f"{PROMPT} {VENDOR_KEY}")],
    "bug after content": [*answer(ANSWER)[:1], KeyError(PROMPT, VENDOR_KEY)],
    "outage after content": [*answer(ANSWER)[:1], GatewayError("upstream_unavailable")],
    "wrong key": [
        GatewayError(
            "upstream_auth", detail={"vendor_type": "invalid_key", "url": f"?key={VENDOR_KEY}"}
        )
    ],
}
"""What the provider does, by its name: what it raises quotes the prompt and the key, as a careless library would."""


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("stream", [True, False])
async def test_no_envelope_has_a_prompt_or_a_key(
    tmp_path: Path, failure: str, stream: bool
) -> None:
    """Whatever happens in a provider, Sentry gets no word of the client's, the model's or the configuration's."""
    kept = KeptEnvelopes()
    options = {
        "gateway_api_keys": (GATEWAY_KEY_ENTRY,),
        "vendors": {**make_settings(tmp_path).vendors, "gpt": ONE_MODEL},
    }
    async with scripted_gateway(tmp_path, **options) as gateway:
        with reporting_to(kept):
            gateway.gpt.enqueue(*FAILURES[failure])
            await gateway.client.post(
                "/chat/gpt",
                json=BODY | {"stream": stream},
                headers=HEADERS,
                params={"q": "canary-query"},
            )
            await gateway.running.settle()
    assert len(kept.events) == (failure != "none")
    assert len(kept.items("transaction")) == 1
    assert_clean(kept)


def refusal(status: int, **error: str) -> Error:
    """A vendor's answer that echoes more than it should."""
    return Error(status, body=json.dumps({"error": error}).encode())


WIRES: dict[str, Behaviour] = {
    "echoed prompt": refusal(500, message=f"{PROMPT} {VENDOR_KEY}", type="server_error"),
    "echoed key": refusal(401, message=f"Incorrect API key: {VENDOR_KEY}", code="invalid_api_key"),
    "key as a code": refusal(503, message=PROMPT, code=VENDOR_KEY, type=VENDOR_KEY),
    "cut": Scripted((ANSWER,), then="cut"),
    "no stream": Raw(
        f"HTTP/1.1 200 OK\r\ncontent-type: {VENDOR_KEY}\r\nconnection: close\r\n\r\n{PROMPT}".encode()
    ),
}


@pytest.mark.parametrize("wire", WIRES)
async def test_no_envelope_has_what_a_vendor_echoes(tmp_path: Path, wire: str) -> None:
    """Through a real SDK, whose exceptions hold the request, the key and the vendor's words."""
    kept = KeptEnvelopes()
    async with Simulator(behaviours={"luna": WIRES[wire]}) as simulator:
        gpt = ProviderOptions(
            api_key=SecretStr(VENDOR_KEY), model_default="luna", base_url=simulator.base_urls["gpt"]
        )
        vendors = {**make_settings(tmp_path).vendors, "gpt": gpt}
        settings = make_settings(tmp_path, vendors=vendors, gateway_api_keys=(GATEWAY_KEY_ENTRY,))
        async with (
            running_gateway(settings) as running,
            make_client(running.url) as client,
        ):
            with reporting_to(kept):
                await client.post("/chat/gpt", json=BODY, headers=HEADERS)
                await running.settle()
    assert len(kept.events) == 1
    assert_clean(kept)


async def test_profile_has_no_values(tmp_path: Path) -> None:
    """A profile has functions and their times, no values."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path, gateway_api_keys=(GATEWAY_KEY_ENTRY,)) as gateway:
        with reporting_to(kept, profiles_sample_rate=1.0):
            gateway.gpt.enqueue(0.2, *answer(ANSWER))
            await gateway.client.post("/chat/gpt", json=BODY, headers=HEADERS)
            await gateway.running.settle()
            assert await asyncio.to_thread(kept.has_profile.wait, 5)
    (chunk,) = kept.items("profile_chunk")
    assert chunk["profile"]["frames"]
    assert_clean(kept)


async def test_headers_on_the_list_are_sent(tmp_path: Path) -> None:
    """Enough of a request to understand an error: method, URL without its query, five headers."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path, gateway_api_keys=(GATEWAY_KEY_ENTRY,)) as gateway:
        with reporting_to(kept):
            await gateway.client.get("/sentry-debug", headers=HEADERS, params={"q": "canary-query"})
            await gateway.running.settle()
    (event,) = kept.events
    assert event["request"]["method"] == "GET"
    assert event["request"]["url"] == f"{gateway.running.url}/sentry-debug"
    assert event["request"]["headers"]["user-agent"] == "a browser"
    assert event["request"]["headers"]["x-request-id"] == "r-1"
    assert_clean(kept)


async def test_requests_are_traced_but_probes(tmp_path: Path) -> None:
    """A trace has the request's id; health checks, of which there are too many, leave none."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path, gateway_api_keys=(GATEWAY_KEY_ENTRY,)) as gateway:
        with reporting_to(kept):
            for path in ("/health", "/health/live", "/health/gpt"):
                await gateway.client.get(path)
                await gateway.client.head(path)
            gateway.gpt.enqueue(*answer("Hello"))
            await gateway.chat(headers={"X-Request-ID": "r-1"})
            await gateway.running.settle()
    (transaction,) = kept.items("transaction")
    assert transaction["tags"]["request_id"] == "r-1"
    assert transaction["transaction"].startswith("/chat/")


@pytest.mark.parametrize(
    "baggage", ["", "sentry-sample_rand=0.0", "sentry-org_id=1,sentry-sample_rand=0.0"]
)
@pytest.mark.parametrize("host", ["sentry.example.com", "o1.ingest.sentry.io"])
async def test_client_cannot_have_its_request_traced(
    tmp_path: Path, host: str, baggage: str
) -> None:
    """A header that says "sampled" is a stranger's: the configured share decides."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path, gateway_api_keys=(GATEWAY_KEY_ENTRY,)) as gateway:
        with reporting_to(kept, dsn=f"https://public-key@{host}/1", traces_sample_rate=1e-9):
            gateway.gpt.enqueue(*answer("Hello"))
            await gateway.chat(
                headers={"sentry-trace": HEADERS["sentry-trace"], "baggage": baggage}
            )
            await gateway.running.settle()
    assert not kept.sent


async def answers(gateway: ScriptedGateway) -> list[Any]:
    """What clients get of every kind of chat, without what differs by nature."""
    reported = []
    for script in FAILURES.values():
        gateway.gpt.enqueue(*script)
        response = await gateway.chat(stream=False, conversation_id="c-1")
        reported.append((response.status_code, sorted(response.json())))
    return reported


async def test_broken_sentry_changes_no_answer(tmp_path: Path) -> None:
    """If every call of Sentry's transport raises, clients read what they read without it."""
    options = {"vendors": {**make_settings(tmp_path).vendors, "gpt": ONE_MODEL}}
    async with scripted_gateway(tmp_path, **options) as gateway:
        without = await answers(gateway)
        with reporting_to(BrokenTransport):
            assert await answers(gateway) == without
    assert [status for status, _ in without] == [200, 500, 500, 503, 502]


def test_silent_sentry_delays_no_answer_and_the_stop_for_a_second(tmp_path: Path) -> None:
    """A Sentry that takes connections and says nothing: chats don't wait for it; the stop does, for its one second."""
    assert run(serve_with_silent_sentry, tmp_path) == [
        0
    ]  # in a process of its own, as the SDK's thread goes on


def serve_with_silent_sentry(folder: Path, _number: int) -> None:
    asyncio.run(_serve_with_silent_sentry(folder))


async def _serve_with_silent_sentry(folder: Path) -> None:
    asked = asyncio.Event()

    async def accept_silently(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept_silently, "127.0.0.1", 0)
    dsn = f"http://key-of-a-test@127.0.0.1:{server.sockets[0].getsockname()[1]}/1"
    async with scripted_gateway(folder, sentry_dsn=dsn) as gateway:
        for _ in range(50):
            assert (await gateway.client.get("/sentry-debug")).status_code == 500
        await asyncio.wait_for(asked.wait(), 5)
        gateway.gpt.enqueue(*answer("Hello"))
        assert (await gateway.chat()).status_code == 200
        stopping_since = time.monotonic()
    assert time.monotonic() - stopping_since < 4
