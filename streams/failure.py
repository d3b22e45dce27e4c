"""`Failure`: how a chat failed, complete, as it is sent to the client and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from models import GatewayError

Stage = Literal["request", "before_content", "after_content"]


class FailedAttempt(NamedTuple):
    """One request to a vendor that failed."""

    model: str
    code: str
    reason: str | None = None


class Failure(GatewayError):  # noqa: N818 - more than an error: what became of a chat
    """The error that ended a chat, what the client has of the answer, and what was tried.

    `sent_chars` counts the characters of the answer's text that were sent. `provider` and `model`
    count if the error names none, `retry_after` replaces the error's.
    """

    def __init__(
        self,
        error: GatewayError,
        *,
        provider: str | None = None,
        model: str | None = None,
        retry_after: float | None = None,
        stage: Stage = "request",
        sent_chars: int = 0,
        attempts: Sequence[FailedAttempt] = (),
    ) -> None:
        super().__init__(
            error.code,
            error.safe_message,
            reason=error.reason,
            provider=error.provider or provider,
            model=error.model or model,
            retry_after=error.retry_after if retry_after is None else retry_after,
            detail=error.detail,
        )
        self.error: Final = error
        self.stage: Final = stage
        self.sent_chars: Final = sent_chars
        self.attempts: Final = tuple(attempts)


def to_failure(error: GatewayError) -> Failure:
    """The error as a failure; one that was raised before there was a chat is about the request."""
    return error if isinstance(error, Failure) else Failure(error)
