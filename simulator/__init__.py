"""The vendors' wires, spoken by us over a real socket: healthy, recorded or misbehaving.

Serves demo mode, the tests and the benchmarks. Knows nothing of the gateway: it imports none of its code.
"""

from __future__ import annotations

from simulator.behaviours import (
    Behaviour,
    Burst,
    Demo,
    Error,
    Paced,
    Raw,
    Replay,
    Scripted,
    Silence,
    random_cuts,
)
from simulator.plan import Ending, Plan, Step
from simulator.server import Call, Simulator
from simulator.wires import WIRES, Thought, Wire

__all__ = [
    "WIRES",
    "Behaviour",
    "Burst",
    "Call",
    "Demo",
    "Ending",
    "Error",
    "Paced",
    "Plan",
    "Raw",
    "Replay",
    "Scripted",
    "Silence",
    "Simulator",
    "Step",
    "Thought",
    "Wire",
    "random_cuts",
]
