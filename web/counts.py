"""The input tokens of a chat over HTTP: counted by the vendor's free call, no model is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from web.chats import read_chat
from web.doors.base import CountingDoor
from web.doors.rate_limits import LIMIT_HEADERS
from web.guards import admit, check_provider
from web.services import Services


def count_route(door: CountingDoor) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint at which a door's clients ask for the tokens of a chat."""

    async def count(request: Request) -> Response:
        return await answer_count(door, request, request.app.state.services)

    return count


async def answer_count(door: CountingDoor, request: Request, services: Services) -> Response:
    """The response. A count holds one of the slots of MAX_STREAMS. Raises GatewayError."""
    gateway = services.gateway
    key = admit(request, services.keys, services.streams, door.name)
    if services.gate:
        lease = await services.gate.enter(request, key, door.name)
        if lease:
            lease.release()  # a count is a request, and no stream
    asked = await read_chat(door, request, services)
    model = gateway.find_model(asked.model)
    check_provider(key, model.provider)
    with services.streams:
        asked_model = model._replace(scope=key.scope if key else None)
        count = await gateway.count_tokens(asked_model, asked.chat)
    headers = {
        **request.scope.get(LIMIT_HEADERS, {}),
        "X-Gateway-Provider": count.provider,
        "X-Gateway-Model": count.model,
    }
    return Response(door.render_count(count.tokens), 200, headers, "application/json")
