"""The simulator: listens, selects wire and behaviour for each request, and records the calls."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote

import msgspec

from simulator.behaviours import Behaviour, Demo, named_behaviour
from simulator.connection import Connection, Request
from simulator.faults import UNREAD_BODY, fault_behaviour
from simulator.plan import Plan, joined, whole
from simulator.wires import SERVED_WIRES, WIRES, Wire
from simulator.wires.chat_completion import join_chunks

# for all vendors; logs redact keys, so this must not be an ordinary word
SIMULATED_KEY = "simulated-key-b7e2f04c91d6"
_BACKLOG = 2048
_JSON = {"content-type": "application/json"}
_PEEKED = 2048  # first bytes of a body
_UNREAD_MODEL = re.compile(re.escape(UNREAD_BODY) + r"[\w~]*")


@dataclass(eq=False, slots=True)
class Call:
    """One call of a vendor.

    A check (`is_check`) is a free call: it retrieves a model, or counts the tokens of a request.
    """

    provider: str
    model: str
    path: str
    headers: dict[str, str]
    body: Any
    connection: int  # the number of the client's connection, from 1
    closed: asyncio.Event  # the connection is gone
    is_check: bool
    opened_at: float = field(default_factory=time.monotonic)
    input_tokens: int = 0
    output_tokens: int = 0  # of the whole answer, even if only a part was sent
    finished: bool = False  # the answer was sent completely


@dataclass(slots=True)
class _Client:
    """An open connection: its number, its latest call, and the event shared by its calls."""

    number: int
    call: Call | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class Simulator:
    """Serves all simulated vendors on one port.

    `behaviours` maps a model to its behaviour, or to a list of them: one for each call, the last
    one for all further calls. `check_behaviours` does the same for the free calls. Both may be
    changed at any time. Other models have the behaviour that their name means (`error-429`,
    `fault-reset`), else the default. `calls` has the latest calls, limited to `remembered` because
    it holds their bodies.
    """

    def __init__(
        self,
        port: int = 0,
        behaviours: Mapping[str, Behaviour | list[Behaviour]] | None = None,
        *,
        host: str = "127.0.0.1",
        default: Behaviour | None = None,
        remembered: int = 1000,
    ) -> None:
        self.host = host
        self.port = port
        self.behaviours: dict[str, Behaviour | list[Behaviour]] = dict(behaviours or {})
        self.check_behaviours: dict[str, Behaviour | list[Behaviour]] = {}
        self.calls: deque[Call] = deque(maxlen=remembered)
        self._default = default or Demo()
        self._clients: dict[Connection, _Client] = {}
        self._numbers = itertools.count(1)
        self._called = asyncio.Event()
        self._closing = False
        self._chats: Counter[str] = Counter()  # by provider, as the checks
        self._checks: Counter[str] = Counter()
        self._input_tokens = self._output_tokens = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connect, self.host, self.port, backlog=_BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._server.close()
        clients = dict(self._clients)
        for connection in clients:
            connection.abort()
        for client in clients.values():
            await client.closed.wait()
        await self._server.wait_closed()

    @property
    def base_urls(self) -> dict[str, str]:
        """The base URL for each provider's SDK."""
        return {
            provider: f"http://{self.host}:{self.port}{wire.base_path}"
            for provider, wire in WIRES.items()
        }

    def count(self, provider: str | None = None) -> int:
        """The chats so far, of one provider or all; checks are not among them."""
        return self._chats.total() if provider is None else self._chats[provider]

    def count_checks(self, provider: str | None = None) -> int:
        """The checks so far, of one provider or all."""
        return self._checks.total() if provider is None else self._checks[provider]

    async def wait_for_call(self, number: int = 1, timeout: float = 5) -> Call:  # noqa: ASYNC109
        """Wait for the call of this number (from 1, including checks).

        Raises TimeoutError.
        """
        async with asyncio.timeout(timeout):
            while len(self.calls) < number:
                self._called.clear()
                await self._called.wait()
        return self.calls[number - 1]

    async def wait_closed(self, call: Call, timeout: float = 2) -> bool:  # noqa: ASYNC109
        """Whether the connection of a call is closed within `timeout` seconds.

        `call.finished` says who ended first.
        """
        try:
            async with asyncio.timeout(timeout):
                await call.closed.wait()
        except TimeoutError:
            return False
        return True

    def summary(self) -> dict[str, object]:
        """The counts, for other processes: `GET /__calls`."""
        newest = [client.call for client in self._clients.values()]
        return {
            "calls": self.count(),
            "calls_by_provider": {provider: self.count(provider) for provider in WIRES},
            "model_checks": self.count_checks(),
            "input_tokens": self._input_tokens,
            "output_tokens": self._output_tokens,
            "open_streams": sum(call is not None and not call.finished for call in newest),
            "open_connections": len(newest),
        }

    def _connect(self) -> Connection:
        connection = Connection(self._answer, self._note_finished, self._note_lost, self._is_unread)
        self._clients[connection] = _Client(next(self._numbers))
        if self._closing:  # accepted before closing, made after it
            connection.abort()
        return connection

    def _note_finished(self, connection: Connection) -> None:
        if call := self._clients[connection].call:
            call.finished = True

    def _note_lost(self, connection: Connection) -> None:
        self._clients.pop(connection).closed.set()

    def _answer(self, connection: Connection, request: Request) -> Plan:
        path = unquote(request.target.partition("?")[0])
        if path == "/__calls":
            return whole(200, _JSON, msgspec.json.encode(self.summary()))
        for wire_class in SERVED_WIRES:
            posted = (wire_class.chat_path, wire_class.count_path)
            patterns = posted if request.method == "POST" else (wire_class.model_path,)
            below = path.removeprefix(wire_class.base_path)
            for pattern in filter(None, patterns):
                if below != path and (found := pattern.fullmatch(below)):
                    return self._answer_as(wire_class, found, connection, request)
        return _refuse(404, f"nothing is at {path}")

    def _answer_as(
        self,
        wire_class: type[Wire],
        path: re.Match[str],
        connection: Connection,
        request: Request,
    ) -> Plan:
        """The answer in a wire's format; the model is named by the path or by the body."""
        is_check = path.re is not wire_class.chat_path
        try:
            body = msgspec.json.decode(request.body) if request.body else {}
            model = path.groupdict().get("model") or str(body["model"])
            wire = wire_class(model, body)
            is_count = path.re is wire_class.count_path
            card = wire.token_count() if is_count else wire.model_card(model)
            plan = self._plan(wire, card if is_check else None)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            return _refuse(400, f"this is no request of {wire_class.vendor}'s: {error!r}")
        client = self._clients[connection]
        if client.call and _UNREAD_MODEL.fullmatch(client.call.model):
            return plan  # it was recorded by `_is_unread`
        call = Call(
            wire.provider,
            model,
            request.target,
            request.headers,
            body,
            client.number,
            client.closed,
            is_check,
        )
        if not is_check:
            call.input_tokens, call.output_tokens = wire.prompt.words, plan.tokens
        client.call = call
        self._remember(call)
        return plan

    def _is_unread(self, connection: Connection, target: str, body: bytes) -> bool:
        """Whether the request's model does not read bodies.

        If so, record the call with what was read.
        """
        model = _UNREAD_MODEL.search(unquote(target) + body[:_PEEKED].decode("latin-1"))
        wire_class = next(
            (wire for wire in WIRES.values() if target.startswith(wire.base_path + "/")), None
        )
        if not model or not wire_class:
            return False
        client = self._clients[connection]
        client.call = Call(
            wire_class.provider, model[0], target, {}, None, client.number, client.closed, False
        )
        self._remember(client.call)
        return True

    def _remember(self, call: Call) -> None:
        (self._checks if call.is_check else self._chats)[call.provider] += 1
        self._input_tokens += call.input_tokens
        self._output_tokens += call.output_tokens
        self.calls.append(call)
        self._called.set()

    def _plan(self, wire: Wire, card: Mapping[str, object] | None) -> Plan:
        """What the model does; a check is answered with the card."""
        model = wire.model
        behaviours = self.behaviours if card is None else self.check_behaviours
        behaviour = behaviours.get(model)
        if isinstance(behaviour, list):
            behaviour = behaviour.pop(0) if len(behaviour) > 1 else behaviour[0]
        if behaviour is None and card is not None:
            return whole(200, _JSON, msgspec.json.encode(card))
        named = behaviour or fault_behaviour(model) or named_behaviour(model)
        plan = (named or self._default).plan(wire)
        return plan if wire.is_streamed else joined(plan, {**wire.headers, **_JSON}, join_chunks)


def _refuse(status: int, why: str) -> Plan:
    return whole(status, _JSON, msgspec.json.encode({"error": {"message": why}}))
