"""The gateway in demo mode, on a real socket of this machine."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from configuration import VALID_PROVIDERS, ProviderOptions
from tests.gateways.loopback import RunningGateway, make_settings, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VENDORS = ("gpt", "claude", "gemini", "groq")


@asynccontextmanager
async def demo_gateway(log_dir: Path) -> AsyncIterator[RunningGateway]:
    """A gateway whose models a simulator plays, one for each vendor."""
    vendors = {name: ProviderOptions() for name in VALID_PROVIDERS}
    vendors |= {name: ProviderOptions(model_default="luna") for name in VENDORS}
    async with running_gateway(make_settings(log_dir, vendors=vendors, demo="on")) as gateway:
        yield gateway
