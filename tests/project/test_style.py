"""The style of the code, as far as it can be counted: words, comments, small private functions."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.project.source_files import BESIDE, PROJECT, PYTHON, SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Words that technical documentation does not use, or not in the sense that they had here.
DIALECT = re.compile(
    r"\b(tells?|told|telling|whoever|nobody|one's own|for ever|forever|mend(s|ed|ing)?|bears?|the house|clocks)\b",
    re.IGNORECASE,
)
MOST_WHERE = 0.8  # of a thousand words: it is for places, "if" is for conditions
COMMENTS = (3, 8)  # of a hundred lines
MOST_PRIVATE_CALLED_ONCE = 0.1  # of all functions

CODE = [file for file in PYTHON if file.package != "tests"]
GATEWAY = [file for file in CODE if file.package not in BESIDE]
PAGES = [file for file in PROJECT if file.path.endswith(".md")]


class Words(NamedTuple):
    """Some words of a file: what they are, and the line at which they begin."""

    kind: str
    line: int
    text: str


def read_words(file: SourceFile) -> Iterator[Words]:
    """The comments, the docstrings, the messages and the names that a file defines."""
    for token in tokenize.generate_tokens(io.StringIO(file.text).readline):
        if token.type == tokenize.COMMENT:
            yield Words("comment", token.start[0], token.string)
    docstrings = {id(node): node for node in map(find_docstring, ast.walk(file.tree)) if node}
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            kind = "docstring" if id(node) in docstrings else "message"
            yield Words(kind, node.lineno, node.value)
        elif isinstance(node, ast.stmt | ast.expr | ast.arg) and (name := find_name(node)):
            yield Words("name", node.lineno, split_name(name))


def find_docstring(node: ast.AST) -> ast.Constant | None:
    """The docstring of a module, class or function."""
    match node:
        case (
            ast.Module(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
            | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
            | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
            | ast.AsyncFunctionDef(
                body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_]
            )
        ):
            return docstring
    return None


def find_name(node: ast.AST) -> str | None:
    """The name that the node defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case (
            ast.arg(arg=name)
            | ast.Name(id=name, ctx=ast.Store())
            | ast.Attribute(attr=name, ctx=ast.Store())
        ):
            return name
    return None


def split_name(name: str) -> str:
    """The words of a name in snake case or CamelCase."""
    return " ".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name))


def find_dialect(file: SourceFile) -> list[str]:
    """The words that do not belong there, each with its line."""
    if file.path.endswith(".md"):
        words: Iterable[Words] = [
            Words("text", number, line) for number, line in enumerate(file.text.splitlines(), 1)
        ]
    else:
        words = read_words(file)
    return [
        f"{file.path}:{kind} in line {line}: {found[0]}"
        for kind, line, text in words
        for found in DIALECT.finditer(text)
    ]


def test_code_is_in_plain_technical_english() -> None:
    """Names, docstrings, comments and messages."""
    words_are_here = "tests/project/test_style.py"
    assert [
        finding for file in PYTHON if file.path != words_are_here for finding in find_dialect(file)
    ] == []


def test_pages_are_in_plain_technical_english() -> None:
    """The documentation."""
    assert [finding for file in PAGES for finding in find_dialect(file)] == []


@pytest.mark.parametrize(
    "text",
    ["# whoever asks", '"""Tells the client."""', 'raise ValueError("nobody is there")', "def run(told_chars): ...",
     "class Clocks: ...", "self.mended = 1"],
)  # fmt: skip
def test_dialect_is_found(text: str) -> None:
    assert len(find_dialect(SourceFile("models.py", text))) == 1


def measure_where(files: Iterable[SourceFile]) -> float:
    """How often a thousand words of comments and docstrings have a "where"."""
    texts = [
        words.text
        for file in files
        for words in read_words(file)
        if words.kind in ("comment", "docstring")
    ]
    words = Counter(re.findall(r"[a-z']+", " ".join(texts).lower()))
    return 1000 * words["where"] / words.total()


def test_conditions_are_said_with_if() -> None:
    """`where` is for places."""
    assert measure_where(PYTHON) <= MOST_WHERE
    assert measure_where(file for file in PYTHON if file.package == "tests") <= MOST_WHERE
    assert measure_where([SourceFile("models.py", "# where it rains")]) > MOST_WHERE


def measure_comments(files: Iterable[SourceFile]) -> float:
    """The comments in a hundred lines."""
    words = [words for file in files for words in read_words(file)]
    comments = sum(kind == "comment" for kind, *_ in words)
    return 100 * comments / sum(len(file.text.splitlines()) for file in files)


def test_comments_are_few_and_there() -> None:
    """They say why; what the code does, it says itself."""
    fewest, most = COMMENTS
    assert fewest <= measure_comments(GATEWAY) <= most
    assert measure_comments([SourceFile("models.py", "# a\na = 1\nb = 2\nc = 3\n")]) == 25


def count_uses(nodes: Iterable[ast.AST]) -> Counter[str]:
    """How often each name is used."""
    names = (
        node.id if isinstance(node, ast.Name) else node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    )
    return Counter(names)


def find_private_called_once(files: list[SourceFile]) -> list[str]:
    """The private functions and methods with one use, a call.

    What is passed on, as a callback or in a table, cannot stand in its caller's place, nor what a
    decorator caches.
    """
    nodes = {file.path: list(ast.walk(file.tree)) for file in files}
    uses = {path: count_uses(found) for path, found in nodes.items()}
    calls = {
        path: count_uses(node.func for node in found if isinstance(node, ast.Call))
        for path, found in nodes.items()
    }
    defined = {file.path: {function.name for function in file.functions} for file in files}
    once = []
    for file in files:
        for name in (node.name for node in file.functions if not node.decorator_list):
            paths = [path for path in uses if path == file.path or name not in defined[path]]
            counts = [sum(counted[path][name] for path in paths) for counted in (uses, calls)]
            if re.match(r"_[^_]", name) and counts == [1, 1]:
                once.append(f"{file.path}: {name}")
    return once


def test_few_private_functions_have_one_caller() -> None:
    """Such a function is a name for a few lines: it needs to be worth reading."""
    found = find_private_called_once(CODE)
    functions = sum(len(file.functions) for file in CODE)
    assert len(found) <= functions * MOST_PRIVATE_CALLED_ONCE, "\n".join(found)


def test_private_functions_are_counted() -> None:
    """Those that are called once, in whatever file."""
    files = [
        SourceFile(
            "a.py",
            "def _one(): ...\ndef _two(): ...\ndef _none(): ...\n_one()\n_two()\n_two()\ndef run(): ...",
        ),
        SourceFile(
            "b.py",
            "from c import _far\nclass A:\n def _passed(self): run(self._passed, self._called())\n"
            " def _called(self): _far()",
        ),
        SourceFile("c.py", "def _far(): ..."),
    ]
    assert find_private_called_once(files) == ["a.py: _one", "b.py: _called", "c.py: _far"]
