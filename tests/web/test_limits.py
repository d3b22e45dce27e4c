"""How many streams may be open at once."""

from __future__ import annotations

import pytest

from models import GatewayError
from web.limits import StreamLimit


def test_slots_are_taken_and_released() -> None:
    """There are as many slots as configured; one chat more gets `overloaded` and when to retry."""
    limit = StreamLimit(2)
    with limit:
        assert (limit.open, limit.is_reached) == (1, False)
        with limit:
            assert limit.is_reached
            with pytest.raises(GatewayError, match="overloaded") as raised, limit:
                pytest.fail("there was no slot")
            assert raised.value.retry_after == 1
            assert limit.open == 2
    assert (limit.open, limit.is_reached) == (0, False)


def test_slot_is_released_after_a_failure() -> None:
    """A chat that fails releases its slot as one that ends."""
    limit = StreamLimit(1)
    with pytest.raises(RuntimeError), limit:
        raise RuntimeError
    assert limit.open == 0
