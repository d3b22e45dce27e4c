"""Anthropic's thinking blocks, which the vendor needs back in the next turn as it sent them."""

from __future__ import annotations

from providers.wires.lenient_json import write_json


class Thinking:
    """An open thinking block: what has arrived of it."""

    __slots__ = ("signatures", "texts")

    def __init__(self, text: str | None, signature: str | None) -> None:
        self.texts = [text or ""]
        self.signatures = [signature or ""]

    def block(self) -> str | None:
        """The whole block as JSON text; None without a signature: the vendor would refuse it."""
        signature = "".join(self.signatures)
        if not signature:
            return None
        thinking = "".join(self.texts)
        return write_json({"type": "thinking", "thinking": thinking, "signature": signature})


def redacted_block(data: str) -> str:
    """A block of thinking that is encrypted, as JSON text."""
    return write_json({"type": "redacted_thinking", "data": data})
