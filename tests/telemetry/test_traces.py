"""Traces: what reaches a collector of a chat and its requests, what never does, and that off is off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from configuration import ConfigurationError, load_settings
from models import GatewayError
from simulator import Simulator
from telemetry.sinks import chat_sinks, open_traces
from telemetry.sinks.chat_traces import ChatTraces
from telemetry.span import Span
from telemetry.traces import Traces
from tests.clients.plain_http import make_client
from tests.gateways.chat_records import make_record
from tests.gateways.scripted import answer, scripted_gateway
from tests.gateways.served import groq_at, served
from tests.project.source_files import ROOT
from tests.telemetry.otlp_collector import attributes_of, collecting
from tests.vendors.scripted_provider import text

if TYPE_CHECKING:
    from pathlib import Path

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
CLIENT, SERVER, ERROR = 3, 2, 2  # numbers of the protocol
SPAN = Span("chat luna", 0, 5, {}, (), None)


async def test_chat_with_a_fallback_is_three_spans_of_the_clients_trace(tmp_path: Path) -> None:
    """The chat's below the client's, the requests' below the chat's, with GenAI's attributes and in order."""
    with collecting() as collector:
        async with scripted_gateway(
            tmp_path, otel_exporter_otlp_endpoint=collector.url, otel_service_name="chat"
        ) as gateway:
            gateway.gpt.enqueue(GatewayError("upstream_timeout", reason="connect"))
            gateway.gpt.enqueue(*answer("a whole answer"))
            response = await gateway.chat(headers=PARENT)
            failed, whole, chat = await asyncio.to_thread(collector.wait, 3)
        resource = attributes_of(collector.requests[0].resource_spans[0].resource)
    assert {span.trace_id.hex() for span in (failed, whole, chat)} == {TRACE}
    assert chat.parent_span_id.hex() == CALLER
    assert failed.parent_span_id == whole.parent_span_id == chat.span_id
    assert len({failed.span_id, whole.span_id, chat.span_id}) == 3
    assert [span.name for span in (failed, whole, chat)] == ["chat luna", "chat nova", "chat nova"]
    assert [span.kind for span in (failed, whole, chat)] == [CLIENT, CLIENT, SERVER]
    assert [span.status.code for span in (failed, whole, chat)] == [ERROR, 0, 0]
    assert attributes_of(failed)["error.type"] == "upstream_timeout"
    assert attributes_of(failed)["gen_ai.request.model"] == "luna"
    assert attributes_of(failed)["gen_ai.provider.name"] == "openai"
    seen = attributes_of(chat)
    assert seen["gen_ai.operation.name"] == "chat"
    assert seen["gen_ai.response.model"] == "nova"
    assert (seen["gen_ai.usage.input_tokens"], seen["gen_ai.usage.output_tokens"]) == (9, 12)
    assert seen["chat_gateway.request_id"] == response.headers["x-request-id"]
    assert (seen["chat_gateway.outcome"], seen["chat_gateway.attempts"]) == ("fallback_ok", 2)
    assert [event.name for event in failed.events] == []
    assert [event.name for event in whole.events] == ["first_content"]
    assert [event.name for event in chat.events] == ["fallback", "first_content"]
    assert attributes_of(chat.events[0])["error.type"] == "upstream_timeout"
    for span in (failed, whole, chat):
        times = [event.time_unix_nano for event in span.events]
        assert times == sorted([span.start_time_unix_nano, *times, span.end_time_unix_nano])[1:-1]
    assert resource["service.name"] == "chat"


async def test_nothing_that_was_said_and_no_key_is_in_a_trace(tmp_path: Path) -> None:
    """Neither the question, nor the answer up to its break, nor the vendor's key or message; the break is there."""
    with collecting() as collector:
        async with scripted_gateway(tmp_path, otel_exporter_otlp_endpoint=collector.url) as gateway:
            broken = GatewayError("upstream_truncated", detail={"said": "by-the-vendor"})
            gateway.gpt.enqueue([text("of-the-answer")], broken)
            question = {"role": "user", "content": "of-the-question"}
            await gateway.chat(messages=[question])
            attempt, chat = await asyncio.to_thread(collector.wait, 2)
        sent = b"".join(collector.bodies)
    for secret in (b"of-the-answer", b"of-the-question", b"by-the-vendor", b"sk-of-a-test"):
        assert secret not in sent
    assert b"upstream_truncated" in sent
    assert not chat.parent_span_id
    assert [event.name for event in attempt.events] == ["first_content", "break"]
    assert [event.name for event in chat.events] == ["first_content", "break"]
    assert (attempt.status.code, chat.status.code) == (ERROR, ERROR)


@pytest.mark.parametrize("header", ["", "00-xyz-1-01", f"00-{'0' * 32}-{CALLER}-01", "ä"])
def test_header_that_is_no_parent_begins_a_trace(header: str) -> None:
    """Its own ids, without a parent; those of two chats differ."""
    with collecting() as collector:
        traces = Traces(collector.url, "chat", "1")
        for chat in ("gpt-1", "gpt-2"):
            traces.add(make_record(id=chat, traceparent=header), SPAN)
        one, other = collector.wait(2)
        traces.close()
    assert not one.parent_span_id
    assert not other.parent_span_id
    assert one.trace_id != other.trace_id
    assert TRACE not in (one.trace_id.hex(), other.trace_id.hex())


def test_trace_that_its_client_does_not_record_is_left_out() -> None:
    """By the flag of the header."""
    with collecting() as collector:
        traces = Traces(collector.url, "chat", "1")
        traces.add(make_record(traceparent=f"00-{TRACE}-{CALLER}-00"), SPAN)
        traces.add(make_record(), SPAN)
        (span,) = collector.wait(1)
        traces.close()
    assert span.trace_id.hex() != TRACE


def test_collector_that_does_not_answer_does_not_hold_the_stop() -> None:
    """The close is over while the collector still has the request."""
    with collecting() as collector:
        collector.answers.clear()
        traces = Traces(collector.url, "chat", "1")
        traces.add(make_record(), SPAN)
        collector.wait(1)
        traces.close()
        senders = [
            thread for thread in threading.enumerate() if thread.name.startswith("OtelBatch")
        ]
        assert senders
        collector.answers.set()
        for sender in senders:
            sender.join()


def test_nothing_is_imported_or_traced_if_it_is_off() -> None:
    """The default. FastAPI and an SDK import the library's API, which does nothing."""
    settings = load_settings(None)
    with open_traces(settings) as sinks:
        assert not sinks
    assert not [sink for sink in chat_sinks(settings) if isinstance(sink, ChatTraces)]
    code = (
        "import sys; sys.path.insert(0, '.'); import main; sys.exit(any(name in sys.modules for "
        "name in ('opentelemetry.sdk', 'opentelemetry.exporter', 'google.protobuf')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


async def test_fastapi_exports_nothing_whatever_the_environment_asks_for(tmp_path: Path) -> None:
    """Its spans, metrics and logs, with the messages of exceptions, are configured by variables alone."""
    asked = {"fastapi_otel_auto_configure": "true", "otel_metric_export_interval": "100"}
    chat = {"messages": [{"role": "user", "content": "Hello?"}]}
    with collecting() as collector:
        async with (
            Simulator() as simulator,
            served(
                tmp_path,
                **groq_at(simulator),
                **asked,
                otel_exporter_otlp_endpoint=collector.url,
            ) as gateway,
            make_client() as client,
        ):
            response = await client.post(f"{gateway.url}/chat/groq", json=chat)
            gateway.process.terminate()
            await gateway.ended(60)
        assert response.status_code == 200
        assert [span.name.partition(" ")[0] for span in collector.spans] == ["chat", "chat"]
        assert set(collector.paths) == {"/v1/traces"}


def test_missing_package_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name. Without traces nothing is looked for."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    load_settings(None)
    with pytest.raises(ConfigurationError, match="opentelemetry-sdk"):
        load_settings(None, otel_exporter_otlp_endpoint="http://127.0.0.1:4318")
