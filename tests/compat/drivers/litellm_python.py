"""`litellm` as a library: OpenAI's chat completions and Anthropic's Messages; streamed and not."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import litellm

from tests.compat.drivers.jobs import Job, Left, Seen, Way, serve
from tests.compat.drivers.openai_python import answer_calls, chat_body, note_chat, note_chat_usage


def make_request(prefix: str, job: Job) -> dict[str, Any]:
    """The arguments of `acompletion`."""
    base_url = f"{job.base_url}/v1" if prefix == "openai" else job.base_url
    return chat_body(job) | {
        "model": f"{prefix}/{job.model}",
        "api_base": base_url,
        "api_key": job.api_key,
        "extra_headers": job.headers or None,
    }


async def _create(request: dict[str, Any], _job: Job, seen: Seen) -> Any:
    return note_chat(await litellm.acompletion(**request), seen)


async def _stream(request: dict[str, Any], job: Job, seen: Seen) -> Any:
    chunks: list[Any] = []
    seen.text = ""
    stream = await litellm.acompletion(
        **request, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        chunks.append(chunk)
        seen.model = chunk.model
        for choice in chunk.choices:
            seen.text += choice.delta.content or ""
            seen.finish = choice.finish_reason or seen.finish
        if job.leaves and seen.text:
            await stream.aclose()
            raise Left
    whole: Any = litellm.stream_chunk_builder(chunks)
    note_chat_usage(whole.usage, seen)
    message = whole.choices[0].message
    for call in message.tool_calls or ():
        seen.call(call.function.name, call.function.arguments)
    return message


def chat(prefix: str, ask: Any) -> Way:
    """A way to run a job with this vendor's wire."""

    async def way(job: Job, seen: Seen) -> None:
        request = make_request(prefix, job)
        message = await ask(request, job, seen)
        if job.calls_back and message.tool_calls:
            request["messages"] += answer_calls(job, message.model_dump(exclude_none=True))
            await ask(request, job, seen)

    return way


WAYS = {
    f"{name}.{verb}": chat(prefix, ask)
    for name, prefix in [("chat", "openai"), ("messages", "anthropic")]
    for verb, ask in [("stream", _stream), ("create", _create)]
}

if __name__ == "__main__":
    serve(WAYS, {"litellm": version("litellm")})
