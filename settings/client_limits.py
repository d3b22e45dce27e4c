"""How much one client may do: a gateway key, or the address of an anonymous client."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ClientLimits:
    """The limits of one client; None: there is none of this kind. Days and months are those of UTC.

    `streams` is the number of chats at the same time, `connections` that of connections to one
    process.
    """

    requests_per_minute: int | None = None
    streams: int | None = None
    connections: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None

    @property
    def has_budget(self) -> bool:
        """Whether tokens or dollars are limited."""
        budgets = self.tokens_per_day, self.tokens_per_month, self.usd_per_day, self.usd_per_month
        return budgets != (None, None, None, None)


LIMIT_NAMES = tuple(field.name for field in fields(ClientLimits))
