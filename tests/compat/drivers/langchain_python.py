"""`langchain-openai` (chat completions and Responses) and `langchain-anthropic`: streamed and not."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

from tests.compat.drivers.jobs import Job, Left, Seen, Way, serve


def chat_model(job: Job) -> Any:
    """Chat completions, as they come with a base URL."""
    return ChatOpenAI(
        model=job.model,
        base_url=f"{job.base_url}/v1",
        api_key=job.api_key,
        default_headers=job.headers,
    )


def responses_model(job: Job) -> Any:
    """The Responses API."""
    return ChatOpenAI(
        model=job.model,
        base_url=f"{job.base_url}/v1",
        api_key=job.api_key,
        default_headers=job.headers,
        use_responses_api=True,
    )


def anthropic_model(job: Job) -> Any:
    """The Messages API."""
    return ChatAnthropic(
        model=job.model,
        base_url=job.base_url,
        api_key=job.api_key,
        default_headers=job.headers,
        max_tokens=2000,
    )


def make_messages(job: Job) -> list[Any]:
    """The conversation so far."""
    content: list[dict[str, Any]] = [{"type": "text", "text": job.question}]
    if job.image:
        url = {"url": f"data:image/png;base64,{job.image}"}
        content.append({"type": "image_url", "image_url": url})
    return [HumanMessage(content if job.image else job.question)]


def with_tools(model: Any, job: Job) -> Any:
    """The model with the job's tools."""
    if not job.tools:
        return model
    tools = [
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
    return model.bind_tools(tools)


def note_message(message: Any, seen: Seen) -> None:
    """Note a whole message, or the sum of its chunks."""
    seen.text = message.text if isinstance(message.text, str) else message.text()
    facts = message.response_metadata
    details = facts.get("incomplete_details") or {}
    seen.finish = (
        details.get("reason")
        or facts.get("finish_reason")
        or facts.get("stop_reason")
        or facts.get("status")
    )
    seen.model = facts.get("model_name") or facts.get("model")
    seen.refusal = message.additional_kwargs.get("refusal") or ""
    usage = message.usage_metadata
    if usage:
        seen.count(usage["input_tokens"], usage["output_tokens"])
    for call in message.tool_calls:
        seen.call(call["name"], call["args"])
    if message.invalid_tool_calls:
        raise ValueError(f"invalid calls: {message.invalid_tool_calls}")


def answer_calls(job: Job, message: Any) -> list[Any]:
    """The results of a message's calls."""
    return [
        ToolMessage(job.run_tool(call["name"]), tool_call_id=call["id"])
        for call in message.tool_calls
    ]


async def _stream(model: Any, messages: list[Any], job: Job, seen: Seen) -> Any:
    whole: Any = None
    async for chunk in model.astream(messages):
        whole = chunk if whole is None else whole + chunk
        text = whole.text if isinstance(whole.text, str) else whole.text()
        seen.text = str(text)
        if job.leaves and text:
            raise Left
    note_message(whole, seen)
    return whole


async def _invoke(model: Any, messages: list[Any], job: Job, seen: Seen) -> Any:
    message = await model.ainvoke(messages)
    note_message(message, seen)
    return message


def chat(make_model: Callable[[Job], Any], ask: Any) -> Way:
    """A way to run a job with this model."""

    async def way(job: Job, seen: Seen) -> None:
        model, messages = make_model(job), make_messages(job)
        if job.schema:
            schema = {"title": "city", "description": "A city", **job.schema}
            structured = model.with_structured_output(
                schema, method="json_schema", include_raw=True
            )
            found = await structured.ainvoke(messages)
            note_message(found["raw"], seen)
            seen.value = found["parsed"]
            return
        offered = with_tools(model, job)
        message = await ask(offered, messages, job, seen)
        if job.calls_back and message.tool_calls:
            await ask(offered, [*messages, message, *answer_calls(job, message)], job, seen)

    return way


WAYS = {
    f"{name}.{verb}": chat(make_model, ask)
    for name, make_model in [
        ("chat", chat_model),
        ("responses", responses_model),
        ("messages", anthropic_model),
    ]
    for verb, ask in [("stream", _stream), ("invoke", _invoke)]
}

if __name__ == "__main__":
    packages = ("langchain-openai", "langchain-anthropic", "langchain-core")
    serve(WAYS, {name: version(name) for name in packages})
