"""The page used in haste, with other keyboards and windows: nothing is swallowed, lost or covered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from configuration import VALID_PROVIDERS, GatewayKey, ProviderOptions
from models import GatewayError, Text
from tests.clients.page_browser import chat_page
from tests.clients.page_views import PHONE
from tests.gateways.loopback import make_settings, running_gateway
from tests.gateways.scripted import answer, scripted_gateway, silence

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")
NO_WORKER = {"service_workers": "block"}  # it would answer before the routes of a test
ZOOMED = {"viewport": {"width": 320, "height": 256}}  # a window of 1280 by 1024 at 400 %

OVERLAP = """() => {
    const box = (id) => document.getElementById(id).getBoundingClientRect();
    const [thread, ask] = [box("thread"), box("ask")];
    return { seen: thread.height, overlap: thread.bottom - ask.top, below: ask.bottom - innerHeight };
}"""
SCROLL = """() => {
    for (const element of [document.scrollingElement, document.body, document.getElementById("content")]) {
        element.scrollTop = 500;
        element.scrollLeft = 500;
    }
    scrollTo(300, 300);
    const moved = [document.scrollingElement, document.body, document.getElementById("content")];
    return [scrollX, scrollY, ...moved.flatMap(({ scrollTop, scrollLeft }) => [scrollTop, scrollLeft])];
}"""


async def test_double_click_on_send_sends_once(browser: Browser, tmp_path: Path) -> None:
    """The stop button takes the send button's place, and the second click is not meant for it."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], gate.wait, *answer(" a time"))
        await chat.page.fill("#question", "A story?")
        await chat.page.dblclick("#send")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        gate.set()
        await chat.last_answer.get_by_text("Once upon a time").wait_for()
        await chat.last_answer.locator("footer.facts").wait_for()
        assert await chat.answers.count() == 1
        assert len(gateway.gpt.history) == 1
        assert await chat.status() == "The answer is complete"


TWICE = {
    "ask again": ".again",
    "try again": ".retry",
    "continue": ".problem button",
    "edit": "form.edit .primary",
}


@pytest.mark.parametrize("name", TWICE)
async def test_second_click_asks_nothing_more(browser: Browser, tmp_path: Path, name: str) -> None:
    """However quick it is: a second answer would come unseen, where nothing can stop it."""
    click_twice = "(selector) => { const button = document.querySelector(selector); button.click(); button.click(); }"
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*(answer("Once") if name == "ask again" else ([Text("Once")], silence)))
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once").wait_for()
        if name == "edit":
            await chat.page.locator("article.question").hover()
            await chat.page.get_by_role("button", name="Edit question").click()
        elif name != "ask again":
            await chat.page.locator("#stop:enabled").click()
        await chat.page.locator(TWICE[name]).first.wait_for()
        for words in (" twice", " thrice"):
            gateway.gpt.enqueue([Text(words)], silence)
        await chat.page.evaluate(click_twice, TWICE[name])
        await chat.last_answer.get_by_text("twice").wait_for()
        await chat.page.locator("#stop:enabled").click()
        await chat.last_answer.get_by_text("Stopped.").wait_for()
        assert len(gateway.gpt.history) == 2


async def test_escape_elsewhere_stops_no_answer(browser: Browser, tmp_path: Path) -> None:
    """In the search box, in a question that is being edited, in a dialog, it is for these alone."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], silence)
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        await chat.page.fill("#filter", "cats")
        await chat.page.press("#filter", "Escape")
        await chat.page.locator("article.question").hover()
        await chat.page.get_by_role("button", name="Edit question").click()
        await chat.page.keyboard.press("Escape")
        await chat.page.get_by_role("button", name="Edit question").wait_for()
        await chat.page.click("#show-settings")
        await chat.page.locator("#settings").wait_for()
        await chat.page.keyboard.press("Escape")
        await chat.page.locator("#settings").wait_for(state="hidden")
        assert await chat.page.locator("#stop").is_visible()
        await chat.page.press("#question", "Escape")
        await chat.last_answer.get_by_text("Stopped.").wait_for()


async def test_escape_closes_the_list_and_stops_no_answer(browser: Browser, tmp_path: Path) -> None:
    """On a phone, whose list is over the chat."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **PHONE) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], silence)
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        await chat.page.click("#menu")
        await chat.page.keyboard.press("Escape")
        await chat.page.locator("#sidebar").wait_for(state="hidden")
        assert await chat.page.locator("#stop").is_visible()
        await chat.page.click("#stop")
        await chat.last_answer.get_by_text("Stopped.").wait_for()


@pytest.mark.parametrize("way", ["Enter", "click"])
async def test_question_sent_before_the_page_is_ready_is_sent(
    browser: Browser, tmp_path: Path, way: str
) -> None:
    """On a slow line the frame is there before the modules are."""
    gate = asyncio.Event()

    async def hold(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        gateway.gpt.enqueue(*answer("Hello to you"))
        await chat.page.route("**/thread.js", hold)
        await chat.page.goto(f"{chat.url}/", wait_until="commit")
        await chat.page.fill("#question", "Hello?")
        await (
            chat.page.press("#question", "Enter") if way == "Enter" else chat.page.click("#send")
        )
        assert await chat.page.locator("body[data-ready]").count() == 0
        gate.set()
        await chat.last_answer.get_by_text("Hello to you").wait_for()
        assert await chat.page.input_value("#question") == ""
        assert len(gateway.gpt.history) == 1


async def test_page_that_cannot_be_loaded_whole_says_so(browser: Browser, tmp_path: Path) -> None:
    """A module that does not come would leave a page that looks well and does nothing."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        await chat.page.route("**/thread.js", lambda route: route.abort())
        await chat.page.goto(f"{chat.url}/")
        await chat.page.get_by_text("The page could not be loaded whole.").wait_for()
        await chat.page.unroute("**/thread.js")
        await chat.page.get_by_text("Load it again").click()
        await chat.page.locator("body[data-ready]").wait_for()
        assert not await chat.page.locator("#broken").is_visible()
        chat.complaints.clear()  # the browser reports the file, too


async def test_wrong_key_is_said_to_be_wrong(browser: Browser, tmp_path: Path) -> None:
    """The dialog that comes again says why."""
    async with (
        scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("One"))
        await chat.ask("First?")
        dialog = chat.page.get_by_role("dialog")
        await dialog.locator("input").fill("gw-wrong")
        assert await dialog.get_by_role("alert").count() == 0
        await chat.page.keyboard.press("Enter")
        await dialog.get_by_text("The gateway did not accept this key.").wait_for()
        await chat.page.keyboard.press("Escape")
        problem = chat.last_answer.locator(".problem")
        assert (
            await problem.locator(".message").inner_text() == "The gateway needs a key to answer."
        )
        await problem.get_by_role("button", name="Enter a key").click()
        await dialog.locator("input").fill("gw-phone")
        await chat.page.keyboard.press("Enter")
        await chat.last_answer.get_by_text("One").wait_for()


@pytest.mark.parametrize("key", ["ключ", "key\u200b", "“key”"])
async def test_key_that_cannot_be_sent_is_said_to_be_wrong(
    browser: Browser, tmp_path: Path, key: str
) -> None:
    """As one that was copied with more than itself: the gateway can be reached, and no question is lost."""
    async with (
        scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.click("#gateway-key")
        await chat.page.get_by_role("dialog").get_by_role("textbox").fill(key)
        await chat.page.keyboard.press("Enter")
        await chat.ask("Hello?")
        dialog = chat.page.get_by_role("dialog")
        await dialog.get_by_text("The gateway did not accept this key.").wait_for()
        await chat.page.keyboard.press("Escape")
        message = chat.last_answer.locator(".problem .message")
        assert await message.inner_text() == "The gateway needs a key to answer."


async def test_retry_waits_as_long_as_the_gateway_wants(browser: Browser, tmp_path: Path) -> None:
    """The button says when it can be used, and then can be."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.clock.install()
        for model in ("luna", "nova"):
            gateway.gpt.enqueue(GatewayError("rate_limited", retry_after=300), model=model)
        gateway.gpt.enqueue(*answer("Better now"))
        await chat.ask("Hello?")
        button = chat.last_answer.get_by_role("button", name="Try again")
        await button.wait_for()
        assert await button.is_disabled()
        assert await button.inner_text() == "Try again in 5 minutes"
        await chat.page.clock.fast_forward(301_000)
        await chat.last_answer.get_by_role("button", name="Try again", exact=True).click()
        await chat.last_answer.get_by_text("Better now").wait_for()


@pytest.mark.parametrize("code", ["upstream_quota", "upstream_auth", "rejected_by_provider"])
async def test_what_cannot_succeed_is_not_offered(
    browser: Browser, tmp_path: Path, code: str
) -> None:
    """The same question again would fail again."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for _ in range(2):
            gateway.gpt.enqueue(GatewayError(code))
        await chat.ask_and_wait("Hello?")
        for label in ("Try again", "Ask again"):
            assert await chat.last_answer.get_by_role("button", name=label).count() == 0


async def test_another_provider_is_offered(browser: Browser, tmp_path: Path) -> None:
    """One that is well, by its name; it gets the same question."""
    keyed = ProviderOptions(api_key="sk-of-a-test", model_default="luna", model_fallback="nova")  # type: ignore[arg-type]
    vendors = {name: ProviderOptions() for name in VALID_PROVIDERS} | {
        "gpt": keyed,
        "claude": keyed,
    }
    async with (
        scripted_gateway(tmp_path, vendors=vendors) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        claude = gateway.running.app.state.services.gateway.factory.scripted["claude"]
        claude.enqueue(*answer("Good day"))
        for _ in range(4):
            gateway.gpt.enqueue(GatewayError("upstream_unavailable"))
        await chat.ask_and_wait("Hello?", "gpt")
        message = chat.last_answer.locator(".problem .message")
        assert await message.inner_text() == "GPT is not answering right now."
        await chat.last_answer.get_by_role("button", name="Ask Claude instead").click()
        await chat.last_answer.get_by_text("Good day").wait_for()
        assert await chat.page.input_value("#provider") == "claude"


async def test_nothing_is_asked_if_no_provider_is_configured(
    browser: Browser, tmp_path: Path
) -> None:
    """The page says what is missing, and the question stays where it is written."""
    vendors = {name: ProviderOptions() for name in VALID_PROVIDERS}
    async with (
        running_gateway(make_settings(tmp_path, vendors=vendors)) as gateway,
        chat_page(browser, gateway.url) as chat,
    ):
        await chat.ask("Hello?")
        await chat.page.locator("#ask-note", has_text="No provider is configured").wait_for()
        assert await chat.page.input_value("#question") == "Hello?"
        assert await chat.answers.count() == 0


async def test_print_shows_the_conversation_alone(browser: Browser, tmp_path: Path) -> None:
    """All of it, in dark ink on a light ground."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, color_scheme="dark") as chat,
    ):
        gateway.gpt.enqueue(*answer("A line.\n\n" * 100))
        await chat.ask_and_wait("Hello?")
        await chat.page.emulate_media(media="print", color_scheme="dark")
        for id_ in ("sidebar", "ask", "provider"):
            assert not await chat.page.locator(f"#{id_}").is_visible()
        cut = "(element) => element.scrollHeight - element.clientHeight"
        assert await chat.page.locator("#thread").evaluate(cut) <= 1
        assert await chat.page.locator("html").evaluate(cut) > 500
        colour = await chat.last_answer.evaluate("(element) => getComputedStyle(element).color")
        assert colour == "rgb(28, 32, 35)"


async def test_page_cannot_be_scrolled_beyond_its_height(browser: Browser, tmp_path: Path) -> None:
    """Not even by a script, or by what puts the focus somewhere."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("A line.\n\n" * 100))
        await chat.ask_and_wait("Hello?")
        assert set(await chat.page.evaluate(SCROLL)) == {0}


async def test_composer_covers_nothing_at_400_percent(browser: Browser, tmp_path: Path) -> None:
    """Neither empty nor with a long question, and there is room to read."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **ZOOMED) as chat,
    ):
        assert await chat.page.locator("#welcome").is_visible()
        gateway.gpt.enqueue(*answer("A line.\n\n" * 100))
        await chat.ask_and_wait("Hello?")
        for question in ("", "A long question.\n" * 30):
            await chat.page.fill("#question", question)
            found = await chat.page.evaluate(OVERLAP)
            assert found["overlap"] <= 1
            assert found["below"] <= 1
            assert found["seen"] >= 100, found
        assert await chat.page.evaluate("document.documentElement.scrollWidth") <= 320


async def test_right_to_left_list_keeps_its_numbers(browser: Browser, tmp_path: Path) -> None:
    """They stand at its right, where there is room for them."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("1. אחת\n2. שתיים\n\n- one\n- two\n\n1. one\n\n2. two"))
        shown = await chat.ask_and_wait("Lists?")
        lists = shown.locator("ol, ul")
        sides = """(element) => {
            const { direction, paddingLeft, paddingRight } = getComputedStyle(element);
            return [direction, parseFloat(paddingLeft) > 16, parseFloat(paddingRight) > 16];
        }"""
        found = [await lists.nth(number).evaluate(sides) for number in range(3)]
        assert found == [["rtl", False, True], ["ltr", True, False], ["ltr", True, False]]
