"""One chat over HTTP: admit the client, read the body, run the chat, respond."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from math import inf

from starlette.requests import Request
from starlette.responses import Response

from configuration import Settings
from models import NO_OPTIONS, ChatIdentity, Event, GatewayError, Restart, Start, ToolCall, Turn
from providers.model_names import AskedModel
from providers.needs import prepare_needs
from settings.gateway_keys import GatewayKey
from settings.options import LimitOptions
from telemetry.log_line import conversation_id_context, request_id_context
from telemetry.span import traceparent_context
from web.bodies import read_body
from web.client_limits import LeasedSlot
from web.doors.base import Door, DoorRequest, Encoder, Reply
from web.doors.held import HeldEncoder, WholeEncoder
from web.doors.rate_limits import LIMIT_HEADERS
from web.guards import admit, check_provider
from web.json_scan import count_values, over_limit
from web.response import EventStreamResponse
from web.services import Services
from web.stream_timeouts import StreamTimeouts


def chat_route(door: Door) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a door's chats."""

    async def chat(request: Request) -> Response:
        return await answer_chat(door, request, request.app.state.services)

    return chat


async def answer_chat(door: Door, request: Request, services: Services) -> Response:
    """The response to a chat. Raises GatewayError if the chat is not accepted."""
    key = admit(request, services.keys, services.streams, door.name)
    named: str | None = request.path_params.get("provider")
    if named is not None:
        services.gateway.is_demo(named)  # an unknown provider is reported before the body is read
        check_provider(key, named)
    lease = await services.gate.enter(request, key, door.name) if services.gate else None
    if lease is None:
        return await open_chat(door, request, services, key, services.streams)
    try:
        return await open_chat(door, request, services, key, LeasedSlot(services.streams, lease))
    except BaseException:
        lease.release()
        raise


async def open_chat(
    door: Door,
    request: Request,
    services: Services,
    key: GatewayKey | None,
    slot: AbstractContextManager[None],
) -> Response:
    """The response to a chat of a client that was let in. Raises GatewayError."""
    gateway = services.gateway
    named: str | None = request.path_params.get("provider")
    asked = await read_chat(door, request, services)
    wanted = gateway.find_model(asked.model) if named is None else AskedModel(named)
    provider = wanted.provider
    check_provider(key, provider)
    is_demo = gateway.is_demo(provider)
    conversation_id = asked.chat.conversation_id or str(uuid.uuid4())
    conversation_id_context.set(conversation_id)
    if services.settings.otel_exporter_otlp_endpoint:
        traceparent_context.set(request.headers.get("traceparent"))
    identity = ChatIdentity(f"{provider}-{uuid.uuid4()}", conversation_id, request_id_context.get())
    encoder = _encoder(door, Reply(identity, is_demo, asked.options), asked)
    headers = {"X-Gateway-Provider": provider, **asked.headers}
    headers |= request.scope.get(LIMIT_HEADERS, {})
    if is_demo:
        headers["X-Gateway-Demo"] = "true"
    scope = key.scope if key else None
    batches = gateway.stream_chat(
        provider, asked.chat, identity, door.name, wanted.model, scope=scope
    )
    timeouts = _timeouts(services.settings, is_stream=asked.is_stream)
    return EventStreamResponse(ChatFrames(batches, encoder), timeouts, headers, slot)


class ChatFrames:
    """The frames of one chat. Reading its batches runs the chat, and closing them ends it."""

    __slots__ = ("_encoder", "_opening", "batches", "encode", "media_type")

    def __init__(self, batches: AsyncGenerator[list[Event], None], encoder: Encoder) -> None:
        self.media_type = encoder.media_type
        self.batches = batches
        self.encode: Callable[[list[Event]], bytes] = encoder.encode
        self._encoder = encoder
        self._opening: Start | Restart | None = None  # of the answer whose frames come first

    def encode_first(self, batch: list[Event]) -> bytes:
        """The batch's frames, as long as all batches before it had none."""
        if isinstance(batch[0], Start | Restart):
            self._opening = batch[0]  # a held answer may restart before its first frame
        return self.encode(batch)

    def headers(self) -> Mapping[str, str]:
        """The model whose answer the first frame begins."""
        opening = self._opening
        if opening is None:
            return {}
        headers = {"X-Gateway-Provider": opening.provider, "X-Gateway-Model": opening.model}
        if fallback := opening.fallback:
            headers["X-Gateway-Fallback"] = f"{fallback.from_model}; reason={fallback.reason}"
        return headers

    def encode_error(self, error: GatewayError) -> bytes:
        """The frame of a failure after the response has begun."""
        return self._encoder.encode_error(error)


async def read_chat(door: Door, request: Request, services: Services) -> DoorRequest:
    """Receive a body, and read it as the door does. Raises GatewayError."""
    settings = services.settings

    def read(body: bytes) -> DoorRequest:
        asked = door.read(body, settings, request.headers)
        check_arguments(asked.chat.turns, settings)
        return asked

    asked = await read_body(request, settings, services.bodies, read)
    if asked.chat.options is not NO_OPTIONS:
        await prepare_needs(asked.chat.options)
    return asked


def check_arguments(turns: Iterable[Turn], limits: LimitOptions) -> None:
    """Raise GatewayError if the arguments of all calls together have too many values.

    They may be texts, in which the values of the body do not count. Vendors want them as objects.
    """
    calls = (part for turn in turns for part in turn.parts if isinstance(part, ToolCall))
    values = 0
    for call in calls:
        values += count_values(call.arguments)
        if values > limits.max_json_values:
            raise over_limit(
                "JSON values in the arguments of calls",
                f"more than {limits.max_json_values}",
                "MAX_JSON_VALUES",
                limits.max_json_values,
            )


def _encoder(door: Door, reply: Reply, asked: DoorRequest) -> Encoder:
    if not asked.is_stream:
        return WholeEncoder(partial(door.render, reply=reply))
    if asked.chat.on_break == "hold":
        return HeldEncoder(partial(door.encoder, reply))
    return door.encoder(reply)


def _timeouts(settings: Settings, *, is_stream: bool) -> StreamTimeouts:
    if not is_stream:
        return StreamTimeouts(hold=inf, heartbeat=inf, send=settings.send_timeout_seconds)
    return StreamTimeouts(
        hold=settings.status_hold_seconds,
        heartbeat=settings.heartbeat_seconds or inf,
        send=settings.send_timeout_seconds,
    )
