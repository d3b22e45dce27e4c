"""Conversations on the page, in a real browser: kept in it and nowhere else, listed, renamed, exported, deleted."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from models import GatewayError, Text
from tests.clients.page_browser import chat_page
from tests.gateways.scripted import answer, scripted_gateway, silence

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from tests.clients.page_browser import ChatPage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def act(chat: ChatPage, title: str, action: str) -> None:
    """Choose an action from a conversation's menu."""
    await chat.page.locator("#conversations .row", has_text=title).hover()
    await chat.page.get_by_label(f"More for {title}").click()
    await chat.page.locator("#conversation-menu").get_by_role("button", name=action).click()


async def titles(chat: ChatPage) -> list[str]:
    """The list, from its top."""
    return await chat.page.locator("#conversations .open").all_inner_texts()


async def test_reload_keeps_the_conversation(browser: Browser, tmp_path: Path) -> None:
    """Its questions, its answers and what stands under them are there again, and it goes on."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(GatewayError("upstream_timeout"))
        gateway.gpt.enqueue(*answer("A **moon**"), model="nova")
        gateway.gpt.enqueue(*answer("Another"))
        await chat.ask_and_wait("First?")
        facts = await chat.facts()
        await chat.reload()
        await chat.last_answer.get_by_text("A moon").wait_for()
        assert await chat.facts() == facts
        assert await chat.page.locator("article.question .bubble").inner_text() == "First?"
        await chat.ask_and_wait("Second?")
        assert len(gateway.gpt.history[-1].prompt.turns) == 3


async def test_answer_that_was_left_is_cut(browser: Browser, tmp_path: Path) -> None:
    """A page that is closed in mid-answer keeps what it had saved, and does not pass it off as whole."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once ")], 1.2, [Text("upon")], gate.wait)
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        await chat.page.reload()
        await chat.last_answer.get_by_text("Cut: the stream stopped before its end.").wait_for()
        assert "Once" in await chat.last_answer.inner_text()
        chat.complaints.clear()  # the browser reports the request that it gave up


async def test_conversations_are_listed(browser: Browser, tmp_path: Path) -> None:
    """The newest first; a click opens one, and what is typed in the search finds one."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for words in ("Of cats", "Of dogs"):
            gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait("Cats?")
        await chat.page.click("#new-chat")
        await chat.ask_and_wait("Dogs?")
        assert await titles(chat) == ["Dogs?", "Cats?"]
        await chat.page.fill("#filter", "cat")
        assert await titles(chat) == ["Cats?"]
        await chat.page.get_by_role("button", name="Cats?", exact=True).click()
        await chat.last_answer.get_by_text("Of cats").wait_for()
        assert await chat.page.locator("[aria-current=page]").inner_text() == "Cats?"


async def test_conversation_goes_on_in_the_background(browser: Browser, tmp_path: Path) -> None:
    """Another one may be opened, and asked in, while an answer comes; it is there when it is opened again."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Slow ")], gate.wait, *answer("words"))
        await chat.ask("Slow?")
        await chat.last_answer.get_by_text("Slow").wait_for()
        await chat.page.click("#new-chat")
        gateway.gpt.enqueue(*answer("Fast words"))
        await chat.ask_and_wait("Fast?")
        gate.set()
        await chat.page.get_by_role("button", name="Slow?", exact=True).click()
        await chat.last_answer.get_by_text("Slow words").wait_for()
        await chat.last_answer.locator("footer.facts").wait_for()


async def test_conversation_is_renamed(browser: Browser, tmp_path: Path) -> None:
    """The new name outlives the page."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Hi"))
        await chat.ask_and_wait("Hello?")
        await act(chat, "Hello?", "Rename")
        await chat.page.get_by_role("textbox", name="Rename conversation").fill("Greetings")
        await chat.page.keyboard.press("Enter")
        await chat.page.get_by_role("button", name="Greetings", exact=True).wait_for()
        await chat.start()
        assert await titles(chat) == ["Greetings"]


async def test_conversation_is_deleted(browser: Browser, tmp_path: Path) -> None:
    """Nothing of it is left, and an answer that was still coming does not bring it back."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Secret words")], silence)
        await chat.ask("Hello?")
        await chat.last_answer.get_by_text("Secret").wait_for()
        await act(chat, "Hello?", "Delete")
        await chat.page.get_by_text("None yet.").wait_for()
        async with asyncio.timeout(10):
            await gateway.gpt.history[0].closed.wait()
        await chat.start()
        assert await titles(chat) == []
        assert await chat.page.locator("#welcome").is_visible()


async def test_conversation_is_exported(browser: Browser, tmp_path: Path) -> None:
    """As Markdown: its title, the gateway's id for it, the questions, and the answers as the models wrote them."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("A **moon**"))
        gateway.gpt.enqueue([Text("Half")], GatewayError("upstream_truncated"))
        gateway.gpt.enqueue(GatewayError("upstream_truncated"), model="nova")
        await chat.ask_and_wait("First?")
        async with chat.page.expect_request("**/chat/gpt") as sent:
            await chat.ask_and_wait("Second?")
        conversation_id = json.loads((await sent.value).post_data or "")["conversation_id"]
        async with chat.page.expect_download() as begun:
            await act(chat, "First?", "Export as Markdown")
        await (await begun.value).save_as(tmp_path / "saved.md")
    text = (tmp_path / "saved.md").read_text(encoding="utf-8")
    assert (await begun.value).suggested_filename == "First.md"
    assert text.startswith(
        f"# First?\n\nConversation `{conversation_id}`\n\n## Question\n\nFirst?\n\n"
    )
    assert "## Answer of luna\n\nA **moon**\n\n" in text
    assert "This answer is not whole." in text


async def test_nothing_leaves_the_browser_but_the_request(browser: Browser, tmp_path: Path) -> None:
    """The page talks to the gateway that it came from, and of a conversation it sends chats alone."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("![spy](https://example.com/a.png) and `code`"))
        sent = []
        chat.page.on("request", lambda request: sent.append((request.method, request.url)))
        await chat.start()
        await chat.ask_and_wait("Hello?")
        posted = [url for method, url in sent if method != "GET"]
        assert posted == [f"{gateway.running.url}/chat/gpt"]
        assert all(url.startswith((gateway.running.url, "data:")) for _, url in sent)
        assert await chat.page.context.cookies() == []
