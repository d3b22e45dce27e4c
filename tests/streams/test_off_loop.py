"""What takes long runs in a thread."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from streams.off_loop import call_off_loop


async def test_function_is_called_in_another_thread() -> None:
    """So that other tasks go on."""
    thread = await call_off_loop(threading.current_thread)
    assert thread is not threading.current_thread()


async def test_what_fails_in_the_thread_is_raised() -> None:
    with pytest.raises(ValueError, match="no number"):
        await call_off_loop(partial(int, "no number"))
