"""Blocks of an answer beyond plain Markdown, in a real browser: math, footnotes, tasks, code and wide tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.page_browser import chat_page
from tests.gateways.scripted import answer, scripted_gateway

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

MATH = {  # what is written, and what is read of it
    r"$e^{i\pi} + 1 = 0$": "eiπ+1=0",
    r"\(a_b \cdot c\)": "ab⋅c",
    r"$$\sum_{n=1}^{\infty} \frac{1}{n^2} = \frac{\pi^2}{6}$$": "∑n=1∞1n2=π26",
    "\\[\n\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}\n\\]": "(1234)",
    "$$\n\\begin{aligned}\na &= b \\\\\n- c &= d\n\\end{aligned}\n$$": "a=b\u2212c=d",
    "$$\nx\n- y\n+ z\n= 1\n$$": "x\u2212y+z=1",
    r"$\text{if } x > 0$": "if x>0",
    r"$\mathbb{R} \to \mathcal{L}$": "\u211d→\u2112",
    r"$\color{red}{x} \boxed{y}$": "xy",
}
NO_MATH = [
    r"It costs $5 and $6.",
    r"US$ 5 to US$6",
    r"`$x$` and $ x $",
    r"$\unknowncommand{x}$",
    r"$\frac{1}{$",
    r"\$x\$",
]
WIDE = "|" + "column |" * 30 + "\n|" + "-|" * 30 + "\n" + ("|" + "value |" * 30 + "\n") * 3
CODE = "```python\n" + "x = 1  # " + "a long line " * 40 + "\n" + "y = 2\n" * 40 + "```"
UNTIL_SCROLLED = """(element) => new Promise((resolve) => {
    const look = () => (element.scrollLeft > 0 ? resolve() : requestAnimationFrame(look));
    look();
})"""
SEEN = """(element) => element.textContent.replace(/[\\s\\u2061-\\u2064\\u200b]/g, " ").replace(/ +/g, " ").trim()"""


async def test_math_is_set_in_type(browser: Browser, tmp_path: Path) -> None:
    """As MathML, which browsers read out; in a line or on lines of its own. What was written is its tooltip."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("\n\n".join(f"Look:\n\n{text}" for text in MATH)))
        shown = await chat.ask_and_wait("Math?")
        places = shown.locator(".math")
        for number, (text, seen) in enumerate(MATH.items()):
            place = places.nth(number)
            await place.locator("math").wait_for()
            assert (await place.evaluate(SEEN)).replace(" ", "") == seen.replace(" ", "")
            assert await place.get_attribute("title") == text
            is_display = text.startswith(("$$", "\\["))
            classes = str(await place.get_attribute("class"))
            assert ("display" in classes) == is_display
            box = await place.bounding_box()
            assert box
            assert box["height"] > 10
        assert await places.count() == len(MATH)


async def test_math_is_loaded_when_it_is_met(browser: Browser, tmp_path: Path) -> None:
    """An answer without math loads no library for it, one with math loads it once; and no prose is taken for math."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        loaded: list[str] = []
        chat.page.on("request", lambda request: loaded.append(request.url))
        gateway.gpt.enqueue(*answer("It costs $5 and $6."))
        await chat.ask_and_wait("No math?")
        assert not [url for url in loaded if "temml" in url]
        for _ in range(2):
            gateway.gpt.enqueue(*answer("$x$ and $y$"))
            await chat.ask_and_wait("Math?")
            await chat.last_answer.locator("math").nth(1).wait_for()
        assert len([url for url in loaded if url.endswith("temml.min.js")]) == 1


async def test_what_is_no_math_stays_as_it_is_written(browser: Browser, tmp_path: Path) -> None:
    """Prices, code, and what the library does not understand."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("\n\n".join([*NO_MATH, "$x$"])))
        shown = await chat.ask_and_wait("Prices?")
        await shown.locator("math").first.wait_for()
        assert await shown.locator("math").count() == 1
        seen = await shown.locator(".markdown > p").all_inner_texts()
        wanted = [text.replace("`", "").replace("\\$", "$") for text in NO_MATH]
        assert [text.replace("\xa0", " ") for text in seen[:-1]] == wanted


async def test_math_grows_with_its_answer(browser: Browser, tmp_path: Path) -> None:
    """Wherever its pieces are cut, it looks in the end as if it had come at once."""
    text = "So $a^2 + b^2 = c^2$, and\n\n$$\n\\frac{a}{b}\n$$\n\n- item \\(x\\)\n"
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer(*text))
        shown = await chat.ask_and_wait("Math?")
        await shown.locator("li math").wait_for()
        assert await shown.locator("math").count() == 3
        assert "$" not in await shown.locator(".markdown").inner_text()


async def test_footnotes_lead_to_their_notes(browser: Browser, tmp_path: Path) -> None:
    """By keyboard too; what has no note is no footnote."""
    text = "A claim[^1] and another[^src]. The class [^a-z] is none.\n\n"
    text += "[^1]: The first *note*.\n[^src]: Its\n    source."
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer(*text))
        shown = (await chat.ask_and_wait("Why?")).locator(".markdown")
        assert await shown.locator("p").first.inner_text() == (
            "A claim1 and anothersrc. The class [^a-z] is none."
        )
        assert await shown.locator(".note-text").all_inner_texts() == [
            "1 The first note.",
            "src Its source.",
        ]
        await shown.get_by_role("button", name="Footnote src").press("Enter")
        focused = "document.activeElement.textContent"
        assert "source." in await chat.page.evaluate(focused)


async def test_tasks_have_boxes_in_place_of_bullets(browser: Browser, tmp_path: Path) -> None:
    """Ticked or not; an item that is no task keeps its bullet."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer("- [ ] to do\n- [x] done\n- other"))
        items = (await chat.ask_and_wait("Tasks?")).locator(".markdown li")
        style = "(element) => getComputedStyle(element).listStyleType"
        assert await items.all_inner_texts() == ["☐ to do", "☑ done", "other"]
        assert [await items.nth(number).evaluate(style) for number in range(3)] == [
            *("none", "none", "disc"),
        ]


async def test_code_is_wrapped_folded_and_saved(browser: Browser, tmp_path: Path) -> None:
    """By its buttons, which say whether they are pressed; a file's ending is its language's."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer(CODE))
        figure = (await chat.ask_and_wait("Code?")).locator("figure.code")
        pre = figure.locator("pre")
        is_wide = "(element) => element.scrollWidth > element.clientWidth"
        height = "(element) => element.clientHeight"
        assert await pre.evaluate(is_wide)
        wrap = figure.get_by_role("button", name="Wrap long lines")
        await wrap.click()
        assert await wrap.get_attribute("aria-pressed") == "true"
        assert not await pre.evaluate(is_wide)
        before = await pre.evaluate(height)
        await figure.get_by_role("button", name="Fold the code").click()
        assert await pre.evaluate(height) < before / 3
        async with chat.page.expect_download() as begun:
            await figure.get_by_role("button", name="Download the code").click()
        await (await begun.value).save_as(tmp_path / "saved")
        assert (await begun.value).suggested_filename == "code.py"
        text = CODE.removeprefix("```python\n").removesuffix("```")
        assert (tmp_path / "saved").read_text(encoding="utf-8") == text


async def test_wide_table_scrolls_in_its_frame(browser: Browser, tmp_path: Path) -> None:
    """By keyboard too, and a shadow says that there is more; the page itself stays as it is."""
    async with (
        scripted_gateway(tmp_path) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        gateway.gpt.enqueue(*answer(WIDE))
        frame = (await chat.ask_and_wait("A table?")).get_by_role("region", name="Table")
        assert await frame.evaluate("(element) => element.scrollWidth > element.clientWidth + 100")
        thread = chat.page.locator("#thread")
        assert await thread.evaluate("(element) => element.scrollWidth <= element.clientWidth")
        assert (
            await frame.locator("table").evaluate("(element) => getComputedStyle(element).display")
            == "table"
        )
        await frame.focus()
        await chat.page.keyboard.press("ArrowRight")
        await frame.evaluate(UNTIL_SCROLLED)
