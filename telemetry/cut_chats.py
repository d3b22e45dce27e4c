"""What a chat has cost that was cut: the client left, the vendor broke off, the gateway stopped."""

from __future__ import annotations

import math

from msgspec.structs import replace

from models import Usage
from telemetry.chat_record import Outcome

_BYTES_PER_TOKEN = 4  # of text; what is usual for English
_UNCHARGED = (Outcome.UPSTREAM_ERROR_BEFORE, Outcome.INTERNAL_ERROR)


def is_charged(outcome: Outcome, attempts: int, answer: str) -> bool:
    """Whether a model has worked on a chat without a whole answer."""
    if attempts == 0 or outcome in _UNCHARGED:
        return False
    # a rejected chat has an answer only if its key was revoked while it was answered
    return outcome is not Outcome.REJECTED or bool(answer)


def count_cut(reported: Usage | None, prompt_bytes: int, answer: str) -> Usage:
    """The tokens of such a chat: as far as the vendor has reported them, else by its texts.

    Vendors report the output at the answer's end: until then it is at least that of its text.
    """
    known = reported or Usage()
    given, made = known.input_tokens, known.output_tokens or 0
    answered = len(answer.encode("utf-8", "replace"))
    return replace(
        known,
        input_tokens=math.ceil(prompt_bytes / _BYTES_PER_TOKEN) if given is None else given,
        output_tokens=max(made, math.ceil(answered / _BYTES_PER_TOKEN)),
    )
