"""`traceparent` to vendors: sent to those that are named, and no others, by the real SDKs."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import closing
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ConfigurationError, ProviderOptions, load_settings
from simulator import Demo, Error, Simulator
from telemetry.chat_record import AttemptOpening, ChatOpening
from telemetry.sinks.chat_traces import ChatTraces
from telemetry.span import vendor_traceparent_context
from telemetry.traces import Traces
from tests.clients.plain_http import make_client
from tests.clients.raw_client import ask_chat, connect
from tests.gateways.loopback import make_settings, running_gateway
from tests.telemetry.otlp_collector import collecting
from tests.vendors.simulated_vendor import DEFAULT, QUESTION, simulated_vendor

if TYPE_CHECKING:
    from pathlib import Path

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


@pytest.mark.parametrize("provider", VALID_PROVIDERS)
async def test_vendor_is_sent_the_span_of_its_request(tmp_path: Path, provider: str) -> None:
    """Of each request its own, which the collector has, as a part of the client's trace; no `tracestate`."""
    with collecting() as collector:
        async with simulated_vendor(
            tmp_path,
            provider,
            otel_exporter_otlp_endpoint=collector.url,
            traceparent_providers=(provider,),
        ) as vendor:
            vendor.simulator.behaviours[DEFAULT] = Error(404)
            response = await vendor.client.post(
                f"/chat/{provider}", json=QUESTION, headers=PARENT | {"tracestate": "a=1"}
            )
            assert response.status_code == 200
            calls = vendor.simulator.calls
            spans = await asyncio.to_thread(collector.wait, 3)
    sent = [call.headers["traceparent"] for call in calls]
    assert sent == [f"00-{TRACE}-{span.span_id.hex()}-01" for span in spans[:2]]
    assert len(set(sent)) == 2
    assert [call for call in calls if "tracestate" in call.headers] == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"00-{TRACE}-{CALLER}-00", f"00-{TRACE}-[0-9a-f]{{16}}-00"),
        (None, f"00-(?!{TRACE})[0-9a-f]{{32}}-[0-9a-f]{{16}}-01"),
        ("nonsense\t\u00e4", f"00-(?!{TRACE})[0-9a-f]{{32}}-[0-9a-f]{{16}}-01"),
    ],
)
async def test_header_to_the_vendor_is_the_gateways_own(
    tmp_path: Path, header: str | None, expected: str
) -> None:
    """What is not recorded here is not recorded there; nothing that a client wrote goes through as it is."""
    headers = [] if header is None else [(b"traceparent", header.encode("latin-1"))]
    with collecting() as collector:
        async with simulated_vendor(
            tmp_path,
            "groq",
            otel_exporter_otlp_endpoint=collector.url,
            traceparent_providers=("groq",),
        ) as vendor:
            await vendor.client.post("/chat/groq", json=QUESTION, headers=headers)
            (call,) = vendor.simulator.calls
    assert re.fullmatch(expected, call.headers["traceparent"])


@pytest.mark.parametrize("provider", VALID_PROVIDERS)
async def test_no_vendor_is_sent_it_by_default(tmp_path: Path, provider: str) -> None:
    """Traces are the operator's: a vendor has no use for their ids."""
    with collecting() as collector:
        async with simulated_vendor(
            tmp_path, provider, otel_exporter_otlp_endpoint=collector.url
        ) as vendor:
            await vendor.client.post(f"/chat/{provider}", json=QUESTION, headers=PARENT)
            (call,) = vendor.simulator.calls
    assert "traceparent" not in call.headers


async def test_fallback_provider_that_is_not_named_is_not_sent_it(tmp_path: Path) -> None:
    """Though the one before it in the same chat was."""
    with collecting() as collector:
        async with Simulator() as simulator:
            options: dict[str, Any] = {"api_key": SecretStr("key-of-a-test")}
            vendors = {name: ProviderOptions() for name in VALID_PROVIDERS} | {
                "groq": ProviderOptions(
                    **options,
                    base_url=simulator.base_urls["groq"],
                    model_default="luna",
                    fallback_providers=("claude",),
                ),
                "claude": ProviderOptions(
                    **options, base_url=simulator.base_urls["claude"], model_default="nova"
                ),
            }
            simulator.behaviours |= {"luna": Error(404), "nova": Demo()}
            settings = make_settings(
                tmp_path,
                vendors=vendors,
                otel_exporter_otlp_endpoint=collector.url,
                traceparent_providers=("groq",),
            )
            async with (
                running_gateway(settings) as gateway,
                make_client(gateway.url, timeout=30) as client,
            ):
                response = await client.post("/chat/groq", json=QUESTION, headers=PARENT)
                assert response.status_code == 200
            sent = {call.provider: "traceparent" in call.headers for call in simulator.calls}
    assert sent == {"groq": True, "claude": False}


def test_header_of_the_request_before_is_not_sent_again() -> None:
    """Even if no header can be made of the next one's id: whatever a sink raises, the chat goes on."""
    context = copy_context()
    with collecting() as collector, closing(Traces(collector.url, "chat", "1")) as traces:
        sink = ChatTraces(traces, ("groq",))
        context.run(sink.attempt_began, make_opening("groq-1"))
        assert context[vendor_traceparent_context] == traces.traceparent(
            make_opening("groq-1").chat, 1
        )
        with pytest.raises(UnicodeEncodeError):
            context.run(sink.attempt_began, make_opening("groq-\ud800"))
    assert context[vendor_traceparent_context] is None


def make_opening(chat: str) -> AttemptOpening:
    """The opening of a chat's first request."""
    opening = ChatOpening(
        id=chat,
        conversation_id="c-1",
        request_id="r-1",
        door="native",
        client=None,
        address=None,
        asked_provider="groq",
        messages=1,
    )
    return AttemptOpening(chat=opening, number=1, provider="groq", model="luna")


async def test_pipelined_count_is_not_sent_that_of_the_chat_before_it(tmp_path: Path) -> None:
    """The server begins it in the chat's context, on the same connection."""
    with collecting() as collector:
        async with Simulator() as simulator:
            vendors = {name: ProviderOptions() for name in VALID_PROVIDERS} | {
                name: ProviderOptions(
                    api_key=SecretStr("key-of-a-test"),
                    base_url=simulator.base_urls[name],
                    model_default=DEFAULT,
                )
                for name in ("groq", "claude")
            }
            settings = make_settings(
                tmp_path,
                vendors=vendors,
                otel_exporter_otlp_endpoint=collector.url,
                traceparent_providers=("groq",),
            )
            header = f"traceparent: {PARENT['traceparent']}"
            chat = json.dumps(QUESTION | {"stream": False}).encode()
            count = json.dumps(QUESTION | {"model": "claude"}).encode()
            async with running_gateway(settings) as gateway, connect(gateway) as client:
                await client.send(
                    ask_chat(chat, header, path="/chat/groq")
                    + ask_chat(count, path="/v1/messages/count_tokens")
                )
                statuses = [(await client.read_answer()).status for _ in range(2)]
            sent = {call.provider: "traceparent" in call.headers for call in simulator.calls}
    assert (statuses, sent) == ([200, 200], {"groq": True, "claude": False})


def test_without_traces_there_is_none_to_pass_on() -> None:
    with pytest.raises(ConfigurationError, match="TRACEPARENT_PROVIDERS: there is no trace"):
        load_settings(None, traceparent_providers="local")
    with pytest.raises(ConfigurationError, match="TRACEPARENT_PROVIDERS: should be names out of"):
        load_settings(
            None,
            traceparent_providers="locall",
            otel_exporter_otlp_endpoint="http://127.0.0.1:4318",
        )
