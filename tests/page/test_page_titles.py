"""Titles by the model, in a real browser: only for a reader who wants them, and never in place of the reader's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models import GatewayError
from tests.clients.page_browser import ChatPage, chat_page
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

SWITCH = "Have the model find a title"


async def title(chat: ChatPage, expected: str) -> None:
    """Wait until the newest conversation is called this, in the list and in the window."""
    await (
        chat.page.locator("#conversations .open").first.get_by_text(expected, exact=True).wait_for()
    )
    await chat.page.wait_for_function(
        "(expected) => document.title.startsWith(`${expected} · `)", arg=expected
    )


async def test_model_finds_titles_only_if_it_is_asked_to(browser: Browser, tmp_path: Path) -> None:
    """Off, an answer is one chat; on, one more chat names the conversation, once, and the name is kept."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        gateway.gpt.enqueue(*answer("384,400 km"))
        await chat.ask_and_wait("How far is the moon?")
        await title(chat, "How far is the moon?")
        await chat.page.click("#show-settings")
        await chat.page.get_by_label(SWITCH).check()
        await chat.page.keyboard.press("Escape")
        await chat.start()
        sent: list[str] = []
        chat.page.on("request", lambda request: sent.append(request.url))
        for words in ("150 million km", "**Distance of the sun**"):
            gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait("And how far is the sun, please?")
        await title(chat, "Distance of the sun")
        assert len([url for url in sent if "/static/" not in url]) <= 3, sent
        gateway.gpt.enqueue(*answer("Welcome"))
        await chat.ask_and_wait("Thanks!")
        await chat.reload()
        await title(chat, "Distance of the sun")
        assert len(gateway.gpt.history) == 4


async def test_title_that_fails_costs_nothing(browser: Browser, tmp_path: Path) -> None:
    """The question goes on being the title, the answer stays whole, and nothing is said."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await chat.page.evaluate("localStorage.setItem('titles', 'always')")
        gateway.gpt.enqueue(*answer("384,400 km"))
        gateway.gpt.enqueue(GatewayError("rate_limited"))
        gateway.gpt.enqueue(GatewayError("rate_limited"), model="nova")
        async with chat.page.expect_response(lambda response: response.status == 429):
            await chat.ask_and_wait("How far is the moon?")
        await title(chat, "How far is the moon?")
        assert await chat.page.locator(".problem").count() == 0
        assert await chat.status() == "The answer is complete"
