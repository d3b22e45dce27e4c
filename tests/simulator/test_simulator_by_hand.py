"""`python -m simulator`, as a developer runs it beside a gateway."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from configuration import VALID_PROVIDERS, load_settings
from simulator import SIMULATED_KEY
from simulator.endpoints import ENDPOINTS
from simulator.faults import FAULTS

ROOT = Path(__file__).parents[2]


async def test_module_serves_by_hand(tmp_path: Path) -> None:
    """`python -m simulator` prints what makes a `.env` that a gateway starts with, and answers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "--port", "0"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        printed = (await asyncio.wait_for(process.stdout.readuntil(b"/__calls\n"), 20)).decode()
        (tmp_path / ".env").write_text(printed)
        settings = load_settings(tmp_path / ".env")
        assert [provider.name for provider in settings.providers if provider.configured] == list(
            VALID_PROVIDERS
        )
        assert all(
            provider.base_url and "http://127.0.0.1:" in provider.base_url
            for provider in settings.providers
        )
        assert set(settings.secrets) == {SIMULATED_KEY}
        counts = re.search(r"http://\S+/__calls", printed)
        assert counts
        answer = await asyncio.to_thread(
            lambda: urllib.request.urlopen(counts[0], timeout=10).read()
        )
        assert json.loads(answer)["calls"] == 0
    finally:
        process.terminate()
        await process.wait()


def test_help_lists_every_fault() -> None:
    """Of a model and of an address."""
    asked = [sys.executable, "-m", "simulator", "--help"]
    text = subprocess.run(
        asked, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    listed = set(re.findall(r"[\w-]+", text))
    assert {*FAULTS, *ENDPOINTS} <= listed


def test_key_is_no_word() -> None:
    """Logs hide keys wherever they stand: this one is long enough to be hidden, and in no text by chance."""
    assert len(SIMULATED_KEY) > 20
    assert re.search(r"\d", SIMULATED_KEY)
