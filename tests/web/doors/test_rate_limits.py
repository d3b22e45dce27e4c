"""The headers that say what is left of a limit."""

from __future__ import annotations

import pytest

from cluster.limit_counters import Standing
from web.doors.rate_limits import HEADER_NAMES, go_duration, limit_headers

STANDINGS = [
    Standing("requests_per_minute", 60, 12, 33.2, 60),
    Standing("tokens_per_day", 1000, 400, 3600, 86_400),
    Standing("tokens_per_month", 9000, 300, 90_000.5, 2_592_000),
    Standing("usd_per_day", 10**9, 5, 3600, 86_400),
]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.2, "1s"), (59.5, "1m0s"), (360, "6m0s"), (7205, "2h0m5s"), (86_400, "24h0m0s")],
)
def test_duration_is_written_as_openai_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_tokens_are_those_of_the_limit_with_the_least_left() -> None:
    """OpenAI's and Anthropic's headers have room for one; the standard's have all."""
    openai = limit_headers("openai_chat", STANDINGS)
    assert openai == limit_headers("openai_responses", STANDINGS)
    assert openai == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "34s",
        "x-ratelimit-limit-tokens": "9000",
        "x-ratelimit-remaining-tokens": "300",
        "x-ratelimit-reset-tokens": "25h0m1s",
    }
    assert limit_headers("anthropic", STANDINGS)["anthropic-ratelimit-tokens-remaining"] == "300"
    assert limit_headers("native", STANDINGS)["RateLimit"] == (
        '"requests_per_minute";r=12;t=34, "tokens_per_day";r=400;t=3600, '
        '"tokens_per_month";r=300;t=90001'
    )


@pytest.mark.parametrize("door", ["native", "ui_message", "anthropic", "openai_chat"])
def test_every_header_can_be_read_by_pages(door: str) -> None:
    """The names are among those that CORS exposes; without limits there are none."""
    assert set(limit_headers(door, STANDINGS)) <= set(HEADER_NAMES)
    assert limit_headers(door, ()) == {}
