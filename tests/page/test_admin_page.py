"""The admin page in a real browser: what it shows, how it refuses, where it keeps the key, and who can use it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.admin_page import ADMIN, CHATS, CHATS_SHA, MARKUP, admin_page, enter_key
from tests.clients.page_views import PHONE, VIEWS, check_room_for_a_finger, check_with_axe, load_axe
from tests.gateways.keys_file import bearer, write_keys
from tests.gateways.scripted import answer

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

WHAT_IS_KEPT = """() => JSON.stringify([
    {...localStorage}, {...sessionStorage}, document.cookie, location.href, document.documentElement.outerHTML,
])"""


async def test_page_shows_keys_providers_workers_and_failures(
    browser: Browser, tmp_path: Path
) -> None:
    """Names are text, whatever they contain; the console stays empty."""
    complaints: list[str] = []
    async with admin_page(browser, tmp_path, complaints) as (page, _):
        await enter_key(page, ADMIN)
        await page.locator("#shown").wait_for()
        assert await page.locator("#entry").is_hidden()
        assert await page.evaluate("document.activeElement.id") == "summary"
        keys = await page.locator("#keys").inner_text()
        providers = await page.locator("#providers").inner_text()
        workers = await page.locator("#workers").inner_text()
        problems = await page.locator("#problems").inner_text()
        images = await page.locator("td img").count()
    assert "requests a minute: 2 of 60" in keys
    assert "USD a month: 0 of 2.5" in keys
    assert MARKUP in keys
    assert images == 0
    assert re.search(r"gpt\s.*luna: closed", providers, re.DOTALL)
    assert "serves" in workers
    assert "r-of-a-failure" in problems
    assert "upstream_auth" in problems
    assert complaints == []


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("gw_wrong", "does not know this key"),
        (CHATS, "not for the admin page"),
        ("schlüssel", "ASCII"),
    ],
    ids=["unknown", "of chats", "not ASCII"],  # the keys differ in each process of the tests
)
async def test_wrong_key_is_refused_and_forgotten(
    browser: Browser, tmp_path: Path, key: str, words: str
) -> None:
    """The field is empty and has the focus, so that the next one can be typed."""
    async with admin_page(browser, tmp_path, []) as (page, _):
        await enter_key(page, key)
        await page.get_by_role("alert").get_by_text(words).wait_for()
        assert await page.locator("#shown").is_hidden()
        assert await page.evaluate("document.activeElement.id") == "key"
        assert await page.locator("#key").input_value() == ""
        await enter_key(page, ADMIN)
        await page.locator("#shown").wait_for()
        assert await page.locator("#problem").inner_text() == ""


async def test_key_is_kept_in_memory_alone(browser: Browser, tmp_path: Path) -> None:
    """It is in no storage, address or element; a reload asks for it, and so does `Forget the key`."""
    async with admin_page(browser, tmp_path, []) as (page, _):
        await enter_key(page, ADMIN)
        await page.locator("#shown").wait_for()
        assert ADMIN not in await page.evaluate(WHAT_IS_KEPT)
        assert await page.locator("#key").input_value() == ""
        await page.get_by_role("button", name="Forget the key").click()
        assert await page.locator("#shown").is_hidden()
        assert "phone" not in await page.evaluate(WHAT_IS_KEPT)
        await enter_key(page, ADMIN)
        await page.locator("#shown").wait_for()
        await page.reload()
        await page.locator("body[data-ready]").wait_for()
        assert await page.locator("#shown").is_hidden()


async def test_page_follows_the_gateway(browser: Browser, tmp_path: Path) -> None:
    """A chat that comes later is seen without a click; a key that is removed ends the page."""
    async with admin_page(browser, tmp_path, []) as (page, gateway):
        await enter_key(page, ADMIN)
        await page.get_by_text("requests a minute: 2 of 60").wait_for()
        gateway.gpt.enqueue(*answer("Hi"))
        await gateway.chat(headers=bearer(CHATS))
        await page.get_by_text("requests a minute: 3 of 60").wait_for()
        write_keys(tmp_path, f'[keys.phone]\nsha256 = "{CHATS_SHA}"\n')
        await page.get_by_role("alert").get_by_text("any more").wait_for()
        assert await page.locator("#shown").is_hidden()


async def test_answer_that_comes_after_forgetting_shows_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    """The state that was on its way is for no one any more."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hold(route: Any) -> None:
        arrived.set()
        await go_on.wait()
        await route.fulfill(status=401, body="{}")

    async with admin_page(browser, tmp_path, []) as (page, _):
        await enter_key(page, ADMIN)
        await page.locator("#shown").wait_for()
        await page.route("**/admin/status", hold)
        await asyncio.wait_for(arrived.wait(), 20)
        await page.get_by_role("button", name="Forget the key").click()
        go_on.set()
        await page.unroute_all(behavior="wait")
        assert await page.locator("#problem").inner_text() == ""
        assert await page.locator("#shown").is_hidden()


@pytest.mark.parametrize("view", VIEWS)
async def test_axe_finds_no_serious_fault(browser: Browser, tmp_path: Path, view: str) -> None:
    """Before and after the key; nothing is wider than the window, and a finger has room."""
    async with admin_page(browser, tmp_path, [], **VIEWS[view]) as (page, _):
        await load_axe(page)
        for state in ("asking", "refused", "shown"):
            if state == "refused":
                await enter_key(page, "gw_wrong")
                await page.get_by_role("alert").get_by_text("does not know").wait_for()
            elif state == "shown":
                await enter_key(page, ADMIN)
                await page.locator("#shown").wait_for()
            await check_with_axe(page, state)
            if VIEWS[view] is PHONE:
                await check_room_for_a_finger(page, state)


async def test_page_runs_under_its_own_policy(browser: Browser, tmp_path: Path) -> None:
    """Own scripts alone, Trusted Types, no frames; and its requests name no other host."""
    async with admin_page(browser, tmp_path, []) as (page, gateway):
        response = await page.reload()
        assert response is not None
        policy = response.headers["content-security-policy"]
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(request.url))
        await enter_key(page, ADMIN)
        await page.locator("#shown").wait_for()
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "require-trusted-types-for 'script'",
        "frame-ancestors 'none'",
    ):
        assert part in policy
    assert f"{gateway.running.url}/admin/status" in asked
    assert [url for url in asked if not url.startswith(f"{gateway.running.url}/")] == []
