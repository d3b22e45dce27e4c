"""How many streams may be open at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models import GatewayError
from tests.clients.raw_client import ask_chat, connect
from tests.gateways.scripted import scripted_gateway
from web.limits import StreamLimit

if TYPE_CHECKING:
    from pathlib import Path


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


async def test_chat_without_a_slot_is_refused_before_its_body_is_read(tmp_path: Path) -> None:
    """The head is enough: under overload a refusal should cost little."""
    async with (
        scripted_gateway(tmp_path, max_streams=1) as gateway,
        connect(gateway.running) as client,
    ):
        with gateway.running.app.state.services.streams:
            head, _, _ = ask_chat().rpartition(b"\r\n\r\n")
            refused = await client.ask(head + b"\r\n\r\n")
    assert (refused.status, refused.error["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
