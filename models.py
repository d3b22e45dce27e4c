"""The nouns that cross floors: what a client asks, what a provider receives, what flows back, how it fails.

This room knows no vendor, no wire and no HTTP library; everything else may import it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from pydantic import BaseModel, Field, field_validator

# --- what a client asks ------------------------------------------------------------------------------

ImageMediaType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]


class TextPart(BaseModel):
    """A piece of text within a message."""

    type: Literal["text"]
    text: str


class ImagePart(BaseModel):
    """An image within a message: its bytes in base64, never a URL to be fetched."""

    type: Literal["image"]
    media_type: ImageMediaType
    data: str = Field(min_length=1, description="The image's bytes in base64.")

    @field_validator("data")
    @classmethod
    def check_base64(cls, value: str) -> str:
        """Refuse here what a vendor would refuse later."""
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("must be base64") from None
        return value


class Message(BaseModel):
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]
    timestamp: Any = Field(default=None, description="Accepted and ignored.")
    model: Any = Field(default=None, description="Accepted and ignored: the gateway chooses the model.")

    @field_validator("content", mode="before")
    @classmethod
    def read_image_urls(cls, value: Any) -> Any:
        """Take OpenAI's `image_url` parts where the URL is a `data:` URL."""
        return [_read_image_url(part) for part in value] if isinstance(value, list) else value

    @property
    def text(self) -> str:
        """The visible text, its parts joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def images(self) -> list[ImagePart]:
        """The images, in their order."""
        if isinstance(self.content, str):
            return []
        return [part for part in self.content if isinstance(part, ImagePart)]


def _read_image_url(part: Any) -> Any:
    if not isinstance(part, dict) or part.get("type") != "image_url":
        return part
    holder = part.get("image_url")
    url = holder.get("url") if isinstance(holder, dict) else holder
    if not isinstance(url, str) or not url.startswith("data:") or ";base64," not in url:
        raise ValueError("an image_url must be a data: URL in base64; no URL is fetched on a client's behalf")
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "media_type": media_type, "data": data}


class ChatRequest(BaseModel):
    """The body of `POST /chat/{provider}`. Unknown fields are ignored and never forwarded."""

    messages: list[Message] = Field(min_length=1)
    conversation_id: str | None = Field(default=None, max_length=128, description="Made where absent.")
    stream: bool = Field(default=True, description="false: one JSON answer instead of events.")
    on_break: Literal["error", "restart"] = Field(
        default="error",
        description="restart: where the answer breaks after its first content, ask the next model from the start.",
    )
    model: Any = Field(default=None, description="Accepted and ignored: the gateway chooses the model.")


class ChatIdentity(NamedTuple):
    """The ids of one chat: the answer's own, its conversation's, its request's."""

    id: str
    conversation_id: str
    request_id: str


# --- what a provider receives ------------------------------------------------------------------------


class Turn(NamedTuple):
    """One turn of a prompt: neighbours never have the same role, and it is never empty."""

    role: Literal["user", "assistant"]
    parts: tuple[TextPart | ImagePart, ...]


class Prompt(NamedTuple):
    """What a provider receives, free of any vendor's shape."""

    system: str
    turns: tuple[Turn, ...]


# --- what flows back: providers yield batches (lists) of these ---------------------------------------


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens. Input has the cached ones in it, output the reasoning ones; None where the vendor told none."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "other"]


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call: its place among the answer's calls, and what this piece adds."""

    index: int
    name: str | None = None
    arguments: str = ""


class Fallback(msgspec.Struct, frozen=True, gc=False):
    """Which model was given up for which, and the code of the reason."""

    from_model: str = msgspec.field(name="from")
    to_model: str = msgspec.field(name="to")
    reason: str


class Start(msgspec.Struct, frozen=True):
    """The first content has come: this model answers."""

    provider: str
    model: str
    fallback: Fallback | None = None


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A piece of content: text, reasoning, a refusal, or a piece of a tool call."""

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_call: ToolCallDelta | None = None


class Finish(msgspec.Struct, frozen=True):
    """The vendor's word that the answer is whole.

    `sure`: the answer is whole now, whatever its socket does next; else only the stream's end, or silence, proves it.
    `settling` is the silence in seconds that is waited for where something may still follow; None: as for content.
    """

    finish_reason: FinishReason
    raw_finish_reason: str | None
    usage: Usage | None = None
    sure: bool = True
    settling: float | None = None


class Restart(msgspec.Struct, frozen=True):
    """Throw away what came; the next model's whole answer follows."""

    provider: str
    model: str
    fallback: Fallback
    partial_chars: int


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds from the chat's opening; first_content_ms is None where no content came."""

    first_content_ms: int | None
    total_ms: int


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The answer is whole. `attempts` counts the requests made to vendors."""

    provider: str
    model: str
    fallback: Fallback | None
    finish_reason: FinishReason
    raw_finish_reason: str | None
    usage: Usage | None
    attempts: int
    dropped_params: tuple[str, ...] = ()
    timing: Timing | None = None


Event = Start | Delta | Restart | End


# --- how it fails ------------------------------------------------------------------------------------

NextModel = Literal["yes", "other_vendor", "no"]


class ErrorKind(NamedTuple):
    """What a code means: its HTTP status, whether the next model is asked, whether the client may try again."""

    status: int
    next_model: NextModel
    retryable: bool
    message: str


ERROR_KINDS: Mapping[str, ErrorKind] = {
    "invalid_json": ErrorKind(400, "no", False, "The body is not valid JSON."),
    "invalid_request": ErrorKind(422, "no", False, "The request is not valid."),
    "rejected_by_provider": ErrorKind(400, "no", False, "The provider rejected the request."),
    "context_length_exceeded": ErrorKind(400, "yes", False, "The conversation is too long for the model."),
    "content_filtered": ErrorKind(422, "no", False, "The provider's content filter blocked the prompt."),
    "payload_too_large": ErrorKind(413, "no", False, "The body is too large."),
    "unsupported_media_type": ErrorKind(415, "no", False, "Send the body as application/json."),
    "headers_too_large": ErrorKind(431, "no", False, "The request's headers are too large."),
    "request_timeout": ErrorKind(408, "no", False, "The request did not arrive in time."),
    "unauthorized": ErrorKind(401, "no", False, "A valid gateway key is needed."),
    "forbidden_origin": ErrorKind(403, "no", False, "This origin is not allowed; see CORS_ORIGINS."),
    "unknown_provider": ErrorKind(404, "no", False, "There is no such provider."),
    "not_found": ErrorKind(404, "no", False, "There is no such page."),
    "method_not_allowed": ErrorKind(405, "no", False, "This method is not allowed here."),
    "provider_not_configured": ErrorKind(503, "no", False, "This provider is not configured."),
    "rate_limited": ErrorKind(429, "yes", True, "Too many requests for now."),
    "overloaded": ErrorKind(503, "no", True, "The gateway is at its limit of open streams."),
    "draining": ErrorKind(503, "no", True, "This instance is about to stop."),
    "upstream_auth": ErrorKind(502, "other_vendor", False, "The provider refused the gateway's credentials."),
    "upstream_quota": ErrorKind(503, "other_vendor", False, "The gateway's quota at the provider is spent."),
    "upstream_model_not_found": ErrorKind(502, "yes", False, "The provider does not know the model."),
    "upstream_unavailable": ErrorKind(503, "yes", True, "The provider is unavailable."),
    "upstream_timeout": ErrorKind(504, "yes", True, "The provider did not answer in time."),
    "upstream_truncated": ErrorKind(502, "yes", True, "The provider's answer stopped before its end."),
    "upstream_bad_event": ErrorKind(502, "yes", True, "The provider sent something unreadable."),
    "upstream_bad_response": ErrorKind(502, "yes", True, "The provider's response was not a stream of events."),
    "event_too_large": ErrorKind(502, "yes", True, "The provider sent an event over the size limit."),
    "internal_error": ErrorKind(500, "no", True, "Something went wrong in the gateway."),
}

_MISCONFIGURATIONS = ("upstream_auth", "upstream_quota", "upstream_model_not_found")

Stage = Literal["request", "before_content", "after_content"]


class Attempt(NamedTuple):
    """One request to a vendor that failed."""

    model: str
    code: str
    reason: str | None = None


class GatewayError(Exception):
    """The one way to fail. What is here may be told to the client, but `detail`, which is for the log alone.

    `retry_after` is in seconds. `detail` may hold what the vendor said (status, type, request id), never a prompt.
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
        self.code = code
        self.kind = ERROR_KINDS[code]
        self.safe_message = message or self.kind.message
        self.reason = reason
        self.provider = provider
        self.model = model
        self.retry_after = retry_after
        self.detail = dict(detail or {})
        self.stage: Stage = "request"
        self.partial_chars = 0
        self.attempts: tuple[Attempt, ...] = ()
        super().__init__(f"{code}: {self.safe_message}")

    @property
    def is_vendors(self) -> bool:
        """Whether the vendor failed; else the client asked for what can't be had, or we failed."""
        return self.kind.next_model != "no" and self.code != "context_length_exceeded"

    @property
    def is_misconfiguration(self) -> bool:
        """Whether the operator must mend it: a key, a quota, a model's name, an address that redirects or lacks TLS."""
        return self.code in _MISCONFIGURATIONS or self.reason in ("redirect", "tls")
