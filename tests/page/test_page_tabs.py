"""Two tabs with the page: neither erases what the other has written, and each shows what the other does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from models import Text
from tests.clients.page_browser import ChatPage, chat_page
from tests.gateways.scripted import answer, scripted_gateway, silence

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEAF = """
const { set } = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, "onmessage");
Object.defineProperty(BroadcastChannel.prototype, "onmessage", {
    set(listener) { set.call(this, (event) => window.isDeaf || listener(event)); },
});
"""  # a tab that hears nothing while `isDeaf` is true, as one that the system has frozen


def fragment(chat: ChatPage) -> str:
    """What the address says about the conversation."""
    return "#" + chat.page.url.partition("#")[2]


async def delete(chat: ChatPage, title: str) -> None:
    """Delete a conversation by its menu."""
    await chat.page.locator("#conversations .row", has_text=title).hover()
    await chat.page.get_by_label(f"More for {title}").click()
    await chat.page.locator("#conversation-menu").get_by_role("button", name="Delete").click()


async def questions(chat: ChatPage) -> list[str]:
    """The questions that are shown."""
    return await chat.page.locator("article.question .bubble").all_inner_texts()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_tabs_in_one_conversation_erase_nothing(
    browser: Browser, tmp_path: Path, order: tuple[int, int]
) -> None:
    """Whichever asks first, both show both questions, and a reload has all of them."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("One"))
        await chat.ask_and_wait("One?")
        async with chat.another_tab(fragment(chat)) as other:
            await other.last_answer.get_by_text("One").wait_for()
            tabs = (chat, other)
            for number in order:
                gateway.gpt.enqueue(*answer(f"Answer {number}"))
                await tabs[number].ask_and_wait(f"Question {number}?")
                await tabs[1 - number].last_answer.get_by_text(f"Answer {number}").wait_for()
            expected = ["One?", *(f"Question {number}?" for number in order)]
            assert await questions(chat) == await questions(other) == expected
            await other.page.reload()
            await other.last_answer.get_by_text(f"Answer {order[1]}").wait_for()
            assert await questions(other) == expected
        (*before, last) = gateway.gpt.history[-1].prompt.turns
        assert [turn.parts[0].text for turn in before if turn.role == "user"] == expected[:-1]  # type: ignore[union-attr]
        assert last.parts[0].text == expected[-1]  # type: ignore[union-attr]


async def test_two_questions_at_once_are_both_kept(browser: Browser, tmp_path: Path) -> None:
    """Of tabs that know nothing of each other's question each shows its own; then there are two versions."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("One"))
        await chat.ask_and_wait("One?")
        async with chat.another_tab(fragment(chat), DEAF) as other:
            await other.last_answer.get_by_text("One").wait_for()
            await other.page.evaluate("window.isDeaf = true")
            for tab, question in ((chat, "Left"), (other, "Right")):
                gateway.gpt.enqueue(*answer(f"Answer {question}"))
                await tab.ask_and_wait(f"{question}?")
                assert await questions(tab) == ["One?", f"{question}?"]
        await chat.reload()
        await (
            chat.page.locator("article.question .versions .position").get_by_text("2/2").wait_for()
        )
        assert await questions(chat) == ["One?", "Right?"]
        await chat.page.locator("article.question").get_by_label("Previous version").click()
        await chat.last_answer.get_by_text("Answer Left").wait_for()
        assert await questions(chat) == ["One?", "Left?"]


async def test_running_answer_is_shown_as_running_in_the_other_tab(
    browser: Browser, tmp_path: Path
) -> None:
    """It grows there, too, has a mark in the list, and can be stopped from there."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gate = asyncio.Event()
        gateway.gpt.enqueue([Text("Once ")], gate.wait, [Text("upon")], silence)
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once").wait_for()
        async with chat.another_tab() as other:
            await other.page.get_by_label("Is being answered").wait_for()
            await other.page.get_by_role("button", name="A story?", exact=True).click()
            await other.last_answer.get_by_text("Once").wait_for()
            await other.page.locator("#stop").wait_for()
            assert await other.last_answer.get_attribute("aria-busy") == "true"
            gate.set()
            await other.last_answer.get_by_text("Once upon").wait_for()
            await other.page.locator("#stop:enabled").click()
            for tab in (chat, other):
                await tab.last_answer.get_by_text("Stopped. This answer is not whole.").wait_for()
                await tab.page.locator("#send").wait_for()
            async with asyncio.timeout(10):
                await gateway.gpt.history[0].closed.wait()


async def test_whole_answer_is_not_overwritten_by_a_stale_copy(
    browser: Browser, tmp_path: Path
) -> None:
    """A tab that has half of an answer, renames the conversation, and is closed, leaves the whole of it."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Half ")], gate.wait, *answer("and half"))
        await chat.ask("Both?")
        await chat.last_answer.get_by_text("Half").wait_for()
        async with chat.another_tab(fragment(chat), DEAF) as other:
            await other.last_answer.get_by_text("Half").wait_for()
            await other.page.evaluate("window.isDeaf = true")
            gate.set()
            await chat.last_answer.locator("footer.facts").wait_for()
            await other.page.locator("#conversations .row", has_text="Both?").hover()
            await other.page.get_by_label("More for Both?").click()
            await (
                other.page.locator("#conversation-menu")
                .get_by_role("button", name="Rename")
                .click()
            )
            await other.page.get_by_role("textbox", name="Rename conversation").fill("Named")
            await other.page.keyboard.press("Enter")
            await chat.page.get_by_role("button", name="Named", exact=True).wait_for()
        await chat.reload()
        await chat.last_answer.get_by_text("Half and half").wait_for()
        assert await chat.last_answer.locator(".problem").count() == 0


@pytest.mark.parametrize("is_streaming", [True, False])
async def test_deleted_conversation_does_not_come_back(
    browser: Browser, tmp_path: Path, is_streaming: bool
) -> None:
    """Neither by the tab that has it open, nor by the one that was receiving its answer; and both say so."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Secret")], *([silence] if is_streaming else answer(" words")))
        await chat.ask("Hello?")
        await chat.last_answer.get_by_text("Secret").wait_for()
        if not is_streaming:
            await chat.last_answer.locator("footer.facts").wait_for()
        async with chat.another_tab(fragment(chat)) as other:
            await other.last_answer.get_by_text("Secret").wait_for()
            await delete(other, "Hello?")
            for tab in (chat, other):
                await tab.page.get_by_text("None yet.").wait_for()
                await tab.page.locator("#welcome").wait_for()
            if is_streaming:
                async with asyncio.timeout(10):
                    await gateway.gpt.history[0].closed.wait()
        await chat.start()
        await chat.page.get_by_text("None yet.").wait_for()


async def test_what_was_deleted_is_restored_everywhere(browser: Browser, tmp_path: Path) -> None:
    """Undo brings it back in both tabs, whole."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Kept words"))
        await chat.ask_and_wait("Hello?")
        async with chat.another_tab() as other:
            await delete(chat, "Hello?")
            await other.page.get_by_text("None yet.").wait_for()
            await chat.page.get_by_role("button", name="Undo").click()
            for tab in (chat, other):
                await tab.page.get_by_role("button", name="Hello?", exact=True).click()
                await tab.last_answer.get_by_text("Kept words").wait_for()


async def test_tab_that_was_closed_leaves_its_answer_cut(browser: Browser, tmp_path: Path) -> None:
    """The other one shows it as running while it runs, and as cut when its tab is gone."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once")], silence)
        async with chat.another_tab() as other:
            await other.ask("A story?")
            await other.last_answer.get_by_text("Once").wait_for()
            await chat.page.get_by_role("button", name="A story?", exact=True).click()
            await chat.last_answer.get_by_text("Once").wait_for()
            await chat.page.locator("#stop").wait_for()
        await chat.last_answer.get_by_text("Cut: the stream stopped before its end.").wait_for()
        await chat.page.locator("#send").wait_for()


async def test_answer_that_was_not_seen_has_a_mark(browser: Browser, tmp_path: Path) -> None:
    """Until it is opened, also after a reload."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(gate.wait, *answer("Slow words"))
        await chat.ask("Slow?")
        await chat.page.get_by_label("Is being answered").wait_for()
        await chat.page.click("#new-chat")
        gate.set()
        await chat.page.get_by_label("Has a new answer").wait_for()
        await chat.start()
        await chat.page.get_by_label("Has a new answer").wait_for()
        await chat.page.get_by_role("button", name="Slow?", exact=True).click()
        await chat.page.get_by_label("Has a new answer").wait_for(state="detached")
        await chat.last_answer.get_by_text("Slow words").wait_for()
