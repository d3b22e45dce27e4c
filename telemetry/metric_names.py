"""The table of metrics: names, labels, and what each means. Imports no library.

Names that begin with gen_ai are those of GenAI's semantic conventions in Prometheus' spelling. The
exposed name of a counter ends in "_total" besides.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# The names of the providers in the conventions, if they are not ours.
_PROVIDERS = {"gpt": "openai", "claude": "anthropic", "gemini": "gcp.gemini"}
_CALL = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
# As the conventions recommend.
_CALL_SECONDS = tuple(0.01 * 2**step for step in range(14))
_PIECE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)
_DELAY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metric(NamedTuple):
    """One metric. `buckets` are a histogram's."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def sample_name(self) -> str:
        """The name of a counter's or a gauge's samples as they are exposed."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


CALL_SECONDS = Metric(
    "gen_ai_client_inference_duration_seconds",
    "histogram",
    "Requests to vendors; error_type is the code of a failure, cancelled, or empty",
    (*_CALL, "error_type"),
    _CALL_SECONDS,
)
FIRST_CHUNK_SECONDS = Metric(
    "gen_ai_client_inference_time_to_first_chunk_seconds",
    "histogram",
    "From a request to a vendor to its first content",
    _CALL,
    _CALL_SECONDS,
)
CHUNK_SECONDS = Metric(
    "gen_ai_client_inference_time_per_output_chunk_seconds",
    "histogram",
    "The mean time between the pieces of text of one answer",
    _CALL,
    _PIECE_SECONDS,
)
INPUT_TOKENS = Metric(
    "gen_ai_client_inference_usage_input_tokens",
    "counter",
    "Input tokens of answers, cached ones among them",
    _CALL,
)
OUTPUT_TOKENS = Metric(
    "gen_ai_client_inference_usage_output_tokens",
    "counter",
    "Output tokens of answers, reasoning ones among them",
    _CALL,
)
CACHED_TOKENS = Metric(
    "gen_ai_client_inference_usage_cache_read_input_tokens",
    "counter",
    "Input tokens that were read from a vendor's cache",
    _CALL,
)
WRITTEN_TOKENS = Metric(
    "gen_ai_client_inference_usage_cache_write_input_tokens",
    "counter",
    "Input tokens that were written to a vendor's cache",
    _CALL,
)
REASONING_TOKENS = Metric(
    "gen_ai_client_inference_usage_reasoning_output_tokens",
    "counter",
    "Output tokens of reasoning",
    _CALL,
)
CHATS = Metric(
    "chat_gateway_chats",
    "counter",
    "Chats that have ended, by outcome",
    ("door", "provider", "outcome"),
)
CHAT_ERRORS = Metric(
    "chat_gateway_chat_errors",
    "counter",
    "Chats that have failed, by the error's code",
    ("provider", "code"),
)
FALLBACKS = Metric(
    "chat_gateway_fallbacks",
    "counter",
    "Answers of another model than the default, by the code of its failure",
    ("provider", "reason"),
)
FIRST_CONTENT_SECONDS = Metric(
    "chat_gateway_first_content_seconds",
    "histogram",
    "From the beginning of a chat to its first content, whatever was asked before",
    ("provider",),
    _CALL_SECONDS,
)
COST = Metric(
    "chat_gateway_cost_usd",
    "counter",
    "What answers have cost, in US dollars",
    ("provider", "model"),
)
KEY_CHATS = Metric(
    "chat_gateway_key_chats",
    "counter",
    "Chats that have ended, by the client's key",
    ("key", "outcome"),
)
KEY_TOKENS = Metric(
    "chat_gateway_key_tokens",
    "counter",
    "Tokens of answers, by the client's key",
    ("key", "direction"),
)
KEY_COST = Metric(
    "chat_gateway_key_cost_usd",
    "counter",
    "What answers have cost, in US dollars, by the client's key",
    ("key",),
)
KEY_BUDGET = Metric(
    "chat_gateway_key_budget_used_ratio",
    "gauge",
    "The used part of a key's budget at its newest request; 0 after its period",
    ("key", "limit"),
)
REFUSALS = Metric(
    "chat_gateway_refusals",
    "counter",
    "Requests that were refused before a chat began, by code and reason",
    ("code", "reason"),
)
CHATS_RUNNING = Metric("chat_gateway_chats_running", "gauge", "Chats in progress", ("provider",))
STREAMS_OPEN = Metric("chat_gateway_streams_open", "gauge", "Slots of MAX_STREAMS that are taken")
STREAMS_LIMIT = Metric("chat_gateway_streams_limit", "gauge", "MAX_STREAMS, of all workers")
PENDING_BYTES = Metric(
    "chat_gateway_pending_body_bytes", "gauge", "Bytes of bodies being received or decoded"
)
BREAKER = Metric(
    "chat_gateway_breaker_state",
    "gauge",
    "A model's breaker: 0 closed, 1 half open, 2 open; the worst of all workers",
    ("provider", "model"),
)
LOOP_DELAY = Metric(
    "chat_gateway_event_loop_delay_seconds",
    "histogram",
    "How late a timer of a worker's event loop was, four times a second",
    (),
    _DELAY_SECONDS,
)
MEMORY = Metric("chat_gateway_memory_bytes", "gauge", "Resident memory of all workers")
WORKERS = Metric("chat_gateway_workers", "gauge", "Workers that serve")

METRICS = tuple(metric for metric in tuple(globals().values()) if isinstance(metric, Metric))


def exposed_names() -> set[str]:
    """Every name that a query may use."""
    endings = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
    return {metric.name + ending for metric in METRICS for ending in endings[metric.kind]}


def genai_provider(provider: str) -> str:
    """A provider's name in GenAI's semantic conventions."""
    return _PROVIDERS.get(provider, provider)
