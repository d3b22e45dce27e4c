"""The faults of vendors by name.

A model called `fault-<name>` has the fault, `fault-<name>@after` after three deltas.

A suffix after `~` makes a separate model with the same fault: `fault-reset@after~7`. Faults of an
address, before any request, are in `simulator.endpoints`.
"""

from __future__ import annotations

import re

from simulator.behaviours import Behaviour
from simulator.faults.answers import ANSWERS
from simulator.faults.base import ANSWER, DELTAS_BEFORE, Fault
from simulator.faults.calls import CALLS
from simulator.faults.content import CONTENT
from simulator.faults.framing import FRAMING
from simulator.faults.transport import TRANSPORT, UNREAD_BODY

FAULTS: dict[str, Fault] = {**TRANSPORT, **ANSWERS, **FRAMING, **CONTENT, **CALLS}

_NAME = re.compile(r"fault-(?P<name>[a-z0-9-]+)(@(?P<phase>before|after))?(~.*)?")


def fault_behaviour(model: str) -> Behaviour | None:
    """The behaviour of a model of this name; None if it names no fault."""
    named = _NAME.fullmatch(model)
    fault = FAULTS.get(named["name"]) if named else None
    return fault(DELTAS_BEFORE if named and named["phase"] == "after" else 0) if fault else None


__all__ = ["ANSWER", "DELTAS_BEFORE", "FAULTS", "UNREAD_BODY", "Fault", "fault_behaviour"]
