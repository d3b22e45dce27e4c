"""The file of what clients have used."""

from __future__ import annotations

import asyncio
import json
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cluster.count_file import CountFile, kept_counts
from cluster.limit_broker import LimitBroker, RemoteLimiter
from cluster.limit_counters import LimitCounters, Usage, Used
from settings.client_limits import ClientLimits

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LIMITS = ClientLimits(tokens_per_month=10)
USED: Usage = {"key a": {"day": Used("2026-11-30", 5, 7), "month": Used("2026-11", 50, 70)}}


def test_counts_are_read_as_they_were_written(tmp_path: Path) -> None:
    """By the owner alone, and there is no draft left."""
    path = tmp_path / "limits.json"
    CountFile(path, lambda: NOW).save(USED)
    assert CountFile(path, lambda: NOW).read() == USED
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["limits.json"]


def test_counts_of_other_clients_stay(tmp_path: Path) -> None:
    """Those that the file had before, unless their day and month are over."""
    path = tmp_path / "limits.json"
    CountFile(path, lambda: NOW).save(USED)
    later = CountFile(path, lambda: NOW + timedelta(hours=11))
    later.read()
    later.save({"key b": {"day": Used("2026-11-30", 1, 1)}})
    assert set(json.loads(path.read_bytes())) == {"key a", "key b"}
    next_month = CountFile(path, lambda: NOW + timedelta(days=1))
    next_month.read()
    next_month.save({"key c": {"month": Used("2026-12", 1, 1)}})
    assert set(json.loads(path.read_bytes())) == {"key c"}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"key a": {"day": 5}}', b"\xff", b"{"])
def test_broken_file_is_reported_and_set_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The counts begin at zero, and what was there can still be looked at."""
    path = tmp_path / "limits.json"
    path.write_bytes(content)
    assert CountFile(path).read() == {}
    assert "BUDGETS BEGIN AT ZERO" in caplog.text
    assert (tmp_path / "limits.json.broken").read_bytes() == content


def test_failed_write_is_reported_and_made_up_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The counts stay in memory until the file can be written."""
    folder = tmp_path / "later"
    file = CountFile(folder / "limits.json", lambda: NOW)
    assert file.read() == {}
    file.save(USED)
    file.save({})
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "LIMITS_FILE cannot be written"
    ] * 2  # at the start, and once for all writes of a minute
    folder.mkdir()
    file.save({})
    assert CountFile(folder / "limits.json", lambda: NOW).read() == USED


async def test_single_process_goes_on_with_its_counts(tmp_path: Path) -> None:
    """What was charged last is written at the end."""
    for refused_by in (None, "tokens_per_month"):
        counters = LimitCounters()
        async with kept_counts(counters, tmp_path / "limits.json"):
            assert counters.enter("key a", LIMITS).refused_by == refused_by
            counters.charge("key a", 10, 0)


async def test_broker_counts_what_workers_have_sent_last(tmp_path: Path) -> None:
    """Charges that it has not read when it is closed are in the file."""
    for refused_by in (None, "tokens_per_month"):
        broker = LimitBroker(LimitCounters(), tmp_path / "limits.json")
        limiter = await RemoteLimiter.connect(broker.connect().dup())
        assert (await limiter.enter("key a", LIMITS)).refused_by == refused_by
        for _ in range(1000):
            limiter.charge("key a", 1, 0)
        await limiter.aclose()
        await asyncio.to_thread(broker.close)
    (used,) = json.loads((tmp_path / "limits.json").read_bytes()).values()
    assert used["month"][1] == 2000
