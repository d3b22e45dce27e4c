"""`scripts/setup_venv.sh`, which makes `.venv`, with a lock that names no package: nothing is fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "setup_venv.sh"
LOCK = "# no package\n"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the script is for a POSIX shell")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the script, a lock, and an interpreter of each version, all of which are this one."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "bin").mkdir()
    for version in ("3.11", "3.12", "3.13", "3.14", "3.15"):
        add_interpreter(tmp_path, f"python{version}")
    return tmp_path


def add_interpreter(folder: Path, name: str, refused: str = "no module") -> None:
    """A command that notes its name, and is this Python, unless it is to run the refused module."""
    command = folder / "bin" / name
    refusal = f'case "$*" in *"-m {refused}"*) exit 1;; esac'
    command.write_text(
        f'#!/bin/sh\necho {name} >>"{folder}/used"\n{refusal}\nexec "{sys.executable}" "$@"\n'
    )
    command.chmod(0o755)


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script to its end."""
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "PIP_NO_INDEX": "1",
        **variables,
    }
    command = ["/bin/sh", str(folder / "scripts" / "setup_venv.sh"), "requirements.lock"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=180, check=False
    )


def set_up(folder: Path) -> str:
    """Run the script, which succeeds; what it says."""
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return done.stderr


def packages(folder: Path) -> set[str]:
    return {path.name for path in (folder / ".venv" / "lib").glob("python*/site-packages/*")}


@pytest.mark.exhaustive
def test_venv_is_made_from_nothing(folder: Path) -> None:
    """By the newest interpreter, without pip and setuptools; a second run changes nothing."""
    set_up(folder)
    assert packages(folder) == set()
    assert (folder / "used").read_text().splitlines()[-1] == "python3.15"
    assert set_up(folder) == ""


def test_venv_has_what_the_lock_names_and_nothing_else(folder: Path) -> None:
    """Neither pip nor setuptools, nor what an older lock had installed; and a second run changes nothing."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    (folder / ".venv" / "installed-requirements.lock").write_text("leftover==1.0\n")
    [site] = (folder / ".venv" / "lib").glob("python*/site-packages")
    about = site / "leftover-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: leftover\nVersion: 1.0\n")
    (about / "RECORD").write_text(
        "".join(f"{about.name}/{name},,\n" for name in ("METADATA", "RECORD"))
    )
    set_up(folder)
    assert packages(folder) == set()
    assert not (folder / ".venv" / "installer").exists()
    assert set_up(folder) == ""


@pytest.mark.parametrize(
    ("variables", "chosen"), [({}, "python3.15"), ({"PYTHON": "python3.12"}, "python3.12")]
)
def test_venv_is_made_by_the_newest_interpreter_or_the_named_one(
    folder: Path, variables: dict[str, str], chosen: str
) -> None:
    """The last interpreter that is used is the one that is to make `.venv`; here it cannot."""
    add_interpreter(folder, chosen, refused="venv")
    failed = run(folder, **variables)
    assert f"'{chosen}' could not make .venv" in failed.stderr
    assert (folder / "used").read_text().split()[-1] == chosen
