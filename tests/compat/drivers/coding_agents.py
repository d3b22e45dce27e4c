"""Claude Code, Codex and opencode, headless: each run has a home of its own, and no network.

The program is in the environment's `node_modules`, of which the first argument is the folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.compat.drivers.jobs import Job, Seen, Way, serve

MODULES = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve() / "node_modules"
NOWHERE = "http://127.0.0.1:9"  # what is not the gateway is not reached
SECONDS = 180  # opencode asks again for more than a minute


class AgentError(Exception):
    """What the program said of its failure."""


class Home:
    """A new home folder, and the variables of a program that lives there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "project"
        self.work.mkdir()
        node = Path(sys.argv[2]).parent if len(sys.argv) > 2 else Path("/usr/bin")
        self.variables = {
            "PATH": f"{MODULES / '.bin'}:{node}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "HTTP_PROXY": NOWHERE,
            "HTTPS_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
        }

    def write(self, path: str, text: str) -> None:
        """A file in the home folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


async def _run(home: Home, job: Job, seen: Seen, *command: str) -> list[dict[str, Any]]:
    """Run a program that prints lines of JSON; ends it if the client is to leave, or if it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=home.work,
        env=home.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        limit=2**24,
        start_new_session=True,
    )
    assert process.stdout
    assert process.stderr
    errors = asyncio.create_task(process.stderr.read())
    lines: list[Any] = []
    try:
        async with asyncio.timeout(SECONDS):
            async for line in process.stdout:
                with suppress(ValueError):  # a line for a person
                    lines.append(json.loads(line))
            await process.wait()
    finally:
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(process.pid, 9)
        await process.wait()
        said = (await errors).decode(errors="replace").strip()
    if process.returncode:
        lines.append({"type": "exit", "status": process.returncode, "text": said[-1500:]})
    return [line for line in lines if isinstance(line, dict)]


# --- Claude Code -------------------------------------------------------------------------------------


async def claude_code(job: Job, seen: Seen) -> None:
    """`claude --print`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder))
        home.variables |= {
            "ANTHROPIC_BASE_URL": job.base_url,
            "ANTHROPIC_AUTH_TOKEN": job.api_key,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "ANTHROPIC_CUSTOM_HEADERS": "\n".join(
                f"{name}: {value}" for name, value in job.headers.items()
            ),
        }
        options = ["--output-format", "stream-json", "--verbose", "--model", job.model]
        options += ["--allowedTools", "Read"]
        lines = await _run(home, job, seen, "claude", "--print", job.question, *options)
    for line in lines:
        if line["type"] == "assistant":
            message = line["message"]
            seen.model = message["model"]
            for block in message["content"]:
                if block["type"] == "tool_use":
                    seen.call(block["name"], block["input"])
        elif line["type"] == "result":
            if line["is_error"]:
                raise AgentError(line.get("result") or json.dumps(line))
            seen.text, seen.finish = line["result"], line.get("stop_reason")
            usage = line.get("usage") or {}
            seen.count(usage.get("input_tokens"), usage.get("output_tokens"))
    _check_exit(lines)


def _check_exit(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        if line["type"] == "exit":
            raise AgentError(f"exit status {line['status']}: {line['text']}")


# --- Codex -------------------------------------------------------------------------------------------


def _toml_of(job: Job) -> str:
    headers = ", ".join(f'"{name}" = "{value}"' for name, value in job.headers.items())
    return f"""\
model = "{job.model}"
model_provider = "gateway"
approval_policy = "never"
sandbox_mode = "read-only"

[model_providers.gateway]
name = "gateway"
base_url = "{job.base_url}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
http_headers = {{ {headers} }}
"""


async def codex(job: Job, seen: Seen) -> None:
    """`codex exec`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder))
        home.write(".codex/config.toml", _toml_of(job))
        home.variables["GATEWAY_KEY"] = job.api_key
        command = ["codex", "exec", "--json", "--skip-git-repo-check", job.question]
        lines = await _run(home, job, seen, *command)
    failure = None
    for line in lines:
        item = line.get("item") or {}
        if line["type"] == "item.completed" and item.get("type") == "agent_message":
            seen.text = item["text"]
        elif line["type"] == "turn.completed":
            seen.finish = "completed"
            usage = line.get("usage") or {}
            seen.count(usage.get("input_tokens"), usage.get("output_tokens"))
        elif line["type"] == "turn.failed":
            failure = line["error"]["message"]
    if failure:
        raise AgentError(failure)
    _check_exit(lines)


# --- opencode ----------------------------------------------------------------------------------------


async def opencode(job: Job, seen: Seen) -> None:
    """`opencode run`."""
    options = {"baseURL": f"{job.base_url}/v1", "apiKey": job.api_key, "headers": job.headers}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "gateway",
        "options": options,
        "models": {job.model: {"name": job.model}},
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder))
        home.write(
            ".config/opencode/opencode.json",
            json.dumps(
                {"provider": {"gateway": provider}, "autoupdate": False, "share": "disabled"}
            ),
        )
        command = ["opencode", "run", "--format", "json", "--model", f"gateway/{job.model}"]
        lines = await _run(home, job, seen, *command, job.question)
    failure = None
    for line in lines:
        part = line.get("part") or {}
        match line["type"]:
            case "text":
                seen.text = part["text"]
            case "tool_use":
                seen.call(part["tool"], (part.get("state") or {}).get("input"))
            case "step_finish":
                seen.finish = part.get("reason")
                tokens = part.get("tokens") or {}
                seen.count(tokens.get("input"), tokens.get("output"))
            case "error":
                failure = json.dumps(line["error"])
    if failure:
        raise AgentError(failure)
    _check_exit(lines)


WAYS: dict[str, Way] = {"claude": claude_code, "codex": codex, "opencode": opencode}
PACKAGES = ("@anthropic-ai/claude-code", "@openai/codex", "opencode-ai")


def read_versions() -> Iterator[tuple[str, str]]:
    """The versions of what is installed here."""
    for name in PACKAGES:
        with suppress(FileNotFoundError):  # each program has an environment of its own
            package = json.loads((MODULES / name / "package.json").read_text(encoding="utf-8"))
            yield name, package["version"]


if __name__ == "__main__":
    serve(WAYS, dict(read_versions()))
