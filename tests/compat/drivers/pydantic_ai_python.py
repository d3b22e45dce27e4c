"""`pydantic-ai`: an agent with tools over chat completions, Responses and Messages; streamed and not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, Tool
from pydantic_ai.messages import ModelResponse, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.compat.drivers.jobs import Job, Left, Seen, Way, serve
from tests.compat.drivers.jobs import Tool as OfferedTool


class City(BaseModel):
    """The structured answer."""

    city: str
    people: int


def openai_provider(job: Job) -> Any:
    """The provider, on openai's own client."""
    client = AsyncOpenAI(
        base_url=f"{job.base_url}/v1", api_key=job.api_key, default_headers=job.headers
    )
    return OpenAIProvider(openai_client=client)


def chat_model(job: Job) -> Any:
    """Chat completions."""
    return OpenAIChatModel(job.model, provider=openai_provider(job))


def responses_model(job: Job) -> Any:
    """The Responses API."""
    return OpenAIResponsesModel(job.model, provider=openai_provider(job))


def anthropic_model(job: Job) -> Any:
    """The Messages API."""
    client = AsyncAnthropic(base_url=job.base_url, api_key=job.api_key, default_headers=job.headers)
    return AnthropicModel(job.model, provider=AnthropicProvider(anthropic_client=client))


def make_tool(tool: OfferedTool) -> Any:
    """The tool as a function of the agent's."""

    async def run(**_: Any) -> str:
        return tool.returns

    return Tool.from_schema(
        run, name=tool.name, description=tool.description, json_schema=tool.parameters
    )


def make_agent(model: Any, job: Job) -> Any:
    """The agent, with what the job offers and asks."""
    tools = [make_tool(tool) for tool in job.tools]
    return Agent(model, tools=tools, output_type=City if job.schema else str)


def make_prompt(job: Job) -> Any:
    """The question, and an image."""
    if not job.image:
        return job.question
    return [job.question, BinaryContent(base64.b64decode(job.image), media_type="image/png")]


def note_messages(messages: list[Any], seen: Seen) -> None:
    """Note the answers of a run."""
    seen.calls = []
    for message in messages:
        if not isinstance(message, ModelResponse):
            continue
        seen.model, seen.finish = message.model_name, message.finish_reason
        seen.count(message.usage.input_tokens, message.usage.output_tokens)
        seen.text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                seen.call(part.tool_name, part.args_as_dict())
            elif isinstance(part, ThinkingPart):
                seen.reasoning += part.content


async def _stream(agent: Any, job: Job, seen: Seen) -> None:
    async with agent.run_stream(make_prompt(job)) as result:
        if job.schema:
            async for output in result.stream_output():
                seen.value = output.model_dump()
        else:
            async for text in result.stream_text(delta=True, debounce_by=None):
                seen.text += text
                if job.leaves and seen.text:
                    raise Left
        note_messages(result.all_messages(), seen)


async def _run(agent: Any, job: Job, seen: Seen) -> None:
    result = await agent.run(make_prompt(job))
    note_messages(result.all_messages(), seen)
    if job.schema:
        seen.value = result.output.model_dump()


def chat(make_model: Callable[[Job], Any], ask: Any) -> Way:
    """A way to run a job with this model."""

    async def way(job: Job, seen: Seen) -> None:
        await ask(make_agent(make_model(job), job), job, seen)

    return way


WAYS = {
    f"{name}.{verb}": chat(make_model, ask)
    for name, make_model in [
        ("chat", chat_model),
        ("responses", responses_model),
        ("messages", anthropic_model),
    ]
    for verb, ask in [("stream", _stream), ("run", _run)]
}

if __name__ == "__main__":
    serve(WAYS, {"pydantic-ai": version("pydantic-ai-slim")})
