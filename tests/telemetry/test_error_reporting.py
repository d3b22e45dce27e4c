"""What is reported to Sentry, and what is not: through the SDK, and through the gateway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sentry_sdk

from models import GatewayError, Text
from providers.refusals import VendorRefusalError
from telemetry.error_reporting import report_bug, report_misconfiguration, report_outage
from telemetry.log_line import request_id_context
from tests.gateways.log_files import logs_in, messages, read_log
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway, silence
from tests.telemetry.sentry_envelopes import BrokenTransport, KeptEnvelopes, reporting_to
from tests.vendors.scripted_provider import STOP

if TYPE_CHECKING:
    from pathlib import Path

DETAILS = {"vendor_status": 529, "vendor_type": "overloaded_error"}


def fail(words: str) -> None:
    local_variable = f"{words} in a variable"
    raise RuntimeError(local_variable)


def catch(words: str) -> Exception:
    """An exception with frames."""
    try:
        fail(words)
    except RuntimeError as error:
        return error
    raise AssertionError


def report_all(
    kind: str = "upstream_unavailable", provider: str = "gpt", model: str = "luna"
) -> None:
    report_outage(kind=kind, provider=provider, model=model, details=DETAILS)
    report_misconfiguration(kind=kind, provider=provider, model=model, details=DETAILS)
    report_bug(RuntimeError("anything"), provider=provider, model=model)


def test_outage_names_request_provider_and_model() -> None:
    """An event has what is needed to find the log lines, and what the vendor said in codes."""
    kept = KeptEnvelopes()
    request_id = request_id_context.set("r-1")
    with reporting_to(kept):
        report_outage(kind="upstream_unavailable", provider="gpt", model="luna", details=DETAILS)
    request_id_context.reset(request_id)
    (event,) = kept.events
    assert event["tags"] == {
        "request_id": "r-1",
        "provider": "gpt",
        "model": "luna",
        "kind": "upstream_unavailable",
    }
    assert event["contexts"]["provider_details"] == DETAILS
    assert (event["level"], event["message"]) == ("warning", "gpt: upstream_unavailable")
    assert (event["environment"], event["release"]) == ("test", "1.2.3")


def test_bug_has_frames_and_nothing_that_was_said() -> None:
    """An exception is its type and frames, without local variables and without its message."""
    kept = KeptEnvelopes()
    with reporting_to(kept):
        report_bug(catch("canary"), provider="gpt", model="luna")
    (event,) = kept.events
    (exception,) = event["exception"]["values"]
    frames = exception["stacktrace"]["frames"]
    assert (exception["type"], exception["value"]) == ("RuntimeError", "")
    assert [frame["function"] for frame in frames] == ["catch", "fail"]
    assert not [frame for frame in frames if "vars" in frame]
    assert event["tags"] == {"request_id": "-", "provider": "gpt", "model": "luna"}
    assert b"canary in" not in b"".join(kept.sent)


def test_chained_exceptions_say_nothing_either() -> None:
    """The exceptions that it was raised from are reported in the same way."""
    kept = KeptEnvelopes()
    error = ValueError("canary")
    error.__cause__ = catch("canary")
    error.add_note("canary")
    with reporting_to(kept):
        report_bug(ExceptionGroup("canary", [error]))
    (event,) = kept.events
    assert {exception["type"] for exception in event["exception"]["values"]} >= {
        "RuntimeError",
        "ValueError",
    }
    assert {exception["value"] for exception in event["exception"]["values"]} == {""}


def test_outage_is_reported_once_a_minute_and_kind() -> None:
    """A vendor that is down for an hour is no flood: each kind and provider counts, a model does not."""
    kept = KeptEnvelopes()
    with reporting_to(kept):
        for _ in range(100):
            for kind in ("upstream_unavailable", "upstream_timeout"):
                for provider in ("gpt", "claude"):
                    for model in ("luna", "nova"):
                        report_outage(kind=kind, provider=provider, model=model, details={})
    assert len(kept.events) == 4


def test_misconfiguration_is_an_error_for_each_model() -> None:
    """A wrong key or model name is an error, once a minute for each model: the operator must act."""
    kept = KeptEnvelopes()
    with reporting_to(kept):
        for _ in range(100):
            for model in ("luna", "nova"):
                report_misconfiguration(
                    kind="upstream_auth", provider="gpt", model=model, details={}
                )
    assert [(event["level"], event["tags"]["model"]) for event in kept.events] == [
        ("error", "luna"),
        ("error", "nova"),
    ]


def test_same_bug_again_is_reported_again() -> None:
    """Only the same exception object is reported once."""
    kept = KeptEnvelopes()
    bug = catch("once")
    with reporting_to(kept):
        report_bug(bug)
        report_bug(bug)
        report_bug(catch("again"))
    assert len(kept.events) == 2


def test_without_a_dsn_nothing_is_reported() -> None:
    """Sentry is off unless it is configured, even if a part of it is called."""
    kept = KeptEnvelopes()
    with reporting_to(kept, dsn=None):
        assert not sentry_sdk.get_client().is_active()
        report_all()
    assert not kept.sent


def test_invalid_dsn_leaves_sentry_off(tmp_path: Path) -> None:
    """A mistyped DSN is said in the log, without quoting it, and stops nothing."""
    with logs_in(tmp_path), reporting_to(None, dsn="canary of a DSN"):
        report_all()
    assert messages(read_log(tmp_path, "error")) == ["Sentry stays off: SENTRY_DSN is no DSN"]
    assert "canary" not in (tmp_path / "debug.log").read_text()


def test_broken_transport_raises_nothing() -> None:
    """No report raises, whatever Sentry's own code does."""
    with reporting_to(BrokenTransport):
        report_all()


async def post_ill_requests(gateway: ScriptedGateway) -> list[int]:
    """The statuses of requests that are wrong in every way."""
    client = gateway.client
    responses = [
        await client.get("/nowhere"),
        await client.get("/chat/gpt"),
        await client.post("/chat/unknown", json={}),
        await client.post("/chat/gpt", json={}),
        await client.post("/chat/gpt", content=b"{", headers={"Content-Type": "application/json"}),
        await client.post("/chat/gpt", content=b"hi"),
        await client.post("/chat/gpt", json={}, headers={"Origin": "https://foreign.example.com"}),
    ]
    for code in ("rejected_by_provider", "content_filtered"):
        gateway.gpt.enqueue(GatewayError(code))
        responses.append(await gateway.chat())
    return [response.status_code for response in responses]


async def test_clients_errors_make_no_event(tmp_path: Path) -> None:
    """Whatever a client does wrong is not the gateway's error."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path) as gateway:
        with reporting_to(kept):
            statuses = await post_ill_requests(gateway)
            await gateway.running.settle()
    assert statuses == [404, 405, 404, 422, 400, 415, 403, 400, 422]
    assert not kept.events


async def test_provider_that_refuses_chat_after_chat_is_reported(tmp_path: Path) -> None:
    """One refusal may be the client's doing; many in a row are reported once, in Sentry and in the log."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path) as gateway:
        with reporting_to(kept):
            for _ in range(8):
                gateway.gpt.enqueue(
                    GatewayError("rejected_by_provider", detail={"vendor_status": 400})
                )
                assert (await gateway.chat()).status_code == 400
            await gateway.running.settle()
    (event,) = kept.events
    assert (event["level"], event["tags"]["kind"], event["tags"]["model"]) == (
        "error",
        "rejected_by_provider",
        "luna",
    )
    assert messages(read_log(tmp_path, "error")).count("provider refuses chat after chat") == 1


async def test_parameter_that_a_model_refuses_is_reported_once(tmp_path: Path) -> None:
    """The chats are answered without it, and the report names the wrong row of the table."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path) as gateway:
        with reporting_to(kept):
            gateway.gpt.enqueue(
                VendorRefusalError("rejected_by_provider", places=["effort"], texts=[])
            )
            for _ in range(3):
                gateway.gpt.enqueue(*answer("Hello"))
                assert (await gateway.chat()).status_code == 200
            await gateway.running.settle()
    (event,) = kept.events
    assert event["tags"]["kind"] == "unsupported_parameter"
    assert event["contexts"]["provider_details"]["parameters"] == ["effort"]


async def test_client_disconnect_makes_no_event(tmp_path: Path) -> None:
    """Closing a browser's tab is no error: neither before the first content nor after it."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path) as gateway:
        with reporting_to(kept):
            for script in ([silence], [*answer("Hello")[:1], silence]):
                gateway.gpt.enqueue(*script)
                chat = asyncio.create_task(gateway.chat())
                asked = await gateway.gpt.next_asked()
                chat.cancel()
                await asyncio.gather(chat, return_exceptions=True)
                await asked.closed.wait()
            await gateway.running.settle()
    assert [line["context"]["outcome"] for line in final_records(tmp_path)] == [
        "client_gone",
        "client_gone",
    ]
    assert not kept.events


def final_records(folder: Path) -> list[Any]:
    return [line for line in read_log(folder) if line["message"] == "chat finished"]


async def test_vendor_that_is_down_is_one_event(tmp_path: Path) -> None:
    """Ten chats that fail by the same vendor in the same way are one event, with its request, provider and model."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path) as gateway:
        with reporting_to(kept):
            for number in range(10):
                gateway.gpt.enqueue(GatewayError("upstream_timeout", detail={"waited": "long"}))
                gateway.gpt.enqueue(GatewayError("upstream_timeout"), model="nova")
                response = await gateway.chat(headers={"X-Request-ID": f"r-{number}"})
                assert response.status_code == 504
            await gateway.running.settle()
    (event,) = kept.events
    assert event["tags"]["request_id"] == "r-0"
    assert (event["tags"]["provider"], event["tags"]["kind"]) == ("gpt", "upstream_timeout")
    assert event["tags"]["model"] in ("luna", "nova")


async def test_bug_of_a_provider_is_reported(tmp_path: Path) -> None:
    """An exception of our own in an adapter is an event, and an error with its frames in the log."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path) as gateway:
        with reporting_to(kept):
            gateway.gpt.enqueue(catch("canary"))
            response = await gateway.chat(headers={"X-Request-ID": "r-1"})
            await gateway.running.settle()
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    (event,) = kept.events
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert event["tags"] == {"request_id": "r-1", "provider": "gpt", "model": "luna"}
    record, bug = read_log(tmp_path, "error")
    assert "in fail\n" in bug["exception"]
    assert record["context"]["outcome"] == "internal_error"


async def test_bug_in_a_response_that_has_begun_is_reported(tmp_path: Path) -> None:
    """Though no middleware stands above a response by then: its connection is cut, and the bug is an event."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path) as gateway:
        with reporting_to(kept):
            gateway.gpt.enqueue([Text("Hel")], 0.01, [Text("\ud800")], [STOP])
            with pytest.raises(httpx.RemoteProtocolError):
                await gateway.chat(headers={"X-Request-ID": "r-1"})
            await gateway.running.settle()
    (event,) = kept.events
    assert event["exception"]["values"][-1]["type"] == "UnicodeEncodeError"
    assert event["tags"]["request_id"] == "r-1"


async def test_debug_route_raises_if_it_is_on(tmp_path: Path) -> None:
    """`/sentry-debug` shows that events arrive."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path, sentry_debug_route=True) as gateway:
        with reporting_to(kept):
            response = await gateway.client.get("/sentry-debug", headers={"X-Request-ID": "r-1"})
            await gateway.running.settle()
    (event,) = kept.events
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert event["tags"]["request_id"] == "r-1"


async def test_debug_route_is_missing_if_it_is_off(tmp_path: Path) -> None:
    """As in production: clients cannot cause events."""
    kept = KeptEnvelopes()
    async with scripted_gateway(tmp_path, sentry_debug_route=False) as gateway:
        with reporting_to(kept):
            response = await gateway.client.get("/sentry-debug")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert not kept.events
