"""The page as an app: it opens without the gateway, says that it is offline, and can be installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.clients.page_browser import chat_page
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKER_STATE = "navigator.serviceWorker.ready.then(({ active }) => active.state)"
KEPT = """async () => {
    const caches_ = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
    const requests = await Promise.all(caches_.map((cache) => cache.keys()));
    return requests.map((found) => found.map(({ url }) => url));
}"""


async def test_page_opens_without_the_gateway(browser: Browser, tmp_path: Path) -> None:
    """What is kept in the browser can be read; the page says that it is offline, and sends nothing."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, offline=False) as chat,
    ):
        gateway.gpt.enqueue(*answer("A **moon**, $x$"))
        await chat.ask_and_wait("Hello?")
        await chat.page.evaluate(WORKER_STATE)
        await chat.page.context.set_offline(True)
        await chat.reload()
        await chat.last_answer.get_by_text("A moon").wait_for()
        await chat.page.context.set_offline(False)
        await (
            chat.page.reload()
        )  # with the worker in between, which keeps what comes after the first view
        await chat.last_answer.locator("math").wait_for()
        address = chat.page.url
        await chat.page.context.set_offline(True)
        await chat.page.goto("about:blank")
        await chat.page.goto(address)
        await chat.last_answer.get_by_text("A moon").wait_for()
        await chat.last_answer.locator("math").wait_for()
        assert await chat.page.locator("#offline").is_visible()
        await chat.ask("And now?")
        await chat.page.locator("#ask-note", has_text="cannot be reached").wait_for()
        assert await chat.page.input_value("#question") == "And now?"
        await chat.page.context.set_offline(False)
        await chat.page.reload()
        await chat.page.locator("body[data-ready]").wait_for()
        assert not await chat.page.locator("#offline").is_visible()
        chat.complaints.clear()  # the browser reports the failed requests, too


async def test_picker_without_providers_is_not_shown_empty(
    browser: Browser, tmp_path: Path
) -> None:
    """A gateway that cannot be reached leaves no arrow that opens nothing."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, service_workers="block") as chat,
    ):
        await chat.page.route("**/ui/config", lambda route: route.abort())
        await chat.page.reload()
        await chat.page.locator("#offline").wait_for()
        assert not await chat.page.locator("#provider").is_visible()
        await chat.page.unroute("**/ui/config")
        await chat.page.reload()
        await chat.page.locator("#provider").wait_for()
        chat.complaints.clear()


async def test_worker_keeps_the_pages_files_alone(browser: Browser, tmp_path: Path) -> None:
    """Nothing that the gateway answers, and one version of the files."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, offline=False) as chat,
    ):
        await chat.page.evaluate(WORKER_STATE)
        await chat.start()
        gateway.gpt.enqueue(*answer("```python\nx = 1\n```"))
        shown = await chat.ask_and_wait("Hello?")
        await shown.locator(".hljs-number").wait_for()
        (kept,) = await chat.page.evaluate(KEPT)
        root = f"{gateway.running.url}/"
        assert root in kept
        assert len({url.split("/")[4] for url in kept if url != root}) == 1
        assert all(url.startswith(f"{root}static/") for url in kept if url != root)
        assert any("python.min.js" in url for url in kept)
        assert len(kept) > 40


async def test_page_can_be_installed(browser: Browser, tmp_path: Path) -> None:
    """Its manifest names the page and icons that are there, whatever the prefix."""
    async with (
        scripted_gateway(tmp_path, root_path="/ai") as gateway,
        chat_page(browser, f"{gateway.running.url}/ai") as chat,
    ):
        address = await chat.page.locator("link[rel=manifest]").evaluate("({ href }) => href")
        response = await gateway.client.get(address)
        assert response.headers["content-type"].startswith("application/manifest+json")
        manifest = json.loads(response.text)
        for name in ("start_url", "scope"):
            assert response.url.join(manifest[name]) == f"{gateway.running.url}/ai/"
        for icon in manifest["icons"]:
            image = await gateway.client.get(response.url.join(icon["src"]))
            assert (image.status_code, image.headers["content-type"]) == (200, icon["type"])
        session = await chat.page.context.new_cdp_session(chat.page)
        found = await session.send("Page.getAppManifest")
        assert found["errors"] == []
