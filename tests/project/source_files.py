"""The project's own files, as the tests of its architecture and its documents read them."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

TEXT_FILES = {
    ".py",
    ".md",
    ".txt",
    ".toml",
    ".sh",
    ".js",
    ".css",
    ".html",
    ".yml",
    ".yaml",
    ".json",
    ".lock",
    "",
}

_LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


@dataclass(frozen=True)
class SourceFile:
    """A file of the project: its path from the root, with slashes, and what is in it."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree, if it is Python."""
        return ast.parse(self.text)

    @property
    def package(self) -> str:
        """The folder at the top that it is in, or its own name there."""
        return self.path.partition("/")[0].removesuffix(".py")

    @property
    def imports(self) -> list[str]:
        """The modules that it imports, with dots; of `from a import b` both `a` and `a.b`."""
        return [name for node in ast.walk(self.tree) for name in _imported(node)]

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Its functions and methods, nested ones too."""
        return [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def count_tokens(file: SourceFile) -> int:
    """The tokens of a Python file, without comments and layout: how much there is to read, however it is wrapped."""
    tokens = tokenize.generate_tokens(io.StringIO(file.text).readline)
    return sum(token.type not in _LAYOUT for token in tokens)


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Its lines, without its decorators'."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def find_files(root: Path) -> list[Path]:
    """The files of the checkout, new ones too, except in folders of which git tracks nothing, such as a `my-venv`.

    Without git all folders count except virtual environments.
    """
    command = ["git", "ls-files", "--cached", "--others", "--directory", "--exclude-standard", "-z"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        listed = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return list(_walk(root))
    paths = {
        root / name
        for name in listed.stdout.decode().split("\0")
        if name and not name.endswith("/")
    }
    return [
        path for path in paths if path.is_file()
    ]  # one that was deleted is listed until that is staged


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not Path(folder, name, "pyvenv.cfg").exists()]
        yield from (Path(folder, name) for name in names)


def _is_text(path: Path) -> bool:
    return path.suffix in TEXT_FILES or path.name == ".env.example"


def _is_left_out(part: str) -> bool:
    """Whether a file or folder is hidden, or left behind by what runs."""
    return part[0] == "." or part in ("__pycache__", "logs", "node_modules", "htmlcov")


def read_project(root: Path = ROOT) -> list[SourceFile]:
    """Every text file of the project, except hidden ones and what runs leave behind."""
    files = {path.relative_to(root): path for path in find_files(root) if _is_text(path)}
    return [
        SourceFile(name.as_posix(), path.read_text(encoding="utf-8"))
        for name, path in sorted(files.items())
        if name.name == ".env.example" or not any(map(_is_left_out, name.parts))
    ]


BESIDE = ("simulator", "benchmarks", "resilience", "scripts", "tests")  # in no layer
PROJECT = read_project()
PYTHON = [file for file in PROJECT if file.path.endswith(".py")]
PACKAGES = {file.package for file in PYTHON}
