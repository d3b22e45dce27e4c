"""`curl -N` and ten lines that read its output, for each door."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from typing import Any

from tests.compat.drivers.jobs import Job, Left, Seen, Way, serve


class HttpError(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, retry_after: str | None, text: str) -> None:
        super().__init__(text)
        self.status_code = status
        self.response = self  # the driver looks for headers there
        self.headers = {"retry-after": retry_after} if retry_after else {}


class EventError(Exception):
    """An error event."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message") or error.get("errorText"))
        self.code = error.get("code") or error.get("type")


def chat_body(job: Job) -> dict[str, Any]:
    messages = [{"role": "user", "content": job.question}]
    options = {"stream": True, "stream_options": {"include_usage": True}}
    return {"model": job.model, "messages": messages, **options}


def responses_body(job: Job) -> dict[str, Any]:
    return {"model": job.model, "input": job.question, "stream": True}


def messages_body(job: Job) -> dict[str, Any]:
    messages = [{"role": "user", "content": job.question}]
    return {"model": job.model, "max_tokens": 2000, "messages": messages, "stream": True}


def ui_body(job: Job) -> dict[str, Any]:
    message = {"id": "m-1", "role": "user", "parts": [{"type": "text", "text": job.question}]}
    return {"id": "c-1", "trigger": "submit-message", "messages": [message]}


def note_chat(chunk: dict[str, Any], seen: Seen) -> None:
    seen.model = chunk["model"]
    if usage := chunk.get("usage"):
        seen.count(usage["prompt_tokens"], usage["completion_tokens"])
    for choice in chunk["choices"]:
        seen.text += choice["delta"].get("content") or ""
        seen.refusal += choice["delta"].get("refusal") or ""
        seen.finish = choice["finish_reason"] or seen.finish


def note_responses(event: dict[str, Any], seen: Seen) -> None:
    match event["type"]:
        case "response.output_text.delta":
            seen.text += event["delta"]
        case "response.refusal.delta":
            seen.refusal += event["delta"]
        case "response.completed" | "response.incomplete":
            response = event["response"]
            details = response.get("incomplete_details") or {}
            seen.model = response["model"]
            seen.finish = details.get("reason") or response["status"]
            if usage := response.get("usage"):
                seen.count(usage["input_tokens"], usage["output_tokens"])


def note_messages(event: dict[str, Any], seen: Seen) -> None:
    match event["type"]:
        case "message_start":
            seen.model = event["message"]["model"]
        case "content_block_delta":
            seen.text += event["delta"].get("text") or ""
        case "message_delta":
            seen.finish = event["delta"]["stop_reason"]
            seen.count(event["usage"]["input_tokens"], event["usage"]["output_tokens"])


def note_ui(chunk: dict[str, Any], seen: Seen) -> None:
    if chunk["type"] == "text-delta":
        seen.text += chunk["delta"]
    facts = chunk.get("messageMetadata", {}).get("gateway", {})
    seen.model = facts.get("model") or seen.model
    seen.finish = facts.get("finish_reason") or seen.finish
    if usage := facts.get("usage"):
        seen.count(usage["input_tokens"], usage["output_tokens"])


def read(
    path: str,
    make_body: Callable[[Job], dict[str, Any]],
    note: Callable[[dict[str, Any], Seen], None],
) -> Way:
    """A way to ask at this path."""

    async def way(job: Job, seen: Seen) -> None:
        url = job.base_url + path.format(provider=job.provider)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {job.api_key}"}
        given = [f"-H{name}: {value}" for name, value in {**headers, **job.headers}.items()]
        process = await asyncio.create_subprocess_exec(
            "curl",
            *("-N", "-sS", "-i", "--noproxy", "*", *given, "--data-binary", "@-", url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=2**24,
        )
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(json.dumps(make_body(job)).encode())
        process.stdin.close()
        try:
            await _read_answer(process.stdout, note, job, seen)
            if await process.wait():
                raise ConnectionError((await process.stderr.read()).decode().strip())
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return way


async def _read_answer(
    output: asyncio.StreamReader,
    note: Callable[[dict[str, Any], Seen], None],
    job: Job,
    seen: Seen,
) -> None:
    head = (await output.readuntil(b"\r\n\r\n")).decode().lower()
    status = int(head.split()[1])
    if status != 200:
        lines = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        raise HttpError(status, lines.get("retry-after"), (await output.read()).decode())
    async for line in output:
        if not line.startswith(b"data: ") or line == b"data: [DONE]\n":
            continue
        event = json.loads(line.removeprefix(b"data: "))
        if event.get("error") or event.get("type") == "error":
            raise EventError(event.get("error") or event)
        note(event, seen)
        if job.leaves and seen.text:
            raise Left


WAYS = {
    "chat": read("/v1/chat/completions", chat_body, note_chat),
    "responses": read("/v1/responses", responses_body, note_responses),
    "messages": read("/v1/messages", messages_body, note_messages),
    "ui": read("/ui/chat/{provider}", ui_body, note_ui),
}


def read_version() -> str:
    """The version of curl."""
    shown = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    return shown.stdout.split()[1]


if __name__ == "__main__":
    serve(WAYS, {"curl": read_version()})
