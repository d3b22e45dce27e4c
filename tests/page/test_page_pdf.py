"""PDFs that are attached to a question on the page, in a real browser."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from models import File, Text
from tests.clients.page_browser import chat_page
from tests.gateways.demo import demo_gateway
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, FilePayload

pytestmark = pytest.mark.asyncio(loop_scope="session")

PDF = b"%PDF-1.7\n%%EOF\n"


def file(name: str, content: bytes, kind: str = "application/pdf") -> FilePayload:
    """A file as it is chosen."""
    return {"name": name, "mimeType": kind, "buffer": content}


@pytest.mark.parametrize("kind", ["application/pdf", ""])
async def test_pdf_goes_with_the_question(browser: Browser, tmp_path: Path, kind: str) -> None:
    """Shown by its name and size, before and after; it is kept, and goes with the next question, too."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.set_input_files("#image-files", file("Report.PDF", PDF, kind))
        await chat.page.locator("#attached", has_text="Report.PDF (0.1 MB)").wait_for()
        await chat.reload()
        await chat.page.locator("#attached", has_text="Report.PDF").wait_for()
        gateway.gpt.enqueue(*answer("A report"))
        await chat.ask_and_wait("What is it?")
        sent = File("application/pdf", base64.b64encode(PDF).decode(), "Report.PDF")
        assert gateway.gpt.history[0].prompt.turns[0].parts == (sent, Text("What is it?"))
        assert await chat.page.locator("#attached li").count() == 0
        await chat.wait_until_written()
        await chat.reload()
        await chat.page.locator("article.question", has_text="Report.PDF (0.1 MB)").wait_for()
        gateway.gpt.enqueue(*answer("By me"))
        await chat.ask_and_wait("By whom?")
        assert gateway.gpt.history[1].prompt.turns[0].parts[0] == sent


async def test_pdf_over_the_limit_is_refused_in_its_place(browser: Browser, tmp_path: Path) -> None:
    """The question stays as it is, with the reason; without the file it is sent."""
    async with (
        scripted_gateway(tmp_path, max_file_bytes=200_000) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.set_input_files("#image-files", file("a.pdf", PDF.ljust(300_000)))
        await chat.page.locator("#attached", has_text="a.pdf").wait_for()
        await chat.ask("What is it?")
        said = chat.page.get_by_text("A PDF has 0.3 MB; the gateway takes 0.2 MB.")
        await said.wait_for()
        assert await chat.page.input_value("#question") == "What is it?"
        await chat.page.get_by_label("Remove a.pdf").click()
        gateway.gpt.enqueue(*answer("Nothing"))
        await chat.ask_and_wait("What is it?")
        assert gateway.gpt.history[0].prompt.turns[0].parts == (Text("What is it?"),)


async def test_pdf_waits_for_a_provider_that_reads_it(browser: Browser, tmp_path: Path) -> None:
    """Nothing is sent to one that does not; asked next, that one gets the conversation without the file."""
    async with (
        demo_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.url) as chat,
    ):
        await chat.page.set_input_files("#image-files", file("a.pdf", PDF))
        await chat.page.locator("#attached", has_text="a.pdf").wait_for()
        await chat.ask("What is it?", "groq")
        await chat.page.locator("#ask-note", has_text="This provider reads no PDFs.").wait_for()
        assert await chat.answers.count() == 0
        assert await chat.page.input_value("#question") == "What is it?"
        shown = await chat.ask_and_wait("What is it?", "claude")
        assert "and 1 file." in await shown.inner_text()
        shown = await chat.ask_and_wait("And now?", "groq")
        assert "Sent without 1 attachment:" in await shown.inner_text()
        assert "simulated" in await shown.inner_text()
