"""OpenAI's refusals on chat completions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from simulator.refusals.rules import Refused, Rules, find_objects

LONGEST_ID = 64
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def refuse(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """A refusal with the fields of OpenAI's errors."""
    return Refused(message, {"param": param, "code": code})


def _refuse_effort(body: dict[str, Any], rules: Rules) -> Iterator[Refused]:
    effort = body.get("reasoning_effort")
    if effort is not None and rules.effort == ():
        yield refuse("Unrecognized request argument supplied: reasoning_effort")
    if effort is not None and rules.effort and effort not in rules.effort:
        *most, last = [f"'{word}'" for word in rules.effort]
        message = f"Unsupported value: '{effort}' is not supported with the '{rules.model}' model."
        supported = f"Supported values are: {', '.join(most)}, and {last}."
        yield refuse(f"{message} {supported}", "reasoning_effort", "unsupported_value")
    accepted = {"any": True, "absent": effort is None, "none": effort == "none", "never": False}
    if body.get("tools") and not accepted[rules.tools]:
        message = f"Function tools with reasoning_effort are not supported for {rules.model} in "
        message += "/v1/chat/completions. "
        message += {
            "none": "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        }.get(rules.tools, "Please use /v1/responses instead.")
        yield refuse(message, "reasoning_effort")


def _refuse_sampling(body: dict[str, Any], rules: Rules) -> Iterator[Refused]:
    effort = body.get("reasoning_effort") or rules.default_effort
    is_free = rules.temperature is True or (rules.temperature and effort == "none")
    temperature = body.get("temperature")
    if temperature not in (None, 1) and not is_free:
        message = f"Unsupported value: 'temperature' does not support {temperature} with this "
        message += "model. Only the default (1) value is supported."
        yield refuse(message, "temperature", "unsupported_value")
    unsupported = [("top_p", is_free), ("stop", rules.stop)]
    for name, is_supported in unsupported:
        if body.get(name) is not None and not is_supported:
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            yield refuse(message, name, "unsupported_parameter")
    if body.get("max_tokens") is not None and rules.effort:
        message = "Unsupported parameter: 'max_tokens' is not supported with this model. "
        message += "Use 'max_completion_tokens' instead."
        yield refuse(message, "max_tokens", "unsupported_parameter")
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    if rules.max_tokens and asked > rules.max_tokens:
        message = f"max_tokens is too large: {asked}. This model supports at most "
        message += f"{rules.max_tokens} completion tokens, whereas you provided {asked}."
        yield refuse(message, "max_tokens", "invalid_value")


def _refuse_tools(body: dict[str, Any], _rules: Rules) -> Iterator[Refused]:
    tools = body.get("tools")
    if tools == []:
        message = "Invalid 'tools': empty array. Expected an array with minimum length 1, "
        yield refuse(f"{message}but got an empty array instead.", "tools", "empty_array")
    for name in ("tool_choice", "parallel_tool_calls"):
        if name in body and not tools:
            rule = f"'{name}' is only allowed when 'tools' are specified."
            yield refuse(f"Invalid value for '{name}': {rule}", name)
    for place, tool in enumerate(tools or ()):
        function = tool.get("function") or {}
        at, name = f"tools[{place}].function", function.get("name") or ""
        if not _NAME.fullmatch(name):
            message = f"Invalid '{at}.name': string does not match pattern. Expected a string that "
            message += "matches the pattern '^[a-zA-Z0-9_-]+$'."
            yield refuse(message, f"{at}.name", "invalid_value")
        schema = function.get("parameters")
        code, prefix = "invalid_function_parameters", f"Invalid schema for function '{name}': "
        if schema is not None and schema.get("type") != "object":
            message = "schema must be a JSON Schema of 'type: \"object\"', got 'type: "
            message += f'"{schema.get("type")}"\'.'
            yield refuse(prefix + message, f"{at}.parameters", code)
        for message in find_loose(schema) if function.get("strict") else ():
            yield refuse(prefix + message, f"{at}.parameters", code)


def refuse_output(body: dict[str, Any], _rules: Rules) -> Iterator[Refused]:
    """Why the format of the answer is refused; Groq has the same rules."""
    form = body.get("response_format") or {}
    if form.get("type") == "json_object" and "json" not in str(body.get("messages")).lower():
        message = "'messages' must contain the word 'json' in some form, to use 'response_format' "
        yield refuse(f"{message}of type 'json_object'.", "messages")
    described = form.get("json_schema") or {}
    for message in find_loose(described.get("schema")) if described.get("strict") else ():
        prefix = f"Invalid schema for response_format '{described.get('name')}': "
        yield refuse(prefix + message, "response_format")


def find_loose(schema: Any) -> Iterator[str]:
    """What makes a schema unfit to be strict."""
    for found, path in find_objects(schema):
        context = f"In context={path!r}, "
        if found.get("additionalProperties") is not False:
            yield f"{context}'additionalProperties' is required to be supplied and to be false."
        missing = found.get("properties", {}).keys() - set(found.get("required") or ())
        if missing:
            yield (
                f"{context}'required' is required to be supplied and to be an array including "
                f"every key in properties. Missing '{min(missing)}'."
            )


def _refuse_history(body: dict[str, Any], _rules: Rules) -> Iterator[Refused]:
    """Each call has its result right after it, and each result its call."""
    messages = body.get("messages") or []
    waiting: list[str] = []
    for place, message in enumerate([*messages, {"role": "end"}]):
        at, role = f"messages.[{place}].role", message.get("role")
        if role == "tool" and message.get("tool_call_id") not in waiting:
            text = "Invalid parameter: messages with role 'tool' must be a response to a "
            yield refuse(f"{text}preceeding message with 'tool_calls'.", at)
        elif role == "tool":
            waiting.remove(message["tool_call_id"])
        elif waiting:
            text = "An assistant message with 'tool_calls' must be followed by tool messages "
            text += "responding to each 'tool_call_id'. The following tool_call_ids did not have "
            yield refuse(f"{text}response messages: {', '.join(waiting)}", at)
        for number, call in enumerate(message.get("tool_calls") or ()):
            waiting.append(call["id"])
            where = f"messages[{place}].tool_calls[{number}]"
            if len(call["id"]) > LONGEST_ID:
                text = f"Invalid '{where}.id': string too long. Expected a string with maximum "
                text += f"length {LONGEST_ID}, but got a string with length {len(call['id'])} "
                yield refuse(f"{text}instead.", f"{where}.id", "string_above_max_length")
            if not isinstance(call["function"].get("arguments"), str):
                param = f"{where}.function.arguments"
                text = f"Invalid type for '{param}': expected a string, but got an object instead."
                yield refuse(text, param, "invalid_type")


_CHECKS = (_refuse_effort, _refuse_sampling, _refuse_tools, refuse_output, _refuse_history)


def refuse_chat_completions(body: dict[str, Any], rules: Rules) -> Iterator[Refused]:
    """Why the request is refused, the first reason first."""
    for check in _CHECKS:
        yield from check(body, rules)
