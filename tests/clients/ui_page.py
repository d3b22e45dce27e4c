"""The AI SDK as pages use it, in node: the real packages, with their own transport, reader and chat."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.compat.environments import PLACE, find_node, is_made

VERSIONS = ("ai-5", "ai-6", "ai-7")
_PROGRAM = Path(__file__).with_suffix(".mjs")
_SECONDS = 100.0  # on a machine with much to do

needs_ai_sdk = pytest.mark.skipif(
    not all(map(is_made, VERSIONS)),
    reason="the AI SDK is not in .compat/: see `make compat-clients`",
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
    program = _PROGRAM.read_bytes()
    options = json.dumps({"api": api, "says": says, **asked})
    process = await asyncio.create_subprocess_exec(
        *(str(find_node()), "--input-type=module", "-", options),
        cwd=PLACE / version,  # where the program's imports are looked for
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
