"""The token counts of Anthropic's messages wire."""

from __future__ import annotations

import msgspec

from models import Usage
from providers.wires.lenient_json import Count
from providers.wires.usage import update_counts


class _Details(msgspec.Struct, gc=False):
    thinking_tokens: Count | None = None


class MessagesUsage(msgspec.Struct, gc=False):
    """Token counts, under the vendor's names: the input is without the cached tokens."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    thinking_tokens: Count | None = None
    output_tokens_details: _Details | None = None

    def update(self, newer: MessagesUsage) -> None:
        """Add a later report.

        One of the input is complete: its cached tokens replace those known, even with 0.
        """
        if newer.input_tokens:
            self.cache_read_input_tokens = newer.cache_read_input_tokens
            self.cache_creation_input_tokens = newer.cache_creation_input_tokens
        update_counts(self, newer)

    def to_usage(self) -> Usage | None:
        """The counts in the gateway's names; None if there are none."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        cached = (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)
        details = self.output_tokens_details
        return Usage(
            input_tokens=None if self.input_tokens is None else self.input_tokens + cached,
            output_tokens=self.output_tokens,
            cached_input_tokens=self.cache_read_input_tokens,
            cache_write_tokens=self.cache_creation_input_tokens,
            reasoning_tokens=details.thinking_tokens if details else self.thinking_tokens,
        )
