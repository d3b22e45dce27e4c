"""Anthropic's refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from simulator.refusals.rules import Refused, Rules, find_objects
from simulator.wires.signatures import find_change

_CLOSED = "For 'object' type, 'additionalProperties' must be explicitly set to false"
_ID = "^[a-zA-Z0-9_-]+$"
_UNTHINKING = (
    "When `thinking` is enabled, a final `assistant` message must start with a thinking block "
    "(preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you "
    "include thinking blocks from previous turns. To avoid this requirement, disable `thinking`."
)
_BOUND = (
    "The block is bound to a different conversation. Remove the block, or set "
    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block". That setting requires the '
    "`thinking-binding-controls-2026-08-01` value in the `anthropic-beta` header. "
)
_DIFFERS = {
    "system": "The `system` prompt differs from the one this block was created with.",
    "tools": "The `tools` differ from the ones this block was created with.",
    "messages": "The messages before it differ from the ones this block was created with.",
}


def _refuse_parameters(body: dict[str, Any], rules: Rules) -> Iterator[str]:
    for name in ("temperature", "top_p"):
        if name in body and rules.temperature is False:
            yield f"`{name}` is deprecated for this model."
    asked = body.get("max_tokens")
    if asked is None:
        yield "max_tokens: Field required"
    elif rules.max_tokens and asked > rules.max_tokens:
        limit = f"{asked} > {rules.max_tokens}, which is the maximum allowed number of output "
        yield f"max_tokens: {limit}tokens for {rules.model}"
    config = body.get("output_config") or {}
    effort, form = config.get("effort"), config.get("format")
    if effort and rules.effort == ():
        yield "This model does not support the effort parameter."
    if effort and rules.effort and effort not in rules.effort:
        supported = f"Supported levels: {', '.join(sorted(rules.effort))}."
        yield f"This model does not support effort level '{effort}'. {supported}"
    if form and not rules.json_schema:
        yield "output_config.format: structured outputs are not supported on this model."
    for found, _ in find_objects((form or {}).get("schema")):
        if found.get("additionalProperties") is not False:
            yield f"output_config.format.schema: {_CLOSED}"


def _refuse_thinking(body: dict[str, Any], rules: Rules) -> Iterator[str]:
    thinking = body.get("thinking") or {}
    kind = thinking.get("type")
    if kind == "enabled" and not rules.manual_thinking:
        message = '"thinking.type.enabled" is not supported for this model. Use '
        message += '"thinking.type.adaptive" and "output_config.effort" to control thinking '
        yield f"{message}behavior."
    if kind == "adaptive" and not rules.adaptive_thinking:
        yield "adaptive thinking is not supported on this model"
    if kind == "disabled" and not rules.thinking_off:
        yield '"thinking.type.disabled" is not supported for this model.'
    if kind == "enabled" and thinking.get("budget_tokens", 0) >= body.get("max_tokens", 0):
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."


def _refuse_tools(body: dict[str, Any], rules: Rules) -> Iterator[str]:
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if forced and not rules.forced_choice:
        yield 'tool_choice: type "tool" and "any" are not supported for this model.'
    if forced and (body.get("thinking") or {}).get("type") == "enabled":
        yield "Thinking may not be enabled when tool_choice forces tool use."
    if body.get("tool_choice") and not body.get("tools"):
        yield "tool_choice: tool_choice may only be specified while providing tools"
    for place, tool in enumerate(body.get("tools") or ()):
        schema = tool.get("input_schema") or {}
        if "input_schema" in tool and schema.get("type") != "object":
            yield f"tools.{place}.custom.input_schema.type: Field required"
        for found, _ in find_objects(schema) if tool.get("strict") else ():
            if found.get("additionalProperties") is not False:
                yield f"tools.{place}.custom: {_CLOSED}"


def _refuse_history(body: dict[str, Any], rules: Rules) -> Iterator[str]:
    """Each call has its result in the next message, and each result its call."""
    messages = body.get("messages") or [{}]
    called: list[str] = []
    for place, message in enumerate([*messages, {"role": "end"}]):
        blocks = _blocks(message)
        returned = [block["tool_use_id"] for block in blocks if block.get("type") == "tool_result"]
        for found in returned:
            if found not in called:
                text = f"messages.{place}.content.0: unexpected `tool_use_id` found in "
                text += f"`tool_result` blocks: {found}. Each `tool_result` block must have a "
                yield f"{text}corresponding `tool_use` block in the previous message."
        if missing := [call for call in called if call not in returned]:
            text = f"messages.{place - 1}: `tool_use` ids were found without `tool_result` blocks "
            text += f"immediately after: {', '.join(missing)}. Each `tool_use` block must have a "
            yield f"{text}corresponding `tool_result` block in the next message."
        called = [block["id"] for block in blocks if block.get("type") == "tool_use"]
    if messages[-1].get("role") == "assistant" and not rules.prefill:
        message = "This model does not support assistant message prefill. "
        yield f"{message}The conversation must end with a user message."


def _refuse_blocks(body: dict[str, Any], rules: Rules) -> Iterator[str]:
    messages = body.get("messages") or []
    kind = (body.get("thinking") or {}).get("type")
    for place, message in enumerate(messages):
        blocks = _blocks(message)
        if not blocks and place < len(messages) - 1:
            text = "all messages must have non-empty content except for the optional final "
            yield f"messages.{place}: {text}assistant message"
        if any(block.get("type") == "text" and not block["text"] for block in blocks):
            yield "messages: text content blocks must be non-empty"
        for number, block in enumerate(blocks):
            at = f"messages.{place}.content.{number}"
            if block.get("type") == "tool_use" and not re.fullmatch(_ID[1:-1], block["id"]):
                yield f"{at}.tool_use.id: String should match pattern '{_ID}'"
            if block.get("type") == "thinking" and kind != "disabled":
                yield from _refuse_block(body, place, block, at, rules)
    newest = _blocks(messages[-1]) if messages else []
    last = len(messages) - 2
    if kind == "enabled" and last >= 0 and newest and newest[0].get("type") == "tool_result":
        first = _blocks(messages[last])[0].get("type")
        if first not in ("thinking", "redacted_thinking"):
            found = f"Expected `thinking` or `redacted_thinking`, but found `{first}`."
            yield f"messages.{last}.content.0.type: {found} {_UNTHINKING}"


def _refuse_block(
    body: dict[str, Any], place: int, block: dict[str, Any], at: str, rules: Rules
) -> Iterator[str]:
    """A thinking block must come back as it was sent, to where it was."""
    change = find_change(body, place, block)
    binding = (body.get("thinking") or {}).get("block_binding") or {}
    is_dropped = binding.get("prefix_mismatch_behavior") == "drop_block"
    if change == "block":
        yield f"{at}: Invalid `signature` in `thinking` block"
    elif change and rules.binds_thinking and not is_dropped:
        yield f"{at}: Invalid `signature` in `thinking` block. {_BOUND}{_DIFFERS[change]}"


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content") or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


_CHECKS = (_refuse_parameters, _refuse_thinking, _refuse_tools, _refuse_history, _refuse_blocks)


def refuse_messages(body: dict[str, Any], rules: Rules) -> Iterator[Refused]:
    """Why the request is refused, the first reason first."""
    for check in _CHECKS:
        yield from map(Refused, check(body, rules))
