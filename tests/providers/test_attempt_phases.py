"""The phases of one answer: how long each waits, and what it means that nothing more comes."""

from __future__ import annotations

import pytest

from configuration import Timeouts
from models import Reasoning
from providers.attempt import Attempt, Phase, explain_timeout, longest_wait
from providers.policy import Link
from providers.wires.decoder import Batch
from providers.wires.finish_reasons import Finish
from streams.deadline import CancelScope
from tests.gateways.chat_records import make_recorder
from tests.vendors.scripted_provider import PROMPT, ScriptedProvider, early, finish, text

TIMEOUTS = Timeouts(connect=1, first_content=2, last_first_content=3, idle=4, total=5, settle=6)
A, B = text("a"), text("bc")

WAITS = [
    (Phase.AWAITED, False, 2),
    (Phase.AWAITED, True, 3),
    (Phase.ANSWERING, False, 4),
    (Phase.ANSWERING, True, 4),
    (Phase.SETTLING, False, 6),
    (Phase.CONTINUED, False, 6),
]


@pytest.mark.parametrize(("phase", "is_patient", "seconds"), WAITS)
def test_each_phase_has_its_timeout(phase: Phase, is_patient: bool, seconds: float) -> None:
    """The last model, and one that does not stream, may take longer for its first content."""
    assert longest_wait(phase, TIMEOUTS, is_patient=is_patient) == seconds


REASONS = [
    (Phase.AWAITED, False, "first_content"),
    (Phase.AWAITED, True, "whole"),
    (Phase.ANSWERING, False, "stalled"),
    (Phase.ANSWERING, True, "whole"),
    (Phase.SETTLING, False, None),
    (Phase.SETTLING, True, None),
    (Phase.CONTINUED, False, None),
    (Phase.CONTINUED, True, "whole"),
]


@pytest.mark.parametrize(("phase", "is_chats", "reason"), REASONS)
def test_silence_proves_an_answer_or_is_a_failure(
    phase: Phase, is_chats: bool, reason: str | None
) -> None:
    """None: the answer is complete. At the end of the chat's time content may just have come."""
    assert explain_timeout(phase, is_chats=is_chats) == reason


# Batches, and for each the phase after it, the characters so far, and whether the wait for content begins again.
DIALOGUES: dict[str, list[tuple[Batch, Phase, int | None, bool]]] = {
    "content, then the end": [
        ([A], Phase.ANSWERING, 1, True),
        ([B], Phase.ANSWERING, 3, True),
        ([finish()], Phase.SETTLING, 3, True),
    ],
    "all in one": [([A, B, finish()], Phase.SETTLING, 3, True)],
    "reasoning is content": [([Reasoning("hm")], Phase.ANSWERING, 0, True)],
    "repeated finish reasons": [
        ([A, finish()], Phase.SETTLING, 1, True),
        ([finish()], Phase.SETTLING, 1, False),
    ],
    "content after the finish reason": [
        ([A, finish()], Phase.SETTLING, 1, True),
        ([B], Phase.CONTINUED, 3, True),
        ([A, finish()], Phase.CONTINUED, 4, True),
        ([finish()], Phase.CONTINUED, 4, False),
    ],
    "early finish reason": [
        ([early()], Phase.AWAITED, None, False),
        ([early()], Phase.AWAITED, None, False),
        ([A], Phase.ANSWERING, 1, True),
        ([early()], Phase.ANSWERING, 1, False),
        ([finish()], Phase.SETTLING, 1, True),
    ],
    "finish reason alone": [([Finish("content_filter", "SAFETY")], Phase.AWAITED, None, False)],
}


@pytest.mark.parametrize("lines", DIALOGUES.values(), ids=DIALOGUES)
async def test_batch_leads_to_the_next_phase(
    lines: list[tuple[Batch, Phase, int | None, bool]],
) -> None:
    """Content commits, a finish reason after it settles, content after that goes on."""
    provider = ScriptedProvider()
    scope = CancelScope(1e6)
    attempt = Attempt(
        provider, Link("gpt", "first"), PROMPT, "id", make_recorder(), scope, is_last=False
    )
    for batch, phase, chars, is_new_wait in lines:
        deltas = [event for event in batch if not isinstance(event, Finish)]
        assert attempt.take(list(batch)) == deltas
        assert (attempt.phase, attempt.chars, attempt.is_new_wait) == (phase, chars, is_new_wait)
