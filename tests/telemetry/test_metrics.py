"""What is counted of chats, under which labels, and that nothing is if it is off."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from configuration import load_settings
from models import Fallback, GatewayError, Usage
from streams.failure import Failure
from telemetry.chat_record import Outcome
from telemetry.exposition import Sample, read_samples, total
from telemetry.metric_names import METRICS, REFUSALS, exposed_names
from telemetry.metrics import BoundedLabel, Metrics
from telemetry.sinks import chat_sinks, open_metrics
from telemetry.sinks.chat_metrics import ChatMetrics
from tests.gateways.chat_records import make_record, make_recorder
from tests.gateways.scripted import PortGateway, answer
from tests.project.source_files import ROOT
from tests.vendors.scripted_provider import make_settings, silence, text

if TYPE_CHECKING:
    from tests.vendors.scripted_provider import Step

USAGE = Usage(
    input_tokens=100,
    output_tokens=20,
    cached_input_tokens=60,
    cache_write_tokens=30,
    reasoning_tokens=5,
)
TOKENS = "gen_ai_client_inference_usage_{}_tokens_total"


def sink() -> tuple[ChatMetrics, Metrics]:
    metrics = Metrics([make_settings()])
    return ChatMetrics(metrics), metrics


def samples(metrics: Metrics) -> list[Sample]:
    return list(read_samples(metrics.expose().decode()))


def test_whole_answer_is_counted_with_its_tokens_and_its_cost() -> None:
    """By door, outcome, model, and by the client's key."""
    chats, metrics = sink()
    chats.chat_ended(make_record(usage=USAGE, cost=0.25, answering_model="first", client="team-a"))
    seen = samples(metrics)
    assert total(seen, "chat_gateway_chats_total", door="native", outcome="ok") == 1
    kinds = ("input", "output", "cache_read_input", "cache_write_input", "reasoning_output")
    counted = [total(seen, TOKENS.format(kind), gen_ai_request_model="first") for kind in kinds]
    assert counted == [100, 20, 60, 30, 5]
    assert total(seen, "chat_gateway_cost_usd_total", provider="gpt", model="first") == 0.25
    assert total(seen, "chat_gateway_key_cost_usd_total", key="team-a") == 0.25
    assert total(seen, "chat_gateway_key_tokens_total", key="team-a") == 120
    assert total(seen, "chat_gateway_first_content_seconds_sum") == pytest.approx(0.31)


def test_answer_without_usage_or_price_counts_as_a_chat_alone() -> None:
    """What is not known is not counted as 0."""
    chats, metrics = sink()
    chats.chat_ended(make_record(usage=None, cost=None, first_content_ms=None))
    seen = samples(metrics)
    assert total(seen, "chat_gateway_key_chats_total", key="-") == 1
    names = {sample.name for sample in seen if sample.value}
    assert not {name for name in names if "tokens" in name or "cost" in name}


def test_failure_and_fallback_are_counted_by_their_codes() -> None:
    """The default provider's fallback, the code of the error."""
    chats, metrics = sink()
    fallback = Fallback("first", "second", "upstream_timeout")
    chats.chat_ended(make_record(outcome=Outcome.FALLBACK_OK, fallback=fallback))
    error = Failure(GatewayError("upstream_auth"))
    chats.chat_ended(make_record(outcome=Outcome.UPSTREAM_ERROR_BEFORE, error=error))
    seen = samples(metrics)
    assert total(seen, "chat_gateway_fallbacks_total", reason="upstream_timeout") == 1
    assert total(seen, "chat_gateway_chat_errors_total", code="upstream_auth") == 1


async def test_each_request_to_a_vendor_is_measured() -> None:
    """Failed and whole ones, their first content, and the mean time between pieces of text."""
    chats, metrics = sink()
    failed = GatewayError("upstream_timeout", reason="connect")
    script: list[Step] = [0.02, [text("a")], 0.02, [text("b")], 0.02, *answer("c")]
    await PortGateway([failed], script, sinks=[chats]).read_batches()
    seen = samples(metrics)
    calls = "gen_ai_client_inference_{}_count"
    provider = {"gen_ai_provider_name": "openai", "gen_ai_operation_name": "chat"}
    assert total(seen, calls.format("duration_seconds"), error_type="upstream_timeout") == 1
    assert total(seen, calls.format("duration_seconds"), error_type="", **provider) == 1
    assert total(seen, calls.format("time_to_first_chunk_seconds"), **provider) == 1
    mean = total(seen, "gen_ai_client_inference_time_per_output_chunk_seconds_sum")
    assert 0.019 <= mean < 10
    assert total(seen, "chat_gateway_chats_running") == 0


async def test_call_that_a_client_left_is_cancelled() -> None:
    """It is no failure of the vendor."""
    chats, metrics = sink()
    await PortGateway([[text("Hel")], silence], sinks=[chats]).leave()
    seen = samples(metrics)
    name = "gen_ai_client_inference_duration_seconds_count"
    assert total(seen, name) == total(seen, name, error_type="cancelled") == 1
    assert total(seen, "chat_gateway_chats_total", outcome="client_gone") == 1


def test_clients_cannot_make_labels_without_end() -> None:
    """Models that they name count as `other` after the first few."""
    chats, metrics = sink()
    for number in range(200):
        chats.chat_ended(make_record(usage=USAGE, answering_model=f"model-{number}"))
    seen = samples(metrics)
    models = {sample.labels["gen_ai_request_model"] for sample in seen if "usage" in sample.name}
    assert len(models) == 51
    assert total(seen, TOKENS.format("input"), gen_ai_request_model="other") == 150 * 100
    assert total(seen, TOKENS.format("input")) == 200 * 100


def test_known_values_of_a_label_are_always_their_own() -> None:
    """However many others came first."""
    label = BoundedLabel(["luna"], others=1)
    assert [label.value(text) for text in ("a", "b", "luna", "a", None)] == [
        "a",
        "other",
        "luna",
        "a",
        "",
    ]


def test_values_of_labels_are_escaped() -> None:
    """A reason may have any character."""
    _, metrics = sink()
    metrics.count(REFUSALS, "code", 'a"\\b\n}')
    (sample,) = (each for each in samples(metrics) if each.name == "chat_gateway_refusals_total")
    assert sample == ("chat_gateway_refusals_total", {"code": "code", "reason": 'a"\\b\n}'}, 1)


def test_exposed_names_are_those_of_the_table() -> None:
    """Of every metric, also before anything is counted."""
    _, metrics = sink()
    described = {
        line.split()[2] for line in metrics.expose().decode().splitlines() if line[:6] == "# TYPE"
    }
    assert described == {
        metric.name + ("_total" if metric.kind == "counter" else "") for metric in METRICS
    }
    assert {sample.name for sample in samples(metrics)} <= exposed_names()


def test_metrics_are_off_by_default() -> None:
    """No sink, no import."""
    settings = load_settings(None)
    assert open_metrics(settings) is None
    assert not [sink for sink in chat_sinks(settings) if isinstance(sink, ChatMetrics)]
    code = "import sys; sys.path.insert(0, '.'); import main; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_finished_recorder_counts_no_pieces_of_an_attempt_without_content() -> None:
    """The texts of an earlier answer are not those of this attempt."""
    chats, metrics = sink()
    recorder = make_recorder(chats)
    recorder.begin_attempt("gpt", "first")
    recorder.end_attempt(GatewayError("upstream_timeout"))
    recorder.close()
    name = "gen_ai_client_inference_time_per_output_chunk_seconds_count"
    assert total(samples(metrics), name) == 0
