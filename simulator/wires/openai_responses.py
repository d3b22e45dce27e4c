"""OpenAI's Responses API: numbered events of items and their parts, each text again when done."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from simulator.wires.base import ToolCall, make_id, split_arguments
from simulator.wires.openai import OpenAIWire
from simulator.wires.request import Offer, Tool, Turn


class ResponsesWire(OpenAIWire):
    """`POST /v1/responses`."""

    remark = (
        "It came as events of the Responses API, from `response.created` to `response.completed`."
    )
    chat_path = re.compile("/responses")
    count_path = re.compile("/responses/input_tokens")
    turns_key = "input"
    heartbeat = b'event: keepalive\ndata: {"type":"keepalive"}\n\n'
    mark = b""

    def __init__(self, model: str, body: Any) -> None:
        if isinstance(body, dict) and isinstance(body.get("input"), str):
            body = {**body, "input": [{"role": "user", "content": body["input"]}]}
        super().__init__(model, body)
        instructions = self.body.get("instructions") or ""
        words = self.prompt.words + len(instructions.split())
        self.prompt = self.prompt._replace(words=words)
        self._events = 0
        self._items: list[dict[str, object]] = []  # that are done
        self._open: str | None = None  # the type of the item that is not
        self._texts: list[str] = []  # of the open item

    @property
    def is_streamed(self) -> bool:
        return True

    def read_turn(self, turn: dict[str, Any]) -> Turn:
        match turn.get("type"):
            case "function_call":
                return Turn("assistant", [], calls=(turn["name"],))
            case "function_call_output":
                output = turn["output"]
                parts = [{"text": output}] if isinstance(output, str) else output
                return Turn("tool", [], results=(" ".join(part.get("text", "") for part in parts),))
            case "reasoning":
                return Turn("reasoning", [])  # the calls that follow belong to the same turn
            case _:
                return super().read_turn(turn)

    def read_offer(self) -> Offer:
        tools = tuple(
            Tool(tool["name"], tool.get("description") or "", tool.get("parameters") or {})
            for tool in self.body.get("tools") or ()
            if tool.get("type") == "function"
        )
        choice = self.body.get("tool_choice")
        form = (self.body.get("text") or {}).get("format") or {}
        output = {"type": "object"} if form.get("type") == "json_object" else form.get("schema")
        is_parallel = self.body.get("parallel_tool_calls") is not False
        offer = Offer(tools, choice == "required", is_parallel, output)
        if choice == "none":
            return offer.only(())
        if isinstance(choice, dict):
            return offer.only([choice["name"]])._replace(is_required=True)
        return offer

    @property
    def is_thinking(self) -> bool:
        return (self.body.get("reasoning") or {}).get("effort") not in (None, "none")

    def opening(self) -> bytes:
        self._events = 0
        response = self._response("in_progress", output=[])
        return self.named("response.created", response=response) + self.named(
            "response.in_progress", response=response
        )

    def text(self, text: str) -> bytes:
        return self._enter("message") + self._delta("output_text", text, logprobs=[])

    def thought(self, text: str) -> bytes:
        """A piece of the summary of the reasoning, if the request asks for one."""
        if not (self.body.get("reasoning") or {}).get("summary"):
            return b""
        return self._enter("reasoning") + self._delta("reasoning_summary_text", text)

    def call(self, call: ToolCall) -> list[bytes]:
        closed, index = self._close_item(), len(self._items)
        item: dict[str, object] = {
            "id": f"fc_simulated{self.number:08d}_{index}",
            "type": "function_call",
            "call_id": call.id or make_id("call_", 24),
            "name": call.name,
        }
        begun, whole = (
            item | {"status": status, "arguments": arguments}
            for status, arguments in (("in_progress", ""), ("completed", call.arguments))
        )
        kind = "response.function_call_arguments"
        place = {"item_id": item["id"], "output_index": index}
        events = [
            closed + self.named("response.output_item.added", output_index=index, item=begun),
            *(
                self.named(f"{kind}.delta", **place, delta=piece)
                for piece in split_arguments(call.arguments)
            ),
            self.named(f"{kind}.done", **place, arguments=call.arguments),
            self.named("response.output_item.done", output_index=index, item=whole),
        ]
        self._items = [*self._items, whole]
        return events

    def finish(self) -> bytes:
        return self.end("completed")

    def end(self, word: str) -> bytes:
        """The end of the response: `completed`, or incomplete for the reason of that word."""
        closed = self._close_item()
        status = "completed" if word == "completed" else "incomplete"
        details = None if status == word else {"reason": word}
        response = self._response(status, incomplete_details=details, usage=self.usage())
        return closed + self.named(f"response.{status}", response=response)

    def named(self, kind: str, **fields: object) -> bytes:
        """One event with its name and number."""
        data = msgspec.json.encode({"type": kind, "sequence_number": self._events, **fields})
        self._events += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def usage(self) -> dict[str, object]:
        return {
            "input_tokens": self.prompt.words,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self.prompt.words + self.output_tokens,
        }

    def token_count(self) -> dict[str, object]:
        return {"object": "response.input_tokens", **super().token_count()}

    def _response(self, status: str, **fields: object) -> dict[str, object]:
        return {
            "id": f"resp_simulated{self.number:08d}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": self._items,
            "parallel_tool_calls": True,
            "store": False,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        } | fields

    def _enter(self, kind: str) -> bytes:
        """The events between items, if the piece starts a new item."""
        if kind == self._open:
            return b""
        closed = self._close_item()
        self._open = kind
        added = self.named(
            "response.output_item.added",
            output_index=len(self._items),
            item=self._item("in_progress", []),
        )
        return closed + added + self._part_event("added", "")

    def _close_item(self) -> bytes:
        """The events of an item's end, each with the whole text."""
        if self._open is None:
            return b""
        text = "".join(self._texts)
        item = self._item("completed", [self._part(text)])
        kind = "output_text" if self._open == "message" else "reasoning_summary_text"
        more: dict[str, object] = {"logprobs": []} if self._open == "message" else {}
        closed = self.named(f"response.{kind}.done", **self._place(), text=text, **more)
        closed += self._part_event("done", text)
        closed += self.named("response.output_item.done", output_index=len(self._items), item=item)
        self._items = [*self._items, item]
        self._open, self._texts = None, []
        return closed

    def _delta(self, kind: str, text: str, **more: object) -> bytes:
        self._texts.append(text)
        return self.named(f"response.{kind}.delta", **self._place(), delta=text, **more)

    def _part_event(self, what: str, text: str) -> bytes:
        kind = "content_part" if self._open == "message" else "reasoning_summary_part"
        return self.named(f"response.{kind}.{what}", **self._place(), part=self._part(text))

    def _place(self) -> dict[str, object]:
        index = "content_index" if self._open == "message" else "summary_index"
        return {"item_id": self._item_id(), "output_index": len(self._items), index: 0}

    def _part(self, text: str) -> dict[str, object]:
        if self._open == "message":
            return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        return {"type": "summary_text", "text": text}

    def _item(self, status: str, parts: list[dict[str, object]]) -> dict[str, object]:
        item: dict[str, object] = {"id": self._item_id(), "type": self._open, "status": status}
        if self._open == "message":
            return item | {"role": "assistant", "content": parts}
        if "reasoning.encrypted_content" in (self.body.get("include") or ()):
            item["encrypted_content"] = f"encrypted by {self.model}"
        return item | {"summary": parts}

    def _item_id(self) -> str:
        prefix = "msg" if self._open == "message" else "rs"
        return f"{prefix}_simulated{self.number:08d}_{len(self._items)}"
