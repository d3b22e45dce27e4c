"""What happens if an answer breaks: `gateway.on_break` of a body, or the header."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import msgspec
from msgspec import Raw
from starlette.datastructures import Headers

from configuration import Settings
from models import OnBreak
from web.doors.json_fields import ABSENT, decode_field, invalid, is_absent

HEADER = "X-Gateway-On-Break"
WITHOUT_RESTART: tuple[OnBreak, ...] = ("error", "hold")


class _GatewayBody(msgspec.Struct, gc=False):
    on_break: OnBreak | None = None


def read_on_break(
    gateway: Raw,
    headers: Headers,
    settings: Settings,
    allowed: Collection[OnBreak] = WITHOUT_RESTART,
) -> OnBreak:
    """The choice of the body's `gateway` object, else of the header, else of ON_BREAK.

    `allowed` are those that the protocol can express. ON_BREAK counts as `error` if it is another.
    Raises GatewayError `invalid_request`.
    """
    place = "gateway.on_break"
    asked: OnBreak | None = None
    if gateway is not ABSENT and not is_absent(gateway):
        asked = decode_field(gateway, _GatewayBody, "gateway").on_break
    if asked is None and HEADER in headers:
        place, word = HEADER, headers[HEADER].strip().lower()
        asked = next((choice for choice in get_args(OnBreak) if choice == word), None)
        if asked is None:
            raise invalid(place, f"must be one of {', '.join(allowed)}")
    if asked is None:
        return settings.on_break if settings.on_break in allowed else "error"
    if asked not in allowed:
        raise invalid(place, f"must be one of {', '.join(allowed)}")
    return asked
