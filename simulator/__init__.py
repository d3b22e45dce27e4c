"""Simulates the vendors' APIs on a real socket: healthy, recorded or faulty.

Used by demo mode, the tests and the benchmarks. It imports none of the gateway's code.
"""

from __future__ import annotations

from simulator.behaviours import (
    Behaviour,
    Burst,
    Checked,
    Demo,
    Error,
    Paced,
    Raw,
    Replay,
    Scripted,
    Silence,
)
from simulator.plan import Ending, Plan, Step, random_cuts
from simulator.server import SIMULATED_KEY, Call, Simulator
from simulator.wires import WIRES, ResponsesWire, Thought, ToolCall, Wire

__all__ = [
    "SIMULATED_KEY",
    "WIRES",
    "Behaviour",
    "Burst",
    "Call",
    "Checked",
    "Demo",
    "Ending",
    "Error",
    "Paced",
    "Plan",
    "Raw",
    "Replay",
    "ResponsesWire",
    "Scripted",
    "Silence",
    "Simulator",
    "Step",
    "Thought",
    "ToolCall",
    "Wire",
    "random_cuts",
]
