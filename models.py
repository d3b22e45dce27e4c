"""The types that cross layers: a chat, its prompt, the events of its answer, its errors.

Knows no vendor, no wire and no HTTP library; every other module may import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import msgspec

# --- what a client asks --------------------------------------------------------------------------

ImageMediaType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
FileMediaType = Literal["application/pdf"]


class Text(msgspec.Struct, frozen=True, gc=False):
    """A piece of text, of a turn or of an answer. An answer's pieces are joined as they are."""

    text: str


class Image(msgspec.Struct, frozen=True, gc=False):
    """An image: its bytes in base64, never a URL to fetch."""

    media_type: ImageMediaType
    data: str


class File(msgspec.Struct, frozen=True, gc=False):
    """A PDF: its bytes in base64, never a URL to fetch. `name` is empty if it has none."""

    media_type: FileMediaType
    data: str
    name: str = ""


Content = Text | Image | File  # of a message, or of a tool's result


class State(msgspec.Struct, frozen=True, gc=False):
    """Opaque state of one vendor's model, which it needs back in the next turn, unchanged.

    `data` is JSON text in the format of the vendor's wire. No other model is sent it.
    """

    provider: str
    model: str
    data: str


class Reasoning(msgspec.Struct, frozen=True, gc=False):
    """A piece of the model's reasoning, of a turn or of an answer.

    `state` is the state of the reasoning up to here: it is with the last piece, or alone.
    """

    text: str
    state: State | None = None


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A whole tool call. `arguments` is JSON text as the model wrote it, valid or not."""

    id: str
    name: str
    arguments: str
    state: State | None = None


class ToolResult(msgspec.Struct, frozen=True, gc=False):
    """What a tool returned to the call with this id."""

    call_id: str
    parts: tuple[Content, ...]
    is_error: bool = False


Part = Content | Reasoning | ToolCall | ToolResult


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The texts among the parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


REMINDER = "<system-reminder>"  # before a client's system message within a user's turn


class Tool(msgspec.Struct, frozen=True, gc=False):
    """A function that the model may call. `schema` is the JSON schema of its arguments.

    `strict` is None if the client did not say whether the model must keep to the schema.
    """

    name: str
    schema: msgspec.Raw
    description: str | None = None
    strict: bool | None = None


class NamedTool(msgspec.Struct, frozen=True, gc=False):
    """The choice of the one tool that must be called."""

    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool


class JsonObject(msgspec.Struct, frozen=True, gc=False):
    """The answer is to be a JSON object of any shape."""


class JsonSchema(msgspec.Struct, frozen=True, gc=False):
    """The answer is to be JSON that fits this schema."""

    name: str
    schema: msgspec.Raw
    description: str | None = None
    strict: bool | None = None


Output = JsonObject | JsonSchema


# Efforts of reasoning, in ascending order.
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class AnswerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks of the answer; None or empty if it does not say.

    `parallel` is whether the model may call several tools at once, `effort` that of its reasoning.
    """

    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel: bool | None = None
    output: Output | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    effort: str | None = None


NO_OPTIONS = AnswerOptions()  # of most chats: what depends on the model alone is then kept


OnBreak = Literal["error", "restart", "hold"]


class Chat(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """A client's chat, in no protocol's format. `system` has its system messages.

    `on_break` says what happens if an answer breaks after its first content. With "hold" the client
    receives nothing before an answer is complete. `has_generic_prompt`: if the operator has set no
    system prompt, the gateway's generic one is sent.
    """

    turns: tuple[Turn, ...]
    system: tuple[str, ...] = ()
    options: AnswerOptions = NO_OPTIONS
    on_break: OnBreak = "error"
    conversation_id: str | None = None  # None: one is generated
    has_generic_prompt: bool = True


class ChatIdentity(NamedTuple):
    """The ids of one chat: of the answer, the conversation and the request."""

    id: str
    conversation_id: str
    request_id: str


# --- what a provider receives --------------------------------------------------------------------


class Prompt(NamedTuple):
    """What a provider receives, in no vendor's format.

    Adjacent turns have different roles, and no turn is empty. The results of the calls of a turn
    are the first parts of the next one, in the order of the calls: one for each call. `is_plain`
    says that all parts are texts, images and files. `left_out` names parameters that are not sent.
    A request is made in a thread of a prompt that `is_large`. `conversation_id` is the client's
    own, which no vendor is sent.
    """

    system: str
    turns: tuple[Turn, ...]
    options: AnswerOptions = NO_OPTIONS
    is_plain: bool = True
    left_out: frozenset[str] = frozenset()
    is_large: bool = False
    conversation_id: str | None = None


# --- what flows back: providers yield batches (lists) of these -----------------------------------


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts; None if not reported. Input includes cached tokens, output reasoning tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "other"]


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A piece of a refusal, which the model sends in place of text."""

    text: str


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call: the index of the call within the answer, and what this piece adds.

    `id` and `name` are sent with the first piece of a call.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    state: State | None = None


Delta = Text | Reasoning | Refusal | ToolCallDelta


class Fallback(msgspec.Struct, frozen=True, gc=False):
    """The model that failed, the model that replaced it, and the error code of the failure."""

    from_model: str = msgspec.field(name="from")
    to_model: str = msgspec.field(name="to")
    reason: str


class Start(msgspec.Struct, frozen=True):
    """The first content has arrived: this model answers."""

    provider: str
    model: str
    fallback: Fallback | None = None


class Restart(msgspec.Struct, frozen=True):
    """Discard the text received so far; the complete answer of the next model follows."""

    provider: str
    model: str
    fallback: Fallback
    partial_chars: int


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds since the chat began; `first_content_ms` is None if no content arrived."""

    first_content_ms: int | None
    total_ms: int


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The answer is complete. `attempts` counts the requests sent to vendors.

    `cost` is in US dollars; None if the model's price or the usage is not known.
    """

    provider: str
    model: str
    fallback: Fallback | None
    finish_reason: FinishReason
    raw_finish_reason: str | None
    usage: Usage | None
    cost: float | None = None
    attempts: int
    dropped_params: tuple[str, ...] = ()
    timing: Timing | None = None


Event = Start | Text | Reasoning | Refusal | ToolCallDelta | Restart | End


# --- how it fails --------------------------------------------------------------------------------

NextModel = Literal["yes", "other_vendor", "no"]


class ErrorKind(NamedTuple):
    """The meaning of a code: its status, whether the next model is asked, whether to retry."""

    status: int
    next_model: NextModel
    retryable: bool
    message: str


ERROR_KINDS: Mapping[str, ErrorKind] = {
    "invalid_json": ErrorKind(400, "no", False, "The body is not valid JSON."),
    "invalid_request": ErrorKind(422, "no", False, "The request is not valid."),
    "unsupported": ErrorKind(400, "no", False, "No model can do what is asked."),
    "rejected_by_provider": ErrorKind(400, "no", False, "The provider rejected the request."),
    "context_length_exceeded": ErrorKind(
        400, "yes", False, "The conversation is too long for the model."
    ),
    "content_filtered": ErrorKind(
        422, "no", False, "The provider's content filter blocked the prompt."
    ),
    "payload_too_large": ErrorKind(413, "no", False, "The body is too large."),
    "unsupported_media_type": ErrorKind(415, "no", False, "Send the body as application/json."),
    "uri_too_long": ErrorKind(414, "no", False, "The request's path and query are too long."),
    "headers_too_large": ErrorKind(431, "no", False, "The request's headers are too large."),
    "request_timeout": ErrorKind(408, "no", False, "The request did not arrive in time."),
    "unauthorized": ErrorKind(401, "no", False, "A valid gateway key is needed."),
    "forbidden": ErrorKind(403, "no", False, "The gateway key does not allow this."),
    "forbidden_origin": ErrorKind(
        403, "no", False, "This origin is not allowed; see CORS_ORIGINS."
    ),
    "forbidden_host": ErrorKind(
        421,
        "no",
        False,
        "The gateway is not served under this host name; see ALLOWED_HOSTS and GATEWAY_API_KEYS.",
    ),
    "unknown_provider": ErrorKind(404, "no", False, "There is no such provider."),
    "not_found": ErrorKind(404, "no", False, "There is no such page."),
    "method_not_allowed": ErrorKind(405, "no", False, "This method is not allowed here."),
    "provider_not_configured": ErrorKind(503, "no", False, "This provider is not configured."),
    "rate_limited": ErrorKind(429, "yes", True, "Too many requests for now."),
    "budget_exceeded": ErrorKind(429, "no", True, "The client's budget is spent for now."),
    "overloaded": ErrorKind(503, "no", True, "The gateway is at its limit of open streams."),
    "draining": ErrorKind(503, "no", True, "This instance is about to stop."),
    "upstream_auth": ErrorKind(
        502, "other_vendor", False, "The provider refused the gateway's credentials."
    ),
    "upstream_quota": ErrorKind(
        503, "other_vendor", False, "The gateway's quota at the provider is spent."
    ),
    "upstream_model_not_found": ErrorKind(
        502, "yes", False, "The provider does not know the model."
    ),
    "upstream_unavailable": ErrorKind(503, "yes", True, "The provider is unavailable."),
    "upstream_timeout": ErrorKind(504, "yes", True, "The provider did not answer in time."),
    "upstream_truncated": ErrorKind(
        502, "yes", True, "The provider's answer stopped before its end."
    ),
    "upstream_bad_event": ErrorKind(502, "yes", True, "The provider sent something unreadable."),
    "upstream_bad_response": ErrorKind(
        502, "yes", True, "The provider's response was not a stream of events."
    ),
    "event_too_large": ErrorKind(
        502, "yes", True, "The provider sent an event over the size limit."
    ),
    "internal_error": ErrorKind(500, "no", True, "Something went wrong in the gateway."),
}

_MISCONFIGURATIONS = ("upstream_auth", "upstream_quota", "upstream_model_not_found")


class GatewayError(Exception):
    """The one exception that a chat fails with.

    Its fields may be sent to the client, except `detail`. `retry_after` is in seconds. `detail` is
    for the log: the vendor's status, error type, request id; never a prompt. Nothing changes it
    once it is raised.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        reason: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        retry_after: float | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        self.code: Final = code
        self.kind: Final = ERROR_KINDS[code]
        self.safe_message: Final = message or self.kind.message
        self.reason: Final = reason
        self.provider: Final = provider
        self.model: Final = model
        self.retry_after: Final = retry_after
        self.detail: Final[Mapping[str, object]] = detail or {}
        super().__init__(f"{code}: {self.safe_message}")

    @property
    def is_vendors(self) -> bool:
        """Whether the vendor failed, rather than the client's request or the gateway."""
        return self.kind.next_model != "no" and self.code != "context_length_exceeded"

    @property
    def is_misconfiguration(self) -> bool:
        """Whether the operator must act, as for a wrong key, quota, model name or address."""
        if self.code == "upstream_bad_response":
            return self.reason in ("redirect", "tls") or str(self.reason).startswith("status_")
        return self.code in _MISCONFIGURATIONS
