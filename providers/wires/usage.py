"""Token counts: OpenAI's report of them, and reports that a vendor sends more than once.

A later 0 does not replace a number.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from models import Usage
from providers.wires.lenient_json import Count

T = TypeVar("T", bound=msgspec.Struct)

_NOTHING = Usage()


class _Details(msgspec.Struct, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None


class UsageReport(msgspec.Struct, gc=False):
    """Token counts, under the names that OpenAI's APIs and the servers like them use."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    prompt_cache_hit_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None

    def to_usage(self) -> Usage:
        """The counts in the gateway's names."""
        given = self.prompt_tokens_details or self.input_tokens_details or _Details()
        made = self.completion_tokens_details or self.output_tokens_details or _Details()
        return Usage(
            input_tokens=_first(self.prompt_tokens, self.input_tokens),
            output_tokens=_first(self.completion_tokens, self.output_tokens),
            cached_input_tokens=_first(
                given.cached_tokens, self.cached_tokens, self.prompt_cache_hit_tokens
            ),
            cache_write_tokens=given.cache_write_tokens,
            reasoning_tokens=_first(made.reasoning_tokens, self.reasoning_tokens),
        )


def merge_usage(known: Usage | None, newer: Usage) -> Usage | None:
    """The known counts updated by a further report; None if no report has a number."""
    if known is None:
        return None if newer == _NOTHING else newer
    counts = ((name, getattr(newer, name)) for name in Usage.__struct_fields__)
    changes = {name: count for name, count in counts if _replaces(getattr(known, name), count)}
    return msgspec.structs.replace(known, **changes)


def update_counts(known: T, newer: T) -> None:
    """The same for the struct of a wire, in place."""
    for name in known.__struct_fields__:
        count = getattr(newer, name)
        if _replaces(getattr(known, name), count):
            setattr(known, name, count)


def _replaces(known: Any, newer: Any) -> bool:
    return bool(newer) or (newer is not None and known is None)


def _first(*counts: int | None) -> int | None:
    """The first count above 0: some servers write 0 under the names that they do not use."""
    zero = None
    for count in counts:
        if count:
            return count
        if count is not None:
            zero = 0
    return zero
