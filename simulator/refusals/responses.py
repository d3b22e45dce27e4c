"""OpenAI's refusals on the Responses API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulator.refusals.openai import LONGEST_ID, find_loose, refuse
from simulator.refusals.rules import Refused, Rules

_FEWEST_TOKENS = 16
# Parameters of chat completions that this API does not know.
_UNKNOWN = (
    "frequency_penalty",
    "logit_bias",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
)


def _refuse_parameters(body: dict[str, Any], rules: Rules) -> Iterator[Refused]:
    for name in _UNKNOWN:
        if name in body:
            yield refuse(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    effort = (body.get("reasoning") or {}).get("effort")
    is_free = rules.temperature is True or (
        rules.temperature == "at_none" and (effort or rules.default_effort) == "none"
    )
    unsupported = [
        ("reasoning.effort", effort, rules.effort != ()),
        ("temperature", None if body.get("temperature") == 1 else body.get("temperature"), is_free),
        ("top_p", body.get("top_p"), is_free),
    ]
    for name, value, is_supported in unsupported:
        if value is not None and not is_supported:
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            yield refuse(message, name, "unsupported_parameter")
    words = (*(rules.effort or ()), *(["max"] if "xhigh" in (rules.effort or ()) else []))
    if effort is not None and words and effort not in words:
        *most, last = [f"'{word}'" for word in words]
        message = f"Unsupported value: '{effort}' is not supported with the '{rules.model}' model. "
        message += f"Supported values are: {', '.join(most)}, and {last}."
        yield refuse(message, "reasoning.effort", "unsupported_value")
    asked, most_tokens = body.get("max_output_tokens"), rules.max_tokens
    if asked is not None and asked < _FEWEST_TOKENS:
        message = "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
        message += f"{_FEWEST_TOKENS}, but got {asked} instead."
        yield refuse(message, "max_output_tokens", "integer_below_min_value")
    if asked is not None and most_tokens and asked > most_tokens:
        message = "Invalid 'max_output_tokens': integer above maximum value. Expected a value <= "
        message += f"{most_tokens}, but got {asked} instead."
        yield refuse(message, "max_output_tokens", "integer_above_max_value")


def _refuse_tools(body: dict[str, Any], _rules: Rules) -> Iterator[Refused]:
    """The tools are flat, and each says whether it is strict."""
    for place, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") != "function":
            continue
        for name in ("name", "parameters", "strict"):
            if name not in tool:
                param = f"tools[{place}].{name}"
                message = f"Missing required parameter: '{param}'."
                yield refuse(message, param, "missing_required_parameter")
        for loose in find_loose(tool.get("parameters")) if tool.get("strict") else ():
            message = f"Invalid schema for function '{tool['name']}': {loose}"
            yield refuse(message, f"tools[{place}].parameters", "invalid_function_parameters")


def _refuse_output(body: dict[str, Any], _rules: Rules) -> Iterator[Refused]:
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_object" and "json" not in str(body.get("input")).lower():
        message = "Response input messages must contain the word 'json' in some form to use "
        yield refuse(f"{message}'text.format' of type 'json_object'.", "input")
    for loose in find_loose(form.get("schema")) if form.get("strict") else ():
        message = f"Invalid schema for response_format '{form.get('name')}': {loose}"
        yield refuse(message, "text.format.schema", "invalid_json_schema")


def _refuse_items(body: dict[str, Any], _rules: Rules) -> Iterator[Refused]:
    """Each call has its output and each output its call; reasoning stands before its item."""
    sent = body.get("input")
    items = sent if isinstance(sent, list) else []
    called = [item["call_id"] for item in items if item.get("type") == "function_call"]
    returned = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    for call_id in called:
        if call_id not in returned:
            yield refuse(f"No tool output found for function call {call_id}.", "input")
    for place, item in enumerate(items):
        kind, call_id = item.get("type"), item.get("call_id") or ""
        if kind == "function_call_output" and call_id not in called:
            message = f"No tool call found for function call output with call_id {call_id}."
            yield refuse(message, "input")
        if len(call_id) > LONGEST_ID:
            message = f"Invalid 'input[{place}].call_id': string too long. Expected a string with "
            message += f"maximum length {LONGEST_ID}, but got a string with length {len(call_id)} "
            yield refuse(f"{message}instead.", f"input[{place}].call_id", "string_above_max_length")
        following = items[place + 1] if place + 1 < len(items) else {"role": "user"}
        is_alone = following.get("role") in ("user", "system", "developer") or (
            following.get("type") == "function_call_output"
        )
        if kind == "reasoning" and is_alone:
            message = f"Item '{item.get('id')}' of type 'reasoning' was provided without its "
            yield refuse(f"{message}required following item.", "input")


_CHECKS = (_refuse_parameters, _refuse_tools, _refuse_output, _refuse_items)


def refuse_responses(body: dict[str, Any], rules: Rules) -> Iterator[Refused]:
    """Why the request is refused, the first reason first."""
    for check in _CHECKS:
        yield from check(body, rules)
