"""Every function of the page by keyboard alone, in a real browser: each is reached by Tab, and used by Enter."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from configuration import VALID_PROVIDERS, ProviderOptions
from models import Reasoning
from tests.clients.page_browser import ChatPage, chat_page
from tests.clients.page_states import PIXEL
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

CODE = "```python\nx = 1\n```"
FURTHEST = 90  # what can have the focus, and more
FOCUSED = """() => {
    const { ariaLabel, innerText, id } = document.activeElement;
    return ariaLabel || innerText?.trim() || id;
}"""


async def go_to(chat: ChatPage, name: str) -> None:
    """Press Tab until what has this name has the focus."""
    passed = []
    for _ in range(FURTHEST):
        passed.append(await chat.page.evaluate(FOCUSED))
        if passed[-1] == name:
            return
        await chat.page.keyboard.press("Tab")
    pytest.fail(f"{name!r} is not among {passed}")


async def use(chat: ChatPage, name: str) -> None:
    """Go there, and press Enter."""
    await go_to(chat, name)
    await chat.page.keyboard.press("Enter")


async def close_dialog(chat: ChatPage, opening: str) -> None:
    """Esc closes what is open, and the focus is where it was before."""
    await chat.page.locator("dialog[open]").wait_for()
    await chat.page.keyboard.press("Escape")
    await chat.page.locator("dialog[open]").wait_for(state="hidden")
    assert await chat.page.evaluate(FOCUSED) == opening


async def test_answers_are_used_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    """Thoughts, facts, code, copies, versions, comparison, editing."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        page, keyboard = chat.page, chat.page.keyboard
        gateway.gpt.enqueue([Reasoning("Let me see")], *answer(CODE))
        await keyboard.type("Code?")
        await keyboard.press("Enter")
        await chat.last_answer.locator("footer.facts").wait_for()
        await use(chat, await chat.last_answer.locator("summary").inner_text())
        await chat.last_answer.get_by_text("Let me see").wait_for()
        await use(chat, "Wrap long lines")
        await use(chat, "Fold the code")
        await page.locator("figure.wrapped.folded").wait_for()
        await keyboard.press("Enter")
        async with page.expect_download():
            await use(chat, "Download the code")
        for name in ("Copy code", "Copy answer", "Copy the request as curl"):
            await use(chat, name)
            await page.locator("#status", has_text="Copied").wait_for()
        await use(chat, "About this answer")
        await chat.last_answer.locator("footer.facts ul").wait_for()
        gateway.gpt.enqueue(*answer("Other words"))
        await use(chat, "Ask again")
        await chat.last_answer.get_by_text("Other words").wait_for()
        await chat.last_answer.locator("footer.facts").wait_for()
        await use(chat, "Compare")
        await close_dialog(chat, "Compare")
        await use(chat, "Previous version")
        await chat.last_answer.locator("pre").wait_for()
        gateway.gpt.enqueue(*answer("No code"))
        await use(chat, "Edit question")
        await keyboard.press("End")
        await keyboard.type(" Please.")
        await keyboard.press("Enter")
        await chat.last_answer.get_by_text("No code").wait_for()
        await page.get_by_text("Code? Please.").first.wait_for()


async def test_list_is_used_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    """Search, open, rename, pin, delete, undo, instructions."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        page, keyboard = chat.page, chat.page.keyboard
        gateway.gpt.enqueue(*answer("One"))
        await chat.ask_and_wait("First?")
        await use(chat, "More for First?")
        await keyboard.press("Enter")
        await page.locator("dialog[open] input").wait_for()
        await keyboard.type("Renamed")
        await keyboard.press("Enter")
        await page.get_by_role("button", name="Renamed", exact=True).wait_for()
        await use(chat, "More for Renamed")
        await use(chat, "Pin")
        await page.locator("#conversations .age", has_text="Pinned").wait_for()
        await use(chat, "More for Renamed")
        await use(chat, "Instructions …")
        await page.locator("dialog[open] textarea").wait_for()
        await keyboard.type("Be brief.")
        await use(chat, "Save")
        await page.locator("dialog[open]").wait_for(state="hidden")
        await use(chat, "New chat")
        await go_to(chat, "Search conversations")
        await keyboard.type("renam")
        await use(chat, "Renamed")
        await chat.last_answer.get_by_text("One").wait_for()
        await use(chat, "More for Renamed")
        await use(chat, "Delete")
        await page.locator("#welcome").wait_for()
        await use(chat, "Undo")
        await page.get_by_role("button", name="Renamed", exact=True).wait_for()


async def test_settings_are_used_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    """And the gateway's key, and the list of keys; the focus goes back to what has opened them."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        page, keyboard = chat.page, chat.page.keyboard
        await use(chat, "Settings")
        await page.locator("#settings[open]").wait_for()
        await keyboard.press("ArrowDown")
        assert await page.locator("html").get_attribute("data-theme") == "light"
        await close_dialog(chat, "Settings")
        await use(chat, "Gateway key")
        await close_dialog(chat, "Gateway key")
        await use(chat, "Keyboard shortcuts")
        await close_dialog(chat, "Keyboard shortcuts")


async def test_question_is_put_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    """With a picture, which is looked at and taken away; of one provider, and of another."""
    keyed = ProviderOptions(api_key="sk-of-a-test", model_default="luna", model_fallback="nova")  # type: ignore[arg-type]
    vendors = {name: ProviderOptions() for name in VALID_PROVIDERS}
    vendors |= {"gpt": keyed, "claude": keyed}
    picture = {"name": "dot.png", "mimeType": "image/png", "buffer": base64.b64decode(PIXEL)}
    async with (
        scripted_gateway(tmp_path, vendors=vendors) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        page, keyboard = chat.page, chat.page.keyboard
        async with page.expect_file_chooser() as chosen:
            await use(chat, "Attach images, PDFs or text files")
        await (await chosen.value).set_files(picture)  # type: ignore[arg-type]
        await page.get_by_alt_text("dot.png").wait_for()
        await use(chat, "Enlarge dot.png")
        await close_dialog(chat, "Enlarge dot.png")
        await use(chat, "Remove dot.png")
        await page.locator("#attached img").wait_for(state="detached")
        gateway.gpt.enqueue(*answer("One"))
        await go_to(chat, "Your question")
        await keyboard.type("First?")
        await use(chat, "Send")
        await chat.last_answer.locator("footer.facts").wait_for()
        claude = gateway.running.app.state.services.gateway.factory.scripted["claude"]
        claude.enqueue(*answer("Good day"))
        await use(chat, "Ask another provider")
        await keyboard.press("Enter")
        await chat.last_answer.get_by_text("Good day").wait_for()
