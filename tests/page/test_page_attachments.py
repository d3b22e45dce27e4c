"""What is attached to a question on the page, in a real browser: text files, pictures, and how these are looked at."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from models import GatewayError, Image, Text
from tests.clients.page_browser import chat_page
from tests.clients.page_views import PHONE
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, FilePayload

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
UNTIL_WRITTEN = """(area) => new Promise((resolve) => {
    const look = () => (area.value ? resolve(area.value) : requestAnimationFrame(look));
    look();
})"""


def file(name: str, content: bytes, kind: str = "") -> FilePayload:
    """A file as it is chosen."""
    return {"name": name, "mimeType": kind, "buffer": content}


FILES = {  # and what becomes of each in the question
    "code": (
        file("sort.py", b"x = [2, 1]\r\nx.sort()\r\n", "text/x-python"),
        "sort.py\n\n```python\nx = [2, 1]\nx.sort()\n```\n\n",
    ),
    "table": (file("a.csv", "a,b\n1,ä\n".encode(), "text/csv"), "a.csv\n\n```\na,b\n1,ä\n```\n\n"),
    "no kind": (file("Makefile", b"all:\n\ttrue\n"), "Makefile\n\n```\nall:\n\ttrue\n```\n\n"),
    "fences": (
        file("a.md", b"```\ncode\n```\n", "text/markdown"),
        "a.md\n\n````markdown\n```\ncode\n```\n````\n\n",
    ),
    "empty": (file("b.txt", b"", "text/plain"), "b.txt\n\n```\n\n```\n\n"),
}


@pytest.mark.parametrize("name", FILES)
async def test_text_file_becomes_part_of_the_question(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    """Between fences, where it can be seen and changed before it is sent."""
    chosen, written = FILES[name]
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("I see"))
        await chat.page.set_input_files("#image-files", chosen)
        assert await chat.page.locator("#question").evaluate(UNTIL_WRITTEN) == written
        await chat.page.locator("#question").press("End")
        await chat.page.keyboard.type("What is it?")
        await chat.page.keyboard.press("Enter")
        await chat.last_answer.locator("footer.facts").wait_for()
        (part,) = gateway.gpt.history[0].prompt.turns[0].parts
        assert isinstance(part, Text)
        assert part.text == f"{written}What is it?"


@pytest.mark.parametrize(
    "refused",
    [
        file("a.zip", b"PK\x03\x04\x00\x00", "application/zip"),
        file("latin.txt", "naïve".encode("latin-1"), "text/plain"),
        file("long.txt", b"a" * 1_000_001, "text/plain"),
        file("no.png", b"no picture", "image/png"),
        file("no.pdf", b"PK no PDF", "application/pdf"),
    ],
    ids=lambda chosen: chosen["name"],
)
async def test_file_that_cannot_be_read_is_named(
    browser: Browser, tmp_path: Path, refused: FilePayload
) -> None:
    """The others that were chosen with it are taken, and what was written stays."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.fill("#question", "Look:")
        picture = file("dot.png", base64.b64decode(PIXEL), "image/png")
        text = file("a.txt", b"hello", "text/plain")
        await chat.page.set_input_files("#image-files", [picture, refused, text])
        await chat.page.locator("#ask-note", has_text=refused["name"]).wait_for()
        await chat.page.get_by_alt_text("dot.png").wait_for()
        written = await chat.page.input_value("#question")
        assert written == "Look:\n\na.txt\n\n```\nhello\n```\n\n"


SLOW_PICTURES = """() => {
    const decode = createImageBitmap;
    window.createImageBitmap = async (file) => {
        await new Promise((resolve) => (window.goOn = resolve));
        return decode(file);
    };
}"""  # a phone takes seconds for a large photo
UNTIL_DECODING = """() => new Promise((resolve) => {
    const look = () => (window.goOn ? resolve() : requestAnimationFrame(look));
    look();
})"""


async def test_question_waits_for_its_picture(browser: Browser, tmp_path: Path) -> None:
    """Sent while the picture is still being made smaller, it goes with it; the picture is not left for the next one."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.evaluate(SLOW_PICTURES)
        gateway.gpt.enqueue(*answer("A dot"))
        picture = file("dot.png", base64.b64decode(PIXEL), "image/png")
        await chat.page.set_input_files("#image-files", picture)
        await chat.page.evaluate(UNTIL_DECODING)
        await chat.ask("What is it?")
        assert await chat.answers.count() == 0
        await chat.page.evaluate("() => goOn()")
        await chat.last_answer.locator("footer.facts").wait_for()
        kinds = [type(part) for part in gateway.gpt.history[0].prompt.turns[0].parts]
        assert kinds == [Image, Text]
        assert await chat.page.locator("#attached img").count() == 0


async def test_question_does_not_go_without_its_picture(browser: Browser, tmp_path: Path) -> None:
    """Sent before the file turns out to be no picture, it stays where it is, with the reason."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.evaluate(SLOW_PICTURES)
        await chat.page.set_input_files("#image-files", file("no.png", b"no picture", "image/png"))
        await chat.page.evaluate(UNTIL_DECODING)
        await chat.ask("What is it?")
        await chat.page.evaluate("() => goOn()")
        await chat.page.locator("#ask-note", has_text="no.png").wait_for()
        assert await chat.page.input_value("#question") == "What is it?"
        assert not gateway.gpt.history


async def test_picture_stays_with_the_conversation_it_was_attached_in(
    browser: Browser, tmp_path: Path
) -> None:
    """Another one that is opened before the picture is ready does not get it."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("First words"))
        await chat.ask_and_wait("First?")
        await chat.page.evaluate(SLOW_PICTURES)
        picture = file("dot.png", base64.b64decode(PIXEL), "image/png")
        await chat.page.set_input_files("#image-files", picture)
        await chat.page.evaluate(UNTIL_DECODING)
        await chat.page.fill("#question", "And this?")
        await chat.page.click("#new-chat")
        await chat.page.evaluate("() => goOn()")
        await chat.page.get_by_role("button", name="First?", exact=True).click()
        await chat.page.get_by_alt_text("dot.png").wait_for()
        assert await chat.page.input_value("#question") == "And this?"
        await chat.page.click("#new-chat")
        assert await chat.page.locator("#attached img").count() == 0


async def test_picture_of_another_kind_is_made_one_that_is_taken(
    browser: Browser, tmp_path: Path
) -> None:
    """What the browser can show can be attached, whatever the vendors take."""
    bitmap = bytes.fromhex(
        "424d3a000000000000003600000028000000010000000100000001001800000000000400000000000000000000000000000000000000"
        "0000ff00"
    )
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Red"))
        await chat.page.set_input_files("#image-files", file("red.bmp", bitmap, "image/bmp"))
        await chat.page.get_by_alt_text("red.bmp").wait_for()
        await chat.ask_and_wait("Which colour?")
        (image, _) = gateway.gpt.history[0].prompt.turns[0].parts
        assert isinstance(image, Image)
        assert image.media_type == "image/webp"


async def test_picture_is_removed_from_a_question_that_is_edited(
    browser: Browser, tmp_path: Path
) -> None:
    """A provider that takes no pictures is asked again without; a question may also be a picture alone."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        dots = [
            file(f"{name}.png", base64.b64decode(PIXEL), "image/png") for name in ("one", "two")
        ]
        await chat.page.set_input_files("#image-files", dots)
        await chat.page.get_by_alt_text("two.png").wait_for()
        gateway.gpt.enqueue(GatewayError("unsupported"))
        await chat.page.click("#send")
        await chat.last_answer.get_by_role("button", name="Change the question").click()
        gateway.gpt.enqueue(GatewayError("unsupported"))
        question = chat.page.locator("article.question")
        await question.get_by_label("Remove one.png").click()
        await question.get_by_role("button", name="Send").click()
        await question.get_by_text("2/2").wait_for()
        assert await question.get_by_alt_text("two.png").count() == 1
        assert await question.get_by_alt_text("one.png").count() == 0
        await chat.last_answer.get_by_role("button", name="Change the question").click()
        gateway.gpt.enqueue(*answer("Fine"))
        await question.get_by_label("Remove two.png").click()
        await question.get_by_label("Edit question").fill("Without, then")
        await chat.page.keyboard.press("Enter")
        await chat.last_answer.get_by_text("Fine").wait_for()
        assert gateway.gpt.history[-1].prompt.turns[-1].parts == (Text("Without, then"),)


async def test_long_question_is_folded(browser: Browser, tmp_path: Path) -> None:
    """As one with a file is; it can be opened, and is sent whole."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Long"))
        question = "\n".join(f"line {number}" for number in range(100))
        await chat.ask_and_wait(question)
        words = chat.page.locator("article.question .bubble p")
        height = "(element) => element.clientHeight"
        folded = await words.evaluate(height)
        button = chat.page.get_by_role("button", name="Show all")
        assert await button.get_attribute("aria-expanded") == "false"
        await button.click()
        assert await words.evaluate(height) > 3 * folded
        await chat.page.get_by_role("button", name="Show less").click()
        assert await words.evaluate(height) == folded
        (part,) = gateway.gpt.history[0].prompt.turns[0].parts
        assert isinstance(part, Text)
        assert part.text == question


async def test_picture_is_enlarged(browser: Browser, tmp_path: Path) -> None:
    """Before it is sent and after, by pointer and by keyboard; Esc closes it, and stops no answer."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("A dot"))
        picture = file("dot.png", base64.b64decode(PIXEL), "image/png")
        await chat.page.set_input_files("#image-files", picture)
        shown = chat.page.get_by_role("dialog", name="dot.png")
        await chat.page.get_by_role("button", name="Enlarge dot.png").click()
        await shown.locator("img").wait_for()
        await shown.get_by_role("button", name="Close").click()
        await shown.wait_for(state="detached")
        await chat.ask_and_wait("What is it?")
        assert isinstance(gateway.gpt.history[0].prompt.turns[0].parts[0], Image)
        await chat.page.locator("article.question .picture").focus()
        await chat.page.keyboard.press("Enter")
        await shown.locator("img").wait_for()
        await chat.page.keyboard.press("Escape")
        await shown.wait_for(state="detached")


async def test_phone_has_a_button_for_its_camera(browser: Browser, tmp_path: Path) -> None:
    """Elsewhere there is none."""
    async with scripted_gateway(tmp_path) as gateway:
        async with chat_page(browser, gateway.running.url, **PHONE) as chat:
            assert await chat.page.locator("#camera").is_visible()
            assert (
                await chat.page.locator("#camera-files").get_attribute("capture") == "environment"
            )
            picture = file("photo.png", base64.b64decode(PIXEL), "image/png")
            await chat.page.set_input_files("#camera-files", picture)
            await chat.page.get_by_alt_text("photo.png").wait_for()
        async with chat_page(browser, gateway.running.url) as chat:
            assert not await chat.page.locator("#camera").is_visible()
