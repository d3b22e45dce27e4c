"""Recorded answers with calls, through each vendor's real SDK and the chain, and the next turn that is sent.

What a client gets of the calls is what the vendor sent. The next turn has them as the vendor wants them back, Claude's
signed thinking in its place: of a client that keeps no state, as most do.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from cluster.state_store import MemoryStateStore, StateStore
from models import (
    AnswerOptions,
    Chat,
    Image,
    Part,
    Reasoning,
    State,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from prompt_engineering import build_prompt, fitting_id
from providers.base import BaseProvider
from providers.chain import RunningChat, run_chat
from providers.policy import Link, arrange
from providers.wires import chat_completions_body, messages_body
from streams.answer import Answer, GatheredAnswer
from streams.kept_chat import KeptChat, PromptBudget
from tests.conftest import CORPUS, CORPUS_ABSENT
from tests.gateways.chat_records import make_recorder
from tests.providers.wires.test_corpus_sdk import BYTEWISE, LIMIT, OneByteARead, RecordedTransport
from tests.vendors.recordings import PLAYERS, recordings
from tests.vendors.scripted_provider import make_settings

pytestmark = pytest.mark.skipif(not recordings(), reason=CORPUS_ABSENT)

WITH_CALLS = [
    recording
    for recording in recordings()
    if recording.meta.get("expected_tool_calls")
    and recording.error_code is None
    # Vertex's pieces of arguments have other tests: the description has them as they came.
    and all(call["name"] for call in recording.meta["expected_tool_calls"])
]
FITTING = re.compile(r"[A-Za-z0-9_-]{1,40}")
OPTIONS = AnswerOptions(tools=(Tool("look", msgspec.Raw(b'{"type": "object"}')),))
QUESTION = Turn("user", (Text("How is it?"),))


class AtOnce(OneByteARead):
    """A body that arrives in one read."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class KeepingTransport(RecordedTransport):
    """Answers with `body`, at once, and keeps what was asked."""

    def __init__(self, library: ModuleType) -> None:
        super().__init__(library)
        self.sent: list[Any] = []

    async def handle_async_request(self, request: Any) -> Any:
        self.sent.append(json.loads(await request.aread()))
        headers = {"content-type": "text/event-stream"}
        return self._library.Response(200, headers=headers, stream=AtOnce(self.body))


def open_provider(name: str) -> tuple[BaseProvider, KeepingTransport]:
    """A provider with its real SDK over the transport."""
    build, library = BYTEWISE[name]
    transport = KeepingTransport(library)
    settings = make_settings(
        name="gpt" if name == "responses" else name,
        api_key=SecretStr("key-of-a-test"),
        base_url="http://127.0.0.1:1",
        model_default="claude-haiku-5-5" if name == "claude" else "m",
        model_fallback=None,
        max_event_bytes=LIMIT,
        max_attempts=1,
    )
    return build(settings, transport), transport


async def run(provider: BaseProvider, states: StateStore, *turns: Turn) -> Answer:
    """The answer to a chat with tools, as a client gathers it."""
    kept = KeptChat(Chat(turns=turns, options=OPTIONS), PromptBudget(2**28))
    kept.reserve()
    chain = arrange([Link(provider.name, *provider.settings.chain)], {}, 1, "error")
    until = asyncio.get_running_loop().time() + 60
    prepare = lambda _: (provider, build_prompt(kept.chat, ""))  # noqa: E731
    chat = RunningChat(chain, kept, prepare, states, make_recorder(), "id", until)
    gathered = GatheredAnswer()
    async for batch in run_chat(nullcontext(chat)):
        if answer := gathered.add(batch):
            return answer
    raise AssertionError("the chat has no end")


@pytest.mark.parametrize("name", PLAYERS)
async def test_client_gets_the_recorded_calls(name: str) -> None:
    """Their ids if those fit, names, arguments to the byte, their order, and the finish reason."""
    provider, transport = open_provider(name)
    chosen = [recording for recording in WITH_CALLS if recording.player == name]
    for recording in chosen:
        transport.body = recording.body
        answer = await run(provider, MemoryStateStore(100, 10**7), QUESTION)
        recorded = recording.meta["expected_tool_calls"]
        # Gemini has no text of arguments, but values.
        read = json.loads if name == "gemini" else str
        assert [(call.name, read(call.arguments)) for call in answer.tool_calls] == [
            (call["name"], read(call["arguments"] or "{}")) for call in recorded
        ], recording
        for call, known in zip(answer.tool_calls, recorded, strict=True):
            assert FITTING.fullmatch(call.id), recording
            assert known["id"] is None or call.id == fitting_id(known["id"]), recording
        assert answer.end.finish_reason == recording.finish_reason, recording
    await provider.aclose()
    print(f"{name}: {len(chosen)} recordings with calls")
    assert chosen


def read_blocks(body: bytes) -> list[dict[str, Any]]:
    """The blocks of a recorded message of Claude's, as its own events put them together."""
    blocks: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for line in body.splitlines():
        event = json.loads(line[5:]) if line.startswith(b"data:") else {}
        match event:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                blocks[index] = dict(block) | ({"input": ""} if "input" in block else {})
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                for field in ("text", "thinking", "signature", "partial_json"):
                    name = "input" if field == "partial_json" else field
                    if isinstance(delta.get(field), str):
                        blocks[index][name] = blocks[index].get(name, "") + delta[field]
    for block in blocks.values():
        if "input" in block:
            block["input"] = json.loads(block["input"] or "{}")
    return [blocks[index] for index in sorted(blocks)]


def known_fields(block: dict[str, Any]) -> dict[str, Any]:
    """What counts of a block."""
    fields = ("type", "text", "thinking", "signature", "data", "id", "name", "input")
    return {name: block[name] for name in fields if name in block}


async def test_claudes_message_goes_back_as_it_came() -> None:
    """Of a client that keeps text and calls alone: thinking, text and calls in their order, then the results."""
    provider, transport = open_provider("claude")
    signed = 0
    for recording in WITH_CALLS:
        if recording.provider != "claude":
            continue
        states = MemoryStateStore(100, 10**7)
        transport.body = recording.body
        answer = await run(provider, states, QUESTION)
        results = [ToolResult(call.id, (Text("2"),)) for call in answer.tool_calls]
        said = (Text(answer.text),) if answer.text else ()
        asked = Turn("assistant", (*said, *answer.tool_calls))
        await run(provider, states, QUESTION, asked, Turn("user", tuple(results)))
        _, sent, following = transport.sent[-1]["messages"]
        blocks = [
            known_fields(block)
            for block in read_blocks(recording.body)
            if block["type"] in ("thinking", "redacted_thinking", "text", "tool_use")
            and (block.get("text") or block["type"] != "text")
        ]
        if len([block for block in blocks if block["type"] == "text"]) <= 1:
            assert sent["content"] == blocks, recording
        ids = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert [block["tool_use_id"] for block in following["content"]] == ids, recording
        signed += any(block["type"] == "thinking" for block in blocks)
    await provider.aclose()
    assert signed >= 3


def recorded_history(folder: Path) -> list[dict[str, Any]]:
    """The messages of a recorded request, if there are calls among them."""
    request = json.loads((folder / "request.json").read_text())
    messages: list[dict[str, Any]] = request.get("messages") or []
    has_calls = re.search('"tool_use"|"tool_calls"', json.dumps(messages))
    return messages if has_calls else []


HISTORIES = {
    f"{folder.parent.name}/{folder.name[:3]}": (folder.parent.name, recorded_history(folder))
    for vendor in ("anthropic", "openai", "groq")
    for folder in sorted(CORPUS.glob(f"{vendor}/*"))
    if (folder / "request.json").exists() and recorded_history(folder)
}


def read_turn(message: dict[str, Any]) -> Turn:
    """A recorded message as a turn, whatever its vendor. Claude's thinking is a state."""
    content = message.get("content") or []
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if message["role"] == "tool":
        return Turn("user", (ToolResult(message["tool_call_id"], read_texts(content)),))
    parts: list[Part] = []
    for block in blocks:
        match block:
            case {"type": "text", "text": text}:
                parts.append(Text(text))
            case {"type": "thinking" | "redacted_thinking"}:
                parts.append(Reasoning("", State("p", "m", json.dumps(block))))
            case {"type": "tool_use", "id": call_id, "name": name, "input": values}:
                parts.append(ToolCall(call_id, name, json.dumps(values)))
            case {"type": "tool_result", "tool_use_id": call_id}:
                is_error = bool(block.get("is_error"))
                parts.append(ToolResult(call_id, read_texts(block["content"]), is_error))
    for call in message.get("tool_calls") or ():
        function = call["function"]
        parts.append(ToolCall(call["id"], function["name"], function["arguments"]))
    return Turn("assistant" if message["role"] == "assistant" else "user", tuple(parts))


def read_texts(content: Any) -> tuple[Text | Image, ...]:
    """A result's content."""
    return (
        (Text(content),)
        if isinstance(content, str)
        else tuple(Text(block["text"]) for block in content)
    )


def essence(vendor: str, messages: list[Any]) -> list[Any]:
    """What counts of the calls: the thinking before them, ids, names, values, and the results by message."""
    found: list[Any] = []
    for message in messages:
        content = message.get("content")
        for call in message.get("tool_calls") or ():
            function = call["function"]
            values = json.loads(function["arguments"])
            found.append((fitting_id(call["id"]), function["name"], values))
        if message["role"] == "tool":
            found.append((fitting_id(message["tool_call_id"]), content))
        if vendor == "anthropic" and isinstance(content, list):
            kinds = ("thinking", "redacted_thinking", "tool_use", "tool_result")
            blocks = [block for block in content if block["type"] in kinds]
            found.append([read_turn({**message, "content": blocks})])
    return [part for part in found if part != [Turn("user", ())]]


@pytest.mark.parametrize("name", HISTORIES)
def test_recorded_histories_are_sent_as_they_were_recorded(name: str) -> None:
    """By clients of the vendors' own wires, and accepted: calls, results, signatures, in their places."""
    vendor, messages = HISTORIES[name]
    turns = [read_turn(message) for message in messages if message["role"] != "system"]
    prompt = build_prompt(Chat(turns=tuple(turns)), "")
    wire = messages_body if vendor == "anthropic" else chat_completions_body
    body = json.loads(msgspec.json.encode(wire.to_body(prompt, "m")))
    assert essence(vendor, body["messages"]) == essence(vendor, messages)


def test_histories_of_all_three_vendors_are_there() -> None:
    """The test above has something to compare."""
    assert {vendor for vendor, _ in HISTORIES.values()} == {"anthropic", "openai", "groq"}
    assert len(HISTORIES) == 21
