"""The choice of a provider on the page, in a real browser: its model, how it is, and which one is chosen at first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.page_browser import chat_page
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_WORKER = {"service_workers": "block"}  # it would answer before the routes of a test


def provider(name: str, state: str = "OK", seconds: float | None = 0.4) -> dict[str, Any]:
    """A provider as the gateway describes it."""
    model = {"default": f"{name}-1", "fallback": f"{name}-0"}
    return {"name": name, "state": state, "seconds": seconds, "model": model}


async def start(chat: Any, *providers: dict[str, Any]) -> None:
    """Load the page of a gateway with these providers."""

    async def reply(route: Route) -> None:
        config = await (await route.fetch()).json()
        await route.fulfill(body=json.dumps(config | {"providers": providers}))

    await chat.page.unroute_all()
    await chat.page.route("**/ui/config", reply)
    await chat.start()


async def test_options_have_the_model_and_the_state(browser: Browser, tmp_path: Path) -> None:
    """What is well needs no words; what is slow or fails says so, and the dot beside has the state."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        await start(
            chat,
            provider("gpt", "ERROR"),
            provider("claude", "OK", 9.5),
            provider("gemini", "UNKNOWN", None),
            provider("mine", "DEGRADED"),
        )
        assert await chat.page.locator("#provider option").all_inner_texts() == [
            "GPT · gpt-1 — requests fail",
            "Claude · claude-1 — slow at the moment",
            "Gemini · gemini-1",
            "Mine · mine-1 — some requests fail",
        ]
        assert await chat.page.locator("#models").inner_text() == (
            "claude-1 answers. Should it fail before its first word, claude-0 steps in, and the page says so."
        )
        for name, state in (("gpt", "ERROR"), ("gemini", "UNKNOWN"), ("mine", "DEGRADED")):
            await chat.page.select_option("#provider", name)
            await chat.page.locator(f"#health[data-state={state}]").wait_for()


async def test_first_provider_that_is_well_is_chosen(browser: Browser, tmp_path: Path) -> None:
    """The first one of all if none is."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        await start(
            chat, provider("gpt", "ERROR"), provider("claude", "DEGRADED"), provider("groq")
        )
        assert await chat.page.input_value("#provider") == "groq"
        await start(chat, provider("gpt", "ERROR"), provider("claude", "ERROR"))
        assert await chat.page.input_value("#provider") == "gpt"


async def test_provider_that_was_used_last_is_chosen(browser: Browser, tmp_path: Path) -> None:
    """Also if it was the preselected one; unless it fails, or is not configured any more."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **NO_WORKER) as chat,
    ):
        await start(chat, provider("gpt"), provider("claude"))
        gateway.gpt.enqueue(*answer("Hi"))
        await chat.ask_and_wait("Hello?")
        await start(chat, provider("claude"), provider("gpt"))
        assert await chat.page.input_value("#provider") == "gpt"
        await chat.page.select_option("#provider", "claude")
        await start(chat, provider("gpt"), provider("claude", "DEGRADED"))
        assert await chat.page.input_value("#provider") == "claude"
        await start(chat, provider("gpt"), provider("claude", "ERROR"))
        assert await chat.page.input_value("#provider") == "gpt"
        await start(chat, provider("groq"), provider("gemini"))
        assert await chat.page.input_value("#provider") == "groq"
