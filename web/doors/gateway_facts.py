"""What an answer says of itself beyond the fields of other protocols: the `gateway` object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from models import End, Restart, Start
from web.doors.base import Reply

_SAME_NAMES: Mapping[str, str] = {}


def gateway_facts(
    event: Start | Restart | End,
    reply: Reply,
    dropped: Iterable[str] = (),
    names: Mapping[str, str] = _SAME_NAMES,
) -> dict[str, Any]:
    """What is known at the beginning or the end of an answer.

    `dropped` are parameters that the door has left out, beside those of the model. `names` are the
    door's names of parameters.
    """
    facts = {
        "conversation_id": reply.identity.conversation_id,
        "request_id": reply.identity.request_id,
        **msgspec.structs.asdict(event),
    }
    if isinstance(event, End):
        of_model = dict.fromkeys(names.get(name, name) for name in event.dropped_params)
        facts["dropped_params"] = (*of_model, *dropped)
    if reply.is_demo:
        facts["demo"] = True
    return facts
