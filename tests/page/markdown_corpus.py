"""Markdown as models write it: every construct of CommonMark and of GitHub's dialect, alone and within each other."""

from __future__ import annotations

import re
from pathlib import Path

# It has a licence of its own, and so is not in this project: see `make page-tools`.
SPECIFICATION = Path(__file__).parents[2] / "node_modules" / "commonmark-spec" / "spec.txt"

EXAMPLES = {
    "a list goes on after code": "1. one\n\n```sh\nls\n```\n\n2. two\n\n```sh\ncd\n```\n\n3. three",
    "a list goes on after a paragraph": "1. one\n\ntext\n\n2. two",
    "a list begins late": "7. seven\n8. eight",
    "a list begins at zero": "0. zero\n1. one",
    "a list with parentheses": "3) three\n4) four",
    "a list begins very late": "999999998. a\n999999999. b",
    "a loose list": "1. one\n\n2. two\n\n   more of two\n\n3. three",
    "a list in a list": "1. one\n   - a\n   - b\n     1. deep\n     2. deeper\n2. two",
    "a late list in a list": "- a\n\n  4. four\n  5. five\n\n- b",
    "code in an item": "1. one\n\n   ```python\n   x = 1\n\n   y = 2\n   ```\n\n2. two",
    "a quotation in an item": "- a\n\n  > quoted\n  > more\n\n- b",
    "lists beside each other": "- a\n- b\n\n* c\n* d\n\n+ e\n\n1. f\n\n1) g",
    "an empty item": "1.\n2. two\n3.",
    "tasks": "- [ ] to do\n- [x] done\n- [X] done, too\n- no task",
    "a table": "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
    "a table with alignment": "| l | c | r | n |\n|:--|:-:|--:|---|\n| 1 | 2 | 3 | 4 |",
    "a table without edges": "a | b\n--|--:\n1 | 2",
    "a table with marks": "| **a** | `b` |\n|:-:|--|\n| *1* | ~~2~~ |\n| [x](https://example.com) | y |",
    "a table with pipes": "| a |\n|---|\n| x \\| y |\n| `p \\| q` |",
    "a table whose rows differ": "| a | b |\n|--:|---|\n| 1 |\n| 1 | 2 | 3 |",
    "a table in an item": "1. one\n\n   | a | b |\n   |--:|:-:|\n   | 1 | 2 |\n\n2. two",
    "a table in a quotation": "> | a | b |\n> |--:|---|\n> | 1 | 2 |",
    "headings": "# one\n\n## two\n\n### three\n\n#### four\n\n##### five\n\n###### six\n\n####### none",
    "headings with lines": "one\n===\n\ntwo\n---",
    "headings with marks": "## A `code` and **bold** #\n\n#no heading\n\n# ",
    "rules": "a\n\n---\n\n***\n\nb\n\n_ _ _",
    "quotations": "> a\n> b\n\nc\n\n> d\n> > e\n>\n> f\nlazy",
    "a list in a quotation": "> 3. three\n> 4. four\n>\n> end",
    "emphasis": "*a* _b_ **c** __d__ ***e*** **a *b* c** *a **b** c* a*b*c a_b_c",
    "emphasis that is none": "2 * 3 * 4, a_b_c, ** a **, * a *, \\*a\\*",
    "struck out": "~~gone~~ and ~~**both**~~",
    "code in a line": "`a` ``b ` c`` ` d ` `` ` `` `*no*` `\\`",
    "code with fences": "```\na\n\n  b\n```\n\n~~~js\nlet x;\n```\n~~~\n\n````\n```\n````",
    "code without an end": "```python\nx = 1\n\n# no heading",
    "code by indentation": "a\n\n    x = 1\n\n      y = 2\n\nb",
    "code with a strange language": "```c++\nint x;\n```",
    "links": '[a](https://example.com) [b](<https://example.com/a b> "title") [c][d] [d] [e][]\n\n'
    "[d]: https://example.com/d 'title'\n[e]: <https://example.com/e>",
    "links with marks": "[**bold** `code`](https://example.com) **[a](https://example.com)**",
    "links by themselves": "<https://example.com> <mailto:a@example.com> <a@example.com>",
    "links that lead nowhere": "[a](/url) [b](javascript:x) [c] [d](#here)",
    "images": '![alt](https://example.com/a.png) and ![*alt*](https://example.com/b.png "title")',
    "an image in a link": "[![alt](https://example.com/a.png)](https://example.com)",
    "line breaks": "one  \ntwo\\\nthree\nfour",
    "characters": "&amp; &lt; &copy; &#35; &nope; \\& \\<b\\> a & b < c",
    "characters that are marks": "\\# a\n\n1\\. one\n\n\\- b\n\n\\> c",
    "paragraphs": "one\ntwo\n\nthree\n\n\nfour",
    "much space": "   a  b\n\n\n\n   c",
    "right to left": "1. אחת\n2. שתיים\n\n| א | ב |\n|--:|:--|\n| 1 | 2 |",
}


def read_specification() -> dict[str, str]:
    """CommonMark's examples by their numbers, if they are installed."""
    if not SPECIFICATION.is_file():
        return {}
    text = SPECIFICATION.read_text(encoding="utf-8").replace("→", "\t")
    examples = re.findall(r"^`{32} example\n(.*?)^\.\n.*?^`{32}$", text, re.MULTILINE | re.DOTALL)
    return {str(number): example for number, example in enumerate(examples, 1)}
