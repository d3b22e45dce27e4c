"""`openai-agents`: an agent with tools over Responses and chat completions; streamed and not."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from agents import (
    Agent,
    FunctionTool,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.compat.drivers.jobs import Job, Left, Seen, Tool, Way, serve


class City(BaseModel):
    """The structured answer."""

    city: str
    people: int


def make_tool(tool: Tool) -> Any:
    """The tool as a function of the agent's."""

    async def run(_context: Any, _arguments: str) -> str:
        return tool.returns

    return FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=tool.parameters,
        on_invoke_tool=run,
        strict_json_schema=False,
    )


def make_agent(model_class: Any, job: Job) -> Any:
    """The agent, with what the job offers and asks."""
    client = AsyncOpenAI(
        base_url=f"{job.base_url}/v1", api_key=job.api_key, default_headers=job.headers
    )
    return Agent(
        name="agent",
        model=model_class(model=job.model, openai_client=client),
        tools=[make_tool(tool) for tool in job.tools],
        output_type=City if job.schema else None,
    )


def make_input(job: Job) -> Any:
    """The question, and an image."""
    if not job.image:
        return job.question
    url = f"data:image/png;base64,{job.image}"
    parts = [
        {"type": "input_text", "text": job.question},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    return [{"role": "user", "content": parts}]


def note_result(result: Any, job: Job, seen: Seen) -> None:
    """Note a run. The agent shows no finish reason and no served model."""
    usage = result.context_wrapper.usage
    if usage.total_tokens:
        seen.count(usage.input_tokens, usage.output_tokens)
    for item in result.new_items:
        if item.type == "tool_call_item":
            seen.call(item.raw_item.name, item.raw_item.arguments)
    if job.schema:
        seen.value = result.final_output.model_dump()
    else:
        seen.text = result.final_output


async def _stream(agent: Any, job: Job, seen: Seen) -> None:
    result = Runner.run_streamed(agent, make_input(job))
    async for event in result.stream_events():
        if event.type != "raw_response_event":
            continue
        if event.data.type == "response.output_text.delta":
            seen.text += event.data.delta
            if job.leaves and seen.text:
                result.cancel()
                raise Left
        elif event.data.type == "response.refusal.delta":
            seen.refusal += event.data.delta
    note_result(result, job, seen)


async def _run(agent: Any, job: Job, seen: Seen) -> None:
    note_result(await Runner.run(agent, make_input(job)), job, seen)


def chat(model_class: Any, ask: Any) -> Way:
    """A way to run a job with this model."""

    async def way(job: Job, seen: Seen) -> None:
        await ask(make_agent(model_class, job), job, seen)

    return way


WAYS = {
    f"{name}.{verb}": chat(model_class, ask)
    for name, model_class in [
        ("chat", OpenAIChatCompletionsModel),
        ("responses", OpenAIResponsesModel),
    ]
    for verb, ask in [("stream", _stream), ("run", _run)]
}

if __name__ == "__main__":
    set_tracing_disabled(True)
    serve(WAYS, {"openai-agents": version("openai-agents")})
