"""The page's accessibility, in a real browser: by keyboard, on a phone, in the dark, from right to left, read aloud."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models import Text
from tests.clients.page_browser import ChatPage, chat_page
from tests.clients.page_states import RICH, page_states
from tests.clients.page_views import PHONE, VIEWS, check_room_for_a_finger, check_with_axe, load_axe
from tests.gateways.scripted import answer, scripted_gateway, silence

if TYPE_CHECKING:
    from playwright.async_api import Browser, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNTIL_BELOW = """(element, [least, most]) => new Promise((resolve) => {
    const look = () => {
        const below = element.scrollHeight - element.clientHeight - element.scrollTop; // pixels that are not seen
        if (below >= least && below < most) resolve();
        else requestAnimationFrame(look);
    };
    look();
})"""


async def focused(chat: ChatPage) -> str:
    """The name or the id of what has the focus."""
    name = "document.activeElement.getAttribute('aria-label') || document.activeElement.id"
    return str(await chat.page.evaluate(name))


async def test_chat_by_keyboard_alone(browser: Browser, tmp_path: Path) -> None:
    """Ask, add a line, stop, begin anew, find the keys and the conversations: no pointer is needed."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        keyboard = chat.page.keyboard
        assert await focused(chat) == "Your question"
        gateway.gpt.enqueue([Text("Once upon")], silence)
        await keyboard.type("One line")
        await keyboard.press("Shift+Enter")
        await keyboard.type("another")
        await keyboard.press("Enter")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        await keyboard.press("Escape")
        await chat.last_answer.get_by_text("Stopped.").wait_for()
        assert gateway.gpt.history[0].prompt.turns[0].parts[0].text == "One line\nanother"  # type: ignore[union-attr]
        await keyboard.press("Control+Shift+O")
        await chat.page.locator("#welcome").wait_for()
        assert await focused(chat) == "Your question"
        await keyboard.press("Shift+Tab")
        await keyboard.press("?")
        await chat.page.get_by_role("dialog").get_by_text("stop the answer").wait_for()
        await keyboard.press("Escape")
        await keyboard.press("/")
        assert await focused(chat) == "Your question"
        await keyboard.press("Control+Shift+S")
        assert not await chat.page.locator("#sidebar").is_visible()


async def test_everything_can_be_reached_by_tab(browser: Browser, tmp_path: Path) -> None:
    """From the page's beginning, in its order; a conversation's menu opens and closes by keyboard."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer(RICH))
        await chat.ask_and_wait("Hello?")
        await chat.page.locator(".skip").focus()
        reached = []
        for _ in range(40):
            await chat.page.keyboard.press("Tab")
            reached.append(await focused(chat))
        wanted = [
            "new-chat",
            "Search conversations",
            "More for Hello?",
            "Settings",
            "provider",
            "Messages",
        ]
        wanted += [
            "Edit question",
            "Copy code",
            "Copy answer",
            "Ask again",
            "Your question",
            "Send",
        ]
        places = [reached.index(name) for name in wanted]
        assert places == sorted(places)
        await chat.page.get_by_label("More for Hello?").focus()
        await chat.page.keyboard.press("Enter")
        await chat.page.locator("#conversation-menu").get_by_text("Rename").wait_for()
        await chat.page.keyboard.press("Escape")
        assert await focused(chat) == "More for Hello?"


async def test_phone_has_one_column(browser: Browser, tmp_path: Path) -> None:
    """Nothing is wider than the window; the list of conversations opens over the chat, and closes on a choice."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **PHONE) as chat,
    ):
        await chat.page.evaluate(
            "document.querySelector('#provider option').text += ' and a name that is much too long'"
        )
        gateway.gpt.enqueue(*answer(RICH + "\n\n```\n" + "long " * 50 + "\n```\n\n" + "long" * 100))
        await chat.ask("Hello?")
        await chat.last_answer.get_by_text("longlong").wait_for()
        width = "Math.max(document.documentElement.scrollWidth, document.getElementById('thread').scrollWidth)"
        assert await chat.page.evaluate(width) == 390
        assert not await chat.page.locator("#sidebar").is_visible()
        await chat.last_answer.locator("footer.facts").wait_for()
        await chat.page.click("#menu")
        await chat.page.get_by_role("button", name="Hello?", exact=True).click()
        await chat.page.locator("#sidebar").wait_for(state="hidden")


async def test_dark_and_light_are_the_readers_choice(browser: Browser, tmp_path: Path) -> None:
    """As the system has it, until one is chosen; the choice outlives the page, and can be taken back."""
    ground = "getComputedStyle(document.body).backgroundColor"
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, color_scheme="dark") as chat,
    ):
        assert await chat.page.evaluate(ground) == "rgb(23, 25, 28)"
        for theme, colour in (
            ("Light", "255, 255, 255"),
            ("Dark", "23, 25, 28"),
            ("Light", "255, 255, 255"),
        ):
            await chat.page.click("#show-settings")
            await chat.page.get_by_label(theme, exact=True).check()
            await chat.page.keyboard.press("Escape")
            await chat.start()
            assert await chat.page.evaluate(ground) == f"rgb({colour})"
        await chat.page.click("#show-settings")
        await chat.page.get_by_label("As the system").check()
        assert await chat.page.evaluate(ground) == "rgb(23, 25, 28)"


async def test_chosen_theme_is_there_before_the_modules(browser: Browser, tmp_path: Path) -> None:
    """Who has chosen the dark sees no white page first, however slow the line is."""
    ground = "getComputedStyle(document.body).backgroundColor"
    hold = asyncio.Event()

    async def wait(route: Route) -> None:
        await hold.wait()
        await route.continue_()

    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, service_workers="block") as chat,
    ):
        await chat.page.click("#show-settings")
        await chat.page.get_by_label("Dark", exact=True).check()
        await chat.page.route("**/page.js", wait)
        await chat.page.goto(chat.url, wait_until="commit")
        await chat.page.locator("#question").wait_for()
        assert await chat.page.evaluate(ground) == "rgb(23, 25, 28)"
        assert await chat.page.locator("body[data-ready]").count() == 0
        hold.set()
        await chat.page.locator("body[data-ready]").wait_for()


async def test_right_to_left_text_runs_that_way(browser: Browser, tmp_path: Path) -> None:
    """Each paragraph by its own words; code stays from left to right."""
    text = "שלום עולם\n\nHello\n\n```python\nx = 1\n```"
    direction = "(element) => getComputedStyle(element).direction"
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer(text))
        shown = await chat.ask_and_wait("مرحبا؟")
        assert [
            await shown.locator("p[dir]").nth(place).evaluate(direction) for place in (0, 1)
        ] == ["rtl", "ltr"]
        assert await shown.locator("pre").evaluate(direction) == "ltr"
        assert await chat.page.locator("article.question .bubble").evaluate(direction) == "rtl"


async def test_nothing_moves_if_reduced_motion_is_preferred(
    browser: Browser, tmp_path: Path
) -> None:
    """No animation runs."""
    running = "document.getAnimations().length"
    async with scripted_gateway(tmp_path) as gateway:
        for motion, least in (("reduce", 0), ("no-preference", 1)):
            gateway.gpt.enqueue([Text("Once")], silence)
            async with chat_page(browser, gateway.running.url, reduced_motion=motion) as chat:
                await chat.ask("A story?")
                await chat.last_answer.get_by_text("Once").wait_for()
                assert (await chat.page.evaluate(running) > 0) == bool(least)
                await chat.page.click("#stop")
                await chat.last_answer.get_by_text("Stopped.").wait_for()


async def test_page_stays_where_the_reader_has_scrolled(browser: Browser, tmp_path: Path) -> None:
    """The page follows an answer to its end, but not while the reader is further up; a button leads down again."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        thread = chat.page.locator("#thread")
        gateway.gpt.enqueue(*answer("A line.\n\n" * 100))
        await chat.ask_and_wait("First?")
        await thread.evaluate(UNTIL_BELOW, [0, 2])
        gateway.gpt.enqueue([Text("A line.\n\n" * 100)], gate.wait, *answer("More.\n\n" * 100))
        await chat.ask("Second?")
        await chat.last_answer.get_by_text("A line.").first.wait_for()
        await thread.evaluate(UNTIL_BELOW, [0, 2])
        await thread.hover()
        await chat.page.mouse.wheel(0, -1500)
        await thread.evaluate(UNTIL_BELOW, [500, 5000])
        gate.set()
        await chat.last_answer.locator("footer.facts").wait_for()
        await thread.evaluate(UNTIL_BELOW, [1000, 1e6])
        await chat.page.get_by_role("button", name="To the latest").click()
        await thread.evaluate(UNTIL_BELOW, [0, 2])
        await chat.page.locator("#latest").wait_for(state="hidden")


@pytest.mark.parametrize("view", VIEWS)
async def test_axe_finds_no_serious_fault(browser: Browser, tmp_path: Path, view: str) -> None:
    """In none of the page's states, and nothing in any of them is wider than the window."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **VIEWS[view]) as chat,
    ):
        await load_axe(chat.page)
        async for state in page_states(chat, gateway):
            await check_with_axe(chat.page, state)


async def test_finger_has_room(browser: Browser, tmp_path: Path) -> None:
    """All that can be touched on a phone is at least 44 pixels wide and high, in each state; no value is missing."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **PHONE) as chat,
    ):
        async for state in page_states(chat, gateway):
            await check_room_for_a_finger(chat.page, state)
            words = await chat.page.locator("body").inner_text()
            assert not re.search(r"\b(null|undefined|NaN)\b", words), state
