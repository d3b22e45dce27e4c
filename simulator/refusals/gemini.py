"""Gemini's refusals."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from simulator.refusals.rules import Refused, Rules
from simulator.wires.gemini import SIGNED

# The documented values for a call that another model made.
_DUMMIES = (b"skip_thought_signature_validator", b"context_engineering_is_the_way_to_go")


def _refuse_config(body: dict[str, Any], rules: Rules) -> Iterator[str]:
    config = body.get("generationConfig") or {}
    thinking = config.get("thinkingConfig") or {}
    level = str(thinking.get("thinkingLevel") or "").upper()
    if level and rules.effort == ():
        yield "Thinking level is not supported for this model."
    if level and rules.effort and level.lower() not in rules.effort:
        message = f"Thinking level {level} is not supported for this model. "
        yield f"{message}Please retry with other thinking level."
    for name in ("temperature", "topP", "topK"):
        if config.get(name) is not None and not rules.temperature:
            yield f"Invalid argument: `{name}` is not supported for this model."
    asked = config.get("maxOutputTokens") or 0
    if rules.max_tokens and asked > rules.max_tokens:
        message = f"Unable to submit request because it has a maxOutputTokens value of {asked} but "
        message += f"the supported range is from 1 (inclusive) to {rules.max_tokens + 1} "
        yield f"{message}(exclusive). Update the value and try again."


def _refuse_tools(body: dict[str, Any], rules: Rules) -> Iterator[str]:
    mime_type = (body.get("generationConfig") or {}).get("responseMimeType")
    if body.get("tools") and mime_type == "application/json" and not rules.tools_with_json:
        yield f"Function calling with a response mime type: '{mime_type}' is unsupported"


def _refuse_history(body: dict[str, Any], rules: Rules) -> Iterator[str]:
    """As many results as calls follow them; the calls of the current turn are signed."""
    contents = body.get("contents") or []
    waiting = 0
    # Whatever the user says beside results begins a turn.
    asked = max(
        place
        for place, content in enumerate([{}, *contents])
        if not place
        or (
            content.get("role") == "user"
            and any("text" in part or "inlineData" in part for part in content.get("parts") or ())
        )
    )
    for place, content in enumerate([*contents, {}]):
        parts = content.get("parts") or []
        calls = [part for part in parts if "functionCall" in part]
        if sum("functionResponse" in part for part in parts) != waiting:
            message = "Please ensure that the number of function response parts is equal to the "
            yield f"{message}number of function call parts of the function call turn."
        waiting = len(calls)
        if calls and rules.signs_calls and place >= asked:
            name, signature = calls[0]["functionCall"]["name"], calls[0].get("thoughtSignature")
            if not signature:
                message = (
                    "Function call is missing a thought_signature in functionCall parts. This "
                )
                message += "is required for tools to work correctly, and missing thought_signature "
                message += "may lead to degraded model performance. Additional data, function call "
                message += f"`default_api:{name}` , position {place + 1}. Please refer to "
                message += "https://ai.google.dev/gemini-api/docs/thought-signatures for more "
                yield f"{message}details."
            elif not is_sound(signature):
                yield "Corrupted thought signature."


_CHECKS = (_refuse_config, _refuse_tools, _refuse_history)


def refuse_generate_content(body: dict[str, Any], rules: Rules) -> Iterator[Refused]:
    """Why the request is refused, the first reason first."""
    for check in _CHECKS:
        yield from map(Refused, check(body, rules))


def is_sound(signature: str) -> bool:
    """Whether the vendor made it, or documents it. It accepts both alphabets of base64."""
    try:
        made = base64.b64decode(signature.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        made = b""
    return made.startswith(SIGNED) or made in _DUMMIES or signature.encode() in _DUMMIES
