"""What is measured: a process and the address of its API.

The vendor itself is one, as the reference for delays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.answers import CHAT, Wire
from benchmarks.load import Target
from benchmarks.processes import NO_VARIABLES, Process, gateway

VENDOR_PATH = "/openai/v1/chat/completions"
PROVIDERS = {"gpt": "OPENAI", "claude": "ANTHROPIC", "gemini": "GEMINI", "groq": "GROQ"}
OURS, DIRECT, NGINX, PORTKEY, LITELLM, ANY_LLM = (
    "gpt",
    "direct",
    "nginx",
    "portkey",
    "litellm",
    "any_llm",
)


CHAT_DOOR = "openai_chat"
_QUESTION = [{"role": "user", "content": "Say something now."}]
_PARTS = [{"type": "text", "text": "Say something now."}]
# The path of each other protocol, how its streams are read, and what is asked.
DOORS: Mapping[str, tuple[str, Wire, Mapping[str, object]]] = {
    CHAT_DOOR: ("/v1/chat/completions", CHAT, {"model": OURS, "messages": _QUESTION}),
    "openai_responses": (
        "/v1/responses",
        Wire(b'"delta":"', b"event: response.completed"),
        {"model": OURS, "input": _QUESTION},
    ),
    "anthropic": (
        "/v1/messages",
        Wire(b'"type":"text_delta","text":"', b"event: message_stop"),
        {"model": OURS, "messages": _QUESTION, "max_tokens": 1000},
    ),
    "ui_message": (
        f"/ui/chat/{OURS}",
        Wire(b'"delta":"', b"data: [DONE]"),
        {"messages": [{"id": "m", "role": "user", "parts": _PARTS}]},
    ),
}


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to measure.

    A slow one gets shorter streams; `limit` is how many it handles at once.
    """

    name: str
    process: Process
    target: Callable[[str], Target]  # by the vendor's model
    is_slow: bool = False
    limit: int = 10_000


@contextmanager
def gateways(
    vendor: Process,
    model: str,
    folder: Path,
    providers: Sequence[str] = (OURS,),
    variables: Mapping[str, str] = NO_VARIABLES,
) -> Iterator[list[Contender]]:
    """Our gateway, as one contender for each of these providers, which all have the one model."""
    models = {PROVIDERS[provider]: model for provider in providers}
    fallbacks = {f"{prefix}_MODEL_FALLBACK": model for prefix in models}
    chosen = {"DRAIN_GRACE_SECONDS": "0"} | fallbacks | dict(variables)  # there is no load balancer
    with gateway(vendor.port, models, folder, chosen) as process:
        yield [Contender(name, process, _asked_of(process.port, name)) for name in providers]


def _asked_of(port: int, provider: str) -> Callable[[str], Target]:
    return lambda _: Target.gateway(port, provider)  # its own configuration chooses the model


def by_doors(ours: Contender) -> list[Contender]:
    """Our gateway by each of the other protocols."""
    return [
        Contender(name, ours.process, partial(_by_door, ours.process.port, path, wire, fields))
        for name, (path, wire, fields) in DOORS.items()
    ]


def _by_door(port: int, path: str, wire: Wire, fields: Mapping[str, object], _model: str) -> Target:
    return Target.door(port, path, wire, **fields)


def plain(name: str, process: Process) -> Contender:
    """The vendor, or a proxy that forwards everything to it."""
    return Contender(
        name, process, lambda model: Target.vendor(name, process.port, VENDOR_PATH, model)
    )
