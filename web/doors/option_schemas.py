"""The schemas of tools, output and sampling for `/openapi.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from web.doors.answer_options import EFFORTS, NAME, NUMBERS

_TEXT = {"type": "string"}
_NULL = {"type": "null"}
_NAME = {"type": "string", "pattern": f"^{NAME.pattern}$"}
_SCHEMA = {"type": "object", "description": "A JSON schema."}
_KINDS = {int: "integer", float: "number"}
_FUNCTION = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _NAME,
        "description": {"anyOf": [_TEXT, _NULL]},
        "parameters": {"anyOf": [_SCHEMA, _NULL]},
        "strict": {"anyOf": [{"type": "boolean"}, _NULL]},
    },
}

OPTION_SCHEMAS: dict[str, Any] = {
    "Tool": {
        "description": "A function that the model may call; its fields may be in `function`.",
        "anyOf": [
            _FUNCTION,
            {
                "type": "object",
                "required": ["type", "function"],
                "properties": {"type": {"const": "function"}, "function": _FUNCTION},
            },
        ],
    },
    "ToolCall": {
        "type": "object",
        "description": "A call as an answer had it; its name and arguments may be in `function`.",
        "required": ["id"],
        "properties": {
            "id": _TEXT,
            "name": _TEXT,
            "arguments": {"anyOf": [_TEXT, {"type": "object"}]},
            "state": {"description": "As the answer had it."},
        },
    },
    "State": {
        "type": "object",
        "description": "Opaque state of a vendor's model, to be sent back unchanged.",
        "required": ["provider", "model", "data"],
        "properties": {"provider": _TEXT, "model": _TEXT, "data": _TEXT},
    },
}


def option_properties(refer: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """The properties of a body that say what is asked of the answer. Each may be null."""
    named = {"type": "object", "description": 'The one to call: {"name": …}.'}
    properties: dict[str, dict[str, Any]] = {
        "tools": {"type": "array", "items": refer("Tool")},
        "tool_choice": {"anyOf": [{"enum": ["auto", "none", "required"]}, named]},
        "parallel_tool_calls": {"type": "boolean"},
        "response_format": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"enum": ["text", "json_object", "json_schema"]}},
        },
        "stop": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
        "reasoning_effort": {"enum": list(EFFORTS)},
    }
    for name, (kind, lowest, highest) in NUMBERS.items():
        properties[name] = {"type": _KINDS[kind], "minimum": lowest, "maximum": highest}
    return {name: {"anyOf": [schema, _NULL]} for name, schema in properties.items()}
