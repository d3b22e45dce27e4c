"""Counts the tokens of a prompt by a vendor's free call."""

from __future__ import annotations

from typing import NamedTuple

from models import GatewayError
from providers.model_check import Fetch, is_no_such_call


class TokenCount(NamedTuple):
    """The input tokens of a chat, and the model that they were counted for."""

    tokens: int
    provider: str
    model: str


async def count_tokens(fetch: Fetch, field: str) -> int | None:
    """The number in this field of the response; None if the vendor has no such call.

    Raises the SDK's exception, or GatewayError. `fetch` returns parsed JSON.
    """
    try:
        body = await fetch()
    except Exception as error:
        if is_no_such_call(error):
            return None
        raise
    tokens = body.get(field) if isinstance(body, dict) else None
    if not isinstance(tokens, int):
        raise GatewayError("upstream_bad_response", reason="token_count")
    return tokens
