"""The admin page in a real browser, over a gateway that has had some use."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from models import GatewayError
from settings.new_keys import new_key
from tests.gateways.keys_file import bearer, write_keys
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.gateways.scripted import ScriptedGateway

ADMIN, ADMIN_SHA = new_key("operator")
CHATS, CHATS_SHA = new_key("phone")
MARKUP = "<img src=x onerror=alert(1)>"
KEYS = f"""
[keys.operator]
sha256 = "{ADMIN_SHA}"
admin = true
doors = []

[keys.phone]
sha256 = "{CHATS_SHA}"
expires = 2031-01-31
requests_per_minute = 60
usd_per_month = 2.5
tags = ["{MARKUP}"]
"""
SOON_MILLISECONDS = 20_000


@asynccontextmanager
async def admin_page(
    browser: Browser, folder: Path, complaints: list[str], keys: str = KEYS, **view: Any
) -> AsyncIterator[tuple[Page, ScriptedGateway]]:
    """The page before a key is given, and its gateway; one chat was answered, one failed."""
    async with scripted_gateway(folder, keys_file=write_keys(folder, keys)) as gateway:
        gateway.gpt.enqueue(*answer("Hi"))
        assert (await gateway.chat(headers=bearer(CHATS))).status_code == 200
        for _ in range(2):
            gateway.gpt.enqueue(GatewayError("upstream_auth"))
        refused = await gateway.chat(headers=bearer(CHATS) | {"X-Request-ID": "r-of-a-failure"})
        assert refused.status_code == 502
        await gateway.running.settle()
        async with await browser.new_context(**view) as context:
            page = await context.new_page()
            page.set_default_timeout(SOON_MILLISECONDS)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(f"{gateway.running.url}/admin")
            await page.locator("body[data-ready]").wait_for()
            yield page, gateway


async def enter_key(page: Page, key: str) -> None:
    """By keyboard."""
    await page.get_by_label("Admin key").focus()
    await page.keyboard.type(key)
    await page.keyboard.press("Enter")
