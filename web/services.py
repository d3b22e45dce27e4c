"""What the routes use."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiproviders import Gateway
from configuration import Settings
from telemetry.newest_problems import KeptProblems
from web.bodies import PendingBodies
from web.client_limits import ClientGate
from web.drain import Drain
from web.key_ring import KeyRing
from web.limits import StreamLimit


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running gateway, at `app.state.services` from its start to its end."""

    settings: Settings
    gateway: Gateway
    streams: StreamLimit
    bodies: PendingBodies
    drain: Drain
    keys: KeyRing
    gate: ClientGate | None = None
    problems: KeptProblems = field(default_factory=KeptProblems)
