"""Firefox's and Safari's orders of events, played in Chromium: what a reader means is what happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from models import Text
from tests.clients.page_browser import chat_page
from tests.clients.page_views import PHONE
from tests.gateways.scripted import answer, scripted_gateway, silence

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
NO_WORKER = {"service_workers": "block"}  # it would answer before the routes of a test

# What an input method does with the Enter that ends its word, by browser.
PRESSED = {"key": "Enter", "code": "Enter", "bubbles": True, "cancelable": True}
INPUT_METHODS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "Chromium": [
        ("compositionstart", {}),
        ("keydown", PRESSED | {"keyCode": 229, "isComposing": True}),
        ("compositionend", {"data": "今"}),
        ("keyup", PRESSED | {"keyCode": 13}),
    ],
    "Firefox": [
        ("keydown", PRESSED | {"key": "Process", "keyCode": 229}),
        ("compositionstart", {}),
        ("keydown", PRESSED | {"key": "Process", "keyCode": 229, "isComposing": True}),
        ("compositionend", {"data": "今"}),
        ("input", {}),
        ("keyup", PRESSED | {"keyCode": 13}),
    ],
    "Safari": [
        ("compositionstart", {}),
        ("compositionend", {"data": "今"}),
        ("keydown", PRESSED | {"keyCode": 229}),
        ("keyup", PRESSED | {"keyCode": 229}),
    ],
}
PLAY = """(area, events) => {
    const kinds = { key: KeyboardEvent, com: CompositionEvent, inp: InputEvent };
    for (const [name, options] of events) {
        area.dispatchEvent(new kinds[name.slice(0, 3)](name, { bubbles: true, ...options }));
    }
}"""
PASTE = """([pixel, texts, file]) => {
    const bytes = Uint8Array.from(atob(pixel), (character) => character.charCodeAt(0));
    const clipboardData = new DataTransfer();
    for (const [type, text] of Object.entries(texts)) clipboardData.setData(type, text);
    clipboardData.items.add(new File([bytes], file, { type: "image/png" }));
    const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    document.getElementById("question").dispatchEvent(event);
    return event.defaultPrevented;
}"""
# Safari gives a button that is clicked no focus, and takes it from what had it.
NO_FOCUS_BY_CLICK = """document.addEventListener("mousedown", (event) => {
    if (!event.target.closest("button, summary, select")) return;
    event.preventDefault();
    document.activeElement.blur();
}, true);"""
LEAVE = """() => {
    dispatchEvent(new Event("beforeunload", { cancelable: true }));
    globalThis.left = true;
}"""


@pytest.mark.parametrize("name", INPUT_METHODS)
async def test_enter_that_ends_a_word_is_not_the_one_that_sends(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    """In the order of each browser, of a question and of one that is edited; the next Enter sends, once."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Now"))
        await chat.page.fill("#question", "今")
        await chat.page.locator("#question").evaluate(PLAY, INPUT_METHODS[name])
        assert await chat.page.input_value("#question") == "今"
        assert await chat.answers.count() == 0
        await chat.page.press("#question", "Enter")
        await chat.last_answer.locator("footer.facts").wait_for()
        assert len(gateway.gpt.history) == 1
        await chat.page.locator("article.question").hover()
        await chat.page.get_by_role("button", name="Edit question").click()
        edited = chat.page.get_by_role("textbox", name="Edit question")
        await edited.evaluate(PLAY, INPUT_METHODS[name])
        await edited.dispatch_event("keydown", {"key": "Escape", "keyCode": 229})
        assert await edited.is_visible()
        assert len(gateway.gpt.history) == 1


@pytest.mark.parametrize(
    ("texts", "file", "is_picture"),
    [
        ({"text/plain": "1\t2", "text/html": "<td>1<td>2"}, "image.png", False),  # cells of a table
        ({"text/html": '<img src="https://example.com/a.png">'}, "image.png", True),  # of a page
        ({"text/plain": "dot.png"}, "dot.png", True),  # a file, whose name Safari adds
        ({}, "dot.png", True),
    ],
    ids=["cells", "picture of a page", "file in Safari", "file"],
)
async def test_pasted_picture_is_taken_unless_words_are_meant(
    browser: Browser, tmp_path: Path, texts: dict[str, str], file: str, is_picture: bool
) -> None:
    """What is left to the browser is pasted as text."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        assert await chat.page.evaluate(PASTE, [PIXEL, texts, file]) == is_picture
        if is_picture:
            await chat.page.get_by_alt_text(file).wait_for()
        else:
            assert await chat.page.locator("#attached img").count() == 0


async def test_file_that_is_dropped_anywhere_does_not_take_the_pages_place(
    browser: Browser, tmp_path: Path
) -> None:
    """Safari says of no `dragleave` what is entered; the next `dragover` shows that the page takes the file."""
    play = """(names) => names.map((name) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["hello"], "a.txt", { type: "text/plain" }));
        const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true, relatedTarget: null });
        document.getElementById("thread").dispatchEvent(event);
        return [name, event.defaultPrevented, document.body.classList.contains("dropping")];
    })"""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        played = await chat.page.evaluate(play, ["dragover", "dragleave", "dragover", "drop"])
        assert played == [
            ["dragover", True, True],
            ["dragleave", True, False],
            ["dragover", True, True],
            ["drop", True, False],
        ]
        await chat.page.wait_for_function(  # a function: the page's policy permits no `eval`
            "() => document.getElementById('question').value.startsWith('a.txt')"
        )


async def test_page_works_where_a_click_gives_no_focus(browser: Browser, tmp_path: Path) -> None:
    """Asking, stopping, editing, a menu and its dialog, as in Safari."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        page = chat.page
        await page.evaluate(NO_FOCUS_BY_CLICK)
        gateway.gpt.enqueue([Text("Once upon")], silence)
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        assert await page.evaluate("document.activeElement.id") == "question"
        await page.locator("#stop:enabled").click()
        await chat.last_answer.get_by_text("Stopped.").wait_for()
        await page.locator("article.question").hover()
        await page.get_by_role("button", name="Edit question").click()
        gateway.gpt.enqueue(*answer("Two cats"))
        await page.keyboard.type(" Of cats.")
        await page.locator("form.edit").get_by_role("button", name="Send").click()
        await chat.last_answer.get_by_text("Two cats").wait_for()
        await page.locator("#conversations .row").hover()
        await page.get_by_label("More for A story?").click()
        await page.locator("#conversation-menu").get_by_role("button", name="Rename").click()
        await page.keyboard.type("Cats")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await (
            page.locator("#conversations").get_by_role("button", name="Cats", exact=True).wait_for()
        )
        await page.keyboard.press("/")
        assert await page.evaluate("document.activeElement.id") == "question"


async def test_escape_closes_the_list_wherever_the_focus_is(
    browser: Browser, tmp_path: Path
) -> None:
    """On a phone, after a touch of what takes no focus; the answer that is coming is not stopped."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **PHONE) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], silence)
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        await chat.page.click("#menu")
        await chat.page.locator("#sidebar .name").click()
        await chat.page.keyboard.press("Escape")
        await chat.page.locator("#sidebar").wait_for(state="hidden")
        await chat.page.click("#menu")
        await chat.page.click("#show-settings")
        await chat.page.locator("#settings").wait_for()
        await chat.page.keyboard.press("Escape")
        await chat.page.locator("#settings").wait_for(state="hidden")
        assert await chat.page.locator("#sidebar").is_visible()
        await chat.page.keyboard.press("Escape")
        await chat.page.locator("#sidebar").wait_for(state="hidden")
        await chat.page.locator("#stop:enabled").click()
        await chat.last_answer.get_by_text("Stopped.").wait_for()


async def test_stream_that_breaks_as_the_page_is_left_is_cut(
    browser: Browser, tmp_path: Path
) -> None:
    """Firefox ends requests before the page is gone: to say that the gateway cannot be reached would be false."""
    leaving = asyncio.Event()

    async def hold(route: Route) -> None:
        await leaving.wait()
        await route.abort()

    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        await chat.page.route("**/chat/gpt", hold)
        await chat.ask("Hello?")
        await chat.answers.wait_for()
        await chat.page.evaluate(LEAVE)
        leaving.set()
        await chat.last_answer.get_by_text("Cut: the stream stopped before its end.").wait_for()
        await chat.reload()
        await chat.last_answer.get_by_text("Cut: the stream stopped before its end.").wait_for()
        chat.complaints.clear()  # of the request that was ended


async def test_hidden_page_keeps_what_came(browser: Browser, tmp_path: Path) -> None:
    """Safari may end a page in the background without another event; one that comes back goes on."""
    hide = """(state) => {
        Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
        Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }"""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], gate.wait, *answer(" a time"))
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        await chat.page.evaluate(hide, "hidden")
        await chat.wait_until_written()
        async with chat.another_tab(chat.page.url.removeprefix(f"{chat.url}/")) as other:
            await other.last_answer.get_by_text("Once upon").wait_for()
        await chat.page.evaluate(
            "dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))"
        )
        await chat.page.evaluate(
            "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
        )
        await chat.page.evaluate(hide, "visible")
        gate.set()
        await chat.last_answer.get_by_text("Once upon a time").wait_for()
        assert await chat.status() == "The answer is complete"
