"""What a failed attempt leaves behind, whatever becomes of its chat: a line as loud as it matters, an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models import GatewayError
from tests.gateways.log_files import logs_in, read_log
from tests.gateways.scripted import PortGateway
from tests.telemetry.sentry_envelopes import KeptEnvelopes, reporting_to
from tests.vendors.scripted_provider import answer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("code", "reason", "level"),
    [
        ("upstream_auth", None, "ERROR"),
        ("upstream_quota", None, "ERROR"),
        ("upstream_model_not_found", None, "ERROR"),
        ("upstream_bad_response", "redirect", "ERROR"),
        ("upstream_bad_response", "tls", "ERROR"),
        ("upstream_bad_response", "empty", "WARNING"),
        ("upstream_timeout", "first_content", "WARNING"),
        ("rate_limited", None, "INFO"),
        ("rejected_by_provider", None, "INFO"),
        ("context_length_exceeded", None, "INFO"),
    ],
)
async def test_line_of_a_failed_attempt_has_the_level_of_its_cause(
    code: str, reason: str | None, level: str, tmp_path: Path
) -> None:
    """ERROR if the operator must act, WARNING for a vendor's failure, INFO for a client's."""
    with logs_in(tmp_path):
        gateway = PortGateway(
            [GatewayError(code, reason=reason)], [GatewayError(code, reason=reason)]
        )
        await gateway.fail()
        lines = [line for line in read_log(tmp_path, "app") if line["message"] == "attempt failed"]
    assert {line["level"] for line in lines} == {level}


def redirect() -> GatewayError:
    return GatewayError("upstream_bad_response", reason="redirect", detail={"vendor_status": 307})


async def test_misconfiguration_is_reported_though_the_fallback_answers() -> None:
    """Sentry gets the model that redirects, though the client had its answer."""
    kept = KeptEnvelopes()
    with reporting_to(kept):
        await PortGateway([redirect()], answer("Hi")).read_batches()
    (event,) = kept.events
    assert event["level"] == "error"
    assert (event["tags"]["provider"], event["tags"]["model"]) == ("gpt", "first")
    assert event["contexts"]["provider_details"]["reason"] == "redirect"


async def test_misconfiguration_is_reported_behind_an_outage() -> None:
    """The client gets the outage, which is the more actionable; both are reported to Sentry."""
    kept = KeptEnvelopes()
    with reporting_to(kept):
        gateway = PortGateway(
            [GatewayError("upstream_timeout")], [GatewayError("upstream_model_not_found")]
        )
        _, failure = await gateway.fail()
    assert failure.code == "upstream_timeout"
    assert sorted(event["tags"]["kind"] for event in kept.events) == [
        "upstream_model_not_found",
        "upstream_timeout",
    ]


async def test_misconfiguration_is_no_outage() -> None:
    """If every model redirects, each is a misconfiguration, and none an outage."""
    kept = KeptEnvelopes()
    with reporting_to(kept):
        await PortGateway([redirect()], [redirect()]).fail()
    assert [(event["level"], event["tags"]["model"]) for event in kept.events] == [
        ("error", "first"),
        ("error", "second"),
    ]
