"""Gemini's streamGenerateContent: the body of a request."""

from __future__ import annotations

from collections.abc import Mapping

from models import AnswerOptions, JsonObject, JsonSchema, NamedTool, Prompt
from providers.capabilities import Capability
from providers.schemas.adapt import GEMINI, adapt_output, adapt_parameters
from providers.wires.generate_content_history import to_contents

_THINKING = ("thinkingLevel", "includeThoughts")  # parameters of `thinkingConfig`
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def to_body(
    prompt: Prompt, capability: Capability, parameters: Mapping[str, object]
) -> dict[str, object]:
    """The body of `streamGenerateContent`, for a model of this capability."""
    config: dict[str, object] = {}
    thinking: dict[str, object] = {}
    for name, value in parameters.items():
        (thinking if name in _THINKING else config)[name] = value
    if thinking:
        config["thinkingConfig"] = thinking
    match prompt.options.output:
        case JsonSchema() as output:
            config["responseMimeType"] = "application/json"
            config["responseJsonSchema"] = adapt_output(output, GEMINI).schema
        case JsonObject():
            config["responseMimeType"] = "application/json"
    body: dict[str, object] = {"contents": to_contents(prompt.turns, capability)}
    if config:
        body["generationConfig"] = config
    if prompt.system:
        body["systemInstruction"] = {"parts": [{"text": prompt.system}]}
    if prompt.options.tools:
        body |= _to_tools(prompt.options)
    return body


def _to_tools(options: AnswerOptions) -> dict[str, object]:
    """The tools, and the choice among them. A tool without a schema takes no arguments."""
    functions: list[dict[str, object]] = []
    for tool, adapted in zip(options.tools, adapt_parameters(options.tools, GEMINI), strict=True):
        function: dict[str, object] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        if bytes(tool.schema) != b"{}":
            function["parametersJsonSchema"] = adapted.schema
        functions.append(function)
    body: dict[str, object] = {"tools": [{"functionDeclarations": functions}]}
    match options.tool_choice:
        case NamedTool(name):
            calling: dict[str, object] = {"mode": "ANY", "allowedFunctionNames": [name]}
        case None:
            return body
        case word:
            calling = {"mode": _MODES[word]}
    return {**body, "toolConfig": {"functionCallingConfig": calling}}
