"""What each chat is charged, by its record."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.limit_counters import NANODOLLARS, LimitCounters
from cluster.limiter import LocalLimiter, client_name
from cluster.usage_sink import UsageSink
from models import Start, Usage
from settings.client_limits import ClientLimits
from telemetry.chat_record import Outcome
from tests.gateways.chat_records import KeptRecords, make_record, make_recorder

CUT = {"usage": None, "prompt_bytes": 400, "answer": "x" * 100}


def charged(**fields: Any) -> tuple[int, float]:
    """The tokens and dollars that a chat with this record is charged."""
    counters = LimitCounters()
    counters.enter("key phone", ClientLimits(tokens_per_day=1000))
    sink = UsageSink(LocalLimiter(counters), lambda *_: 0.25)
    sink.chat_ended(make_record(client="phone", **fields))
    used = counters.usage("key phone")
    return (used["day"].tokens, used["day"].nanodollars / NANODOLLARS) if used else (0, 0.0)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"usage": Usage(input_tokens=9, output_tokens=12), "cost": 0.5}, (21, 0.5)),
        ({"usage": Usage(input_tokens=9), "cost": None}, (9, 0)),
        ({**CUT, "outcome": Outcome.CLIENT_GONE}, (125, 0.25)),
        ({**CUT, "outcome": Outcome.UPSTREAM_ERROR_AFTER}, (125, 0.25)),
        ({**CUT, "outcome": Outcome.CLIENT_GONE, "media_tokens": 600}, (725, 0.25)),
        ({**CUT, "outcome": Outcome.DRAINED, "usage": Usage()}, (125, 0.25)),
        ({**CUT, "outcome": Outcome.REJECTED}, (125, 0.25)),
        ({**CUT, "outcome": Outcome.REJECTED, "answer": ""}, (0, 0)),
        ({**CUT, "outcome": Outcome.UPSTREAM_ERROR_BEFORE}, (0, 0)),
        ({**CUT, "outcome": Outcome.CLIENT_GONE, "attempts": 0}, (0, 0)),
    ],
)
def test_chat_is_charged_what_is_reported_or_else_what_is_counted(
    fields: dict[str, Any], expected: tuple[int, float]
) -> None:
    """A cut chat has no report: four bytes of text are a token. What failed early costs nothing."""
    assert charged(**fields) == expected


def test_cut_chat_is_charged_what_its_record_has() -> None:
    """With the tokens that its vendor has reported, and at least those of its text."""
    counters, kept = LimitCounters(), KeptRecords()
    client = client_name(None, None)
    counters.enter(client, ClientLimits(tokens_per_day=1000))
    sink = UsageSink(LocalLimiter(counters), lambda *_: 99.0)
    recorder = make_recorder(kept, sink)
    recorder.begin_attempt("gpt", "luna")
    recorder.note_usage(
        Usage(input_tokens=500, output_tokens=1, cached_input_tokens=400),
        lambda usage: (usage.input_tokens or 0) / 1000,
    )
    recorder.begin_answer(Start("gpt", "luna"), ["x" * 100], has_content=True)
    recorder.close()
    (record,) = kept.records
    assert record.outcome is Outcome.CLIENT_GONE
    expected = Usage(input_tokens=500, output_tokens=25, cached_input_tokens=400)
    assert (record.usage, record.cost) == (expected, 0.5)
    used = counters.usage(client)["day"]
    assert (used.tokens, used.nanodollars) == (525, 0.5 * NANODOLLARS)
