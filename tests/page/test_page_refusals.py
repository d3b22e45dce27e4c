"""What the gateway refuses: it is found before it is sent, or not sent again, and never makes later questions fail."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from models import GatewayError, Image, Text
from tests.clients.page_browser import ChatPage, chat_page
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Request, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A picture whose bytes cannot be compressed, as a photo's; made by the page itself, in the browser.
MAKE_PHOTO = """async ([width, height, type]) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(width, height);
    let seed = 7;
    for (let index = 0; index < pixels.data.length; index += 1) {
        seed = (seed * 48271) % 2147483647;
        pixels.data[index] = index % 4 === 3 ? 255 : seed % 256;
    }
    context.putImageData(pixels, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 1));
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
}"""


async def make_photo(chat: ChatPage, width: int, height: int, media_type: str) -> bytes:
    """A picture of noise."""
    data: str = await chat.page.evaluate(MAKE_PHOTO, [width, height, media_type])
    return base64.b64decode(data)


async def attach(chat: ChatPage, name: str, media_type: str, content: bytes) -> None:
    """Attach a file by the button."""
    file = {"name": name, "mimeType": media_type, "buffer": content}
    await chat.page.set_input_files("#image-files", file)  # type: ignore[arg-type]


async def size_of(chat: ChatPage, image: Image) -> tuple[int, int]:
    """Width and height of an image that the gateway got."""
    script = """async (url) => {
        const image = new Image();
        image.src = url;
        await image.decode();
        return [image.naturalWidth, image.naturalHeight];
    }"""
    width, height = await chat.page.evaluate(script, f"data:{image.media_type};base64,{image.data}")
    return width, height


def sent_images(gateway: ScriptedGateway) -> list[Image]:
    """The images of the newest request."""
    turns = gateway.gpt.history[-1].prompt.turns
    return [part for turn in turns for part in turn.parts if isinstance(part, Image)]


def sent_texts(gateway: ScriptedGateway) -> list[str]:
    """The texts of the newest request."""
    turns = gateway.gpt.history[-1].prompt.turns
    return [part.text for turn in turns for part in turn.parts if isinstance(part, Text)]


async def test_large_photo_is_scaled_down(browser: Browser, tmp_path: Path) -> None:
    """To the side that models look at, in its proportions, and under the gateway's limit of bytes."""
    limits = {"max_image_bytes": 600_000, "max_body_bytes": 2_000_000}
    async with (
        scripted_gateway(tmp_path, **limits) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        photo = await make_photo(chat, 3_000, 1_500, "image/jpeg")
        assert len(photo) > limits["max_image_bytes"]
        gateway.gpt.enqueue(*answer("Noise"))
        gateway.gpt.enqueue(*answer("Again"))
        await attach(chat, "photo.jpg", "image/jpeg", photo)
        await chat.page.get_by_alt_text("photo.jpg").wait_for()
        await chat.ask_and_wait("What is it?")
        (image,) = sent_images(gateway)
        assert len(image.data) * 3 // 4 <= limits["max_image_bytes"]
        width, height = await size_of(chat, image)
        assert max(width, height) <= 2_048
        assert abs(width - 2 * height) <= 2
        await chat.ask_and_wait("And now?")
        assert len(sent_images(gateway)) == 1


def turned(jpeg: bytes, orientation: int) -> bytes:
    """The picture with an Exif orientation, as a phone writes it."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + b"\0\0\0\0"
    payload = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


async def test_photo_is_sent_upright(browser: Browser, tmp_path: Path) -> None:
    """A vendor may not read the orientation that a phone notes: the pixels are turned, and the note is gone."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        photo = turned(await make_photo(chat, 40, 20, "image/jpeg"), 6)
        gateway.gpt.enqueue(*answer("Upright"))
        await attach(chat, "photo.jpg", "image/jpeg", photo)
        await chat.page.get_by_alt_text("photo.jpg").wait_for()
        await chat.ask_and_wait("Which way?")
        (image,) = sent_images(gateway)
        assert await size_of(chat, image) == (20, 40)
        assert b"Exif" not in base64.b64decode(image.data)


def make_png(width: int, height: int) -> bytes:
    """A transparent picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\0" * width * 4) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_small_picture_is_sent_as_it_is(browser: Browser, tmp_path: Path) -> None:
    """Byte for byte; only one that is too large is made anew, and a file that is no picture is refused in words."""
    small, large = make_png(30, 20), make_png(2_100, 10)
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Nothing"))
        await attach(chat, "broken.png", "image/png", b"no picture at all")
        await chat.page.get_by_text("Not attached: broken.png.").wait_for()
        await attach(chat, "small.png", "image/png", small)
        await chat.page.get_by_alt_text("small.png").wait_for()
        await attach(chat, "large.png", "image/png", large)
        await chat.page.get_by_alt_text("large.png").wait_for()
        await chat.ask_and_wait("What is it?")
        first, second = sent_images(gateway)
        assert base64.b64decode(first.data) == small
        assert max(await size_of(chat, second)) == 2_048


async def test_text_over_the_limit_stays_where_it_is(browser: Browser, tmp_path: Path) -> None:
    """It is not sent, the page says how much too long it is, and what is sent then is answered."""
    async with (
        scripted_gateway(tmp_path, max_message_chars=100) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.ask("🙂" * 101)
        await chat.page.get_by_text(
            "The text has 101 characters; the gateway takes 100."
        ).wait_for()
        assert await chat.page.input_value("#question") == "🙂" * 101
        assert gateway.gpt.history == []
        gateway.gpt.enqueue(*answer("Fits"))
        shown = await chat.ask_and_wait("🙂" * 100)
        assert await shown.locator(".markdown").inner_text() == "Fits"


async def test_instructions_over_the_limit_are_named(browser: Browser, tmp_path: Path) -> None:
    """The question stays where it is, and is sent as soon as they are shorter."""
    async with (
        scripted_gateway(tmp_path, max_message_chars=50) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):

        async def instruct(words: str) -> None:
            await chat.page.click("#instructions")
            await chat.page.get_by_role("dialog").get_by_label("Instructions").fill(words)
            await chat.page.get_by_role("button", name="Save").click()

        await instruct("Be brief. " * 6)
        await chat.ask("Hello?")
        note = chat.page.locator("#ask-note", has_text="instructions have 59 characters")
        await note.wait_for()
        assert await chat.page.input_value("#question") == "Hello?"
        assert not gateway.gpt.history
        await instruct("Be brief.")
        gateway.gpt.enqueue(*answer("Hi"))
        await chat.page.click("#send")
        await chat.last_answer.get_by_text("Hi").wait_for()


async def test_edited_text_over_the_limit_is_not_sent(browser: Browser, tmp_path: Path) -> None:
    """The words stay in their place, with the reason under them."""
    async with (
        scripted_gateway(tmp_path, max_message_chars=100) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("One"))
        await chat.ask_and_wait("One?")
        await chat.page.locator("article.question").hover()
        await chat.page.get_by_label("Edit question").click()
        await chat.page.get_by_role("textbox", name="Edit question").fill("x" * 101)
        await chat.page.keyboard.press("Enter")
        await chat.page.get_by_text("The text has 101 characters").wait_for()
        assert len(gateway.gpt.history) == 1


async def test_photos_that_are_too_much_together_are_refused_before_sending(
    browser: Browser, tmp_path: Path
) -> None:
    """Each is under its limit; the body is not. One less, and it goes."""
    async with (
        scripted_gateway(tmp_path, max_body_bytes=100_000) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        photo = await make_photo(chat, 120, 120, "image/png")
        assert 40_000 < len(photo) < 75_000
        for name in ("one.png", "two.png"):
            await attach(chat, name, "image/png", photo)
            await chat.page.get_by_alt_text(name).wait_for()
        await chat.ask("Which is it?")
        await chat.page.get_by_text("Text and files have").wait_for()
        assert gateway.gpt.history == []
        await chat.page.get_by_label("Remove two.png").click()
        gateway.gpt.enqueue(*answer("The first"))
        shown = await chat.ask_and_wait("Which is it?")
        assert await shown.locator(".markdown").inner_text() == "The first"


async def test_photos_in_two_turns_are_sent_as_far_as_they_fit(
    browser: Browser, tmp_path: Path
) -> None:
    """The newest one goes, the older one is left out, and the page says so under the question."""
    async with (
        scripted_gateway(tmp_path, max_body_bytes=100_000) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        photo = await make_photo(chat, 120, 120, "image/png")
        for number in ("one", "two"):
            gateway.gpt.enqueue(*answer(f"Answer {number}"))
            await attach(chat, f"{number}.png", "image/png", photo)
            await chat.page.get_by_alt_text(f"{number}.png").wait_for()
            shown = await chat.ask_and_wait(f"Photo {number}?")
            assert await shown.locator(".markdown").inner_text() == f"Answer {number}"
        assert "Sent without 1 attachment:" in await shown.inner_text()
        assert len(sent_images(gateway)) == 1
        assert sent_texts(gateway)[0] == "[An image was here.]\nPhoto one?"


async def test_conversation_over_the_limit_of_messages_goes_on(
    browser: Browser, tmp_path: Path
) -> None:
    """Without its oldest turns, which the page says."""
    async with (
        scripted_gateway(tmp_path, max_messages=4) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for number in range(4):
            gateway.gpt.enqueue(*answer(f"Answer {number}"))
            shown = await chat.ask_and_wait(f"Question {number}?")
            assert await shown.locator(".markdown").inner_text() == f"Answer {number}"
        assert "Sent without the 2 oldest questions:" in await shown.inner_text()
        assert sent_texts(gateway) == ["Question 2?", "Answer 2", "Question 3?"]
        await chat.reload()
        await chat.last_answer.get_by_text("Answer 3").wait_for()
        assert "Sent without the 2 oldest" in await chat.last_answer.inner_text()


@pytest.mark.parametrize("code", ["content_filtered", "rejected_by_provider"])
async def test_question_that_was_refused_is_not_sent_again(
    browser: Browser, tmp_path: Path, code: str
) -> None:
    """The next one is answered, with what came before; also after a reload."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("One"))
        await chat.ask_and_wait("One?")
        gateway.gpt.enqueue(GatewayError(code))
        await chat.ask_and_wait("Something bad?")
        for words in ("Two", "Three"):
            gateway.gpt.enqueue(*answer(words))
            await chat.ask_and_wait(f"{words}?")
            assert "Something bad?" not in sent_texts(gateway)
            await chat.reload()
            await chat.last_answer.get_by_text(words).wait_for()
        assert sent_texts(gateway) == ["One?", "One", "Two?", "Two", "Three?"]


async def test_answer_to_a_conversation_that_is_too_long_comes_without_its_beginning(
    browser: Browser, tmp_path: Path
) -> None:
    """Only the vendor knows the model's window: the page asks again with half, and says so."""

    def refuse(times: int) -> None:
        for model in ("luna", "nova") * times:
            gateway.gpt.enqueue(GatewayError("context_length_exceeded"), model=model)

    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for number in range(4):
            gateway.gpt.enqueue(*answer(f"Answer {number}"))
            await chat.ask_and_wait(f"Question {number}?")
        refuse(2)
        gateway.gpt.enqueue(*answer("At last"))
        shown = await chat.ask_and_wait("Last?")
        assert await shown.locator(".markdown").inner_text() == "At last"
        assert "Sent without the 3 oldest questions:" in await shown.inner_text()
        assert sent_texts(gateway) == ["Question 3?", "Answer 3", "Last?"]
        gateway.gpt.enqueue(*answer("Further"))
        await chat.ask_and_wait("More?")
        assert sent_texts(gateway) == ["Question 3?", "Answer 3", "Last?", "At last", "More?"]


async def leave_out_limits(route: Route) -> None:
    """Answer as a gateway that does not name them."""
    config = await (await route.fetch()).json()
    await route.fulfill(json=config | {"limits": None})


async def test_limit_that_the_page_did_not_know_costs_no_later_question(
    browser: Browser, tmp_path: Path
) -> None:
    """An older gateway says no limits. Its refusal is no reason to send the same again."""
    async with (
        scripted_gateway(tmp_path, max_messages=3) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await chat.page.route("**/ui/config", leave_out_limits)
        await chat.start()
        bodies: list[dict[str, Any]] = []

        def note(request: Request) -> None:
            if request.method == "POST":
                bodies.append(json.loads(request.post_data or ""))

        chat.page.on("request", note)
        for number in range(3):
            gateway.gpt.enqueue(*answer(f"Answer {number}"))
            shown = await chat.ask_and_wait(f"Question {number}?")
            assert await shown.locator(".markdown").inner_text() == f"Answer {number}"
        assert [len(body["messages"]) for body in bodies] == [1, 3, 5, 3]
