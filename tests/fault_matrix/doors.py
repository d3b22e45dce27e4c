"""The chats of the matrix by the doors of other protocols: what is asked there, and how an answer is read.

A reader says what a client of the door sees, in the words of the native door, and complains if the door's own words
are not those of `doors.toml`, or if a broken answer has any of the marks of a whole one.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from models import ERROR_KINDS
from tests.fault_matrix.answer import Answer

_DATA = tomllib.loads((Path(__file__).parent / "doors.toml").read_text(encoding="utf-8"))
NATIVE = "native"
DOORS = tuple(_DATA)


def door_path(door: str) -> str:
    """Where a door is."""
    path: str = _DATA[door]["path"]
    return path


def error_codes() -> list[str]:
    """The codes of errors that doors have words for."""
    return list(_errors(DOORS[0]))


def error_words(door: str, code: str) -> str:
    """An error in the words of a door, for the page."""
    status, *words = _errors(door)[code]
    return ", ".join([str(status), *(f"`{word}`" for word in dict.fromkeys(words))])


def _errors(door: str) -> dict[str, Any]:
    errors: dict[str, Any] = _DATA[_DATA[door].get("errors_as", door)]["errors"]
    return errors


Messages = list[dict[str, str]]


class Request(NamedTuple):
    """The path and the body of a chat."""

    path: str
    body: dict[str, Any]


def make_request(door: str, provider: str, messages: Messages) -> Request:
    """A chat with a provider by a door."""
    path = _DATA[door]["path"].format(provider=provider)
    body: dict[str, Any] = {"model": provider, "stream": True}
    match door:
        case "openai_responses":
            body["input"] = messages
        case "anthropic":
            body |= {"messages": messages, "max_tokens": 1_000}
        case "ui_message":
            body["id"] = "conversation-of-a-page"
            body["messages"] = [
                {
                    "id": str(place),
                    "role": message["role"],
                    "parts": [{"type": "text", "text": message["content"]}],
                }
                for place, message in enumerate(messages)
            ]
        case _:
            body["messages"] = messages
    return Request(path, body)


def read_answer(door: str, response: httpx.Response) -> Answer:
    """What a client of the door has of a response."""
    answer = Answer(response.status_code, response.text)
    if response.headers["content-type"].startswith("text/event-stream"):
        _READERS[door](answer, _read_frames(answer.body))
    elif door == "ui_message":
        code, wait = response.headers["x-gateway-error"], response.headers.get("retry-after")
        _take_error(answer, door, {"code": code, "retry_after": wait and int(wait)}, (code,))
        answer.complaints += ["no text for a person"] * (not response.text)
    else:
        fields = response.json()
        _take_error(answer, door, fields["gateway"], _words(door, fields["error"]))
    _check_retry(answer, response.headers)
    return answer


def _check_retry(answer: Answer, headers: httpx.Headers) -> None:
    """The headers that clients obey agree with what the error says."""
    if answer.http_status == 200 or answer.error is None:
        return
    kind = ERROR_KINDS[answer.error["code"]]
    wait = answer.error["retry_after"]
    if headers.get("retry-after") != (None if wait is None else str(wait)):
        answer.complaints.append(f"Retry-After {headers.get('retry-after')} for {wait}")
    # After a failure of the whole chain a client's own retry would only multiply the gateway's.
    is_asked_to_retry = headers["x-should-retry"] == "true"
    if (is_asked_to_retry and not kind.retryable) or (kind.status == 429) != is_asked_to_retry:
        answer.complaints.append(f"x-should-retry {is_asked_to_retry}")


def _take_error(answer: Answer, door: str, facts: dict[str, Any], words: tuple[str, ...]) -> None:
    """Note an error in the native door's words, and whether the door's own ones are right."""
    code = facts["code"]
    status, *expected = _errors(door).get(code, (0, "no words are expected"))
    if list(words) != expected:
        answer.complaints.append(f"it says {words} for {code}")
    if answer.http_status not in (200, status):
        answer.complaints.append(f"HTTP {answer.http_status} for {status}")
    native = ERROR_KINDS[code].status
    answer.http_status = 200 if answer.http_status == 200 else native
    answer.error = facts | {"status": native}


def _words(door: str, error: dict[str, Any]) -> tuple[str, ...]:
    return (error["type"],) if door == "anthropic" else (error["type"], error["code"])


class Frame(NamedTuple):
    """A frame of a stream: the name of its event, and its data."""

    name: str | None
    data: Any


def _read_frames(body: str) -> list[Frame]:
    """The frames without the comments; the data of `[DONE]` is that text."""
    frames = []
    for block in body.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and line[0] != ":")
        if "data" in fields:
            data = fields["data"]
            frames.append(
                Frame(fields.get("event"), data if data == "[DONE]" else json.loads(data))
            )
    return frames


def _end(answer: Answer, door: str, facts: dict[str, Any], word: str) -> None:
    """Note the facts of a whole answer, and whether the door's word for its end is right."""
    table = _DATA[door]["finish"]
    expected = table["refusal" if answer.is_refused else facts["finish_reason"]]
    if word != expected:
        answer.complaints.append(f"it ends in {word} for {facts['finish_reason']}")
    answer.events = [facts]


def _read_chat(answer: Answer, frames: Iterable[Frame]) -> None:
    """Chunks of chat completions."""
    chunks = [frame.data for frame in frames]
    answer.is_done = chunks[-1:] == ["[DONE]"]
    chunks = chunks[:-1] if answer.is_done else chunks
    errors = [chunk for chunk in chunks if "error" in chunk]
    chunks = [chunk for chunk in chunks if "error" not in chunk]
    heads = {(chunk["id"], chunk["created"], chunk["object"]) for chunk in chunks}
    answer.complaints += [f"{len(heads)} heads"] * (len(heads) > 1)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    roles = [choice["delta"].get("role") for choice in choices]
    answer.complaints += ["roles"] * (
        roles != ["assistant", *[None] * (len(roles) - 1)][: len(roles)]
    )
    for delta in (choice["delta"] for choice in choices):
        answer.text += delta.get("content") or ""
        answer.is_refused = answer.is_refused or bool(delta.get("refusal"))
        for call in delta.get("tool_calls", ()):
            function = call["function"]
            begun = answer.tools.get(call["index"], f"{function.get('name')} ")
            answer.tools[call["index"]] = begun + (function.get("arguments") or "")
    ends = [choice["finish_reason"] for choice in choices]
    finishes = [word for word in ends if word]
    if answer.is_done != (len(finishes) == 1 and not errors) or finishes != ends[-1:] * len(
        finishes
    ):
        answer.complaints.append(f"finish reasons {finishes}, done: {answer.is_done}")
    if errors:
        (fields,) = errors
        _take_error(answer, "openai_chat", fields["gateway"], _words("", fields["error"]))
    elif finishes:
        _end(answer, "openai_chat", chunks[-1]["gateway"], finishes[0])


def _read_messages(answer: Answer, frames: Iterable[Frame]) -> None:
    """Named events of Anthropic's messages."""
    stopped = False
    stop: dict[str, Any] = {}
    open_block: int | None = None
    for name, data in frames:
        if name != data["type"] or stopped:
            answer.complaints.append(f"{name} has a {data['type']}, after the end: {stopped}")
        match data:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                answer.complaints += ["blocks overlap"] * (open_block is not None)
                open_block = index
                if block["type"] == "tool_use":
                    answer.tools[index] = f"{block['name']} "
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                answer.complaints += ["a delta of no open block"] * (open_block != index)
                answer.text += delta.get("text", "")
                if delta["type"] == "input_json_delta":
                    answer.tools[index] += delta["partial_json"]
            case {"type": "content_block_stop"}:
                open_block = None
            case {"type": "message_delta"}:
                stop = data
            case {"type": "message_stop"}:
                answer.is_done = stopped = True
            case {"type": "error", "error": error, "gateway": facts}:
                stopped = True
                _take_error(answer, "anthropic", facts, _words("anthropic", error))
    if answer.is_done != bool(stop):
        answer.complaints.append(f"message_delta: {bool(stop)}, message_stop: {answer.is_done}")
    if answer.is_done:
        word = stop["delta"]["stop_reason"]
        _end(answer, "anthropic", stop["gateway"], word)


def _read_responses(answer: Answer, frames: Iterable[Frame]) -> None:
    """Named events of Responses."""
    last: dict[str, Any] = {}
    error: dict[str, Any] = {}
    for place, (name, data) in enumerate(frames):
        if name != data["type"] or data["sequence_number"] != place:
            answer.complaints.append(f"{name} has {data['type']} {data['sequence_number']}")
        answer.complaints += ["an event after the end"] * bool(last)
        match data:
            case {"type": "response.output_text.delta", "delta": text}:
                answer.text += text
            case {"type": "response.refusal.delta"}:
                answer.is_refused = True
            case {"type": "response.output_item.added", "item": {"type": "function_call"} as item}:
                answer.tools[data["output_index"]] = f"{item['name']} "
            case {"type": "response.function_call_arguments.delta", "delta": text}:
                answer.tools[data["output_index"]] += text
            case {"type": "error"}:
                error = data
            case {"type": "response.completed" | "response.incomplete" | "response.failed"}:
                last = data["response"]
    answer.is_done = last.get("status") in ("completed", "incomplete")
    if answer.is_done == bool(error) or not last:
        answer.complaints.append(f"it ends in {last.get('status')}, error: {bool(error)}")
    if error:
        _take_error(answer, "openai_responses", error["gateway"], _words("", error["error"]))
        answer.complaints += ["another error"] * (last["error"]["code"] != error["code"])
    elif answer.is_done:
        details = last["incomplete_details"]
        word = f"incomplete: {details['reason']}" if details else last["status"]
        _end(answer, "openai_responses", last["gateway"], word)


def _read_ui(answer: Answer, frames: Iterable[Frame]) -> None:
    """Parts of a UI message stream. An error before the first part is only a text."""
    parts = [frame.data for frame in frames]
    answer.is_done = parts[-1:] == ["[DONE]"]
    parts = parts[:-1] if answer.is_done else parts
    kinds = [part["type"] for part in parts]
    endings = [kind for kind in kinds if kind in ("finish", "error")]
    if endings != kinds[-1:] or answer.is_done != (endings == ["finish"]):
        answer.complaints.append(f"it ends in {endings}, done: {answer.is_done}")
    refusals = {part["id"] for part in parts if "refusal" in str(part.get("providerMetadata"))}
    index: dict[str, int] = {}
    for part in parts:
        if part["type"] == "text-delta" and part["id"] not in refusals:
            answer.text += part["delta"]
        elif part["type"] == "tool-input-start":
            index[part["toolCallId"]] = len(index)
            answer.tools[len(index) - 1] = f"{part['toolName']} "
        elif part["type"] == "tool-input-delta":
            answer.tools[index[part["toolCallId"]]] += part["inputTextDelta"]
    facts = [part["messageMetadata"]["gateway"] for part in parts if "messageMetadata" in part]
    if endings == ["finish"]:
        _end(answer, "ui_message", facts[-1], "finish")
    elif facts:
        said = facts[-1]["error"]
        _take_error(answer, "ui_message", said, (said["code"],))
    else:
        answer.is_unnamed = True
        answer.complaints += ["no text for a person"] * (not parts[-1]["errorText"])


_READERS: dict[str, Callable[[Answer, list[Frame]], None]] = {
    "openai_chat": _read_chat,
    "openai_responses": _read_responses,
    "anthropic": _read_messages,
    "ui_message": _read_ui,
}
