"""Sentry's real SDK with a transport that keeps what it is given to send."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sentry_sdk.transport import Transport

from telemetry.error_reporting import SentrySettings, configure_sentry, shutdown_sentry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_sdk.envelope import Envelope

DSN = "https://public-key@sentry.example.com/1"


class KeptEnvelopes:
    """Each envelope as the bytes that would leave."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.has_profile = (
            threading.Event()
        )  # a thread of the SDK's own sends it, when it gets to it

    def take(self, envelope: Envelope) -> None:
        """Keep it."""
        self.sent.append(envelope.serialize())
        if any(item.type == "profile_chunk" for item in envelope.items):
            self.has_profile.set()

    def items(self, kind: str) -> list[Any]:
        """The payloads of the items of a kind, `event` or `transaction`."""
        return [
            payload for envelope in self.sent for name, payload in _items(envelope) if name == kind
        ]

    @property
    def events(self) -> list[Any]:
        """The errors and messages."""
        return self.items("event")


class BrokenTransport(Transport):
    """Fails at everything."""

    def capture_envelope(self, envelope: Envelope) -> None:
        """Fail."""
        raise RuntimeError("a transport that is broken")


def keeping_in(kept: KeptEnvelopes) -> type[Transport]:
    """A transport, for the SDK to make, that gives its envelopes to be kept."""

    class KeepingTransport(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            kept.take(envelope)

    return KeepingTransport


def _items(envelope: bytes) -> Iterator[tuple[str, Any]]:
    lines = envelope.split(b"\n")[1:]  # the first has the envelope's own headers
    for header, payload in zip(lines[::2], lines[1::2], strict=False):
        kind = json.loads(header)["type"]
        yield kind, json.loads(payload)


@contextmanager
def reporting_to(to: KeptEnvelopes | type[Transport] | None, **options: Any) -> Iterator[None]:
    """Sentry is on while the block runs, with every request traced; without a transport it has the SDK's own.

    The options are fields of SentrySettings.
    """
    chosen: dict[str, Any] = {
        "dsn": DSN,
        "environment": "test",
        "traces_sample_rate": 1.0,
        "profiles_sample_rate": 0.0,
        "release": "1.2.3",
    }
    transport = keeping_in(to) if isinstance(to, KeptEnvelopes) else to
    configure_sentry(SentrySettings(**(chosen | options)), transport)
    try:
        yield
    finally:
        shutdown_sentry()
