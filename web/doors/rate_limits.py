"""What is left of a client's limits, in the headers of each protocol."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cluster.limit_counters import Standing

LIMIT_HEADERS = "gateway.limit_headers"  # in a request's scope: of its response, an error too

# Those that pages of other origins may read.
HEADER_NAMES = (
    "RateLimit",
    "RateLimit-Policy",
    *(
        f"x-ratelimit-{fact}-{unit}"
        for unit in ("requests", "tokens")
        for fact in ("limit", "remaining", "reset")
    ),
    *(
        f"anthropic-ratelimit-{unit}-{fact}"
        for unit in ("requests", "tokens")
        for fact in ("limit", "remaining", "reset")
    ),
)


def limit_headers(door: str, standings: Sequence[Standing]) -> Mapping[str, str]:
    """The headers of a door by its name. Dollars are the operator's matter: no header has them."""
    shown = [standing for standing in standings if not standing.name.startswith("usd")]
    if door in ("openai_chat", "openai_responses"):
        return dict(_openai(shown))
    if door == "anthropic":
        return dict(_anthropic(shown))
    return _ietf(shown) if shown else {}


def _scarcest(standings: Sequence[Standing]) -> Iterator[tuple[str, Standing]]:
    """The limit of requests and that of tokens, of which the one with the least left counts."""
    for unit in ("requests", "tokens"):
        found = [standing for standing in standings if standing.name.startswith(unit)]
        if found:
            yield unit, min(found, key=lambda standing: standing.remaining)


def _openai(standings: Sequence[Standing]) -> Iterator[tuple[str, str]]:
    for unit, standing in _scarcest(standings):
        yield f"x-ratelimit-limit-{unit}", str(standing.limit)
        yield f"x-ratelimit-remaining-{unit}", str(standing.remaining)
        yield f"x-ratelimit-reset-{unit}", go_duration(standing.reset)


def _anthropic(standings: Sequence[Standing]) -> Iterator[tuple[str, str]]:
    for unit, standing in _scarcest(standings):
        reset = datetime.now(UTC) + timedelta(seconds=math.ceil(standing.reset))
        yield f"anthropic-ratelimit-{unit}-limit", str(standing.limit)
        yield f"anthropic-ratelimit-{unit}-remaining", str(standing.remaining)
        yield f"anthropic-ratelimit-{unit}-reset", reset.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ietf(standings: Sequence[Standing]) -> Mapping[str, str]:
    policies = [
        f'"{standing.name}";q={standing.limit};w={round(standing.window)}' for standing in standings
    ]
    left = [
        f'"{standing.name}";r={standing.remaining};t={math.ceil(standing.reset)}'
        for standing in standings
    ]
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)}


def go_duration(seconds: float) -> str:
    """A duration as OpenAI writes it: `1s`, `6m0s`, `2h0m5s`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
