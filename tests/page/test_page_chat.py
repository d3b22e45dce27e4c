"""Chats on the page, in a real browser: how an answer comes, how it ends, and what stands under it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import TYPE_CHECKING

import pytest

from configuration import GatewayKey
from models import GatewayError, Image, Reasoning, Text
from simulator import Scripted, Thought
from tests.clients.page_browser import chat_page, simulated_page
from tests.gateways.demo import VENDORS, demo_gateway
from tests.gateways.scripted import answer, scripted_gateway, silence

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = GatewayKey("phone", "65e7c884acfb26ee88bc691eec57b9bca581dc8af87485aab42fa2e9c1d05370")
NAMES = {"gpt": "GPT", "claude": "Claude", "gemini": "Gemini", "groq": "Groq"}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

GIVE = """([kind, data]) => {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
    transfer.items.add(new File([Uint8Array.of(80, 75, 0, 1)], "note.zip", { type: "application/zip" }));
    const options = { clipboardData: transfer, dataTransfer: transfer, bubbles: true, cancelable: true };
    const event = kind === "paste" ? new ClipboardEvent(kind, options) : new DragEvent(kind, options);
    document.getElementById("question").dispatchEvent(event);
}"""


@pytest.mark.usefixtures("quick_demo")
@pytest.mark.parametrize("provider", VENDORS)
async def test_whole_chat_in_demo_mode(browser: Browser, tmp_path: Path, provider: str) -> None:
    """A question to each provider is answered to its last word, and the page says that it is a demo."""
    async with demo_gateway(tmp_path) as gateway, chat_page(browser, gateway.url) as chat:
        shown = await chat.ask_and_wait("How far is the moon?", provider)
        assert "You asked luna: “How far is the moon?”" in await shown.inner_text()
        assert "reaches the real model." in await shown.inner_text()
        assert await shown.locator("em").inner_text() == "simulated"
        assert f"luna · {NAMES[provider]}" in await chat.facts()
        assert await chat.page.locator("#demo").is_visible()
        assert await chat.status() == "The answer is complete"


async def test_answer_is_shown_as_it_comes(browser: Browser, tmp_path: Path) -> None:
    """The first words are on the page while the last are not yet written; the stream is not announced by the word."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Hello **wor")], gate.wait, [Text("ld**")], *answer("!"))
        await chat.ask("Hello?")
        await chat.last_answer.get_by_text("Hello").wait_for()
        assert await chat.last_answer.get_attribute("aria-busy") == "true"
        assert await chat.last_answer.locator("[aria-live], [role=log]").count() == 0
        gate.set()
        await chat.last_answer.locator("footer.facts").wait_for()
        html = await chat.last_answer.locator(".markdown").inner_html()
        assert html.strip() == '<p dir="auto">Hello <strong>world</strong>!</p>'
        assert await chat.last_answer.get_attribute("aria-busy") == "false"


async def test_facts_stand_under_the_answer(browser: Browser, tmp_path: Path) -> None:
    """Model, provider, tokens, times, and the request's id, which a click copies."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Hi"))
        async with chat.page.expect_response("**/chat/gpt") as asked:
            await chat.ask_and_wait("Hello?")
        request_id = (await (await asked.value).all_headers())["x-request-id"]
        facts = await chat.facts()
        for fact in ("luna · GPT", "12 tokens", request_id[:8]):
            assert fact in facts
        for timing in (r"first word \d+\.\d\d s", r"total \d+\.\d\d s"):
            assert re.search(timing, facts)
        assert await chat.last_answer.locator(".badge").count() == 0
        assert not await chat.last_answer.locator(".request").is_visible()
        await chat.last_answer.get_by_label("About this answer").click()
        await chat.last_answer.locator(".request").click()
        await chat.page.get_by_text("Request id copied").wait_for(state="attached")
        assert await chat.page.evaluate("navigator.clipboard.readText()") == request_id


async def test_answer_is_copied_as_it_was_written(browser: Browser, tmp_path: Path) -> None:
    """With its Markdown; over plain HTTP, too, which gives pages no clipboard."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("A **moon**"))
        await chat.ask_and_wait("Hello?")
        for has_clipboard in (True, False):
            await chat.page.evaluate("navigator.clipboard.writeText('nothing')")
            if not has_clipboard:
                await chat.page.evaluate("delete Clipboard.prototype.writeText")
            await chat.page.evaluate("document.getElementById('status').textContent = ''")
            await chat.last_answer.get_by_label("Copy answer").click()
            await chat.page.get_by_text("Copied").wait_for(state="attached")
            assert await chat.page.evaluate("navigator.clipboard.readText()") == "A **moon**"


async def test_stop_keeps_what_came(browser: Browser, tmp_path: Path) -> None:
    """The stop button closes the vendor's stream, and the text that came stays, said not to be whole."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], silence)
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        await chat.page.click("#stop")
        await chat.last_answer.get_by_text("Stopped. This answer is not whole.").wait_for()
        async with asyncio.timeout(10):
            await gateway.gpt.history[0].closed.wait()
        assert "Once upon" in await chat.last_answer.inner_text()
        assert await chat.page.locator("#send").is_visible()


async def test_retry_asks_the_same_question_again(browser: Browser, tmp_path: Path) -> None:
    """A new answer takes the last one's place."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Heads"))
        gateway.gpt.enqueue(*answer("Tails"))
        await chat.ask_and_wait("Heads or tails?")
        await chat.last_answer.get_by_label("Ask again").click()
        await chat.last_answer.get_by_text("Tails").wait_for()
        assert await chat.answers.count() == 1
        first, second = (asked.prompt for asked in gateway.gpt.history)
        assert first.turns == second.turns


async def test_edit_goes_on_from_an_earlier_question(browser: Browser, tmp_path: Path) -> None:
    """What followed the question is dropped, and the model gets what stood before it."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for words in ("One", "Two", "Three"):
            gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait("First?")
        await chat.ask_and_wait("Second?")
        question = chat.page.locator("article.question").first
        await question.hover()
        await question.get_by_label("Edit question").click()
        await chat.page.get_by_role("textbox", name="Edit question").fill("First, rather?")
        await chat.page.keyboard.press("Enter")
        await chat.last_answer.get_by_text("Three").wait_for()
        assert await chat.answers.count() == 1
        (turn,) = gateway.gpt.history[-1].prompt.turns
        assert turn.parts[0].text == "First, rather?"  # type: ignore[union-attr]


async def test_edit_stops_the_answer_that_is_coming(browser: Browser, tmp_path: Path) -> None:
    """A reader that rewords the question does not need the rest."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], silence)
        gateway.gpt.enqueue(*answer("Two"))
        await chat.ask("First?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        await chat.page.locator("article.question").hover()
        await chat.page.get_by_role("button", name="Edit question").click()
        await chat.page.keyboard.type("Second?")
        await chat.page.keyboard.press("Enter")
        await chat.last_answer.get_by_text("Two").wait_for()
        assert await chat.answers.count() == 1
        assert await chat.page.locator("#send").is_visible()


async def test_conversation_is_sent_whole(browser: Browser, tmp_path: Path) -> None:
    """The second question comes with the first and its answer, under the conversation id that the first one got."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("One"))
        gateway.gpt.enqueue(*answer("Two"))
        await chat.ask_and_wait("First?")
        async with chat.page.expect_request("**/chat/gpt") as sent:
            await chat.ask_and_wait("Second?")
        body = json.loads((await sent.value).post_data or "")
        turns = [(turn.role, turn.parts[0].text) for turn in gateway.gpt.history[1].prompt.turns]  # type: ignore[union-attr]
    assert turns == [("user", "First?"), ("assistant", "One"), ("user", "Second?")]
    assert len(body["conversation_id"]) == 36
    assert body["on_break"] == "restart"


async def test_fallback_is_named(browser: Browser, tmp_path: Path) -> None:
    """Which model was given up, and why, stands beside the one that answered."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(GatewayError("upstream_timeout"))
        gateway.gpt.enqueue(*answer("Hi"), model="nova")
        shown = await chat.ask_and_wait("Hello?")
        badge = shown.locator(".badge")
        assert await badge.inner_text() == "answered in place of luna"
        assert "upstream_timeout" in str(await badge.get_attribute("title"))
        assert "nova · GPT" in await chat.facts()


async def test_restart_is_announced(browser: Browser, tmp_path: Path) -> None:
    """If the answer breaks, the next model's takes its place at once, and the page says so; the first one is gone."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
        gateway.gpt.enqueue([Text("Good ")], gate.wait, *answer("day"), model="nova")
        await chat.ask("Hello?")
        await chat.last_answer.get_by_text("Good").wait_for()
        notice = chat.last_answer.locator(".notice")
        assert (await notice.inner_text()).startswith(
            "Begun anew: luna broke off after 3 characters, and nova answered from the start."
        )
        await notice.get_by_text("Details").click()
        assert await notice.locator("code").inner_text() == "upstream_truncated"
        assert await chat.status() == "The answer was begun anew by another model"
        gate.set()
        await chat.last_answer.locator("footer.facts").wait_for()
        assert await chat.last_answer.locator(".markdown").inner_text() == "Good day"
        assert await chat.last_answer.locator(".notice").is_visible()


async def test_error_stands_in_its_place(browser: Browser, tmp_path: Path) -> None:
    """In a sentence, with what helps; its code, message and request id are folded away."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(GatewayError("content_filtered"))
        gateway.gpt.enqueue(*answer("Better now"))
        async with chat.page.expect_response("**/chat/gpt") as asked:
            shown = await chat.ask_and_wait("Hello?")
        problem = shown.locator(".problem")
        message = await problem.locator(".message").inner_text()
        assert message == "GPT does not answer this question: its content filter blocked it."
        assert not await problem.get_by_text("content_filtered").first.is_visible()
        await problem.get_by_text("Details").click()
        details = await problem.locator("details").inner_text()
        assert (
            "content_filtered · 422 · The provider's content filter blocked the prompt." in details
        )
        assert (await (await asked.value).all_headers())["x-request-id"] in details
        assert "The answer failed" in await chat.status()
        assert await shown.get_by_role("button", name="Try again").count() == 0
        await problem.get_by_role("button", name="Change the question").click()
        await chat.page.get_by_role("textbox", name="Edit question").fill("Hello again?")
        await chat.page.keyboard.press("Enter")
        await chat.last_answer.get_by_text("Better now").wait_for()
        assert await chat.answers.count() == 1


async def test_text_before_an_error_stays(browser: Browser, tmp_path: Path) -> None:
    """Marked as cut."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], GatewayError("upstream_truncated"))
        gateway.gpt.enqueue(
            [Text("Long ago")], GatewayError("upstream_timeout", reason="stalled"), model="nova"
        )
        shown = await chat.ask_and_wait("A story?")
        assert await shown.locator(".markdown").inner_text() == "Long ago"
        assert "The text above is cut" in await shown.locator(".problem").inner_text()
        message = await shown.locator(".problem .message").inner_text()
        assert message == "GPT broke off in the middle of its answer."


async def test_answer_without_a_word_says_so(browser: Browser, tmp_path: Path) -> None:
    """A model that ends at once leaves no empty place, and can be asked again."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer(""))
        shown = await chat.ask_and_wait("Hello?")
        await shown.get_by_text("The model has ended its answer without a word.").wait_for()
        gateway.gpt.enqueue(*answer("Hi"))
        await shown.get_by_label("Ask again", exact=True).click()
        await chat.last_answer.get_by_text("Hi", exact=True).wait_for()
        assert await chat.last_answer.get_by_text("without a word").count() == 0


async def test_stream_without_its_ending_is_cut(browser: Browser, tmp_path: Path) -> None:
    """A connection that ends in mid-answer leaves an answer that is said not to be whole."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Text("Once upon")], silence)
        await chat.ask("A story?")
        await chat.last_answer.get_by_text("Once upon").wait_for()
        for connection in list(gateway.running.server.server_state.connections):
            connection.transport.abort()
        await chat.last_answer.get_by_text("Cut: the stream stopped before its end.").wait_for()
        assert "Once upon" in await chat.last_answer.inner_text()
        assert await chat.status() == "The answer was cut"
        chat.complaints.clear()  # the browser reports the broken connection, too


async def test_unreachable_gateway_is_reported(browser: Browser, tmp_path: Path) -> None:
    """No stack of a failed fetch: plain words, and a way to try again."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, offline=False) as chat,
    ):
        await chat.page.context.set_offline(True)
        shown = await chat.ask_and_wait("Hello?")
        assert "The gateway cannot be reached." in await shown.inner_text()
        chat.complaints.clear()  # the browser reports the failed request, too


async def test_thinking_is_folded_away(browser: Browser, tmp_path: Path) -> None:
    """It is there to be opened, and no part of the answer."""
    script = Scripted((Thought("Let me see. "), Thought("Yes."), "It is"))
    async with simulated_page(browser, tmp_path, {"luna": script}) as (chat, _):
        shown = await chat.ask_and_wait("Is it?", "claude")
        assert await shown.locator(".markdown").inner_text() == "It is"
        assert not await shown.locator(".thoughts").is_visible()
        await shown.locator("summary").click()
        assert await shown.locator(".thoughts").inner_text() == "Let me see. Yes."


async def test_thinking_says_for_how_long(browser: Browser, tmp_path: Path) -> None:
    """Each second while the model thinks, and then how long it was."""
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        await chat.page.clock.install()
        gateway.gpt.enqueue([Reasoning("Let me see. ")], gate.wait, *answer("It is"))
        await chat.ask("Is it?")
        words = chat.last_answer.locator(".thinking summary")
        await words.get_by_text("Thinking …").wait_for()
        await chat.page.clock.fast_forward(30_000)
        await words.get_by_text(re.compile(r"Thinking … 3\d seconds")).wait_for()
        gate.set()
        await words.get_by_text(re.compile(r"Thought for \d\d seconds")).wait_for()


async def test_images_are_attached(browser: Browser, tmp_path: Path) -> None:
    """By button, paste or drop, and taken away again; shown and sent with the question. No other file is taken."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("A dot"))
        await chat.page.set_input_files(
            "#image-files",
            {"name": "dot.png", "mimeType": "image/png", "buffer": base64.b64decode(PIXEL)},
        )
        await chat.page.get_by_alt_text("dot.png").wait_for()
        for kind in ("paste", "drop"):
            await chat.page.evaluate(GIVE, [kind, PIXEL])
            await chat.page.get_by_alt_text(f"{kind}.png").wait_for()
        await chat.page.get_by_label("Remove dot.png").click()
        note = await chat.page.locator("#ask-note").inner_text()
        assert note.startswith("Not attached: note.zip. Images, PDFs")
        await chat.ask_and_wait("What is it?")
        parts = gateway.gpt.history[0].prompt.turns[0].parts
        assert [type(part) for part in parts] == [Image, Image, Text]
        assert await chat.page.locator("article.question img").count() == 2


async def test_gateway_key_is_asked_for_once(browser: Browser, tmp_path: Path) -> None:
    """It is kept for the session alone, sent with each chat, and never shown in a command."""
    async with (
        scripted_gateway(tmp_path, gateway_api_keys=(KEY,)) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("One"))
        gateway.gpt.enqueue(*answer("Two"))
        await chat.ask("First?")
        await chat.page.locator("dialog[open] input").fill("gw-phone")
        await chat.page.keyboard.press("Enter")
        await chat.last_answer.get_by_text("One").wait_for()
        await chat.ask_and_wait("Second?")
        await chat.last_answer.get_by_label("Copy the request as curl").click()
        await chat.page.get_by_text("Copied").wait_for(state="attached")
        command = await chat.page.evaluate("navigator.clipboard.readText()")
        kept = await chat.page.evaluate("JSON.stringify(localStorage) + document.cookie")
    assert "$GATEWAY_KEY" in command
    assert "gw-phone" not in command + kept


async def test_request_is_copied_as_curl(browser: Browser, tmp_path: Path) -> None:
    """The command asks the same again, whatever quotes the question has."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("One"))
        gateway.gpt.enqueue(*answer("Two"))
        await chat.ask_and_wait('It\'s $HOME, `id` and "so on"\nJSON\n?')
        await chat.last_answer.get_by_label("Copy the request as curl").click()
        await chat.page.get_by_text("Copied").wait_for(state="attached")
        command = await chat.page.evaluate("navigator.clipboard.readText()")
        process = await asyncio.create_subprocess_exec(
            "sh", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate(command.encode())
        first, second = (asked.prompt for asked in gateway.gpt.history)
    assert output.endswith(b"data: [DONE]\n\n")
    assert first.turns == second.turns


async def test_providers_are_those_that_are_configured(browser: Browser, tmp_path: Path) -> None:
    """With their health: one whose requests failed says so."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        assert await chat.page.locator("#provider option").all_inner_texts() == ["GPT · luna"]
        for model in ("luna", "luna", "nova", "nova"):
            gateway.gpt.enqueue(GatewayError("upstream_unavailable"), model=model)
        await chat.ask_and_wait("Hello?")
        await chat.page.locator("#health[data-state=ERROR]").wait_for()
        assert await chat.page.locator("#health-words").text_content() == "GPT: requests fail"
