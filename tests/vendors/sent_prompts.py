"""What a request to a vendor says, read from its body: the conversation in one form for all wires."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Part = tuple[Any, ...]
Said = list[tuple[str, list[Part]]]


def read_messages(body: dict[str, Any]) -> Said:
    """The turns of Anthropic's messages."""
    return [
        (message["role"], [_read_block(block) for block in message["content"]])
        for message in body["messages"]
    ]


def _read_block(block: dict[str, Any]) -> Part:
    match block:
        case {"type": "text", "text": text}:
            return "text", text
        case {"type": "image", "source": {"media_type": kind, "data": content}}:
            return "image", kind, content
        case {"type": "document", "source": {"media_type": kind, "data": content}}:
            return "file", kind, content, block.get("title", "")
        case {"type": "tool_use", "id": call_id, "name": name, "input": given}:
            return "call", call_id, name, given
        case {"type": "tool_result", "tool_use_id": call_id}:
            parts = [_read_block(inner) for inner in block.get("content", ())]
            return "result", call_id, parts, block.get("is_error", False)
        case _:
            return "state", block


def read_chat_completions(body: dict[str, Any]) -> Said:
    """The messages of chat completions, without the system message."""
    said: Said = []
    for message in body["messages"]:
        content = message.get("content")
        parts = _read_content(content) if content is not None else []
        if message["role"] == "tool":
            parts = [("result", message["tool_call_id"], parts)]
        for call in message.get("tool_calls", ()):
            function = call["function"]
            parts.append(("call", call["id"], function["name"], function["arguments"]))
        if message["role"] != "system":
            said.append((message["role"], parts))
    return said


def _read_content(content: Any) -> list[Part]:
    if isinstance(content, str):
        return [("text", content)]
    return [_read_openai_part(part) for part in content]


def _read_openai_part(part: dict[str, Any]) -> Part:
    match part:
        case {"type": "text" | "input_text", "text": text}:
            return "text", text
        case {"image_url": {"url": url}} | {"image_url": str(url)}:
            kind, _, content = url.removeprefix("data:").partition(";base64,")
            return "image", kind, content
        case {"type": "file", "file": file} | {"type": "input_file", **file}:
            kind, _, content = file["file_data"].removeprefix("data:").partition(";base64,")
            return "file", kind, content, file["filename"]
    raise AssertionError(part)


def read_responses(body: dict[str, Any]) -> Said:
    """The items of OpenAI's Responses, each as a turn of its own."""
    said: Said = []
    for item in body["input"]:
        match item:
            case {"role": role, "content": content}:
                said.append((role, _read_content(content)))
            case {"type": "function_call", "call_id": call_id}:
                said.append(("assistant", [("call", call_id, item["name"], item["arguments"])]))
            case {"type": "function_call_output", "call_id": call_id, "output": output}:
                said.append(("user", [("result", call_id, _read_content(output))]))
            case {"type": "reasoning"}:
                said.append(("assistant", [("state", item)]))
            case _:
                raise AssertionError(item)
    return said


def read_contents(body: dict[str, Any]) -> Said:
    """The contents of Gemini's requests."""
    roles = {"user": "user", "model": "assistant"}
    return [
        (roles[content["role"]], [read for part in content["parts"] for read in _read_part(part)])
        for content in body["contents"]
    ]


def _read_part(part: dict[str, Any]) -> Iterator[Part]:
    match part:
        case {"text": text}:
            yield "text", text
        case {"inlineData": {"mimeType": "application/pdf" as kind, "data": content}}:
            yield "file", kind, content
        case {"inlineData": {"mimeType": kind, "data": content}}:
            yield "image", kind, content
        case {"functionCall": call}:
            yield "call", call.get("id"), call["name"], call["args"]
        case {"functionResponse": result}:
            ((field, text),) = result["response"].items()
            media = [read for inner in result.get("parts", ()) for read in _read_part(inner)]
            parts = [("text", text), *media]
            yield "result", result.get("id"), result["name"], parts, field == "error"
    if "thoughtSignature" in part:
        yield "state", part["thoughtSignature"]


READERS: dict[str, Callable[[dict[str, Any]], Said]] = {
    "claude": read_messages,
    "gpt": read_chat_completions,
    "groq": read_chat_completions,
    "responses": read_responses,
    "gemini": read_contents,
}
