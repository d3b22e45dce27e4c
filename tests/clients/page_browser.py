"""The chat page in a real headless browser: Debian's chromium, driven by playwright."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions
from simulator import Simulator
from tests.gateways.demo import VENDORS
from tests.gateways.loopback import make_settings, running_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from playwright.async_api import Browser, BrowserContext, Locator, Page

    from simulator import Behaviour

CHROMIUM = shutil.which("chromium")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a name is never looked up: all there is, is loopback
]
_TWO_FRAMES = "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"  # all is laid out
_WRITTEN = """async () => {
    const known = await indexedDB.databases();
    if (!known.some(({ name }) => name === "gateway-chat")) return;
    const settle = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await settle(indexedDB.open("gateway-chat"));
    for (let turn = 0; turn < 3; turn += 1) {
        await settle(database.transaction("heads", "readwrite").objectStore("heads").count());
    }
    database.close();
}"""  # the page begins a transaction when its last one is over: each turn waits for one
_SCRIPT = 'document.querySelector("script[type=module]").src'
TIMEOUT_MILLISECONDS = 20_000  # a loaded machine is slow; nothing here waits that long


def load_module(path: str) -> str:
    """JavaScript that gives one of the page's modules: the very one that the page uses."""
    return f"(await import(new URL('{path}', {_SCRIPT})))"


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A browser; the test is skipped if there is none."""
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class ChatPage:
    """The page in a window, as a user has it; `complaints` are the console's errors and warnings."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    broken: asyncio.Event = field(default_factory=asyncio.Event)  # a script of the page has failed

    @property
    def answers(self) -> Locator:
        """The answers that are shown, whole or not."""
        return self.page.locator("article.answer")

    @property
    def last_answer(self) -> Locator:
        """The newest of them."""
        return self.answers.last

    async def start(self, fragment: str = "", until: str = "[data-ready][data-listed]") -> None:
        """Load the page anew, and wait until it can be used, with its list of conversations."""
        if self.page.url.startswith(self.url):
            await self.wait_until_written()
        await self.page.goto(f"{self.url}/{fragment}")
        ready = asyncio.create_task(self.page.locator(f"body{until}").wait_for())
        broken = asyncio.create_task(self.broken.wait())
        await asyncio.wait({ready, broken}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (ready, broken):
            waiting.cancel()  # which does nothing to what is done
        assert not self.broken.is_set(), self.complaints
        await ready

    async def reload(self) -> None:
        """Load the page anew, at the same address."""
        await self.wait_until_written()
        await self.page.reload()

    async def wait_until_written(self) -> None:
        """Until the browser has in its database what the page has begun to write there."""
        await self.page.evaluate(_WRITTEN)

    async def ask(self, question: str, provider: str | None = None) -> None:
        """Send a question; its answer may still come."""
        if provider:
            await self.page.select_option("#provider", provider)
        await self.page.fill("#question", question)
        await self.page.click("#send")

    async def ask_and_wait(self, question: str, provider: str | None = None) -> Locator:
        """Send a question and wait for the answer's end, whichever it is."""
        before = await self.answers.count()
        await self.ask(question, provider)
        answer = self.answers.nth(before)
        await answer.locator("footer.facts").wait_for()
        await self.page.evaluate(_TWO_FRAMES)
        return answer

    @asynccontextmanager
    async def another_tab(
        self, fragment: str = "", script: str | None = None
    ) -> AsyncIterator[ChatPage]:
        """A second tab of the same browser, with the page; `script` runs in it before the page's own."""
        page = await self.page.context.new_page()
        page.set_default_timeout(TIMEOUT_MILLISECONDS)
        tab = ChatPage(page, self.url, complaints=self.complaints)
        _note_complaints(tab)
        if script:
            await page.add_init_script(script)
        try:
            await tab.start(fragment)
            yield tab
        finally:
            await page.close()

    async def facts(self) -> str:
        """What stands under the newest answer."""
        return await self.last_answer.locator("footer.facts ul").inner_text()

    async def status(self) -> str:
        """The last announcement to a screen reader."""
        return await self.page.locator("#status").inner_text()


@asynccontextmanager
async def chat_page(browser: Browser, url: str, **options: Any) -> AsyncIterator[ChatPage]:
    """The page, started; whatever the console complains of, violations of the content policy too, fails the test."""
    async with _window(browser, url, options) as page:
        chat = ChatPage(page, url)
        _note_complaints(chat)
        await chat.start()
        yield chat
        assert chat.complaints == []


@asynccontextmanager
async def _window(browser: Browser, url: str, options: Mapping[str, Any]) -> AsyncIterator[Page]:
    """A page in a window of its own if there are options, else in one that all tests share; its store is empty.

    A window takes half a second of CPU to open, a page in it half of that.
    """
    context = await (_open_window(browser, options) if options else _shared_window(browser))
    page = await context.new_page()
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    try:
        yield page
    finally:
        session = await context.new_cdp_session(page)
        origin = "/".join(url.split("/")[:3])
        await session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        await (context if options else page).close()


async def _open_window(browser: Browser, options: Mapping[str, Any]) -> BrowserContext:
    context = await browser.new_context(**options)
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    return context


async def _shared_window(browser: Browser) -> BrowserContext:
    """The first one; an empty page in it keeps its process alive."""
    if browser.contexts:
        return browser.contexts[0]
    context = await _open_window(browser, {})
    await context.new_page()
    return context


def _note_complaints(chat: ChatPage) -> None:
    """An answer with an error status is no complaint: the page shows it; nor what playwright itself says."""
    allowed = ("Failed to load resource: the server responded", "blocked by Playwright")

    def note(kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(words in text for words in allowed):
            chat.complaints.append(text)

    def break_down(error: Exception) -> None:
        note("error", str(error))
        chat.broken.set()

    chat.page.on("console", lambda message: note(message.type, message.text))
    chat.page.on("pageerror", break_down)


@asynccontextmanager
async def simulated_page(
    browser: Browser,
    log_dir: Path,
    behaviours: Mapping[str, Behaviour | list[Behaviour]],
    *,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[ChatPage, Simulator]]:
    """The page over the real SDKs, whose models luna and nova (of each vendor) do what `behaviours` says."""
    async with Simulator(behaviours=behaviours) as simulator:
        chosen = make_settings(log_dir, vendors=_vendors(simulator), **(settings or {}))
        async with (
            running_gateway(chosen) as gateway,
            chat_page(browser, gateway.url, **options) as chat,
        ):
            yield chat, simulator


def _vendors(simulator: Simulator) -> dict[str, ProviderOptions]:
    configured = {
        name: ProviderOptions(
            api_key=SecretStr("key-of-a-test"),
            base_url=simulator.base_urls[name],
            model_default="luna",
            model_fallback="nova",
        )
        for name in VENDORS
    }
    return {name: ProviderOptions() for name in VALID_PROVIDERS} | configured
