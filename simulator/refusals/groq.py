"""Groq's refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulator.refusals.openai import refuse_output
from simulator.refusals.rules import Refused, Rules

_MOST_STOPS = 4


def refuse_groq(body: dict[str, Any], rules: Rules) -> Iterator[Refused]:
    """Why the request is refused, the first reason first."""
    effort = body.get("reasoning_effort")
    if effort is not None and rules.effort == ():
        yield Refused("reasoning_effort is not supported with this model")
    if effort is not None and rules.effort and effort not in rules.effort:
        words = [f"`{word}`" for word in rules.effort]
        listed = ", ".join(words[:-1]) + f" or {words[-1]}"
        yield Refused(f"`reasoning_effort` must be one of {listed}", {"param": "reasoning_effort"})
    for name in ("max_completion_tokens", "max_tokens"):
        if rules.max_tokens and (body.get(name) or 0) > rules.max_tokens:
            message = f"`{name}` must be less than or equal to `{rules.max_tokens}`, the maximum "
            message += f"value for `{name}` is less than the `context_window` for this model"
            yield Refused(message, {"param": name})
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > _MOST_STOPS:
        yield Refused(f"'stop' : maximum number of items is {_MOST_STOPS}", {"param": "stop"})
    if (body.get("response_format") or {}).get("type") == "json_schema" and not rules.json_schema:
        message = "This model does not support response format `json_schema`. See supported models "
        message += "at https://console.groq.com/docs/structured-outputs#supported-models"
        yield Refused(message, {"param": "response_format"})
    kind = (body.get("response_format") or {}).get("type", "text")
    if body.get("tools") and kind != "text" and not rules.tools_with_json:
        yield Refused("json mode cannot be combined with tool/function calling")
    yield from refuse_output(body, rules)
