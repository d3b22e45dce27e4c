"""`RunningChats`: the chats in progress, and how to end them."""

from __future__ import annotations

from collections.abc import Container

from providers.chain import RunningChat
from streams.deadline import CancelReason


class RunningChats(set[RunningChat]):
    """The chats of one process."""

    def end(self) -> None:
        """End all, each with a GatewayError `draining`."""
        for chat in self:
            chat.cancel(CancelReason.DRAINING)

    def end_without(self, key_hashes: Container[str]) -> None:
        """End those whose gateway key is not among these, each with `unauthorized`."""
        for chat in self:
            if chat.key_hash is not None and chat.key_hash not in key_hashes:
                chat.cancel(CancelReason.REVOKED)
