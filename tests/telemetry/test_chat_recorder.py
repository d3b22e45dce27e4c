"""What the sinks are called with during a chat, and that a failing sink harms no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models import End, Fallback, GatewayError, Start, Usage
from streams.failure import Failure, Stage
from telemetry.chat_record import AttemptOutcome, ChatSink, Outcome, judge
from telemetry.log_line import Client, client_context
from telemetry.process_usage import cpu_seconds, memory_mb
from telemetry.sinks.gateway_log import GatewayLog
from tests.gateways.chat_records import BrokenSink, KeptRecords, make_record, make_recorder
from tests.gateways.log_files import logs_in, messages, read_log
from tests.gateways.scripted import PortGateway, answer, ask
from tests.telemetry.sentry_envelopes import KeptEnvelopes, reporting_to
from tests.vendors.scripted_provider import silence, text

if TYPE_CHECKING:
    from pathlib import Path


def timeout() -> GatewayError:
    return GatewayError("upstream_timeout", reason="connect")


async def test_each_attempt_begins_and_ends_before_the_next() -> None:
    """In the order in which it happens, the chat around its attempts."""
    kept = KeptRecords()
    await PortGateway([timeout()], answer("Hi"), sinks=[kept]).read_batches()
    assert kept.calls == [
        "chat began",
        "first began",
        "first failed",
        "second began",
        "second ok",
        "chat fallback_ok",
    ]


async def test_attempt_has_its_chat_its_error_and_its_times() -> None:
    """What a trace needs of each request to a model."""
    kept = KeptRecords()
    await PortGateway([timeout()], [0.03, *answer("Hi")], sinks=[kept]).read_batches()
    failed, whole = kept.attempts
    assert [attempt.number for attempt in kept.begun] == [1, 2]
    assert (failed.number, failed.provider, failed.model) == (1, "gpt", "first")
    assert failed.error is not None
    assert (failed.error.code, failed.error.reason) == ("upstream_timeout", "connect")
    assert failed.first_content_ms is None
    assert (whole.number, whole.model, whole.error) == (2, "second", None)
    assert whole.first_content_ms is not None
    assert 29 <= whole.first_content_ms <= whole.total_ms < 10_000
    assert failed.chat is whole.chat is kept.openings[0]


async def test_attempt_in_progress_is_cancelled_when_the_client_leaves() -> None:
    """An attempt that began ends, whatever ends the chat."""
    kept = KeptRecords()
    await PortGateway([[text("Hel")], silence], sinks=[kept]).leave()
    assert kept.calls == ["chat began", "first began", "first cancelled", "chat client_gone"]
    assert kept.attempts[0].outcome is AttemptOutcome.CANCELLED


async def test_record_has_the_tokens_of_the_model_that_it_names() -> None:
    """Also if the one that is asked after a break fails before its first content, with a report of its own."""
    kept = KeptRecords()
    gateway = PortGateway(
        [[Usage(input_tokens=9, output_tokens=7), text("Hel")], timeout()],
        [[Usage(input_tokens=80, output_tokens=1)], timeout()],
        sinks=[kept],
    )
    await gateway.fail(ask("Hello?", on_break="restart"))
    (record,) = kept.records
    assert (record.model, record.attempts) == ("first", 2)
    assert record.outcome is Outcome.UPSTREAM_ERROR_AFTER
    assert record.usage == Usage(input_tokens=9, output_tokens=7)


async def test_record_names_the_provider_of_its_model() -> None:
    """The one that answered, though another one's model failed after it."""
    kept = KeptRecords()
    gateway = PortGateway(
        [[text("Hel")], timeout()],
        sinks=[kept],
        model_fallback=None,
        fallback_providers=("claude",),
    )
    gateway.claude.enqueue(timeout())
    gateway.claude.enqueue(timeout())
    await gateway.fail(ask("Hello?", on_break="restart"))
    (record,) = kept.records
    assert [attempt.provider for attempt in kept.begun][:2] == ["gpt", "claude"]
    assert (record.provider, record.model) == ("gpt", "first")


async def test_record_says_whose_chat_it_was() -> None:
    """The ids, the door, and the client: the name of its key, never the key."""
    kept = KeptRecords()
    token = client_context.set(Client("192.0.2.7", "team-a"))
    await PortGateway(answer("Hi"), sinks=[kept]).read_batches()
    client_context.reset(token)
    (record,) = kept.records
    assert (record.id, record.conversation_id, record.request_id) == ("gpt-1", "c-1", "r-1")
    assert (record.door, record.client, record.address) == ("native", "team-a", "192.0.2.7")
    assert (record.asked_provider, record.messages) == ("gpt", 1)


async def test_broken_sink_breaks_neither_the_chat_nor_another_sink(tmp_path: Path) -> None:
    """It is reported each time, in error.log and to Sentry, without what was said."""
    kept, envelopes = KeptRecords(), KeptEnvelopes()
    with logs_in(tmp_path), reporting_to(envelopes):
        gateway = PortGateway(answer("Hello"), sinks=[BrokenSink(), kept, GatewayLog()])
        batches = await gateway.read_batches()
        errors = read_log(tmp_path, "error")
        lines = read_log(tmp_path)
    assert type(batches[0][0]) is Start
    assert kept.calls == ["chat began", "first began", "first ok", "chat ok"]
    assert messages(errors) == ["a sink of chat records failed"] * 4
    assert {line["context"]["sink"] for line in errors} == {"BrokenSink"}
    assert "How far is the moon?" not in (tmp_path / "debug.log").read_text()
    assert [line for line in messages(lines) if line.startswith("chat ")] == [
        "chat started",
        "chat finished",
    ]
    exceptions = [event["exception"]["values"][-1] for event in envelopes.events]
    assert [exception["type"] for exception in exceptions] == ["RuntimeError"] * 4
    assert b"moon" not in b"".join(envelopes.sent)


def test_sink_may_leave_out_what_it_does_not_need() -> None:
    """Each method of a sink has a default that does nothing."""
    recorder = make_recorder(ChatSink())
    recorder.begin_attempt("gpt", "luna")
    recorder.end_attempt(timeout())
    recorder.close()


def test_record_does_not_show_what_was_said() -> None:
    """A record in a message or in a report quotes neither the question nor the answer."""
    shown = repr(make_record("a secret question", "a secret answer"))
    assert "secret" not in shown
    assert "luna" in shown


def test_record_names_the_model_that_the_chat_failed_with() -> None:
    """If no model answers, the model is the error's."""
    error = Failure(GatewayError("upstream_auth", model="luna"))
    failed = make_record(answering_model=None, error=error, outcome=Outcome.UPSTREAM_ERROR_BEFORE)
    assert (failed.model, failed.answering_model, failed.status) == ("luna", None, 502)


def test_usage_is_that_of_the_process() -> None:
    """CPU time and resident memory, in plausible amounts."""
    assert cpu_seconds() > 0
    assert 1 < memory_mb() < 100_000


def failure(code: str, stage: Stage = "before_content") -> Failure:
    return Failure(GatewayError(code), stage=stage)


def end(fallback: Fallback | None = None) -> End:
    return End(
        provider="gpt",
        model="luna",
        fallback=fallback,
        finish_reason="stop",
        raw_finish_reason="stop",
        usage=None,
        attempts=1,
    )


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ((end(), None), Outcome.OK),
        ((end(Fallback("luna", "nova", "upstream_timeout")), None), Outcome.FALLBACK_OK),
        ((None, None), Outcome.CLIENT_GONE),
        ((end(), failure("internal_error", "after_content")), Outcome.OK),
        ((None, failure("internal_error", "after_content")), Outcome.INTERNAL_ERROR),
        ((None, failure("draining", "after_content")), Outcome.DRAINED),
        ((None, failure("unauthorized", "after_content")), Outcome.REJECTED),
        ((None, failure("upstream_truncated", "after_content")), Outcome.UPSTREAM_ERROR_AFTER),
        ((None, failure("content_filtered", "after_content")), Outcome.UPSTREAM_ERROR_AFTER),
        ((None, failure("upstream_timeout")), Outcome.UPSTREAM_ERROR_BEFORE),
        ((None, failure("content_filtered")), Outcome.REJECTED),
        ((None, failure("context_length_exceeded")), Outcome.REJECTED),
        ((None, failure("unknown_provider", "request")), Outcome.REJECTED),
    ],
)
def test_outcome_follows_from_the_end_or_the_failure(
    ending: tuple[End | None, Failure | None], outcome: Outcome
) -> None:
    """An answer that was whole is not a failure, whatever comes after it."""
    assert judge(*ending) is outcome
