"""The metrics, the logs and the vendors agree about chats of two workers, with faults and clients that leave.

The whole run, of 10,000 chats, is `make agreement`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.agreement import run

if TYPE_CHECKING:
    from pathlib import Path

CHATS = 300


async def test_metrics_logs_and_vendors_agree_to_the_unit(tmp_path: Path) -> None:
    """Chats, outcomes, calls, tokens and cost."""
    assert await run(tmp_path, CHATS, rate=40) == 0
