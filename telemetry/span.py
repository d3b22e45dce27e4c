"""`Span`: a chat, or a request to a vendor, as it is traced. Imports no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import NamedTuple

Attributes = Mapping[str, str | int | float | None]  # None: not known, and left out


# The header of the request that is being answered, if traces are on.
traceparent_context: ContextVar[str | None] = ContextVar("traceparent", default=None)
# The header of the request to a vendor that is sent next, if the vendor may know of the trace.
vendor_traceparent_context: ContextVar[str | None] = ContextVar("vendor_traceparent", default=None)


class SpanEvent(NamedTuple):
    """What happened within a span, in milliseconds since its beginning."""

    name: str
    at_ms: int
    attributes: Attributes


class Span(NamedTuple):
    """A span that is over. `error` is the code of the failure that ended it.

    `number` is that of the request within its chat, from 1; the chat itself has 0.
    """

    name: str
    number: int
    total_ms: int
    attributes: Attributes
    events: Sequence[SpanEvent]
    error: str | None
