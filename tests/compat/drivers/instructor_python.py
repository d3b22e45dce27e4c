"""`instructor`: a structured answer by a forced tool or a schema, over chat completions and Messages."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import instructor
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.compat.drivers.jobs import Job, Seen, Way, serve


class City(BaseModel):
    """The structured answer."""

    city: str
    people: int


def openai_client(mode: Any) -> Callable[[Job], Any]:
    """Chat completions in this mode."""

    def connect(job: Job) -> Any:
        client = AsyncOpenAI(
            base_url=f"{job.base_url}/v1", api_key=job.api_key, default_headers=job.headers
        )
        return instructor.from_openai(client, mode=mode)

    return connect


def anthropic_client(mode: Any) -> Callable[[Job], Any]:
    """Messages in this mode."""

    def connect(job: Job) -> Any:
        client = AsyncAnthropic(
            base_url=job.base_url, api_key=job.api_key, default_headers=job.headers
        )
        return instructor.from_anthropic(client, mode=mode)

    return connect


def extract(connect: Callable[[Job], Any]) -> Way:
    """Ask for a city."""

    async def way(job: Job, seen: Seen) -> None:
        city, answer = await connect(job).chat.completions.create_with_completion(
            model=job.model,
            max_tokens=2000,
            max_retries=0,  # of what it adds: the SDK has its own
            messages=[{"role": "user", "content": job.question}],
            response_model=City,
        )
        seen.value, seen.model = city.model_dump(), answer.model
        usage: Any = answer.usage
        if hasattr(usage, "prompt_tokens"):
            seen.count(usage.prompt_tokens, usage.completion_tokens)
            seen.finish = answer.choices[0].finish_reason
        else:
            seen.count(usage.input_tokens, usage.output_tokens)
            seen.finish = answer.stop_reason

    return way


def extract_in_pieces(connect: Callable[[Job], Any]) -> Way:
    """Ask for a city, which grows while it is streamed."""

    async def way(job: Job, seen: Seen) -> None:
        pieces = connect(job).chat.completions.create_partial(
            model=job.model,
            max_tokens=2000,
            messages=[{"role": "user", "content": job.question}],
            response_model=City,
        )
        async for city in pieces:
            seen.value = city.model_dump()

    return way


WAYS = {
    "chat.tools": extract(openai_client(instructor.Mode.TOOLS)),
    "chat.schema": extract(openai_client(instructor.Mode.JSON_SCHEMA)),
    "chat.partial": extract_in_pieces(openai_client(instructor.Mode.TOOLS)),
    "messages.tools": extract(anthropic_client(instructor.Mode.ANTHROPIC_TOOLS)),
}

if __name__ == "__main__":
    serve(WAYS, {name: version(name) for name in ("instructor", "openai", "anthropic")})
