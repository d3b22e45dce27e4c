"""The page about a new provider, followed literally: its key and prompts go to its own address, or nowhere."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configuration import VALID_PROVIDERS, ProviderOptions
from tests.project.source_files import PYTHON
from tests.vendors.loopback_vendor import CHAT_COMPLETIONS, open_vendor, response

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding_a_provider.md"
ADDRESS = "https://api.mistral.ai/v1"

# What a chat with the new provider gives, as the gateway puts it together.
PROGRAM = """
import asyncio, json, sys
from configuration import load_settings
from models import Prompt, Text, Turn
from providers.factory import ProviderFactory

settings = load_settings(None, demo="off", mistral_api_key="key-of-mistral", **json.loads(sys.argv[1]))
factory = ProviderFactory(settings.providers)

async def chat():
    prompt = Prompt("", (Turn("user", (Text("hi"),)),))
    batches = factory.get("mistral").stream_response(prompt, "m", "id")
    text = [delta.text async for batch in batches for delta in batch if hasattr(delta, "text")]
    await factory.aclose()
    return "".join(text)

print(settings.provider("mistral").base_url, asyncio.run(chat()))
"""


def blocks(language: str) -> list[str]:
    """The page's code of a language, in its order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def insert_row(file: Path, beginning: str, row: str) -> None:
    """Add the row at the end of the table that begins so."""
    text = file.read_text()
    start = text.index(beginning)
    end = re.compile(r"^[)}]$", re.MULTILINE).search(text, start)
    assert end, beginning
    file.write_text(f"{text[: end.start()]}    {row.strip().rstrip(',')},\n{text[end.start() :]}")


@pytest.fixture
def followed(tmp_path: Path) -> Path:
    """A copy of the program in which the page's steps were taken."""
    for source in PYTHON:
        if source.package not in ("tests", "benchmarks", "resilience"):
            target = tmp_path / source.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source.path, target)
    capabilities = tmp_path / "providers" / "capabilities.toml"
    shutil.copy(ROOT / "providers" / "capabilities.toml", capabilities)
    if "mistral" in VALID_PROVIDERS:  # they were taken in the project, too
        return tmp_path
    adapter, factory_row, row, wire = blocks("python")
    (rows,) = blocks("toml")
    capabilities.write_text(capabilities.read_text() + rows)
    (tmp_path / "providers" / "mistral_provider.py").write_text(adapter)
    insert_row(tmp_path / "configuration.py", "_PROVIDER_ROWS = (", row)
    wires = tmp_path / "simulator" / "wires"
    (wires / "openai.py").write_text(f"{(wires / 'openai.py').read_text()}\n\n{wire}")
    table = (
        (wires / "__init__.py")
        .read_text()
        .replace("LocalWire, OpenAIWire", "LocalWire, MistralWire, OpenAIWire")
    )
    (wires / "__init__.py").write_text(
        table.replace("GroqWire, LocalWire", "GroqWire, MistralWire, LocalWire")
    )
    insert_row(tmp_path / "providers" / "factory.py", "_provider_classes: ", factory_row)
    return tmp_path


def chat(folder: Path, **options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, json.dumps(options)]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_python(folder: Path, code: str) -> str:
    """What the code prints in a process of its own, which has none of our variables."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_page_gives_the_new_vendor_its_own_address(followed: Path) -> None:
    """The row has it: nothing is inherited from OpenAI, whose class the adapter extends."""
    code = "from configuration import load_settings\nprint(load_settings(None).provider('mistral').base_url)"
    assert run_python(followed, code) == ADDRESS


def test_page_gives_the_new_vendor_its_simulated_one(followed: Path) -> None:
    """Demo mode answers in its place."""
    code = "from simulator import WIRES\nprint(WIRES['mistral'].vendor)"
    assert run_python(followed, code) == "Mistral"


def test_page_sets_the_variables_of_the_new_vendor() -> None:
    """Those that every vendor has, for `.env.example`."""
    (text,) = blocks("text")
    options = [
        line.removeprefix("MISTRAL_").partition("=")[0].lower() for line in text.splitlines()[1:]
    ]
    assert options == list(ProviderOptions.model_fields)


async def test_new_vendor_is_asked_as_the_page_says(followed: Path) -> None:
    """Its key, its parameters, and its answer."""
    async with open_vendor(response(CHAT_COMPLETIONS)) as vendor:
        done = await asyncio.to_thread(chat, followed, mistral_base_url=vendor.url)
    assert done.stdout.strip() == f"{vendor.url} Hello", done.stderr
    (request,) = vendor.requests
    assert request.target == "/v1/chat/completions"
    assert request.header("authorization") == ["Bearer key-of-mistral"]
    assert request.json.keys() == {"model", "messages", "stream", "max_tokens"}


def test_new_vendor_without_an_address_does_not_start(followed: Path) -> None:
    """A row from which the address was left out sends nothing, and says what is missing."""
    file = followed / "configuration.py"
    file.write_text(file.read_text().replace(f', "{ADDRESS}"', ""))
    done = chat(followed)
    assert done.returncode == 1
    assert "MISTRAL_BASE_URL: mistral has a key but no address" in done.stderr
