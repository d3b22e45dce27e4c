"""Python's `anthropic`: raw events, `messages.stream()`, and not streamed."""

from __future__ import annotations

import json
from typing import Any

import anthropic
from anthropic import AsyncAnthropic

from tests.compat.drivers.jobs import Job, Left, Seen, serve

MAX_TOKENS = 2000


def connect(job: Job) -> AsyncAnthropic:
    """The client, as it comes: its own retries, its own timeouts."""
    return AsyncAnthropic(base_url=job.base_url, api_key=job.api_key, default_headers=job.headers)


def make_body(job: Job) -> dict[str, Any]:
    """The request as the Messages API takes it."""
    content: list[dict[str, Any]] = [{"type": "text", "text": job.question}]
    if job.image:
        source = {"type": "base64", "media_type": "image/png", "data": job.image}
        content.append({"type": "image", "source": source})
    body: dict[str, Any] = {
        "model": job.model,
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": content}],
    }
    if job.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in job.tools
        ]
    if job.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": job.schema}}
    return body


def note_message(message: Any, seen: Seen) -> list[dict[str, Any]]:
    """Note a whole message; its blocks as the next request has them, if it has calls."""
    seen.text = "".join(block.text for block in message.content if block.type == "text")
    seen.finish, seen.model = message.stop_reason, message.model
    seen.count(message.usage.input_tokens, message.usage.output_tokens)
    blocks: list[dict[str, Any]] = [block.to_dict() for block in message.content]
    return _note_blocks(blocks, seen)


def _note_blocks(blocks: list[dict[str, Any]], seen: Seen) -> list[dict[str, Any]]:
    calls = [block for block in blocks if block["type"] == "tool_use"]
    for call in calls:
        seen.call(call["name"], call["input"])
    seen.reasoning += "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
    return blocks if calls else []


def answer_calls(job: Job, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The assistant's message and the results of its calls, as the next request has them."""
    results = [
        {
            "type": "tool_result",
            "tool_use_id": block["id"],
            "content": job.run_tool(block["name"]),
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return [{"role": "assistant", "content": blocks}, {"role": "user", "content": results}]


async def raw(job: Job, seen: Seen) -> None:
    """`create(stream=True)`, its events gathered by hand."""
    body = make_body(job)
    async with connect(job) as client:
        blocks = await _gather_events(client, body, job, seen)
        if job.calls_back and blocks:
            body["messages"] += answer_calls(job, blocks)
            await _gather_events(client, body, job, seen)


async def _gather_events(
    client: AsyncAnthropic, body: dict[str, Any], job: Job, seen: Seen
) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    seen.text, is_stopped = "", False
    stream = await client.messages.create(**body, stream=True)
    async for event in stream:
        match event.type:
            case "message_start":
                seen.model = event.message.model
            case "content_block_start":
                blocks.append(event.content_block.to_dict() | {"json": ""})
            case "content_block_delta":
                _add_delta(blocks[event.index], event.delta, seen)
                if job.leaves and seen.text:
                    await stream.close()
                    raise Left
            case "message_delta":
                seen.finish = event.delta.stop_reason
                seen.count(event.usage.input_tokens, event.usage.output_tokens)
            case "message_stop":
                is_stopped = True
    if not is_stopped:
        raise RuntimeError("the stream ended without message_stop")
    for block in blocks:
        arguments = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = json.loads(arguments)
    return _note_blocks(blocks, seen)


def _add_delta(block: dict[str, Any], delta: Any, seen: Seen) -> None:
    match delta.type:
        case "text_delta":
            block["text"] += delta.text
            seen.text += delta.text
        case "input_json_delta":
            block["json"] += delta.partial_json
        case "thinking_delta":
            block["thinking"] += delta.thinking
        case "signature_delta":
            block["signature"] = delta.signature


async def stream(job: Job, seen: Seen) -> None:
    """`messages.stream()`."""
    body = make_body(job)
    async with connect(job) as client:
        blocks = await _stream_message(client, body, job, seen)
        if job.calls_back and blocks:
            body["messages"] += answer_calls(job, blocks)
            await _stream_message(client, body, job, seen)


async def _stream_message(
    client: AsyncAnthropic, body: dict[str, Any], job: Job, seen: Seen
) -> list[dict[str, Any]]:
    seen.text = ""
    async with client.messages.stream(**body) as answer:
        async for text in answer.text_stream:
            seen.text += text
            if job.leaves and seen.text:
                raise Left
        return note_message(await answer.get_final_message(), seen)


async def create(job: Job, seen: Seen) -> None:
    """`create()`, not streamed."""
    body = make_body(job)
    async with connect(job) as client:
        blocks = note_message(await client.messages.create(**body), seen)
        if job.calls_back and blocks:
            body["messages"] += answer_calls(job, blocks)
            note_message(await client.messages.create(**body), seen)


WAYS = {"raw": raw, "stream": stream, "create": create}

if __name__ == "__main__":
    serve(WAYS, {"anthropic": anthropic.__version__})
