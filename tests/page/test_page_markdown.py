"""What is seen of Markdown on the page, in a real browser, beside what is seen of another renderer's HTML."""

from __future__ import annotations

import html
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from tests.clients.page_browser import chat_page, load_module
from tests.gateways.scripted import scripted_gateway
from tests.page.markdown_corpus import EXAMPLES, SPECIFICATION, read_specification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

DIFFERENT = {  # on purpose
    "34": "a language has a plain name",
    "144": "a language has a plain name",
    "611": "GitHub's dialect makes links of bare addresses",
    "612": "GitHub's dialect makes links of bare addresses",
}

# What a reader sees of an element: its texts with their marks, numbers and places, in order.
SEE = """(root) => {
    const seen = [];
    const MARKS = { EM: "em", STRONG: "strong", DEL: "del", S: "del", CODE: "code" };
    const ordinal = (item) => {
        const list = item.parentElement;
        if (list.tagName !== "OL") return "•";
        if (!["decimal"].includes(getComputedStyle(item).listStyleType)) return "(hidden)";
        let number = list.start;
        for (const each of list.children) {
            if (each === item) return `${number}.`;
            number += 1;
        }
    };
    const align = (cell) => {
        const { textAlign, direction } = getComputedStyle(cell);
        if (["center", "-webkit-center"].includes(textAlign)) return "center";
        const isStart = ["start", "left", "-webkit-auto"].includes(textAlign);
        return isStart ? "left" : "right";
    };
    const add = (text, marks) => {
        const last = seen.at(-1);
        if (last && last[0] === "text" && last[2] === marks) last[1] += text;
        else seen.push(["text", text, marks]);
    };
    const walk = (node, marks, isPre) => {
        if (node.nodeType === Node.TEXT_NODE) {
            const text = isPre ? node.data : node.data.replace(/\\s+/g, " ");
            if (text.trim() || (text && seen.at(-1)?.[0] === "text")) add(text, marks);
            return;
        }
        if (node.nodeType !== Node.ELEMENT_NODE || node.matches("figcaption, button")) return;
        const tag = node.tagName;
        const isLink = tag === "A" && /^(?:https?:|mailto:)/.test(node.getAttribute("href") ?? "");
        if (tag === "BR") seen.push(["line"]);
        else if (tag === "HR") seen.push(["rule"]);
        else if (tag === "LI") seen.push(["item", ordinal(node)]);
        else if (tag === "TD" || tag === "TH") seen.push([tag, align(node)]);
        else if (/^(?:H[1-6]|P|UL|OL|BLOCKQUOTE|TABLE|TR)$/.test(tag)) seen.push([tag]);
        else if (tag === "PRE") seen.push(["PRE", /language-(\\S+)/.exec(node.firstElementChild.className)?.[1] ?? ""]);
        const own = isLink ? `link ${node.href}` : tag === "CODE" && isPre ? null : MARKS[tag];
        const outer = marks.split("|").filter(Boolean);
        const inner = own ? [...new Set([...outer, own])].sort().join("|") : marks;
        for (const child of node.childNodes) walk(child, inner, isPre || tag === "PRE");
        if (/^(?:UL|OL|BLOCKQUOTE|TABLE|LI|H[1-6]|P|PRE)$/.test(tag)) seen.push([`/${tag}`]);
    };
    for (const child of root.childNodes) walk(child, "", false);
    // A paragraph in an item shows as the item's own text: that is a matter of space alone.
    const isSpace = ([kind]) => kind === "P" || kind === "/P";
    const trim = ([kind, text, marks]) => [kind, text.trim(), marks];
    const lines = seen.filter((each) => !isSpace(each)).map((each) => (each[0] === "text" ? trim(each) : each));
    return lines.filter((each) => each[0] !== "text" || each[1]);
}"""
SHOW = """async (texts) => {
    const { GrowingMarkdown } = MODULE;
    const see = SEE;
    const found = [];
    for (const text of texts) {
        const element = document.createElement("div");
        element.className = "markdown";
        document.querySelector("#thread").append(element);
        await new Promise((resolve) => new GrowingMarkdown(element, resolve).show(text, { isLast: true }));
        found.push(see(element));
        element.remove();
    }
    return found;
}""".replace("MODULE", load_module("view/growing_markdown.js")).replace("SEE", SEE)
SHOW_REFERENCE = """(texts) => texts.map((html) => {
    const see = SEE;
    const element = document.createElement("div");
    document.body.append(element);
    element.innerHTML = html;
    const seen = see(element);
    element.remove();
    return seen;
})""".replace("SEE", SEE)


def make_reference() -> MarkdownIt:
    """Another renderer, with what the page does differently on purpose."""
    reference = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])

    def render_image(
        renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any
    ) -> str:
        """An image is a link."""
        token = tokens[place]
        words = renderer.renderInlineAsText(token.children or [], options, env) or "image"
        return f'<a href="{html.escape(str(token.attrs["src"]))}">{html.escape(words)}</a>'

    def lower_headings(state: Any) -> None:
        """They are below the page's own."""
        for token in state.tokens:
            if token.type.startswith("heading"):
                token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"

    def mark_tasks(state: Any) -> None:
        """A box at the beginning of an item."""
        for before, token in zip(state.tokens[1:], state.tokens[2:], strict=False):
            box = token.content[:4] if token.type == "inline" else ""
            if before.type == "paragraph_open" and box in ("[ ] ", "[x] ", "[X] "):
                token.children[0].content = ("☐ " if box == "[ ] " else "☑ ") + token.content[4:]

    reference.validateLink = lambda url: True  # type: ignore[method-assign]
    reference.add_render_rule("image", render_image)
    reference.core.ruler.push("lower_headings", lower_headings)
    reference.core.ruler.push("mark_tasks", mark_tasks)
    return reference


async def find_differences(
    browser: Browser, log_dir: Path, examples: Mapping[str, str]
) -> dict[str, tuple[Any, Any]]:
    """The examples of which the page shows something else than the reference, each with the first difference."""
    reference = make_reference()
    other = await browser.new_page()
    await other.set_content("<style>th { text-align: start }</style>")
    expected = await other.evaluate(
        SHOW_REFERENCE, [reference.render(text) for text in examples.values()]
    )
    await other.close()
    async with (
        scripted_gateway(log_dir) as gateway,
        chat_page(browser, gateway.running.url) as chat,
    ):
        shown = await chat.page.evaluate(SHOW, list(examples.values()))
    return {
        name: next(pair for pair in zip_longest(ours, theirs) if pair[0] != pair[1])
        for name, ours, theirs in zip(examples, shown, expected, strict=True)
        if ours != theirs
    }


async def test_markdown_is_seen_as_it_is_meant(browser: Browser, tmp_path: Path) -> None:
    """Numbers of lists, alignment of tables, marks, links, code and structure are those of another renderer."""
    differences = await find_differences(browser, tmp_path, EXAMPLES)
    assert differences == {}


async def test_examples_of_commonmark_are_seen_as_they_are_meant(
    browser: Browser, tmp_path: Path
) -> None:
    """All but those with HTML, which is shown as it is written, and the few that are named here."""
    if not SPECIFICATION.is_file():
        pytest.skip("CommonMark's examples are not in node_modules/: see `make page-tools`")
    examples = {name: text for name, text in read_specification().items() if "<" not in text}
    assert len(examples) > 400
    differences = await find_differences(browser, tmp_path, examples)
    assert {name: each for name, each in differences.items() if name not in DIFFERENT} == {}
    assert differences.keys() == DIFFERENT.keys()
