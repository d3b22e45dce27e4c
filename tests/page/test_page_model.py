"""The page's conversations, their storage and their requests, without a page: run by node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).parent / "model"
NODE = shutil.which("node")
TIMEOUT_SECONDS = 300

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


@pytest.mark.parametrize("name", sorted(path.name for path in MODEL.glob("*.test.js")))
def test_model(name: str) -> None:
    """Each test in the file passes; the file says what they promise."""
    command = [str(NODE), "--no-warnings", "--test", "--test-reporter=tap", str(MODEL / name)]
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0\n" not in done.stdout
