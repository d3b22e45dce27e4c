"""What a chat needs of a model. One without it would lose the chat's meaning, and is not asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Literal

from models import AnswerOptions, GatewayError, JsonObject, JsonSchema, NamedTool
from providers.capabilities import Capability
from providers.schemas.adapt import ANTHROPIC, adapt_output
from streams.kept_chat import Kind
from streams.off_loop import call_off_loop

_LONG_SCHEMA = 2**13  # bytes, each of which takes two microseconds

# Fields of Capability.
Need = Literal[
    "tools",
    "forced_choice",
    "schema",
    "open_schema",
    "json_object",
    "format_with_tools",
    "format_with_forced_choice",
    "images",
    "files",
]
Needs = frozenset[Need]

# The client's field, and what it asks for.
_FIELDS: Mapping[Need, tuple[str, str]] = {
    "tools": ("tools", "tools"),
    "forced_choice": ("tool_choice", "a tool_choice that requires a call"),
    "schema": ("response_format", "a response_format with a JSON schema"),
    "open_schema": ("response_format", "a JSON schema that a strict mode cannot express"),
    "json_object": ("response_format", "the response_format json_object"),
    "format_with_tools": ("response_format", "a response_format beside tools"),
    "format_with_forced_choice": (
        "response_format",
        "a response_format beside a tool_choice that requires a call",
    ),
    "images": ("messages", "images in messages"),
    "files": ("messages", "files in messages"),
}


async def prepare_needs(options: AnswerOptions) -> None:
    """Look at a long schema in the thread, so that `find_needs` knows what came of that."""
    output = options.output
    if isinstance(output, JsonSchema) and len(memoryview(output.schema)) > _LONG_SCHEMA:
        await call_off_loop(partial(adapt_output, output, ANTHROPIC))


def find_needs(options: AnswerOptions, kinds: Collection[Kind]) -> Needs:
    """The needs of a chat. `kinds` are those of the parts of its messages."""
    choice, output = options.tool_choice, options.output
    is_forced = choice == "required" or isinstance(choice, NamedTool)
    found: dict[Need, bool] = {
        "tools": "calls" in kinds or bool(options.tools),
        "forced_choice": is_forced,
        "schema": isinstance(output, JsonSchema),
        # The only vendor that enforces a schema whatever the client says, and refuses others.
        "open_schema": isinstance(output, JsonSchema) and adapt_output(output, ANTHROPIC).is_lost,
        "json_object": isinstance(output, JsonObject),
        "format_with_tools": output is not None and bool(options.tools),
        "format_with_forced_choice": output is not None and is_forced,
        "images": "images" in kinds,
        "files": "files" in kinds,
    }
    return frozenset(need for need, is_needed in found.items() if is_needed)


def find_unmet(needs: Needs, capability: Capability) -> Iterator[Need]:
    """The needs that a model does not meet."""
    return (need for need in _FIELDS if need in needs and not getattr(capability, need))


def unsupported(unmet: Mapping[str, list[Need]]) -> GatewayError:
    """The error of a chat of which each model has unmet needs; the default model is the first."""
    lacking: dict[Need, list[str]] = {}
    for model, needs in unmet.items():
        for need in needs:
            lacking.setdefault(need, []).append(model)
    parts = [f"{_FIELDS[need][1]} ({', '.join(models)})" for need, models in lacking.items()]
    message = f"No model can do what is asked. Not supported: {'; '.join(parts)}."
    return GatewayError("unsupported", message, reason=_FIELDS[next(iter(lacking))][0])
