"""What a chat has cost that was cut: the client left, the vendor broke off, the gateway stopped."""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec.structs import replace

from models import Usage
from telemetry.chat_record import Outcome

_BYTES_PER_TOKEN = 4  # of text; what is usual for English
# Of a page of a PDF vendors count its text and often its picture too: up to 3,000 tokens, which is
# assumed for each 50,000 bytes. An image is at most this at most models.
_BYTES_PER_PAGE = 50_000
_PAGE_TOKENS = 3_000
_IMAGE_TOKENS = 1_600
_UNCHARGED = (Outcome.UPSTREAM_ERROR_BEFORE, Outcome.INTERNAL_ERROR)


def is_charged(outcome: Outcome, attempts: int, answer: str) -> bool:
    """Whether a model has worked on a chat without a whole answer."""
    if attempts == 0 or outcome in _UNCHARGED:
        return False
    # a rejected chat has an answer only if its key was revoked while it was answered
    return outcome is not Outcome.REJECTED or bool(answer)


def estimate_media(images: int, file_sizes: Iterable[int]) -> int:
    """The tokens of a chat's images and of its files, whose sizes are in bytes."""
    pages = sum(max(1.0, size / _BYTES_PER_PAGE) for size in file_sizes)
    return images * _IMAGE_TOKENS + math.ceil(pages * _PAGE_TOKENS)


def count_cut(
    reported: Usage | None, prompt_bytes: int, answer: str, media_tokens: int = 0
) -> Usage:
    """The tokens of such a chat: as far as the vendor has reported them, else by its content.

    Vendors report the output at the answer's end: until then it is at least that of its text.
    """
    known = reported or Usage()
    given, made = known.input_tokens, known.output_tokens or 0
    estimated = math.ceil(prompt_bytes / _BYTES_PER_TOKEN) + media_tokens
    answered = len(answer.encode("utf-8", "replace"))
    return replace(
        known,
        input_tokens=estimated if given is None else given,
        output_tokens=max(made, math.ceil(answered / _BYTES_PER_TOKEN)),
    )
