"""The page under load, in a real browser: it does little for each piece of an answer, and weighs little itself.

What is held here is how much is done; how long that takes depends on the machine, see docs/chat_page.md.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from models import Text
from tests.clients.page_browser import chat_page, load_module
from tests.exhaustive import exhaustive
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from tests.vendors.scripted_provider import Step

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS_A_DELTA = 10
DELTAS_A_SECOND = 200
CONVERSATIONS = 600
PAGE_BYTES = 120_000  # compressed

COUNT = """() => {
    const counted = globalThis.counted = { frames: 0, drawings: 0, nodes: 0 };
    const frame = () => { counted.frames += 1; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
    new MutationObserver((changes) => {
        counted.drawings += 1;
        for (const { addedNodes } of changes) counted.nodes += addedNodes.length;
    }).observe(document.getElementById("thread"), { childList: true, subtree: true });
}"""
KEEP = """async (count) => {
    const [{ Database }, { Disk }, { fromVersion1 }] = [DATABASE, DISK, RECORDS];
    const changes = Array.from({ length: count }, (_, number) => {
        const turns = Array.from({ length: 5 }, () => ({
            text: `Question ${number}`, images: [],
            answer: { state: "whole", model: "luna", text: "An **answer**. ".repeat(50) },
        }));
        const { head, nodes } = fromVersion1({ id: `c-${number}`, title: `About ${number}`, provider: "gpt",
            updatedAt: number, turns });
        return { id: head.id, patch: {}, nodes, whole: { head, nodes } };
    });
    await new Disk(new Database()).write(changes);
}"""
for name in ("database", "disk", "records"):
    KEEP = KEEP.replace(name.upper(), load_module(f"chat/{name}.js"))
SIZES = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map(({ name, transferSize, encodedBodySize }) => [name, transferSize, encodedBodySize])"""


def long_answer(count: int) -> list[Step]:
    """So many words in paragraphs, at a steady pace."""
    words = [f"word{number}{'.' if number % 80 else chr(10) * 2}" for number in range(1, count + 1)]
    pieces = [
        " ".join(words[start : start + WORDS_A_DELTA]) + " "
        for start in range(0, count, WORDS_A_DELTA)
    ]
    steps: list[Step] = []
    for piece in pieces:
        steps += [[Text(piece)], 1 / DELTAS_A_SECOND]
    return [*steps, *answer("The end.")]


@pytest.mark.parametrize("words", [4_000, *exhaustive(20_000)])
async def test_long_answer_is_drawn_once_a_frame(
    browser: Browser, tmp_path: Path, words: int
) -> None:
    """However fast the deltas come; and a paragraph that is done is never touched again."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*long_answer(words))
        await chat.page.evaluate(COUNT)
        await chat.ask("A long story?")
        first = chat.last_answer.locator(".markdown > p").first
        await chat.page.locator(".markdown > p + p").first.wait_for()
        await first.evaluate("(element) => element.isTheSame = true")
        await chat.last_answer.locator("footer.facts").wait_for(timeout=90_000)
        counted = await chat.page.evaluate("globalThis.counted")
        assert await first.evaluate("(element) => element.isTheSame")
        assert await chat.last_answer.locator(".markdown > p").count() == words / 80 + 1
        assert (
            counted["drawings"] <= counted["frames"] + 10
        )  # with the list's and the answer's beginning and end
        assert counted["nodes"] < 4 * (counted["drawings"] + words / 80)


BLOCKS = {  # its head, a line, what is its first part in the page, and what is shown of a line
    "list": ("", "- an item\n", "li", "an item"),
    "table": ("|a|b|\n|-|-|\n", "|1|2|\n", "tbody tr", "1\t2"),
    "code": ("```\n", "x = 1\n", "code", "x = 1"),
}


@pytest.mark.parametrize("kind", BLOCKS)
async def test_long_block_grows_at_its_end(browser: Browser, tmp_path: Path, kind: str) -> None:
    """A list, a table or a code block that is being written is not made anew for each of its lines."""
    head, line, first_part, shown = BLOCKS[kind]
    lines = 600
    gate = asyncio.Event()
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        script: list[Step] = [[Text(head + line * lines)], gate.wait]
        script += [[Text(line)] for _ in range(lines)]
        gateway.gpt.enqueue(*script, *answer("\n"))
        await chat.ask("A long one?")
        first = chat.last_answer.locator(first_part).first
        await first.wait_for()
        await first.evaluate("(element) => element.isTheSame = true")
        await chat.page.evaluate(COUNT)
        gate.set()
        await chat.last_answer.locator("footer.facts").wait_for()
        counted = await chat.page.evaluate("globalThis.counted")
        if kind != "code":  # which gets its colours at its end
            assert await first.evaluate("(element) => element.isTheSame")
        assert counted["nodes"] < 4 * lines
        text = await chat.last_answer.locator(".markdown").inner_text()
        assert text.count(shown) == 2 * lines


PIECES = [
    *(
        "# Title\n",
        "text *it* **bold** `code`",
        "\n\n",
        "\n",
        "- item\n",
        "- item\n\n",
        "  - nested\n",
        "1. one\n2. two\n",
    ),
    *(
        "```python\nx = 1\n",
        "```\n",
        "    indented\n",
        "> quote\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "---\n",
    ),
    *(
        "[l][x] ",
        "[x]: https://example.com\n",
        "<b>b</b>",
        "H<sub>2</sub>O ",
        "<div>\n",
        "$a_b$ ",
        "\\[ x \\]",
        "\r\n",
    ),
    *(
        "![i](https://example.com/a.png)",
        "- [ ] task\n",
        "\t",
        "===\n",
        "~~~\n",
        "* star\n",
        "| 1 | 2 |\n",
    ),
    *("words " * 30, "- item\n" * 30, "x = 1\n" * 400, "|a|b|\n|-|-|\n" + "|1|2|\n" * 30),
]
COMPARE = """async (texts) => {
    const { GrowingMarkdown } = MODULE;
    await LIBRARY.loadMath();
    const show = async (steps) => {
        const element = document.createElement("div");
        document.body.append(element);
        await new Promise((resolve) => {
            const markdown = new GrowingMarkdown(element, resolve);
            steps.forEach((text, number) => markdown.show(text, { isLast: number === steps.length - 1 }));
        });
        await new Promise((resolve) => setTimeout(resolve)); // for the colours
        element.remove();
        for (const code of element.querySelectorAll("pre code")) code.replaceChildren(code.textContent);
        return element.innerHTML.replace(/\\s+/g, "");
    };
    const different = [];
    for (const [text, cuts] of texts) {
        const grown = await show([...cuts.map((cut) => text.slice(0, cut)), text]);
        if (grown !== (await show([text]))) different.push(text);
    }
    return different;
}"""
COMPARE = COMPARE.replace("MODULE", load_module("view/growing_markdown.js"))
COMPARE = COMPARE.replace("LIBRARY", load_module("view/math.js"))


@pytest.mark.parametrize("count", [40, *exhaustive(150)])
async def test_text_that_grew_looks_as_if_it_came_at_once(
    browser: Browser, tmp_path: Path, count: int
) -> None:
    """Wherever the pieces of any Markdown are cut."""
    chance = random.Random(7)
    texts = ["".join(chance.choices(PIECES, k=chance.choice([5, 20, 50]))) for _ in range(count)]
    cases = [
        (text, sorted(chance.choices(range(len(text)), k=chance.choice([3, 20, 60]))))
        for text in texts
    ]
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        assert await chat.page.evaluate(COMPARE, cases) == []


async def test_many_conversations_are_listed(browser: Browser, tmp_path: Path) -> None:
    """All of a long history are there after a reload, without loading more than their titles, and each opens."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        await chat.page.evaluate(KEEP, CONVERSATIONS)
        await chat.start()
        assert await chat.page.locator("#conversations .open").count() == CONVERSATIONS
        await chat.page.get_by_role("button", name="About 150", exact=True).click()
        await chat.page.get_by_text("Question 150").first.wait_for()
        assert await chat.answers.count() == 5


async def test_answer_needs_no_file(browser: Browser, tmp_path: Path) -> None:
    """Two requests: the chat, and then the health. The icons are in the page: no gateway is needed to show them."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        sent: list[str] = []
        chat.page.on("request", lambda request: sent.append(request.url))
        for _ in range(2):
            sent.clear()
            gateway.gpt.enqueue(*answer("A **moon**"))
            await chat.ask_and_wait("Hello?")
            assert len(sent) <= 3, sent
        icons = chat.last_answer.locator(".actions .icon use")
        for number in range(await icons.count()):
            box = await icons.nth(number).bounding_box()
            assert box
            assert box["width"] > 4


async def test_reload_asks_for_the_page_alone(browser: Browser, tmp_path: Path) -> None:
    """Its files are cached for good: on a slow line a reload costs one request, and not fifty."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url, service_workers="block") as chat,
    ):
        await chat.page.reload()
        await chat.page.locator("body[data-ready]").wait_for()
        sizes = await chat.page.evaluate(SIZES)
        assert len([name for name, *_ in sizes if "/static/" in name]) > 30
        assert [name for name, sent, _ in sizes if "/static/" in name and sent] == []


async def test_page_is_light(browser: Browser, tmp_path: Path) -> None:
    """All that is sent for the first view, libraries and all."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        sizes = await chat.page.evaluate(SIZES)
        assert sum(compressed for *_, compressed in sizes) < PAGE_BYTES, sizes
        loaded_late = (
            "/highlight/",
            "/temml/",
            "/export.js",
            "/files.js",
            "/pictures.js",
            "/settings.js",
        )
        assert not [name for name, *_ in sizes if any(each in name for each in loaded_late)]
