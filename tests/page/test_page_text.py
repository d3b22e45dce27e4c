"""The page's own reading of a model's text, in node: what it costs, and which characters are left out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

TEXT = Path(__file__).parents[2] / "static" / "text"
NODE = shutil.which("node")
TIMEOUT_SECONDS = (
    100  # without its limits, the lexer needs minutes for some of these on an idle machine
)

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


def run(module: str, expression: str, argument: Any) -> Any:
    """What the expression gives for `argument`; `module` is that file's exports."""
    script = f"""
        const module = await import({json.dumps((TEXT / module).as_uri())});
        const argument = JSON.parse(await new Response(process.stdin).text());
        console.log(JSON.stringify({expression}));
    """
    command = [str(NODE), "--no-warnings", "--input-type=module", "--eval", script]
    done = subprocess.run(
        command,
        input=json.dumps(argument),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def to_html(*texts: str) -> list[str]:
    expression = "argument.map((text) => module.toHtml(module.readBlocks(text, {}).blocks))"
    html: list[str] = run("markdown.js", expression, texts)
    return html


REPEATED = [
    "*a_",
    "[",
    "![",
    "!",
    "_a",
    "<",
    "<!",
    "a@",
    "**a ",
    "`a",
    "~a",
    "$a ",
    "[a](",
    "[a](b ",
    "a  \n",
    "[a][b]",
]


def test_cost_of_inline_text_grows_with_its_length() -> None:
    """However many marks begin something that does not end; and nothing of the text is lost."""
    texts = [unit * (50_000 // len(unit)) for unit in REPEATED]
    for unit, html in zip(REPEATED, to_html(*texts), strict=True):
        assert len(html) > 30_000, unit


NESTED = [  # what a block begins with, and a line that goes on in it
    *(
        ("- ", "a\n"),
        ("1. ", "a\n"),
        ("> ", "a\n"),
        ("> - ", "a\n"),
        ("- > ", "a\n"),
        ("> > - ", "a\n"),
    ),
    *(
        ("- " * 14, "a\n"),
        ("> - " * 7, "a\n"),
        ("- > " * 7, "a\n"),
        ("1. > " * 7, "a\n"),
        ("- a\n\n  ", "  a\n"),
    ),
    *(
        ("- ", "  a\n"),
        ("- ", "|a\n"),
        ("- ", "<b\n"),
        ("- ", "[a\n"),
        ("- ", "a|b\n-|-|-\n"),
        ("", "- a\nb\n"),
    ),
    *(
        ("", "> a\n"),
        ("", "> - a\n"),
        ("", "a|b\n-|-\n# a\n"),
        ("", "-|-|-|-|-\n-|-|-|-|-\n|\n|\n|\n|\n|\n|\n"),
    ),
]
COSTS = """
    (() => {
        const cost = (text) => {
            const start = process.cpuUsage();
            module.outline(text);
            const { user, system } = process.cpuUsage(start);
            return user + system;
        };
        const least = (head, line, lines) =>
            Math.min(...[1, 2, 3, 4].map(() => cost(head + line.repeat(lines / (line.split("\\n").length - 1)))));
        least("- ", "a\\nb\\n", 1000); // compiled now
        return argument.map(([head, line]) => [least(head, line, 400), least(head, line, 4000 - 20)]);
    })()
"""


def test_cost_of_nested_lines_grows_with_their_number() -> None:
    """A rule that looks over the rest of a block for each of its lines would cost a hundred times as much for ten."""
    costs = run("markdown.js", COSTS, NESTED)
    assert len(costs) == len(NESTED)
    for shape, (short, long) in zip(NESTED, costs, strict=True):
        assert long < 24 * (short + 1_000), (
            shape,
            short,
            long,
        )  # microseconds; one millisecond is noise


@pytest.mark.parametrize("text", ["- " + "a\n" * 4_000, "a" * 64_001])
def test_long_text_is_not_outlined(text: str) -> None:
    """Neither one of many lines nor one of many characters: it would take longer than a frame has."""
    assert (
        run("markdown.js", "argument.map((text) => module.outline(text))", [text, text[:3_000]])[0]
        is None
    )


def test_underlined_lines_are_a_heading() -> None:
    """Up to twenty, at the top and in an item; what is underlined further below is text."""
    headings = [
        "a\n=",
        "a\n---\nb",
        "a\nb\n  ===  \n",
        "- a\n  b\n  =\n",
        "> a\n> -\n",
        "a\n" * 20 + "=",
    ]
    for text, html in zip(headings, to_html(*headings), strict=True):
        assert re.search("<h[34]>a", html), text
    for html in to_html("a\n" * 21 + "=", "a\n\n=", "a\n=b"):
        assert "<h" not in html


@pytest.mark.parametrize("unit", ["> ", ">", "- ", "+ ", "1. ", "- > ", "> - ", "> 1. "])
def test_nesting_ends(unit: str) -> None:
    """Text that is nested too deeply is shown unchanged."""
    [html] = to_html(unit * 5_000 + "deep")
    assert html.count("<blockquote>") + html.count("<li>") <= 16
    assert "deep" in html


@pytest.mark.parametrize("row", ["|\n", "a\n", "|a|\n"])
def test_table_is_not_filled_up(row: str) -> None:
    """A wide head and many short rows would make a table of millions of cells."""
    [html] = to_html("|" + "a|" * 2_000 + "\n|" + "-|" * 2_000 + "\n" + row * 2_000)
    assert len(html) < 100_000


def test_tables_are_tables() -> None:
    """Whose rows may lack cells, or have too many, and may still be coming."""
    tables = [
        "|a|b|\n|-|-|\n|1|2|",
        "a|b\n-|-\n1|2\n",
        "|a|\n|:-|\n|1|\n\ntext",
        "|a|b|c|\n|-|-|-|\n|1|\n|1|2|3|4|\n|",
    ]
    for table, html in zip(tables, to_html(*tables), strict=True):
        assert html.startswith("<table>"), table


def test_long_paragraph_is_read_in_pieces_that_end_with_words() -> None:
    """What stands between two marks is between them still."""
    [html] = to_html("some **bold words** and `code` " * 500)
    assert (html.count("<strong>bold words</strong>"), html.count("<code>code</code>")) == (
        500,
        500,
    )


UNSEEN = [
    "\x00",
    "\x07",
    "\x08",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\u200b",
    "\u202a",
    "\u202d",
    "\u202e",
    "\u2028",
    "\u2029",
]
UNSEEN += [
    "\u2060",
    "\u2063",
    "\u2066",
    "\u2067",
    "\u2068",
    "\u2069",
    "\ufeff",
    "\u00ad",
    "\u180e",
    "\ufffa",
    "\U000e0041",
    "\U000e0101",
    "\U000e01ef",
    "\u115f",
    "\u1160",
    "\u3164",
    "\uffa0",
    "\r",
]
UNSEEN_IN_CODE = [
    "\u200c",
    "\u200d",
    "\u200e",
    "\u200f",
    "\u061c",
    "\u2800",
    "\ufe0f",
    "\u034f",
]
SEEN = [
    "a b\tc\nd",
    "é e\u0301 ß",
    "日本語",
    "سلام",
    "👩‍💻 👍🏽 ❤️ 🏳️‍🌈",
    "→ ∑ “x” …",
    "\u00a0",
    "\U00020000",
]


def visible(function: str, *texts: str) -> list[str]:
    found: list[str] = run(
        "invisible.js", f"argument.map((text) => module.{function}(text))", texts
    )
    return found


def test_characters_that_cannot_be_seen_are_left_out() -> None:
    """Control characters, overrides of direction, characters without width; the others stay."""
    assert visible("visibleText", *(f"rm{each} -rf" for each in UNSEEN)) == ["rm -rf"] * len(UNSEEN)
    assert visible("visibleText", *SEEN, *UNSEEN_IN_CODE) == [*SEEN, *UNSEEN_IN_CODE]


def test_code_has_no_character_that_cannot_be_seen() -> None:
    """Not even those that belong to a script; emoji stay whole."""
    unseen = [*UNSEEN, *UNSEEN_IN_CODE]
    assert visible("visibleCode", *(f"rm{each} -rf" for each in unseen)) == ["rm -rf"] * len(unseen)
    assert visible("visibleCode", *SEEN) == SEEN


def test_copied_markdown_has_code_without_unseen_characters() -> None:
    """Whatever fences it stands between, or in a line; in the text around it joiners stay."""
    hidden, joined = "rm\u200d -rf\u200e", "a\u200cb"
    codes = [
        "```sh\n{}\n```\n",
        "~~~\n{}\n\n{}\n~~~~\n",
        "- a\n  ````\n  ```\n  {}\n  ````\n",
        "> ```\n> {}\n> ```\n",
    ]
    codes += ["1. ```\n   ```sh\n   {}\n   ```\n", "`{}`\n", "say ``{}`` and `{}`\n"]
    for code in codes:
        shown = visible("visibleMarkdown", f"{joined}\n{code.replace('{}', hidden)}\n{joined}")
        assert shown == [f"{joined}\n{code.replace('{}', 'rm -rf')}\n{joined}"]
    assert visible("visibleMarkdown", f"```\n{hidden}", "`" * 100_000 + "a", *SEEN) == [
        *("```\nrm -rf", "`" * 100_000 + "a"),
        *SEEN,
    ]
