"""Simon Willison's `llm`, by its Python interface: chat completions, streamed and not."""

from __future__ import annotations

import base64
from importlib.metadata import version
from typing import Any

import llm
from llm.default_plugins.openai_models import AsyncChat

from tests.compat.drivers.jobs import Job, Left, Seen, Way, serve
from tests.compat.drivers.jobs import Tool as OfferedTool


def make_model(job: Job) -> Any:
    """The model, as `extra-openai-models.yaml` describes one."""
    return AsyncChat(
        job.model,
        key=None,
        model_name=job.model,
        api_base=f"{job.base_url}/v1",
        headers=job.headers,
        vision=True,
        supports_schema=True,
        supports_tools=True,
    )


def make_tool(tool: OfferedTool) -> Any:
    """The tool, with what it returns."""
    return llm.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.parameters,
        implementation=lambda **_: tool.returns,
    )


async def _note(response: Any, seen: Seen) -> None:
    usage = await response.usage()
    seen.count(usage.input, usage.output)
    for call in await response.tool_calls():
        seen.call(call.name, call.arguments)
    found = response.response_json or {}
    (choice,) = found.get("choices") or [found]  # streamed, its fields are at the top
    seen.model, seen.finish = found.get("model"), choice.get("finish_reason")
    seen.refusal = (choice.get("message") or {}).get("refusal") or ""


def prompt(*, is_stream: bool) -> Way:
    """A prompt; with tools a chain of them."""

    async def way(job: Job, seen: Seen) -> None:
        options: dict[str, Any] = {"key": job.api_key, "stream": is_stream}
        model = make_model(job)
        if job.image:
            options["attachments"] = [llm.Attachment(content=base64.b64decode(job.image))]
        if job.tools:
            options["tools"] = [make_tool(tool) for tool in job.tools]
        if job.schema:
            options["schema"] = job.schema
        if job.calls_back:
            async for response in model.chain(job.question, **options).responses():
                seen.text = await response.text()
                await _note(response, seen)
            return
        response = model.prompt(job.question, **options)
        async for piece in response:
            seen.text += piece
            if job.leaves and seen.text:
                raise Left
        await _note(response, seen)

    return way


WAYS = {"chat.stream": prompt(is_stream=True), "chat.prompt": prompt(is_stream=False)}

if __name__ == "__main__":
    serve(WAYS, {"llm": version("llm")})
