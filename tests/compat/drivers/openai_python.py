"""Python's `openai`: chat completions and Responses, each raw, with its helper, and not streamed."""

from __future__ import annotations

from typing import Any

import openai
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.compat.drivers.jobs import Job, Left, Seen, serve


class City(BaseModel):
    """The structured answer."""

    city: str
    people: int


def connect(job: Job) -> AsyncOpenAI:
    """The client, as it comes: its own retries, its own timeouts."""
    return AsyncOpenAI(
        base_url=f"{job.base_url}/v1", api_key=job.api_key, default_headers=job.headers
    )


# --- chat completions --------------------------------------------------------------------------------


def chat_body(job: Job) -> dict[str, Any]:
    """The request as chat completions take it."""
    content: Any = job.question
    if job.image:
        url = {"url": f"data:image/png;base64,{job.image}"}
        content = [
            {"type": "text", "text": job.question},
            {"type": "image_url", "image_url": url},
        ]
    body: dict[str, Any] = {
        "model": job.model,
        "messages": [{"role": "user", "content": content}],
    }
    if job.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in job.tools
        ]
    if job.schema:
        schema = {"name": "city", "schema": job.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def note_chat(completion: Any, seen: Seen) -> Any:
    """Note a whole completion; its message."""
    choice = completion.choices[0]
    message = choice.message
    seen.text, seen.finish, seen.model = (
        message.content or "",
        choice.finish_reason,
        completion.model,
    )
    seen.refusal = getattr(message, "refusal", None) or ""
    note_chat_usage(completion.usage, seen)
    for call in message.tool_calls or ():
        seen.call(call.function.name, call.function.arguments)
    seen.value = getattr(message, "parsed", None) and message.parsed.model_dump()
    return message


def note_chat_usage(usage: Any, seen: Seen) -> None:
    if usage is not None:
        seen.count(usage.prompt_tokens, usage.completion_tokens)


def answer_calls(job: Job, message: Any) -> list[dict[str, Any]]:
    """The assistant's message and the results of its calls, as the next request has them."""
    results = [
        {
            "role": "tool",
            "tool_call_id": call["id"],
            "content": job.run_tool(call["function"]["name"]),
        }
        for call in message["tool_calls"]
    ]
    return [message, *results]


async def chat_raw(job: Job, seen: Seen) -> None:
    """`create(stream=True)`, its chunks gathered by hand."""
    body = chat_body(job)
    async with connect(job) as client:
        message = await _gather_chunks(client, body, job, seen)
        if job.calls_back and message.get("tool_calls"):
            body["messages"] += answer_calls(job, message)
            await _gather_chunks(client, body, job, seen)


async def _gather_chunks(
    client: AsyncOpenAI, body: dict[str, Any], job: Job, seen: Seen
) -> dict[str, Any]:
    text, calls = "", list[dict[str, Any]]()
    stream = await client.chat.completions.create(
        **body, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        seen.model = chunk.model
        note_chat_usage(chunk.usage, seen)
        for choice in chunk.choices:
            delta = choice.delta
            text += delta.content or ""
            seen.text += delta.content or ""
            seen.refusal += delta.refusal or ""
            seen.reasoning += getattr(delta, "reasoning_content", None) or ""
            seen.finish = choice.finish_reason or seen.finish
            for piece in delta.tool_calls or ():
                if piece.index == len(calls):
                    function = {"name": piece.function.name, "arguments": ""}
                    calls.append({"id": piece.id, "type": "function", "function": function})
                calls[piece.index]["function"]["arguments"] += piece.function.arguments or ""
        if job.leaves and text:
            await stream.close()
            raise Left
    for call in calls:
        seen.call(call["function"]["name"], call["function"]["arguments"])
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    return message | {"tool_calls": calls} if calls else message


async def chat_stream(job: Job, seen: Seen) -> None:
    """`chat.completions.stream()`."""
    body = chat_body(job)
    if job.schema:
        body["response_format"] = City
    async with connect(job) as client:
        message = await _stream_chat(client, body, job, seen)
        if job.calls_back and message.tool_calls:
            body["messages"] += answer_calls(job, message.to_dict())
            await _stream_chat(client, body, job, seen)


async def _stream_chat(client: AsyncOpenAI, body: dict[str, Any], job: Job, seen: Seen) -> Any:
    seen.text = ""
    options: dict[str, Any] = {"stream_options": {"include_usage": True}}
    async with client.chat.completions.stream(**body, **options) as stream:
        async for event in stream:
            if event.type == "content.delta":
                seen.text += event.delta
                if job.leaves and seen.text:
                    raise Left
        return note_chat(await stream.get_final_completion(), seen)


async def chat_create(job: Job, seen: Seen) -> None:
    """`create()`, not streamed."""
    body = chat_body(job)
    async with connect(job) as client:
        message = note_chat(await client.chat.completions.create(**body), seen)
        if job.calls_back and message.tool_calls:
            body["messages"] += answer_calls(job, message.to_dict())
            note_chat(await client.chat.completions.create(**body), seen)


async def chat_parse(job: Job, seen: Seen) -> None:
    """`chat.completions.parse()`."""
    async with connect(job) as client:
        body = chat_body(job) | {"response_format": City}
        note_chat(await client.chat.completions.parse(**body), seen)


# --- Responses ---------------------------------------------------------------------------------------


def responses_body(job: Job) -> dict[str, Any]:
    """The request as the Responses API takes it."""
    content: list[dict[str, Any]] = [{"type": "input_text", "text": job.question}]
    if job.image:
        url = f"data:image/png;base64,{job.image}"
        content.append({"type": "input_image", "image_url": url, "detail": "auto"})
    body: dict[str, Any] = {
        "model": job.model,
        "input": [{"role": "user", "content": content}],
        "store": False,
    }
    if job.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": False,
            }
            for tool in job.tools
        ]
    if job.schema:
        form = {"type": "json_schema", "name": "city", "schema": job.schema, "strict": True}
        body["text"] = {"format": form}
    return body


def note_response(response: Any, seen: Seen) -> list[dict[str, Any]]:
    """Note a response; its output as the next request has it, if it has calls."""
    seen.text, seen.finish, seen.model = response.output_text, response.status, response.model
    if response.status == "incomplete":
        seen.finish = response.incomplete_details.reason
    if response.usage:
        seen.count(response.usage.input_tokens, response.usage.output_tokens)
    calls = [item for item in response.output if item.type == "function_call"]
    for call in calls:
        seen.call(call.name, call.arguments)
    for item in response.output:
        for part in getattr(item, "content", None) or ():
            seen.refusal += getattr(part, "refusal", "")
        if item.type == "reasoning":
            seen.reasoning += "".join(part.text for part in item.summary)
    parsed = getattr(response, "output_parsed", None)
    seen.value = parsed and parsed.model_dump()
    if response.status == "failed":
        raise RuntimeError(f"failed: {response.error.code}: {response.error.message}")
    return [item.to_dict() for item in response.output] if calls else []


def output_of(job: Job, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items, and the results of their calls."""
    results = [
        {
            "type": "function_call_output",
            "call_id": item["call_id"],
            "output": job.run_tool(item["name"]),
        }
        for item in items
        if item["type"] == "function_call"
    ]
    return [*items, *results]


async def responses_raw(job: Job, seen: Seen) -> None:
    """`create(stream=True)`, its events gathered by hand."""
    body = responses_body(job)
    async with connect(job) as client:
        items = await _gather_events(client, body, job, seen)
        if job.calls_back and items:
            body["input"] += output_of(job, items)
            await _gather_events(client, body, job, seen)


async def _gather_events(
    client: AsyncOpenAI, body: dict[str, Any], job: Job, seen: Seen
) -> list[dict[str, Any]]:
    last, text = None, ""
    stream = await client.responses.create(**body, stream=True)
    async for event in stream:
        last = event
        if event.type == "response.output_text.delta":
            text += event.delta
            seen.text = text
            if job.leaves:
                await stream.close()
                raise Left
        elif event.type == "response.failed":
            note_response(event.response, seen)
        elif event.type in ("response.completed", "response.incomplete"):
            items = note_response(event.response, seen)
            assert seen.text == text, "the deltas are not the answer"
            return items
    seen.finish = None
    raise RuntimeError(f"the stream ended with {last and last.type}")


async def responses_stream(job: Job, seen: Seen) -> None:
    """`responses.stream()`."""
    body = responses_body(job)
    if job.schema:
        del body["text"]
        body["text_format"] = City
    async with connect(job) as client:
        items = await _stream_response(client, body, job, seen)
        if job.calls_back and items:
            body["input"] += output_of(job, items)
            await _stream_response(client, body, job, seen)


async def _stream_response(
    client: AsyncOpenAI, body: dict[str, Any], job: Job, seen: Seen
) -> list[dict[str, Any]]:
    seen.text = ""
    async with client.responses.stream(**body) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                seen.text += event.delta
                if job.leaves and seen.text:
                    raise Left
        return note_response(await stream.get_final_response(), seen)


async def responses_create(job: Job, seen: Seen) -> None:
    """`create()`, not streamed."""
    body = responses_body(job)
    async with connect(job) as client:
        items = note_response(await client.responses.create(**body), seen)
        if job.calls_back and items:
            body["input"] += output_of(job, items)
            note_response(await client.responses.create(**body), seen)


async def responses_parse(job: Job, seen: Seen) -> None:
    """`responses.parse()`."""
    body = responses_body(job)
    body.pop("text", None)
    async with connect(job) as client:
        note_response(await client.responses.parse(**body, text_format=City), seen)


WAYS = {
    "chat.raw": chat_raw,
    "chat.stream": chat_stream,
    "chat.create": chat_create,
    "chat.parse": chat_parse,
    "responses.raw": responses_raw,
    "responses.stream": responses_stream,
    "responses.create": responses_create,
    "responses.parse": responses_parse,
}

if __name__ == "__main__":
    serve(WAYS, {"openai": openai.__version__})
