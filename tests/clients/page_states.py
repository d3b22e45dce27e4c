"""The states that the chat page can be in, one after the other, for tests that look at each of them."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from models import GatewayError, Reasoning, Text
from tests.gateways.scripted import ScriptedGateway, answer, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import FilePayload, Locator

    from tests.clients.page_browser import ChatPage

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RICH = """## Title

|a|b|
|-|-|
|1|2|

```python
x = 1  # one
```

3. three[^1]

- [ ] task

[link](https://example.com) `code` $x$

[^1]: A note
"""
BREAK_STORAGE = """() => {
    const fail = () => { throw new DOMException("", "QuotaExceededError"); };
    IDBDatabase.prototype.transaction = fail;
}"""


async def page_states(chat: ChatPage, gateway: ScriptedGateway) -> AsyncIterator[str]:
    """The names of the states, each while the page is in it. Words are in the page's language, whichever that is."""
    yield "empty"
    async for state in _answers(chat, gateway):
        yield state
    async for state in _versions(chat, gateway):
        yield state
    async for state in _dialogs(chat):
        yield state
    async for state in _list(chat):
        yield state
    await chat.page.evaluate(BREAK_STORAGE)
    gateway.gpt.enqueue(*answer("One more"))
    await chat.ask_and_wait("Is it kept?")
    async with _list_of(chat):
        await chat.page.locator("#forgetful:visible").wait_for()
        yield "storage that fails"


async def _answers(chat: ChatPage, gateway: ScriptedGateway) -> AsyncIterator[str]:
    page = chat.page
    picture: FilePayload = {
        "name": "dot.png",
        "mimeType": "image/png",
        "buffer": base64.b64decode(PIXEL),
    }
    refused: FilePayload = {
        "name": "a.zip",
        "mimeType": "application/zip",
        "buffer": b"PK\x03\x04\x00\x00",
    }
    await page.set_input_files("#image-files", [picture, refused])
    await page.locator("#attached img").wait_for()
    await page.locator("#ask-note:visible").wait_for()
    yield "attached files"
    gateway.gpt.enqueue([Reasoning("Let me see"), Text("Hel")], GatewayError("upstream_truncated"))
    gateway.gpt.enqueue(*answer(RICH), model="nova")
    shown = await chat.ask_and_wait("Hello?")
    await shown.locator("math").wait_for()
    yield "answer"
    for summary in await shown.locator("summary:visible").all():
        await summary.click()
    await shown.locator('.actions button[aria-expanded="false"]').click()
    yield "answer with all that is known of it"
    gateway.gpt.enqueue(GatewayError("content_filtered"))
    shown = await chat.ask_and_wait("And this?")
    await shown.locator("summary:visible").click()
    yield "error"
    gateway.gpt.enqueue([Reasoning("Let me see")], silence)
    await chat.ask("And that?")
    await chat.last_answer.locator(".thinking.now").wait_for()
    yield "thinking"
    await page.locator("#stop:enabled").click()
    await chat.last_answer.locator(".problem.mild").wait_for()
    yield "stopped"


async def _versions(chat: ChatPage, gateway: ScriptedGateway) -> AsyncIterator[str]:
    page = chat.page
    for words in ("Heads", "Tails"):
        gateway.gpt.enqueue(*answer(words))
    await chat.ask_and_wait("Heads or tails?")
    await chat.last_answer.locator("button.again").click()
    await chat.last_answer.get_by_text("Tails").wait_for()
    await chat.last_answer.locator("footer.facts").wait_for()
    yield "second version"
    await chat.last_answer.locator("button.compare").click()
    async with _dialog(chat):
        yield "two answers side by side"
    question = page.locator("article.question").last
    await question.hover()
    await with_icon(question, "edit").click()
    yield "question that is edited"
    gateway.gpt.enqueue(*answer("Neither"))
    await page.keyboard.type(" Or neither?")
    await page.keyboard.press("Enter")
    await chat.last_answer.get_by_text("Neither").wait_for()
    await chat.last_answer.locator("footer.facts").wait_for()
    yield "second version of a question"
    await page.locator("button.picture").first.click()
    async with _dialog(chat):
        yield "enlarged picture"


async def _dialogs(chat: ChatPage) -> AsyncIterator[str]:
    page = chat.page
    for opening in ("show-keys", "show-settings", "gateway-key"):
        async with _list_of(chat):
            await page.click(f"#{opening}")
            async with _dialog(chat):
                yield opening
    await page.click("#instructions")
    async with _dialog(chat) as dialog:
        await dialog.locator("textarea").fill("Be brief.")
        await dialog.locator(".row input").fill("Brief")
        await dialog.locator(".row input + button").click()
        await dialog.locator(".presets li").wait_for()
        yield "instructions"


async def _list(chat: ChatPage) -> AsyncIterator[str]:
    page = chat.page
    async with _list_of(chat):
        yield "list"
        more = page.locator("#conversations .more").first
        await more.click()
        yield "menu of a conversation"
        await page.locator("#conversation-menu [data-action=rename]").click()
        async with _dialog(chat):
            yield "new name"
        await page.fill("#filter", "unheard-of")
        await page.locator("#conversations .hint").wait_for()
        yield "search that finds nothing"
        await page.fill("#filter", "")
        await page.click("#show-settings")
        await page.click("#delete-all")
        await page.locator("dialog[open] .danger").wait_for()
        yield "question before all is deleted"
        await page.click("dialog[open] .danger")
        await page.locator(".toast").wait_for()
        yield "deleted, with a way back"
        await page.click(".toast button")
    await page.locator("#conversations .open").first.wait_for(state="attached")


def with_icon(place: Locator, name: str) -> Locator:
    """The button with this icon."""
    return place.locator(f'button:has(use[href="#icon-{name}"])').first


@asynccontextmanager
async def _dialog(chat: ChatPage) -> AsyncIterator[Locator]:
    """The dialog that opens now; at the end it is left."""
    dialog = chat.page.locator("dialog[open]")
    await dialog.wait_for()
    yield dialog
    await chat.page.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")


@asynccontextmanager
async def _list_of(chat: ChatPage) -> AsyncIterator[None]:
    """The list of conversations, which on a phone is over the chat until it is closed."""
    is_over = not await chat.page.locator("#sidebar").is_visible()
    if is_over:
        await chat.page.click("#menu")
    yield
    if is_over and await chat.page.locator("#sidebar").is_visible():
        await chat.page.keyboard.press("Escape")
