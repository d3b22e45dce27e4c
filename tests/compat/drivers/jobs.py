"""What the Python drivers share: jobs come as lines of JSON, and what a client saw goes back as a line.

A driver runs in its client's own environment, so this imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

SECONDS = 200  # a job that takes longer hangs


@dataclass(frozen=True)
class Tool:
    """A tool that the client offers, and what it returns when it is called."""

    name: str
    description: str
    parameters: dict[str, Any]
    returns: str


@dataclass(frozen=True)
class Job:
    """One chat with the gateway, in no client's words. `way` is one of the driver's ways to run it."""

    name: str
    way: str
    base_url: str  # without a path
    api_key: str
    model: str
    provider: str
    question: str
    image: str | None = None  # a PNG in base64
    tools: tuple[Tool, ...] = ()
    calls_back: bool = False  # the tools are run, and their results sent
    schema: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    leaves: bool = False  # after the first text

    def run_tool(self, name: str) -> str:
        """What the tool returns."""
        return next(tool.returns for tool in self.tools if tool.name == name)


@dataclass
class Seen:
    """What the client has of the answer, filled in while it runs. None: the client shows no such thing."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    model: str | None = None
    value: Any = None  # the structured answer
    error: dict[str, Any] | None = None

    def call(self, name: str, arguments: Any) -> None:
        """Note a call. Arguments that are no JSON stay text."""
        if isinstance(arguments, str):
            with suppress(ValueError):
                arguments = json.loads(arguments)
        self.calls.append({"name": name, "arguments": arguments})

    def count(self, input_tokens: int | None, output_tokens: int | None) -> None:
        """Note the token counts, unless there are none."""
        if input_tokens is not None:
            self.input_tokens = input_tokens
        if output_tokens is not None:
            self.output_tokens = output_tokens


Way = Callable[[Job, Seen], Awaitable[None]]


class Left(Exception):  # noqa: N818 - no error: the client has left, as it was asked to
    """Ends a job whose client leaves."""


async def run(way: Way, job: Job) -> Seen:
    """Run a job. Whatever the client raises is a part of what it saw."""
    seen = Seen()
    try:
        async with asyncio.timeout(SECONDS):
            await way(job, seen)
    except Left:
        pass  # as asked
    except Exception as error:  # noqa: BLE001 - a client may raise anything
        seen.error = describe(error)
    return seen


def describe(error: BaseException) -> dict[str, Any]:
    """The class, status and code of an error, and its text with that of its causes."""
    status, code = getattr(error, "status_code", None), getattr(error, "code", None)
    response = getattr(error, "response", None)
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    texts, cause = [], error
    while cause is not None:
        texts.append(f"{cause}")
        status = status or getattr(cause, "status_code", None)
        code = code or getattr(cause, "code", None)
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
    return {
        "class": type(error).__name__,
        "status": status if isinstance(status, int) else None,
        "code": code if isinstance(code, str) else None,
        "retry_after": headers.get("retry-after"),
        "text": "\n".join(texts)[:2000],
    }


def read_job(line: str) -> Job:
    """A job as it is written."""
    fields = json.loads(line)
    fields["tools"] = tuple(Tool(**tool) for tool in fields.get("tools", ()))
    return Job(**fields)


async def _serve(ways: Mapping[str, Way], output: TextIO) -> None:
    async with asyncio.TaskGroup() as running:
        while line := await asyncio.to_thread(sys.stdin.readline):
            job = read_job(line)
            running.create_task(_answer(ways[job.way], job, output))


async def _answer(way: Way, job: Job, output: TextIO) -> None:
    seen = await run(way, job)
    print(json.dumps({"name": job.name, **asdict(seen)}, default=str), file=output, flush=True)


def serve(ways: Mapping[str, Way], versions: Mapping[str, str]) -> None:
    """Print the client's versions, then run the jobs of the standard input, all at once."""
    output = sys.stdout
    print(json.dumps(versions), file=output, flush=True)
    with redirect_stdout(sys.stderr):  # a client may print
        asyncio.run(_serve(ways, output))
