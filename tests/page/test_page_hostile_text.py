"""Hostile text of a model on the page, in a real browser: it is shown, and does nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from simulator import Scripted, Thought
from tests.clients.page_browser import load_module, simulated_page
from tests.exhaustive import exhaustive

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Locator

pytestmark = pytest.mark.asyncio(loop_scope="session")

ATTACKS = [
    "<script>globalThis.hit = 1</script>",
    "</script><script>globalThis.hit = 1</script>",
    "<img src=x onerror='globalThis.hit = 1'>",
    "<svg onload='globalThis.hit = 1'><script>globalThis.hit = 1</script></svg>",
    "<svg><animate onbegin='globalThis.hit = 1' attributeName=x dur=1s></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror='globalThis.hit = 1'></style></mglyph></table></mtext>",
    "<iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
    "<iframe src='javascript:parent.hit=1'></iframe>",
    "<object data='data:text/html,<script>1</script>'></object><embed src='data:text/html,x'>",
    "<style>body { display: none !important; background: url(https://example.com/leak) }</style>",
    "<link rel=stylesheet href=https://example.com/a.css><base href=https://example.com/>",
    "<meta http-equiv=refresh content='0;url=https://example.com/'>",
    "<form action=https://example.com/><button formaction=javascript:alert(1)>Send</button></form>",
    "<p style='position:fixed;inset:0;z-index:99' id=thread name=status class=skip>over everything</p>",
    "<a href='javascript:globalThis.hit=1' onclick='globalThis.hit=1'>a</a>",
    "[a](javascript:globalThis.hit=1)",
    "[a](JaVaScRiPt&colon;globalThis.hit=1)",
    "[a](&#106;avascript:globalThis.hit=1)",
    "[a](\x01javascript:globalThis.hit=1)",
    "[a](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[a](vbscript:msgbox(1)) [b](file:///etc/passwd) [c](/health) [d](//example.com/x)",
    "<javascript:globalThis.hit=1>",
    "[a]: javascript:globalThis.hit=1\n\n[a] and [a][a]",
    "![a](https://example.com/track.png)",
    "![a](x \"onerror=globalThis.hit=1\")",
    '![" onerror="globalThis.hit=1](x"onerror="globalThis.hit=1)',
    '[a](https://example.com/"onmouseover="globalThis.hit=1)',
    "[a](https://example.com 'x\" onclick=\"globalThis.hit=1')",
    "```\"><img src=x onerror=globalThis.hit=1>\n</code></pre><script>globalThis.hit = 1</script>\n```",
    "```html\n<script>globalThis.hit = 1</script><img src=x onerror=globalThis.hit=1>\n```",
    "`<img src=x onerror=globalThis.hit=1>`",
    "$<img src=x onerror=globalThis.hit=1>$ and \\[</span><script>globalThis.hit = 1</script>\\]",
    "| a |\n|---|\n| <img src=x onerror=globalThis.hit=1> |",
    "<b onmouseover=globalThis.hit=1>bold</b><br onload=globalThis.hit=1>",
    "<!--><script>globalThis.hit = 1</script>-->",
    "<noscript><p title=\"</noscript><img src=x onerror=globalThis.hit=1>\">",
    "<a id=location><a id=location name=href href=https://example.com>clobber</a>",
    "> " * 5_000 + "deep",
    r"$\href{javascript:globalThis.hit=1}{x}$ $\url{javascript:globalThis.hit=1}$",
    r"$\includegraphics{https://example.com/a.png}$ $\class{skip}{x}$ $\id{thread}{x}$ $\data{a=b}{x}$",
    r"$\style{position:fixed;inset:0}{x}$ $\color{url(https://example.com/a)}x$ $\htmlId{thread}{x}$",
    r"$\def\a{\a\a\a}\a$ $\newcommand{\b}{\b\b}\b$ $$\rule{9999em}{9999em}$$ $$\hspace{-9999em}x$$",
    r"$\text{<img src=x onerror=globalThis.hit=1>}$ $\text{\" style=\"x}$ $\unicode{x202e}$",
    "$[^1]$ [^1] [^<b>]\n\n[^1]: <img src=x onerror=globalThis.hit=1> [a](javascript:globalThis.hit=1)\n[^<b>]: x",
]  # fmt: skip
ALLOWED_TAGS = re.compile(
    "p|br|hr|h[1-6]|ul|ol|li|blockquote|pre|code|span|em|strong|del|a|b|i|s|u|sub|sup|kbd|mark|table|thead|tbody|tr|th|td"
    "|figure|figcaption|button|svg|use|div"  # a code block's heading and a table's frame, which are ours
)
MATH_TAGS = re.compile(
    "math|mrow|m[inos]|mtext|mspace|mfrac|msqrt|mroot|mstyle|mpadded|mphantom|menclose|msub|msup|msubsup|munder|mover"
    "|munderover|mmultiscripts|mprescripts|mtable|mtr|mtd"
)
LIST_ELEMENTS = """(root) => [...root.querySelectorAll("*")].map((element) =>
    [element.localName, Object.fromEntries([...element.attributes].map(({name, value}) => [name, value]))])"""


def in_pieces(text: str) -> tuple[str, ...]:
    """Cut at the worst places: a piece ends within a tag, a fence, a link."""
    return tuple(re.findall(r".{1,7}", text, re.DOTALL))


async def check_harmless(shown: Locator) -> None:
    """Nothing in it runs, loads, looks like the page, or leads anywhere but to the web in a window of its own."""
    for tag, attributes in await shown.evaluate(LIST_ELEMENTS):
        assert MATH_TAGS.fullmatch(tag) or ALLOWED_TAGS.fullmatch(tag), tag
        assert not [name for name in attributes if name.startswith("on")]
        assert not attributes.keys() & {"id", "name", "src"}
        if MATH_TAGS.fullmatch(tag):  # whose colours and edges are set
            assert re.fullmatch(r"(?:[\w-]+: [\w.#%() ,-]+; ?)*", attributes.get("style", ""))
        else:
            assert "style" not in attributes
        if tag == "a":
            assert re.match(r"(?:https?:|mailto:)", attributes.get("href", "https:")), attributes
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"


async def test_attacks_do_nothing(browser: Browser, tmp_path: Path) -> None:
    """Each alone and all in one, as text and as thinking, whole and in pieces; the policy has nothing to forbid."""
    everything = "\n\n".join(ATTACKS)
    behaviours = [Scripted((Thought(attack), attack)) for attack in ATTACKS]
    behaviours += [Scripted((everything,)), Scripted(in_pieces(everything))]
    async with simulated_page(browser, tmp_path, {"luna": behaviours}) as (chat, _):  # type: ignore[dict-item]
        sent: list[str] = []
        chat.page.on("request", lambda request: sent.append(request.url))
        for attack in [*ATTACKS, everything, everything]:
            shown = await chat.ask_and_wait("Attack!", "claude")
            await check_harmless(shown.locator(".markdown"))
            assert await shown.locator(".thoughts *").count() == 0, attack
            assert "whole" not in await shown.locator(".problems").inner_text()
        assert await chat.page.evaluate("globalThis.hit") is None
        assert await chat.page.locator("#thread").is_visible()
        assert all(url.startswith(chat.url) for url in sent)


async def test_question_is_text(browser: Browser, tmp_path: Path) -> None:
    """What the reader pastes is shown as it is; a title, too."""
    script = Scripted(("Fine",))
    async with simulated_page(browser, tmp_path, {"luna": script}) as (chat, _):
        attack = "<img src=x onerror='globalThis.hit = 1'>"
        await chat.ask_and_wait(attack)
        assert await chat.page.locator("article.question .bubble p").inner_text() == attack
        assert await chat.page.locator("#conversations .open").inner_text() == attack
        assert await chat.page.evaluate("globalThis.hit") is None


async def test_policy_forbids_what_the_sanitiser_would_miss(
    browser: Browser, tmp_path: Path
) -> None:
    """Behind it stands the browser: HTML as a string, inline code and other hosts are refused."""
    async with simulated_page(browser, tmp_path, {}) as (chat, _):
        refused = await chat.page.evaluate(
            """async () => {
                const violations = [];
                addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
                try { document.body.innerHTML = "<b>x</b>"; } catch { violations.push("innerHTML"); }
                try { trustedTypes.createPolicy("mine", {}); } catch { violations.push("policy"); }
                const script = document.createElement("script");
                try { script.text = "globalThis.hit = 1"; } catch { violations.push("script"); }
                const style = document.createElement("style");
                style.textContent = "body { display: none }";
                document.head.append(style);
                const image = new Image();
                image.src = "http://127.0.0.1:9/x.png";
                await fetch("http://127.0.0.1:9/").catch(() => violations.push("fetch"));
                await new Promise((resolve) => setTimeout(resolve, 200));
                return violations;
            }"""
        )
        assert {
            "innerHTML",
            "policy",
            "script",
            "fetch",
            "style-src-elem",
            "img-src",
            "connect-src",
        } <= set(refused)
        assert await chat.page.locator("body").is_visible()
        chat.complaints.clear()  # of what was tried here


async def test_markdown_is_shown(browser: Browser, tmp_path: Path) -> None:
    """Headings, lists, tables, code in colours that is copied as it is, and math in type."""
    text = (
        "# Title\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n\n- one\n- two\n\n```python\ndef f():\n    return 1\n```\n\n"
        "Euler: $e^{i_1\\pi} + 1_2 = 0$, \\(a_b*c*d\\), costs $5 and $6, [a link][x].\n\n[x]: https://example.com/x\n"
    )
    async with simulated_page(browser, tmp_path, {"luna": Scripted(in_pieces(text))}) as (chat, _):
        shown = (await chat.ask_and_wait("Show me.")).locator(".markdown")
        assert await shown.locator("h3").inner_text() == "Title"
        assert await shown.locator("td").all_inner_texts() == ["1", "2"]
        assert await shown.locator("li").all_inner_texts() == ["one", "two"]
        math = shown.locator(".math.set")
        await math.nth(1).wait_for()
        titles = [await math.nth(number).get_attribute("title") for number in range(2)]
        assert titles == ["$e^{i_1\\pi} + 1_2 = 0$", "\\(a_b*c*d\\)"]
        assert await shown.locator("a").get_attribute("href") == "https://example.com/x"
        await shown.locator(".hljs-keyword").first.wait_for()
        await shown.get_by_label("Copy code").click()
        await chat.page.get_by_text("Copied").wait_for(state="attached")
        assert (
            await chat.page.evaluate("navigator.clipboard.readText()") == "def f():\n    return 1\n"
        )


COSTLY = ["*a_", "- a\n\n", "[a](b)", "|1|2|\n", "> - ", "#\n", "```\n", "    code\n"]
CHARACTERS = {
    "*a_": 30_000
}  # which need a minute and more without limits; of the others a third is enough
LONGEST_PAUSE = 5_000  # milliseconds, on a machine that has other things to do
PAUSES = """async ([text, steps]) => {
    const { GrowingMarkdown } = MODULE;
    const element = document.createElement("div");
    document.getElementById("thread").replaceChildren(element);
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    let [longest, last, isOver] = [0, performance.now(), false];
    const tick = () => {
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
        if (!isOver) setTimeout(tick);
    };
    tick();
    await new Promise(async (resolve) => {
        const markdown = new GrowingMarkdown(element, resolve);
        for (let step = 1; step <= steps; step++, await frame())
            markdown.show(text.slice(0, (text.length * step) / steps), { isLast: step === steps });
    });
    await frame();
    await frame();
    isOver = true;
    return [longest, element.textContent];
}""".replace("MODULE", load_module("view/growing_markdown.js"))


@pytest.mark.parametrize(
    ("steps", "units"),
    [(1, COSTLY[::2]), (20, COSTLY[1::2]), *exhaustive((1, COSTLY[1::2]), (20, COSTLY[::2]))],
)
async def test_no_text_makes_the_page_stand_still(
    browser: Browser, tmp_path: Path, steps: int, units: list[str]
) -> None:
    """Whatever is costly to read or to show, at once or as it comes: it is done in small parts, to its end."""
    async with simulated_page(browser, tmp_path, {}) as (chat, _):
        for unit in units:
            head = "|a|b|\n|-|-|\n" if unit.startswith("|") else ""
            text = f"{head}{unit * (CHARACTERS.get(unit, 10_000) // len(unit))}\n\nThe end."
            longest, shown = await chat.page.evaluate(PAUSES, [text, steps])
            assert longest < LONGEST_PAUSE, unit
            assert "The end." in shown, unit


async def test_copied_code_has_no_hidden_characters(browser: Browser, tmp_path: Path) -> None:
    """Neither in the clipboard nor on the page, for code and for an answer, come they alone or in pieces."""
    code = "echo \x1b[2Ksafe \u202e#\u2066 \u200bx\x9b\x07 \r\n\tls\u200f"
    text = f"A\u202enswer\x1b:\n\n```sh\n{code}\n```\n\nand `a\u2067b`."
    clipboard = "navigator.clipboard.readText()"
    behaviours = [
        Scripted((Thought("h\u202em\x1b\u2066m"), *pieces)) for pieces in ((text,), in_pieces(text))
    ]
    async with simulated_page(browser, tmp_path, {"luna": behaviours}) as (chat, _):  # type: ignore[dict-item]
        for _ in range(2):
            shown = await chat.ask_and_wait("Show me.", "claude")
            assert await shown.locator("pre code").text_content() == "echo [2Ksafe # x \n\tls\n"
            assert await shown.locator("p code").text_content() == "ab"
            assert await shown.locator(".thoughts").text_content() == "hmm"
            await shown.get_by_label("Copy code").click()
            await chat.page.get_by_text("Copied").wait_for(state="attached")
            assert await chat.page.evaluate(clipboard) == "echo [2Ksafe # x \n\tls\n"
            await shown.get_by_label("Copy answer").click()
            await chat.page.wait_for_function(
                f"() => {clipboard}.then((text) => text.startsWith('Answer:'))"
            )
            assert not re.search(
                r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200f\u202a-\u202e\u2066-\u2069]",
                await chat.page.evaluate(clipboard),
            )
