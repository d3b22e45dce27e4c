"""Why a vendor refuses a request that is well formed: parameters, schemas, an unsound history.

The demo refuses such requests with the vendor's own 400.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec

from simulator.refusals.anthropic import refuse_messages
from simulator.refusals.gemini import refuse_generate_content
from simulator.refusals.groq import refuse_groq
from simulator.refusals.openai import refuse_chat_completions
from simulator.refusals.responses import refuse_responses
from simulator.refusals.rules import Refused, Rules, find_rules
from simulator.wires import WIRES, ResponsesWire, Wire

_Check = Callable[[dict[str, Any], Rules], Iterator[Refused]]

# A local server has no rules of its own.
_CHECKS: dict[type[Wire], _Check] = {
    WIRES["gpt"]: refuse_chat_completions,
    ResponsesWire: refuse_responses,
    WIRES["claude"]: refuse_messages,
    WIRES["gemini"]: refuse_generate_content,
    WIRES["groq"]: refuse_groq,
}


def find_refusal(wire: Wire) -> bytes | None:
    """The body of the vendor's 400; None if it accepts the request."""
    check = _CHECKS.get(type(wire))
    if not check:
        return None
    for message, fields in check(wire.body, find_rules(wire.provider, wire.model)):
        body = wire.error_body(400)
        error = cast(dict[str, object], body["error"])
        return msgspec.json.encode({**body, "error": {**error, "message": message, **fields}})
    return None
