"""Versions on the page: nothing that was asked or answered is lost by asking again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from configuration import VALID_PROVIDERS, ProviderOptions
from models import GatewayError, Reasoning, Text
from providers.wires.finish_reasons import Finish
from tests.clients.page_browser import ChatPage, chat_page
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway, silence
from tests.vendors.scripted_provider import STOP, ScriptedProvider

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

LENGTH = Finish("length", "length", None)
TWO_PROVIDERS: dict[str, Any] = {
    "vendors": {name: ProviderOptions() for name in VALID_PROVIDERS}
    | {
        name: ProviderOptions(
            api_key=SecretStr("sk-of-a-test"), model_default="luna", model_fallback="nova"
        )
        for name in ("gpt", "claude")
    }
}


def claude_of(gateway: ScriptedGateway) -> ScriptedProvider:
    """The second scripted provider."""
    provider: ScriptedProvider = gateway.running.app.state.services.gateway.factory.scripted[
        "claude"
    ]
    return provider


async def shown(chat: ChatPage) -> list[str]:
    """The questions and answers on the page, in their order."""
    return await chat.page.locator("article .bubble, article.answer .markdown").all_inner_texts()


async def edit(chat: ChatPage, number: int, words: str) -> None:
    """Put a question another way."""
    question = chat.page.locator("article.question").nth(number)
    await question.hover()
    await question.get_by_label("Edit question").click()
    await chat.page.get_by_role("textbox", name="Edit question").fill(words)
    await chat.page.keyboard.press("Enter")


async def test_ask_again_keeps_the_former_answer(browser: Browser, tmp_path: Path) -> None:
    """And all that followed it; each version is one click, or one key, away, also after a reload."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for words in ("Heads", "More heads", "Tails"):
            gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait("Which?")
        await chat.ask_and_wait("Sure?")
        await chat.answers.first.get_by_label("Ask again", exact=True).click()
        await chat.last_answer.get_by_text("Tails").wait_for()
        assert await shown(chat) == ["Which?", "Tails"]
        position = chat.answers.first.locator(".versions .position")
        assert await position.inner_text() == "2/2"
        await chat.answers.first.get_by_label("Previous version").click()
        await position.get_by_text("1/2").wait_for()
        assert await shown(chat) == ["Which?", "Heads", "Sure?", "More heads"]
        focused = "document.activeElement.getAttribute('aria-label')"
        assert await chat.page.evaluate(focused) == "Next version"
        await chat.reload()
        await chat.last_answer.get_by_text("More heads").wait_for()
        assert await shown(chat) == ["Which?", "Heads", "Sure?", "More heads"]


async def test_edit_keeps_the_former_question(browser: Browser, tmp_path: Path) -> None:
    """With its answer; the next question goes to the branch that is shown, and the model gets that branch alone."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for words in ("Of cats", "Of dogs", "More of cats"):
            gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait("Cats?")
        await edit(chat, 0, "Dogs?")
        await chat.last_answer.get_by_text("Of dogs").wait_for()
        versions = chat.page.locator("article.question .versions")
        assert await versions.inner_text() == "2/2"
        await versions.get_by_label("Previous version").click()
        await chat.last_answer.get_by_text("Of cats").wait_for()
        await chat.ask_and_wait("And?")
        assert await shown(chat) == ["Cats?", "Of cats", "And?", "More of cats"]
        texts = [part.text for turn in gateway.gpt.history[-1].prompt.turns for part in turn.parts]  # type: ignore[union-attr]
        assert texts == ["Cats?", "Of cats", "And?"]


async def test_failed_attempts_are_no_versions(browser: Browser, tmp_path: Path) -> None:
    """What has no words is not counted once there is something better."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for model in ("luna", "luna", "nova", "nova"):
            gateway.gpt.enqueue(GatewayError("upstream_unavailable"), model=model)
        await chat.ask_and_wait("Hello?")
        gateway.gpt.enqueue(*answer("Well"))
        await chat.last_answer.get_by_role("button", name="Try again").click()
        await chat.last_answer.get_by_text("Well").wait_for()
        assert await chat.last_answer.locator(".versions .position").count() == 0


async def test_same_question_is_asked_of_another_provider(browser: Browser, tmp_path: Path) -> None:
    """Its answer is another version, and the two stand side by side; the reader goes on with either."""
    async with (
        scripted_gateway(tmp_path, **TWO_PROVIDERS) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("A **GPT** answer"))
        claude_of(gateway).enqueue(*answer("A Claude answer"))
        await chat.ask_and_wait("Who?", "gpt")
        await chat.last_answer.get_by_role("button", name="Ask another provider").click()
        await chat.page.locator(".menu:popover-open").get_by_role("button", name="Claude").click()
        await chat.last_answer.get_by_text("A Claude answer").wait_for()
        assert await chat.page.input_value("#provider") == "claude"
        await chat.last_answer.get_by_role("button", name="Compare").click()
        dialog = chat.page.get_by_role("dialog")
        columns = dialog.locator("section")
        await columns.first.get_by_text("A GPT answer").wait_for()
        await columns.last.get_by_text("A Claude answer").wait_for()
        assert await columns.first.locator("strong").inner_text() == "GPT"
        left, right = [await columns.nth(number).bounding_box() for number in (0, 1)]
        assert left is not None
        assert right is not None
        assert left["x"] + left["width"] <= right["x"]
        await columns.first.get_by_role("button", name="Go on with this one").click()
        await chat.last_answer.get_by_text("A GPT answer").wait_for()
        assert await chat.last_answer.locator(".versions .position").inner_text() == "1/2"


async def test_compared_answers_look_as_in_the_conversation(
    browser: Browser, tmp_path: Path
) -> None:
    """Their words have the same size and colour: they are what is to be read."""
    look = "(text) => [getComputedStyle(text).fontSize, getComputedStyle(text).color]"
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        for words in ("Heads", "Tails"):
            gateway.gpt.enqueue(*answer(words))
        await chat.ask_and_wait("Which?")
        await chat.last_answer.get_by_label("Ask again", exact=True).click()
        text = chat.page.locator("#thread .markdown p")
        await text.get_by_text("Tails").wait_for()
        await chat.last_answer.get_by_role("button", name="Compare").click()
        compared = chat.page.locator(".compared .markdown p", has_text="Tails")
        assert await compared.evaluate(look) == await text.evaluate(look)


@pytest.mark.parametrize("ending", ["stopped", "length", "cut"])
async def test_answer_that_is_not_whole_goes_on(
    browser: Browser, tmp_path: Path, ending: str
) -> None:
    """The rest is joined to what there was; the model is shown that, and the former version stays."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        if ending == "length":
            gateway.gpt.enqueue(*answer("Once upon", finish=LENGTH))
            await chat.ask_and_wait("A story?")
        else:
            gateway.gpt.enqueue([Text("Once upon")], silence)
            await chat.ask("A story?")
            await chat.last_answer.get_by_text("Once upon").wait_for()
        if ending == "stopped":
            await chat.page.locator("#stop:enabled").click()
        elif ending == "cut":
            for connection in list(gateway.running.server.server_state.connections):
                connection.transport.abort()
        gateway.gpt.enqueue(*answer(" a time."))
        await chat.last_answer.get_by_role("button", name="Continue").click()
        await chat.last_answer.get_by_text("Once upon a time.").wait_for()
        await chat.last_answer.locator("footer.facts").wait_for()
        assert await chat.last_answer.locator(".problem").count() == 0
        turns = gateway.gpt.history[-1].prompt.turns
        assert [turn.role for turn in turns] == ["user", "assistant", "user"]
        assert turns[1].parts == (Text("Once upon"),)
        assert await chat.last_answer.locator(".versions .position").inner_text() == "2/2"
        chat.complaints.clear()  # the browser reports a broken connection, too


async def test_restart_of_a_continued_answer_keeps_its_beginning(
    browser: Browser, tmp_path: Path
) -> None:
    """Only what the broken model had added is thrown away."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("Once upon", finish=LENGTH))
        await chat.ask_and_wait("A story?")
        gateway.gpt.enqueue([Text(" a ti")], GatewayError("upstream_truncated"))
        gateway.gpt.enqueue(*answer(" two times."), model="nova")
        await chat.last_answer.get_by_role("button", name="Continue").click()
        await chat.last_answer.get_by_text("Once upon two times.").wait_for()
        assert "Begun anew" in await chat.last_answer.inner_text()


async def test_instructions_come_first(browser: Browser, tmp_path: Path) -> None:
    """Those of the conversation, from its first question on; they are kept, and can be kept for other chats."""
    async with (
        scripted_gateway(tmp_path, system_prompt="none") as gateway,
        chat_page(browser, gateway.running.url, locale="en") as chat,
    ):
        gateway.gpt.enqueue(*answer("Short"))
        gateway.gpt.enqueue(*answer("Shorter"))
        await chat.page.get_by_label("Instructions", exact=True).click()
        dialog = chat.page.get_by_role("dialog")
        await dialog.get_by_role("textbox", name="Instructions").fill("Be brief.")
        await dialog.get_by_role("textbox", name="Name to keep them by").fill("Brief")
        await dialog.get_by_role("button", name="Keep for other chats").click()
        await dialog.get_by_role("button", name="Brief", exact=True).wait_for()
        await dialog.get_by_role("button", name="Save").click()
        await chat.page.locator('#instructions[aria-pressed="true"]').wait_for()
        await chat.ask_and_wait("How?")
        assert gateway.gpt.history[-1].prompt.system == "Be brief."
        await chat.reload()
        await chat.last_answer.get_by_text("Short").wait_for()
        await chat.ask_and_wait("And now?")
        assert gateway.gpt.history[-1].prompt.system == "Be brief."
        await chat.page.click("#new-chat")
        gateway.gpt.enqueue(*answer("As ever"))
        await chat.ask_and_wait("How?")
        assert not gateway.gpt.history[-1].prompt.system
        await chat.page.get_by_label("Instructions", exact=True).click()
        await dialog.get_by_role("button", name="Brief", exact=True).click()
        assert await dialog.get_by_role("textbox", name="Instructions").input_value() == "Be brief."
        await dialog.get_by_label("Remove Brief").click()
        await dialog.get_by_role("button", name="Brief", exact=True).wait_for(state="detached")
        await chat.page.keyboard.press("Escape")


async def test_thinking_of_a_continued_answer_stays(browser: Browser, tmp_path: Path) -> None:
    """It is that of both parts."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue([Reasoning("Let me see. "), Text("Once")], [LENGTH])
        gateway.gpt.enqueue([Reasoning("Further. "), Text(" more")], [STOP])
        await chat.ask_and_wait("A story?")
        await chat.last_answer.get_by_role("button", name="Continue").click()
        await chat.last_answer.get_by_text("Once more").wait_for()
        await chat.last_answer.locator("summary").first.click()
        assert await chat.last_answer.locator(".thoughts").inner_text() == "Let me see. Further. "
