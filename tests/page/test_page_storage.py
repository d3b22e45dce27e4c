"""The browser's storage fails, at any moment: that costs what is kept, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models import Text
from tests.clients.page_browser import ChatPage, chat_page
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAULTS_SCRIPT = Path(__file__).parent / "storage_faults.js"
KEPT_NOTHING = "This browser keeps nothing here"
FAILS = "the browser's storage fails"
FAULTS = {
    "open refused": KEPT_NOTHING,
    "open silent": "the browser's storage does not answer",
    "open fails": KEPT_NOTHING,
    "connection closed": f"{FAILS} (InvalidStateError)",
    "read fails": FAILS,
    "read silent": "the browser's storage does not answer",
    "write refused": f"{FAILS} (DataError)",
    "storage full": "the browser's storage is full",
    "write aborted": FAILS,
}
AT_THE_START = ("open", "connection", "read")  # the faults that the list meets
OLD_VERSION = """async () => {
    const request = indexedDB.open("gateway-chat", 1);
    request.onupgradeneeded = () => {
        for (const name of ["summaries", "conversations"]) request.result.createObjectStore(name, { keyPath: "id" });
    };
    await new Promise((resolve) => (request.onsuccess = resolve));
    const image = { mediaType: "image/png", data: "QUJD", name: "dot.png" };
    const end = { usage: null, timing: null, finishReason: "stop", droppedParams: [] };
    const whole = { state: "whole", provider: "gpt", model: "luna", fallback: null, reasoning: "",
        text: "An **old** answer", restart: null, requestId: "r-1", end, error: null };
    const turns = [{ text: "An old question?", images: [image], answer: whole },
        { text: "Another?", images: [], answer: { ...whole, state: "streaming", text: "Half" } }];
    const conversation = { id: "old-1", conversationId: "g-1", title: "An old question?", provider: "gpt",
        updatedAt: Date.now(), turns };
    const transaction = request.result.transaction(["summaries", "conversations"], "readwrite");
    transaction.objectStore("summaries").put({ id: "old-1", title: "Old", updatedAt: Date.now() });
    transaction.objectStore("conversations").put(conversation);
    await new Promise((resolve) => (transaction.oncomplete = resolve));
    window.held = request.result;
}"""


async def break_storage(chat: ChatPage, fault: str | None) -> None:
    """From now on, and after the page is loaded anew."""
    keep = "sessionStorage.setItem('storage-fault', fault)"
    drop = "sessionStorage.removeItem('storage-fault')"
    await chat.page.evaluate(
        f"(fault) => {{ fault ? {keep} : {drop}; window.storageFault = fault; }}", fault
    )


async def wait_until_kept(chat: ChatPage) -> None:
    """Until nothing is wrong with the storage any more."""
    await chat.page.locator("#forgetful").wait_for(state="hidden")


async def titles(chat: ChatPage) -> list[str]:
    """The list, from its top."""
    return await chat.page.locator("#conversations .open").all_inner_texts()


async def text_of(shown: Locator) -> str:
    """An answer's text; `inner_text` has none of what the browser has not laid out yet."""
    return (await shown.locator(".markdown").text_content() or "").strip()


@pytest.mark.parametrize("fault", FAULTS)
async def test_storage_fails_from_the_start(browser: Browser, tmp_path: Path, fault: str) -> None:
    """Questions are answered as ever, the page says what is wrong, and keeps everything once the storage is well."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await chat.page.add_init_script(path=FAULTS_SCRIPT)
        await break_storage(chat, fault)
        await chat.page.reload()
        await chat.page.locator("body[data-ready]").wait_for()
        for words in ("One", "Two"):
            gateway.gpt.enqueue(*answer(words))
            shown = await chat.ask_and_wait(f"{words}?")
            assert await text_of(shown) == words
            assert await shown.locator(".problem").count() == 0
        await chat.page.locator("#forgetful").get_by_text(FAULTS[fault]).wait_for()
        assert await titles(chat) == ["One?"]
        is_listed = not fault.startswith(AT_THE_START)
        said = await chat.page.locator("#forgetful").inner_text()
        assert ("cannot be listed" not in said) == is_listed
        await break_storage(chat, None)
        gateway.gpt.enqueue(*answer("Three"))
        await chat.ask_and_wait("Three?")
        await wait_until_kept(chat)
        await chat.page.reload()
        await chat.last_answer.get_by_text("Three").wait_for()
        assert await chat.answers.count() == 3


@pytest.mark.parametrize("fault", FAULTS)
async def test_storage_fails_in_mid_answer(browser: Browser, tmp_path: Path, fault: str) -> None:
    """What came before was kept, what comes is shown to its end, and kept once the storage is well."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await chat.page.add_init_script(path=FAULTS_SCRIPT)
        await chat.start()
        gateway.gpt.enqueue(*answer("One"))
        await chat.ask_and_wait("One?")
        gateway.gpt.enqueue([Text("Half ")], gate.wait, *answer("and half"))
        await chat.ask("Two?")
        await chat.last_answer.get_by_text("Half").wait_for()
        await break_storage(chat, fault)
        if fault.startswith("open"):
            await chat.page.evaluate("indexedDB.databases()")  # the connection is there, and stays
        gate.set()
        await chat.last_answer.locator("footer.facts").wait_for()
        assert await text_of(chat.last_answer) == "Half and half"
        if not fault.startswith("open"):
            await chat.page.locator("#forgetful").get_by_text(FAULTS[fault]).wait_for()
        await break_storage(chat, None)
        gateway.gpt.enqueue(*answer("Three"))
        await chat.ask_and_wait("Three?")
        await wait_until_kept(chat)
        await chat.page.reload()
        await chat.last_answer.get_by_text("Three").wait_for()
        assert await chat.page.get_by_text("Half and half").is_visible()


@pytest.mark.parametrize(
    "fault", ["connection closed", "read fails", "read silent", "open refused"]
)
async def test_conversation_that_cannot_be_read_is_not_lost(
    browser: Browser, tmp_path: Path, fault: str
) -> None:
    """The page says so in its place, and offers to try again; its address stays, and nothing is asked into the void."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await chat.page.add_init_script(path=FAULTS_SCRIPT)
        gateway.gpt.enqueue(*answer("One"))
        await chat.ask_and_wait("One?")
        address = chat.page.url
        await break_storage(chat, fault)
        await chat.page.reload()
        notice = chat.page.locator("#thread .problem")
        await notice.get_by_text("This conversation cannot be read now.").wait_for()
        assert chat.page.url == address
        await chat.ask("Two?")
        await chat.page.get_by_text("The conversation is not there yet.").wait_for()
        assert await chat.page.input_value("#question") == "Two?"
        await break_storage(chat, None)
        await notice.get_by_role("button", name="Try again").click()
        await chat.last_answer.get_by_text("One").wait_for()
        assert await chat.page.input_value("#question") == "Two?"


async def test_site_data_are_cleared_under_the_page(browser: Browser, tmp_path: Path) -> None:
    """The browser closes the connection and drops the database; what is on the page is kept again as a whole."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for words in ("One", "Two"):
            gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait("One?")
        session = await chat.page.context.new_cdp_session(chat.page)
        where = {"origin": gateway.running.url, "storageTypes": "indexeddb"}
        await session.send("Storage.clearDataForOrigin", where)
        await chat.ask_and_wait("Two?")
        await chat.reload()
        await chat.last_answer.get_by_text("Two").wait_for()
        assert await chat.answers.count() == 2


async def test_conversations_of_the_former_version_are_taken_over(
    browser: Browser, tmp_path: Path
) -> None:
    """With their images and answers; while another tab holds that version the page works, and says what to do."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await chat.page.goto(f"{gateway.running.url}/health/live")
        await chat.page.evaluate(
            "new Promise((resolve) => (indexedDB.deleteDatabase('gateway-chat').onsuccess = resolve))"
        )
        await chat.page.evaluate(OLD_VERSION)
        async with chat.another_tab() as tab:
            await (
                tab.page.locator("#forgetful")
                .get_by_text("another tab has an older version")
                .wait_for()
            )
            gateway.gpt.enqueue(*answer("New"))
            await tab.ask_and_wait("New?")
            await chat.page.evaluate("held.close()")
            await wait_until_kept(tab)
            await tab.page.get_by_role("button", name="An old question?", exact=True).click()
            await tab.last_answer.get_by_text("Cut: the stream stopped").wait_for()
            assert await tab.answers.first.locator("strong").inner_text() == "old"
            assert await tab.page.locator("article.question img").count() == 1
            assert sorted(await titles(tab)) == ["An old question?", "New?"]
