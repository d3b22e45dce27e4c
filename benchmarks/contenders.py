"""What is measured: a process and the address of its API.

The vendor itself is one, as the reference for delays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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


def plain(name: str, process: Process) -> Contender:
    """The vendor, or a proxy that forwards everything to it."""
    return Contender(
        name, process, lambda model: Target.vendor(name, process.port, VENDOR_PATH, model)
    )
