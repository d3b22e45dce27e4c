"""`python main.py top`: what it prints of the metrics, and if there are none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from commands.top import describe, metrics_url
from configuration import ConfigurationError, load_settings
from main import main
from telemetry.exposition import read_samples
from tests.gateways.loopback import make_settings, running_gateway
from tests.gateways.scripted import ScriptedFactory

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = """
chat_gateway_chats_total{door="native",provider="gpt",outcome="ok"} 10
chat_gateway_key_chats_total{key="team-a",outcome="ok"} 10
chat_gateway_key_tokens_total{key="team-a",direction="output"} 100
"""
AFTER = """
chat_gateway_workers 2
chat_gateway_streams_open 7
chat_gateway_streams_limit 2000
chat_gateway_chats_running{provider="gpt"} 6
chat_gateway_chats_total{door="native",provider="gpt",outcome="ok"} 18
chat_gateway_chats_total{door="native",provider="gpt",outcome="upstream_error_after"} 2
chat_gateway_cost_usd_total{provider="gpt",model="luna"} 0.25
chat_gateway_breaker_state{provider="gpt",model="luna"} 2
chat_gateway_breaker_state{provider="gpt",model="nova"} 0
chat_gateway_key_chats_total{key="team-a",outcome="ok"} 20
chat_gateway_key_tokens_total{key="team-a",direction="output"} 180
chat_gateway_key_cost_usd_total{key="team-a"} 0.25
"""


def test_rates_are_those_between_two_measurements() -> None:
    """Of each provider and of each key; a breaker is named if it is not closed."""
    before, after = (list(read_samples(text)) for text in (BEFORE, AFTER))
    lines = list(describe(before, after, 2.0))
    assert lines[0].startswith("workers 2   streams 7 of 2000   5.0 chats/s")
    assert ["gpt", "6", "5.0", "20", "2", "0.2500"] in [line.split() for line in lines]
    assert ["team-a", "5.0", "20", "40", "0.2500"] in [line.split() for line in lines]
    assert [line for line in lines if line.startswith("breaker")] == ["breaker open: gpt luna"]


def test_counters_that_begin_again_are_no_negative_rate() -> None:
    """The gateway was started again in between."""
    before, after = (list(read_samples(text)) for text in (AFTER, BEFORE))
    assert "0.0 chats/s" in next(describe(before, after, 2.0))


def test_metrics_are_found_by_the_configuration() -> None:
    """At METRICS_PORT, or else on the gateway's port; never at the address for all of them."""
    own = load_settings(None, metrics_port=9464, metrics_host="0.0.0.0")
    shared = load_settings(None, metrics="true", host="::1", port=3051)
    assert metrics_url(own) == "http://127.0.0.1:9464/metrics"
    assert metrics_url(shared) == "http://[::1]:3051/metrics"
    with pytest.raises(ConfigurationError, match="METRICS_PORT"):
        metrics_url(load_settings(None))


async def test_running_gateway_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over HTTP. One that is not there ends it with the status 1."""
    settings = make_settings(tmp_path, metrics=True, max_streams=7)
    arguments = ["top", "--once", "--seconds", "0.1", "--url"]
    async with running_gateway(settings, ScriptedFactory(settings.providers)) as gateway:
        url = f"{gateway.url}/metrics"
        assert await asyncio.to_thread(main, [*arguments, url]) == 0
    assert "streams 0 of 7" in capsys.readouterr().out
    assert await asyncio.to_thread(main, [*arguments, url]) == 1
    assert "cannot be read" in capsys.readouterr().err
