"""The names of code that prose mentions between backticks exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.project.source_files import PROJECT, PYTHON, ROOT, SourceFile
from tests.project.test_documentation import DOCUMENTS, spans
from tests.project.test_style import find_docstring, read_words

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
LOOKS_LIKE_CODE = re.compile(r"_|\.|\(|[a-z][A-Z]")
OTHERS_NAMES = {
    "ANTHROPIC_AUTH_TOKEN": "Claude Code",
    "APIStatusError": "OpenAI's and Anthropic's SDKs",
    "BaseHTTPMiddleware": "Starlette",
    "ChatAnthropic": "LangChain",
    "DefaultChatTransport": "the AI SDK",
    "EventSource": "browsers",
    "ModelHTTPError": "pydantic-ai",
    "RateLimitError": "OpenAI's and Anthropic's SDKs",
    "SO_ATTACH_REUSEPORT_CBPF": "Linux",
    "StreamingResponse": "Starlette",
    "_thinking_config_top_k_": "Gemini",
    "createAnthropic": "the AI SDK",
    "createOpenAI": "the AI SDK",
    "failed_generation": "Groq",
    "fastapi.sse": "FastAPI",
    "gzip_types": "nginx",
    "iter_lines": "httpx",
    "network_error": "Z.ai",
    "run_stream": "pydantic-ai",
    "run_sync": "pydantic-ai",
    "set_default_openai_api": "openai-agents",
    "textStream": "the AI SDK",
    "thinkingConfig.topK": "Gemini",
}
ABOUT_TESTS = (
    "adding_a_provider.md",
    "test_aiproviders_docs.md",
)  # pages that may name what only the tests have


def find_words(file: SourceFile) -> set[str]:
    """The names in a Python file, and the words of its strings, but for its docstrings."""
    words = {Path(file.path).stem}
    docstrings = {id(node) for node in map(find_docstring, ast.walk(file.tree)) if node}
    for node in ast.walk(file.tree):
        if id(node) not in docstrings:
            words.update(re.findall(r"\w+", find_text(node)))
    return words


def find_text(node: ast.AST) -> str:
    """The name or string that a node has."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=bytes() as data):
            return data.decode(errors="replace")
        case ast.FunctionDef(name=str() as name) | ast.AsyncFunctionDef(name=str() as name):
            return name
        case (
            ast.ClassDef(name=str() as name)
            | ast.alias(name=str() as name)
            | ast.Name(id=str() as name)
        ):
            return name
        case (
            ast.Attribute(attr=str() as name)
            | ast.arg(arg=str() as name)
            | ast.keyword(arg=str() as name)
        ):
            return name
    return ""


def find_all_words(*, tests: bool) -> set[str]:
    """The words of the project that are code."""
    words = set().union(*(find_words(file) for file in PYTHON if tests or file.package != "tests"))
    for file in PROJECT:
        if not file.path.endswith((".py", ".md")) and not file.path.startswith("tests/"):
            words.update(re.findall(r"\w+", file.text))
    for name in ("nginx.conf", "chat-gateway.service"):
        words.update(re.findall(r"\w+", (ROOT / "docs" / name).read_text(encoding="utf-8")))
    return words


CODE_WORDS = find_all_words(tests=False)
WORDS = find_all_words(tests=True)


def find_unknown(names: Iterable[str], words: set[str]) -> list[str]:
    """The spans that look like a name of code and have a part that is in no code."""
    unknown = []
    for span in names:
        found = NAME.match(span)
        if (
            not found
            or not LOOKS_LIKE_CODE.search(span)
            or not re.fullmatch(r"|[(=: ].*", span[found.end() :])
        ):
            continue
        if found[0] not in OTHERS_NAMES and set(found[0].split(".")) - words:
            unknown.append(span)
    return unknown


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_names_in_documents_exist(document: Path) -> None:
    """Functions, classes, modules, fields, variables and settings."""
    words = WORDS if document.name in ABOUT_TESTS else CODE_WORDS
    assert find_unknown(spans(document), words) == []


def find_spans(file: SourceFile) -> list[str]:
    """What stands between backticks in a file's docstrings and comments."""
    prose = [words.text for words in read_words(file) if words.kind in ("comment", "docstring")]
    return [span for text in prose for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)]


def test_names_in_docstrings_exist() -> None:
    """And in comments."""
    words = {True: WORDS, False: CODE_WORDS}
    found = {
        file.path: find_unknown(find_spans(file), words[file.package == "tests"]) for file in PYTHON
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_unknown_names_are_found() -> None:
    """Those that look like code, in all its forms."""
    names = [
        "open_stream",
        "run(open_stream)",
        "BaseProvider",
        "models.OpenStream",
        "MAX_STREAM=3",
        "stream",
        "a b",
    ]
    assert find_unknown(names, {"run", "models", "BaseProvider"}) == [
        "open_stream",
        "models.OpenStream",
        "MAX_STREAM=3",
    ]


def test_every_name_of_others_is_mentioned() -> None:
    """The list is short, and has no name that is left over."""
    mentioned = {span for document in DOCUMENTS for span in spans(document)}
    mentioned.update(span for file in PYTHON for span in find_spans(file))
    assert mentioned >= OTHERS_NAMES.keys()
    assert not OTHERS_NAMES.keys() & CODE_WORDS
