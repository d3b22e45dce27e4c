"""All conversations of a browser: found again, pinned, taken out and in, deleted and restored; drafts and addresses."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from models import GatewayError, Text
from tests.clients.page_browser import ChatPage, chat_page
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


async def act(chat: ChatPage, title: str, action: str) -> None:
    """Choose an action from a conversation's menu."""
    await chat.page.locator("#conversations .row", has_text=title).hover()
    await chat.page.get_by_label(f"More for {title}").click()
    await chat.page.locator("#conversation-menu").get_by_role("button", name=action).click()


async def begin(chat: ChatPage, gateway: ScriptedGateway, *pairs: tuple[str, str]) -> None:
    """A conversation for each question and its answer."""
    for question, words in pairs:
        await chat.page.click("#new-chat")
        gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait(question)


async def titles(chat: ChatPage, *expected: str) -> None:
    """Wait until the list is this."""
    script = """(expected) => JSON.stringify(expected) === JSON.stringify(
        [...document.querySelectorAll("#conversations .open")].map((button) => button.innerText))"""
    await chat.page.wait_for_function(script, arg=list(expected))


async def choose_setting(chat: ChatPage, name: str) -> None:
    """Press one of the buttons for all conversations."""
    await chat.page.click("#show-settings")
    await chat.page.locator("#settings").get_by_role("button", name=name, exact=True).click()


async def export_everything(chat: ChatPage, folder: Path) -> Path:
    """Save the file that has everything."""
    async with chat.page.expect_download() as begun:
        await choose_setting(chat, "Export everything")
    saved = folder / "conversations.json"
    await (await begun.value).save_as(saved)
    await chat.page.click("#settings-close")
    return saved


async def import_file(chat: ChatPage, path: Path) -> str:
    """Take in a file; what the page says of it."""
    await chat.page.click("#show-settings")
    await chat.page.locator("#settings[open]").wait_for()
    await chat.page.set_input_files("#import-file", path)
    note = chat.page.locator("#data-note")
    await note.get_by_text(".").wait_for()
    said = await note.inner_text()
    await chat.page.click("#settings-close")
    return said


async def test_search_finds_what_was_written(browser: Browser, tmp_path: Path) -> None:
    """In questions and answers, of this page and of earlier ones, without regard to case, accents and order."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await begin(chat, gateway, ("Cats?", "They *purr* in a Café"), ("Dogs?", "They bark"))
        await chat.start()
        await chat.page.fill("#filter", "cafe PURR")
        await titles(chat, "Cats?")
        await chat.page.fill("#filter", "dog")
        await titles(chat, "Dogs?")
        await chat.page.fill("#filter", "unheard-of")
        await chat.page.get_by_text("None has these words.").wait_for()
        await begin(chat, gateway, ("Owls?", "An unheard-of thing"))
        await chat.page.fill("#filter", "")
        await chat.page.fill("#filter", "unheard-of")
        await titles(chat, "Owls?")


async def test_pinned_conversation_stays_at_the_top(browser: Browser, tmp_path: Path) -> None:
    """However old it is; also after a reload, until it is not pinned any more."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await begin(chat, gateway, ("Old?", "1"), ("New?", "2"))
        await act(chat, "Old?", "Pin")
        await titles(chat, "Old?", "New?")
        await chat.start()
        await titles(chat, "Old?", "New?")
        await act(chat, "Old?", "Unpin")
        await titles(chat, "New?", "Old?")


async def test_all_are_deleted_and_restored(browser: Browser, tmp_path: Path) -> None:
    """After a question; undo brings back each, whole, and a reload finds them."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await begin(chat, gateway, ("One?", "First words"), ("Two?", "Second words"))
        await choose_setting(chat, "Delete all")
        dialog = chat.page.get_by_role("dialog")
        await dialog.get_by_text("Delete all 2 conversations?").wait_for()
        await dialog.get_by_role("button", name="Delete all").click()
        await chat.page.get_by_text("None yet.").wait_for()
        await chat.page.locator("#welcome").wait_for()
        await chat.page.get_by_role("button", name="Undo").click()
        await titles(chat, "Two?", "One?")
        await chat.start()
        await titles(chat, "Two?", "One?")
        await chat.page.get_by_role("button", name="One?", exact=True).click()
        await chat.last_answer.get_by_text("First words").wait_for()


@pytest.mark.parametrize("size", [(1280, 800), (390, 844), (320, 256)], ids=str)
async def test_way_back_covers_nothing_that_is_written(
    browser: Browser, tmp_path: Path, size: tuple[int, int]
) -> None:
    """For as long as a conversation can be restored, the next question can be written and sent."""
    window = {"viewport": {"width": size[0], "height": size[1]}}
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, **window) as chat,
    ):
        gateway.gpt.enqueue(*answer("First words"))
        await chat.ask_and_wait("One?")
        if not await chat.page.locator("#show-settings").is_visible():
            await chat.page.click("#menu")
        await chat.page.click("#show-settings")
        await chat.page.click("#delete-all")
        await chat.page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
        toast = await chat.page.locator(".toast").bounding_box()
        form = await chat.page.locator("#ask").bounding_box()
        assert toast
        assert form
        assert toast["y"] + toast["height"] <= form["y"]
        assert toast["x"] >= 0
        assert toast["x"] + toast["width"] <= size[0]


async def test_everything_is_exported_and_imported(browser: Browser, tmp_path: Path) -> None:
    """With versions, images, PDFs, instructions and pins; what is there already is not there twice."""
    image = {"name": "dot.png", "mimeType": "image/png", "buffer": base64.b64decode(PIXEL)}
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        pdf = {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"}
        await chat.page.set_input_files("#image-files", [image, pdf])  # type: ignore[arg-type]
        await chat.page.get_by_alt_text("dot.png").wait_for()
        for words in ("Heads", "Tails"):
            gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait("Which?")
        await chat.last_answer.get_by_label("Ask again", exact=True).click()
        await chat.last_answer.get_by_text("Tails").wait_for()
        await act(chat, "Which?", "Pin")
        await begin(chat, gateway, ("Other?", "Other words"))
        saved = await export_everything(chat, tmp_path)
        await choose_setting(chat, "Delete all")
        await chat.page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
        await chat.page.get_by_text("None yet.").wait_for()
        for _ in range(2):
            assert await import_file(chat, saved) == "2 conversations imported."
            await titles(chat, "Which?", "Other?")
        await chat.start()
        await titles(chat, "Which?", "Other?")
        await chat.page.get_by_role("button", name="Which?", exact=True).click()
        await chat.last_answer.get_by_text("Tails").wait_for()
        assert await chat.last_answer.locator(".versions .position").inner_text() == "2/2"
        assert await chat.page.locator("article.question img").count() == 1
        assert await chat.page.locator("article.question .file").inner_text() == "a.pdf (0.1 MB)"


QUESTION = {"id": "q-1", "kind": "question", "parent": "", "at": 1, "text": "Well?"}
REPLY = {"id": "a-1", "kind": "answer", "parent": "q-1", "at": 2, "text": "Yes", "end": 7}
BROKEN: dict[str, Any] = {
    "format": "ai-chat-gateway",
    "version": 1,
    "conversations": [
        {
            "id": "c-1",
            "title": "<b>Well</b>",
            "nodes": [
                QUESTION | {"images": [{"data": "<"}]},
                REPLY | {"state": "streaming"},
                {"id": {}},
            ],
            "chosen": 5,
        },
        {"id": "c-2", "nodes": "none"},
        7,
    ],
}


async def test_file_that_is_no_export_changes_nothing(browser: Browser, tmp_path: Path) -> None:
    """And of an export with broken parts the rest is taken, and the parts are counted."""
    (tmp_path / "foreign.json").write_text('{"conversations": []}', encoding="utf-8")
    (tmp_path / "broken.json").write_text(json.dumps(BROKEN), encoding="utf-8")
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        said = await import_file(chat, tmp_path / "foreign.json")
        assert said == "foreign.json is not an export of this page."
        await titles(chat)
        said = await import_file(chat, tmp_path / "broken.json")
        assert said == "1 conversation imported. 2 could not be read."
        await titles(chat, "<b>Well</b>")
        await chat.page.locator("#conversations .open").click()
        await chat.last_answer.get_by_text("Cut: the stream stopped before its end.").wait_for()
        assert await chat.page.locator("article.question img").count() == 0


async def test_export_that_has_not_everything_says_so(browser: Browser, tmp_path: Path) -> None:
    """A conversation that cannot be read is counted, and the others are in the file."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await begin(chat, gateway, ("Unread?", "Words"))
        await chat.start()
        await begin(chat, gateway, ("Loaded?", "Words"))
        await chat.page.evaluate(
            "() => void (IDBDatabase.prototype.transaction = () => { throw new DOMException(); })"
        )
        content = json.loads((await export_everything(chat, tmp_path)).read_text(encoding="utf-8"))
        assert [each["title"] for each in content["conversations"]] == ["Loaded?"]
        assert await chat.status() == "1 conversation exported. 1 could not be read."


async def test_all_are_exported_as_text(browser: Browser, tmp_path: Path) -> None:
    """As Markdown, one after the other, each flaw named."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await begin(chat, gateway, ("One?", "First **words**"))
        await chat.page.click("#new-chat")
        gateway.gpt.enqueue([Text("Half")], GatewayError("upstream_truncated"))
        gateway.gpt.enqueue(GatewayError("upstream_truncated"), model="nova")
        await chat.ask_and_wait("Two?")
        async with chat.page.expect_download() as begun:
            await choose_setting(chat, "Export as text")
        await (await begun.value).save_as(tmp_path / "saved.md")
    text = (tmp_path / "saved.md").read_text(encoding="utf-8")
    assert "# One?\n" in text
    assert "First **words**" in text
    assert "This answer is not whole." in text


async def test_title_has_no_marks_of_markdown(browser: Browser, tmp_path: Path) -> None:
    """Neither in the list nor in the window's title."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await begin(chat, gateway, ("## **Why** is `x` _so_?\n\nmore", "Because"))
        await titles(chat, "Why is x so?")
        assert (await chat.page.title()).startswith("Why is x so? · ")


async def test_draft_outlives_a_reload(browser: Browser, tmp_path: Path) -> None:
    """Each conversation has its own, with its images; what was sent is no draft any more."""
    image = {"name": "dot.png", "mimeType": "image/png", "buffer": base64.b64decode(PIXEL)}
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await begin(chat, gateway, ("One?", "First words"))
        await chat.page.fill("#question", "half a thou")
        await chat.page.set_input_files("#image-files", image)  # type: ignore[arg-type]
        await chat.page.get_by_alt_text("dot.png").wait_for()
        await chat.page.click("#new-chat")
        assert await chat.page.input_value("#question") == ""
        assert await chat.page.locator("#attached img").count() == 0
        await chat.page.fill("#question", "quite another")
        await chat.start()
        assert await chat.page.input_value("#question") == "quite another"
        await chat.page.get_by_role("button", name="One?", exact=True).click()
        await chat.last_answer.get_by_text("First words").wait_for()
        assert await chat.page.input_value("#question") == "half a thou"
        assert await chat.page.locator("#attached img").count() == 1
        gateway.gpt.enqueue(*answer("Second words"))
        await chat.page.click("#send")
        await chat.last_answer.get_by_text("Second words").wait_for()
        await chat.reload()
        await chat.last_answer.get_by_text("Second words").wait_for()
        assert await chat.page.input_value("#question") == ""
        assert await chat.page.locator("#attached img").count() == 0


async def test_edit_outlives_a_reload(browser: Browser, tmp_path: Path) -> None:
    """And another conversation that is opened meanwhile; what was sent or left is no draft any more."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        edit = chat.page.locator("article.question form textarea")
        await begin(chat, gateway, ("One?", "First words"))
        await chat.page.locator("article.question").hover()
        await chat.page.get_by_label("Edit question").click()
        await edit.fill("One, or two?")
        await chat.page.click("#new-chat")
        await chat.page.get_by_role("button", name="One?", exact=True).click()
        assert await edit.input_value() == "One, or two?"
        await chat.reload()
        await edit.wait_for()
        assert await edit.input_value() == "One, or two?"
        await edit.press("Escape")
        await chat.reload()
        await chat.last_answer.get_by_text("First words").wait_for()
        assert await edit.count() == 0
        assert not await chat.page.evaluate("Object.keys(sessionStorage).length")


async def test_file_that_cannot_be_read_is_said_to_be_none(
    browser: Browser, tmp_path: Path
) -> None:
    """A file to import that is gone when it is read is not passed over in silence."""
    saved = tmp_path / "conversations.json"
    saved.write_text("{}", encoding="utf-8")
    gone = "() => { Blob.prototype.text = () => Promise.reject(new DOMException('', 'NotFoundError')); }"
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.evaluate(gone)
        assert await import_file(chat, saved) == "conversations.json is not an export of this page."


async def test_way_to_the_question_leaves_the_conversation_open(
    browser: Browser, tmp_path: Path
) -> None:
    """A link within the page is no conversation's address."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await begin(chat, gateway, ("One?", "First words"))
        address = chat.page.url
        await chat.page.locator(".skip").focus()
        await chat.page.keyboard.press("Enter")
        assert await chat.page.evaluate("document.activeElement.id") == "question"
        await chat.page.evaluate("location.hash = 'question'")
        await chat.last_answer.get_by_text("First words").wait_for()
        await chat.page.go_back()
        assert chat.page.url == address
        await chat.last_answer.get_by_text("First words").wait_for()


async def test_back_leads_to_the_former_conversation(browser: Browser, tmp_path: Path) -> None:
    """And forward to the later one, through new chats too."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await begin(chat, gateway, ("One?", "First words"), ("Two?", "Second words"))
        await chat.page.click("#new-chat")
        await chat.page.locator("#welcome").wait_for()
        await chat.page.go_back()
        await chat.last_answer.get_by_text("Second words").wait_for()
        await chat.page.go_back()
        await chat.last_answer.get_by_text("First words").wait_for()
        await chat.page.go_forward()
        await chat.last_answer.get_by_text("Second words").wait_for()
        await chat.page.go_forward()
        await chat.page.locator("#welcome").wait_for()


async def test_address_of_a_conversation_opens_it(browser: Browser, tmp_path: Path) -> None:
    """Also as earlier versions of the page wrote it; one that is not there leads to a new chat."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await begin(chat, gateway, ("One?", "First words"))
        name = chat.page.url.rpartition("/")[2]
        for fragment in (f"#/c/{name}", f"#{name}"):
            await chat.page.goto("about:blank")
            await chat.start(fragment)
            await chat.last_answer.get_by_text("First words").wait_for()
        await chat.page.goto("about:blank")
        await chat.start("#/c/gone-1")
        await chat.page.locator("#welcome").wait_for()
        assert chat.page.url == f"{gateway.running.url}/"
