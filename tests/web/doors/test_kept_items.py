"""Items of answers in memory, for references to them."""

from __future__ import annotations

import pytest

from web.doors.kept_items import KeptItems


def test_item_is_kept_by_its_id() -> None:
    """As it was."""
    kept = KeptItems()
    kept.put({"msg_1": b"a", "msg_2": b"b"}, 1_000)
    assert [kept.get(item_id) for item_id in ("msg_1", "msg_2", "msg_3")] == [b"a", b"b", None]


def test_oldest_items_are_dropped_at_the_limit() -> None:
    """Which counts what an entry takes beside its item, so that many small ones are bounded, too."""
    kept = KeptItems()
    for number in range(100):
        kept.put({f"msg_{number}": b"a" * 100}, 1_000)
    found = [number for number in range(100) if kept.get(f"msg_{number}")]
    assert found == [98, 99]


@pytest.mark.parametrize("max_bytes", [0, 100])
def test_item_over_the_limit_is_not_kept(max_bytes: int) -> None:
    """Nor are those before it."""
    kept = KeptItems()
    kept.put({"msg_1": b"a"}, 1_000)
    kept.put({"msg_2": b"a" * 100}, max_bytes)
    assert kept.get("msg_1") is kept.get("msg_2") is None
