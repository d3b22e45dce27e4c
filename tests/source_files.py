"""The project's own files, as the tests of its architecture and its documents read them."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]

TEXT_FILES = {".py", ".md", ".txt", ".toml", ".sh", ".js", ".css", ".html", ".yml", ".yaml", ".json", ".lock", ""}


@dataclass(frozen=True)
class SourceFile:
    """A file of the project: its path from the root, with slashes, and what is in it."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax, where it is Python."""
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """The folder at the top that it is in, or its own name there."""
        return self.path.partition("/")[0].removesuffix(".py")

    @property
    def imports(self) -> list[str]:
        """The modules that it imports, with dots; of `from a import b` both `a` and `a.b`."""
        return [name for node in ast.walk(self.tree) for name in _imported(node)]

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Its functions and methods, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Its lines, without its decorators'."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def read_project() -> list[SourceFile]:
    """Every text file of the project, but hidden ones (their folders too) and what runs leave behind."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name[0] not in "._" and name not in ("logs", "node_modules", "venv")]
        paths = (Path(folder, name) for name in names if name[0] != "." or name == ".env.example")
        found += [path for path in paths if path.suffix in TEXT_FILES or path.name == ".env.example"]
    return [SourceFile(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in sorted(found)]


PROJECT = read_project()
PYTHON = [file for file in PROJECT if file.path.endswith(".py")]
ROOMS = {file.room for file in PYTHON}
