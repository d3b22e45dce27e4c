"""docs/tutorial.md, followed step by step: its commands run, and its page shows an answer in a real browser."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from configuration import load_settings
from tests.clients.served_files import files_served
from tests.gateways.loopback import running_gateway

if TYPE_CHECKING:
    from playwright.async_api import Browser

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
GATEWAY = "127.0.0.1:3050"
COMMANDS = [
    text
    for text in re.findall(r"^```sh\n(.*?)\n```$", TUTORIAL, re.MULTILINE | re.DOTALL)
    if "curl" in text
]
(PAGE,) = re.findall(r"^```html\n(.*?)\n```$", TUTORIAL, re.MULTILINE | re.DOTALL)
DEMO_END = "reaches the real model."


pytestmark = pytest.mark.usefixtures("quick_demo")


@pytest.mark.parametrize("command", COMMANDS, ids=["stream", "whole"])
async def test_each_command_gets_a_whole_answer(command: str, tmp_path: Path) -> None:
    """Both curl commands, as they stand but for the port."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    async with running_gateway(load_settings(None, demo="on", log_dir=tmp_path)) as gateway:
        text = command.replace(GATEWAY, f"{gateway.host}:{gateway.port}")
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", text, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    if '"stream": false' in command:
        assert DEMO_END in output.decode()
    else:
        assert output.endswith(b"data: [DONE]\n\n")


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_shows_the_answer_once_its_origin_is_allowed(
    browser: Browser, tmp_path: Path
) -> None:
    """Without CORS_ORIGINS the browser refuses; with it the whole answer appears."""
    site = tmp_path / "site"
    site.mkdir()
    with files_served(site) as origin:
        for origins in ([], [origin]):
            settings = load_settings(None, demo="on", log_dir=tmp_path, cors_origins=origins)
            async with running_gateway(settings) as gateway, await browser.new_page() as page:
                text = PAGE.replace(GATEWAY, f"{gateway.host}:{gateway.port}")
                (site / "hello.html").write_text(text, encoding="utf-8")
                if origins:
                    await page.goto(f"{origin}/hello.html")
                    await page.locator("#answer", has_text=DEMO_END).wait_for()
                else:
                    async with page.expect_event("requestfailed"):
                        await page.goto(f"{origin}/hello.html")
                    assert await page.locator("#answer").inner_text() == ""
