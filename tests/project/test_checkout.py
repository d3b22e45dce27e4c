"""A checkout may have folders that are none of the project's: neither the tests nor the tools look into them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.project.source_files import PYTHON, ROOT, read_project

PYPROJECT = ROOT / "pyproject.toml"
BROKEN = b"import os, sys\nx=( '\xff"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a module, a package, a virtual environment and another folder; two of its files are broken."""
    for name in ("main.py", "web/page.py"):
        write(tmp_path / name, b"import os\n\nprint(os.name)\n")
    write(tmp_path / "my-venv" / "pyvenv.cfg", b"")
    write(tmp_path / "my-venv" / "lib" / "broken.py", BROKEN)
    return tmp_path


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def paths(folder: Path) -> list[str]:
    return [file.path for file in read_project(folder)]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_folder_that_git_does_not_track_is_not_read(checkout: Path) -> None:
    """A new file in a folder that git tracks is read."""
    write(checkout / "notes" / "broken.md", BROKEN)
    for command in (["init", "-q"], ["add", "main.py", "web"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    write(checkout / "web" / "new.py", b"")
    (checkout / "main.py").unlink()
    assert paths(checkout) == ["web/new.py", "web/page.py"]


def test_virtual_environment_is_not_read_without_git(checkout: Path) -> None:
    """As in an archive of the project."""
    assert paths(checkout) == ["main.py", "web/page.py"]


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_linter_reads_the_projects_folders_alone(checkout: Path, command: list[str]) -> None:
    """It has nothing to say of a broken file in another folder."""
    shutil.copy(PYPROJECT, checkout)
    write(checkout / "notes" / "broken.py", BROKEN)
    ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
    ended = subprocess.run(ruff, cwd=checkout, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_tools_are_given_every_folder_of_the_project() -> None:
    """A new package needs its place in the settings of ruff and mypy, or nothing there is checked."""
    tools = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]
    packages = {file.path.partition("/")[0] for file in PYTHON if "/" in file.path}
    modules = {f"./{file.path}" for file in PYTHON if "/" not in file.path}
    assert set(tools["ruff"]["include"]) == modules | {f"{package}/**/*.py" for package in packages}
    assert set(tools["mypy"]["files"]) == {"*.py"} | packages
