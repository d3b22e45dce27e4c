"""The gateway's pages: a request becomes a call of the gateway's two verbs, and its stream a response."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from aiproviders import Gateway
from configuration import VERSION, Settings
from log_line import conversation_id_context, request_id_context
from models import ChatIdentity, ChatRequest, GatewayError
from web.drain import Drain
from web.guards import BodyRoom, StreamLimit, check_key, read_chat_request
from web.openapi import CHAT, HEALTH, LIVE, PROVIDER_HEALTH
from web.page import page_response
from web.protocols.native import NativeEncoder
from web.protocols.whole import WholeAnswerEncoder
from web.sse import EventStreamResponse, StreamClocks

router = APIRouter()


@dataclass(frozen=True, slots=True)
class House:
    """What the pages work with; `app.state.house` has it while the app is running."""

    settings: Settings
    gateway: Gateway
    streams: StreamLimit
    bodies: BodyRoom
    drain: Drain


def _house(request: Request) -> House:
    return cast(House, request.app.state.house)


@router.post("/chat/{provider}", **CHAT)
async def chat(provider: str, request: Request) -> Response:
    """Ask a provider, and get its answer as it comes (or, with `"stream": false`, as one JSON object)."""
    house = _house(request)
    check_key(request, house.settings.gateway_api_keys)
    house.drain.check()
    is_demo = house.gateway.factory.settings(provider).demo
    asked = await read_chat_request(request, house.settings, house.bodies)
    identity = _identify(provider, asked)
    encoder = (NativeEncoder if asked.stream else WholeAnswerEncoder)(identity, demo=is_demo)
    headers = {"X-Gateway-Provider": provider} | ({"X-Gateway-Demo": "true"} if is_demo else {})
    batches = house.gateway.stream_chat(provider, asked, identity)
    return EventStreamResponse(batches, encoder, _clocks(house.settings, asked), headers, house.streams)


def _identify(provider: str, asked: ChatRequest) -> ChatIdentity:
    conversation_id = asked.conversation_id or str(uuid.uuid4())
    conversation_id_context.set(conversation_id)
    return ChatIdentity(f"{provider}-{uuid.uuid4()}", conversation_id, request_id_context.get())


def _clocks(settings: Settings, asked: ChatRequest) -> StreamClocks:
    if not asked.stream:
        return StreamClocks(hold=float("inf"), heartbeat=0, send=settings.send_timeout_seconds)
    return StreamClocks(settings.status_hold_seconds, settings.heartbeat_seconds, settings.send_timeout_seconds)


@router.head("/health", include_in_schema=False)
@router.get("/health", **HEALTH)
async def health(request: Request) -> JSONResponse:
    """Can this instance take a request now? Local facts only: no vendor is called, no vendor's state decides."""
    house = _house(request)
    status, message = _readiness(house)
    body = {
        "status": status,
        "message": message,
        "version": VERSION,
        "demo": house.settings.demo_mode,
        "streams": {"open": house.streams.open, "limit": house.streams.most},
        "providers": house.gateway.states(),
    }
    return JSONResponse(body) if status == "OK" else JSONResponse(body, 503, headers={"Retry-After": "1"})


def _readiness(house: House) -> tuple[str, str]:
    if house.drain.is_leaving:
        return "DRAINING", "This instance is about to stop"
    if house.streams.is_reached:
        return "OVERLOADED", "All places for streams are taken"
    return "OK", "System operational"


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", **LIVE)
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "OK"}


@router.head("/health/{provider}", include_in_schema=False)
@router.get("/health/{provider}", **PROVIDER_HEALTH)
async def provider_health(provider: str, request: Request, deep: bool = False) -> JSONResponse:
    """One provider's state, from its traffic; where that is stale, from the vendor's free model call.

    `deep=true` has the default model answer a test message: it needs a gateway key, and costs tokens.
    """
    house = _house(request)
    if deep:
        check_key(request, house.settings.gateway_api_keys, needed=True)
    report: dict[str, Any] = await house.gateway.check_health(provider, deep=deep)
    return JSONResponse(report, 503 if report["status"] == "ERROR" else 200)


@router.get("/sentry-debug", include_in_schema=False)
async def sentry_debug(request: Request) -> None:
    """Raise a test error, to see it arrive in Sentry."""
    if not _house(request).settings.sentry_debug_route:
        raise GatewayError("not_found")
    raise RuntimeError("a test error for Sentry")


@router.head("/", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The chat page."""
    return page_response()
