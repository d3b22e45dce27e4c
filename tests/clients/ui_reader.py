"""A strict reader of the UI message stream: makes of it the message that a page keeps, as the AI SDK does."""

from __future__ import annotations

from typing import Any

from tests.clients.simple_client import read_events


class BrokenAnswerError(Exception):
    """The stream has an `error`."""


def read_message(stream: str, last: dict[str, Any] | None = None) -> dict[str, Any]:
    """The message of a whole answer; it continues the last one if that is an assistant's.

    A part out of its order is a KeyError, an unknown one a ValueError.
    """
    continued = last if last and last["role"] == "assistant" else {"parts": [], "metadata": {}}
    message: dict[str, Any] = {**continued, "role": "assistant", "parts": [*continued["parts"]]}
    opened: dict[str, dict[str, Any]] = {}
    chunks = read_events(stream)
    for chunk in chunks[:-1]:
        _take(chunk, message, opened)
    if chunks[-1] != "[DONE]":
        raise BrokenAnswerError(chunks[-1]["errorText"])
    assert chunks[-2]["type"] == "finish"
    return message


def _take(
    chunk: dict[str, Any], message: dict[str, Any], opened: dict[str, dict[str, Any]]
) -> None:
    parts = message["parts"]
    match chunk["type"].split("-"):
        case ["start"] | ["finish"] | ["message", "metadata"]:
            message["id"] = chunk.get("messageId", message.get("id"))
            facts = chunk["messageMetadata"]["gateway"]
            message["metadata"] = {"gateway": message["metadata"].get("gateway", {}) | facts}
        case ["start", "step"]:
            parts.append({"type": "step-start"})
        case ["finish", "step"]:
            assert not opened
        case ["text" | "reasoning" as kind, "start"]:
            opened[chunk["id"]] = {
                "type": kind,
                "text": "",
                "state": "streaming",
                **_metadata(chunk),
            }
            parts.append(opened[chunk["id"]])
        case ["text" | "reasoning", "delta"]:
            opened[chunk["id"]]["text"] += chunk["delta"]
        case ["text" | "reasoning", "end"]:
            opened.pop(chunk["id"]).update(state="done", **_metadata(chunk))
        case ["tool", "input", step]:
            _take_call(step, chunk, parts, opened)
        case _:
            raise ValueError(chunk["type"])


def _take_call(step: str, chunk: dict[str, Any], parts: list[Any], opened: dict[str, Any]) -> None:
    call_id = chunk["toolCallId"]
    if step == "start":
        kind = f"tool-{chunk['toolName']}"
        opened[call_id] = {"type": kind, "toolCallId": call_id, "state": "input-streaming"}
        parts.append(opened[call_id])
    elif step == "delta":
        assert opened[call_id]["state"] == "input-streaming"
    elif step == "available":
        call = opened.pop(call_id)
        call.update(state="input-available", input=chunk["input"])
        if "providerMetadata" in chunk:
            call["callProviderMetadata"] = chunk["providerMetadata"]
    else:
        raise ValueError(chunk["type"])


def _metadata(chunk: dict[str, Any]) -> dict[str, Any]:
    return {name: chunk[name] for name in ("providerMetadata",) if name in chunk}
