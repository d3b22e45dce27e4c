"""A chat with a PDF through the whole gateway: to the vendors that accept it, and to no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.plain_http import make_client
from tests.gateways.demo import demo_gateway

PDF = {"type": "file", "media_type": "application/pdf", "data": "JVBERi0x", "name": "kept.pdf"}
ASKED = {"role": "user", "content": [PDF, {"type": "text", "text": "What is this?"}]}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "name": "read", "arguments": "{}"}],
}
READ = {"role": "tool", "tool_call_id": "call_1", "content": [PDF]}
TOOL = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}


def read_logs(directory: Path) -> str:
    return "".join(file.read_text() for file in directory.rglob("*.log"))


@pytest.mark.parametrize("provider", ["gpt", "claude", "gemini"])
async def test_file_reaches_the_vendor(tmp_path: Path, provider: str) -> None:
    """By its real SDK; neither its data nor its name is in any log."""
    async with demo_gateway(tmp_path) as gateway, make_client(gateway.url) as client:
        body: dict[str, Any] = {"messages": [ASKED], "stream": False}
        response = await client.post(f"/chat/{provider}", json=body)
    assert "and 1 file." in response.json()["content"]
    written = read_logs(tmp_path)
    assert "What is this?" in written
    assert "JVBERi0x" not in written
    assert "kept.pdf" not in written


@pytest.mark.parametrize("messages", [[ASKED], [ASKED | {"content": "Read"}, CALLED, READ]])
async def test_provider_without_files_refuses_them(tmp_path: Path, messages: list[Any]) -> None:
    """Those of a tool's result, too: 400 names the models and the field, and no vendor is asked."""
    async with demo_gateway(tmp_path) as gateway, make_client(gateway.url) as client:
        body = {"messages": messages, "tools": [TOOL], "stream": False}
        response = await client.post("/chat/groq", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["reason"]) == (
        400,
        "unsupported",
        "messages",
    )
    assert "files in messages (luna" in error["message"]
    assert error["attempts"] == []


async def test_config_says_which_providers_accept_files(tmp_path: Path) -> None:
    """So that a page asks no other."""
    async with demo_gateway(tmp_path) as gateway, make_client(gateway.url) as client:
        config = (await client.get("/ui/config")).json()
    found = {provider["name"]: provider["files"] for provider in config["providers"]}
    assert found == {"gpt": True, "claude": True, "gemini": True, "groq": False}
