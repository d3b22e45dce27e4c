"""`Gateway`, with its operations: stream a chat, count its tokens, check a provider's health.

Knows providers only by the interface of `BaseProvider`; knows nothing of HTTP, of wires or of any
vendor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import Any

from cluster.state_store import StateStore
from configuration import ModelAlias
from models import NO_OPTIONS, Chat, ChatIdentity, Event, GatewayError, Prompt
from prompt_engineering import build_prompt
from providers.base import BaseProvider
from providers.chain import RunningChat, run_chat
from providers.factory import ProviderFactory
from providers.health import ProviderHealth
from providers.lineup import Lineup, Lineups
from providers.model_names import AskedModel, ListedModel, ModelNames
from providers.needs import find_needs
from providers.policy import Blocked, arrange
from providers.running_chats import RunningChats
from providers.token_count import TokenCount
from settings.gateway_keys import ModelScope
from streams.deadline import ScopeCancelledError
from streams.failure import Failure
from streams.kept_chat import KeptChat, PromptBudget
from streams.off_loop import call_off_loop
from telemetry.chat_record import ChatSink, reports_to
from telemetry.chat_recorder import ChatRecorder

_CHECK_WAIT_SECONDS = 2.0  # a check that takes longer goes on in the background

_logger = logging.getLogger("gateway.chat")


class Gateway:
    """Streams chats and checks health over all providers. Its creator closes it with `aclose`."""

    def __init__(
        self,
        factory: ProviderFactory,
        *,
        system_prompt: str | None,
        health_cache_seconds: float,
        max_prompt_bytes: int,
        states: StateStore,
        sinks: Sequence[ChatSink],
        aliases: Sequence[ModelAlias] = (),
    ) -> None:
        self.factory = factory
        self._reports = reports_to(sinks)
        self._budget = PromptBudget(max_prompt_bytes)
        self._states = states
        self._system_prompt = system_prompt
        self._health_cache_seconds = health_cache_seconds
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._deep_checks: dict[str, float] = {}
        self.chats = RunningChats()
        self._lineups = Lineups(factory)
        self._demo = {name: factory.settings(name).demo for name in factory.names}
        self._names = ModelNames(map(factory.settings, factory.names), aliases)

    def stream_chat(
        self,
        name: str,
        chat: Chat,
        identity: ChatIdentity,
        door: str = "native",
        model: str | None = None,
        scope: ModelScope | None = None,
    ) -> AsyncGenerator[list[Event], None]:
        """The chat's batches: a Start with the first content, deltas, an End; or a Failure.

        `name` is a provider. Its `model` is asked first, if one is given. No model is asked that
        is not in the `scope`.
        """
        return run_chat(self._opened(AskedModel(name, model, scope), chat, identity, door))

    @contextmanager
    def _opened(
        self, asked: AskedModel, chat: Chat, identity: ChatIdentity, door: str
    ) -> Iterator[RunningChat]:
        """A chat and its record, for as long as it runs."""
        kept = KeptChat(chat, self._budget)
        del chat  # so that `kept` can free its memory
        record = ChatRecorder(asked.provider, kept, identity, door, self._reports)
        running: RunningChat | None = None
        try:
            kept.reserve()
            running = self._open_chat(asked, kept, record, identity.id)
            self.chats.add(running)
            yield running
        except Exception as error:
            failure = _explain(error, asked.provider, running)
            record.fail(failure)
            if failure is error:
                raise
            raise failure from error
        finally:
            if running is not None:
                self.chats.discard(running)
            record.close()
            kept.close()

    def find_model(self, name: str) -> AskedModel:
        """The provider of a model's name, and the model if it is to be asked first.

        Raises GatewayError `unknown_provider`.
        """
        return self._names.find(name)

    def listed_models(self) -> tuple[ListedModel, ...]:
        """The names by which clients can ask for models."""
        return self._names.listed()

    async def count_tokens(self, asked: AskedModel, chat: Chat) -> TokenCount:
        """The input tokens of a chat, by a free call for the model that would be asked first.

        Raises GatewayError: `not_found` if the vendor has no such call.
        """
        with closing(KeptChat(chat, self._budget)) as kept:
            kept.reserve()
            lineup = self._lineups[asked]
            name, model = next(iter(self._suited(lineup, kept).breakers))
            make = partial(self._prepare, lineup, kept, name)
            provider, prompt = await call_off_loop(make, is_long=kept.is_large)
            try:
                tokens = await provider.count_tokens(prompt, model)
            except GatewayError as error:
                context = {"provider": name, "model": model, "code": error.code, **error.detail}
                _logger.warning("tokens were not counted", extra={"context": context})
                raise Failure(error, provider=name, model=model) from error
        if tokens is None:
            raise GatewayError("not_found", "The provider counts no tokens.", provider=name)
        return TokenCount(tokens, name, model)

    async def check_health(self, name: str, *, deep: bool = False) -> dict[str, Any]:
        """The state of one provider: from its traffic, or if that is stale from one free call.

        All callers share that call.
        With `deep` the default model answers a test message, at most once in HEALTH_CACHE_SECONDS.
        Raises GatewayError `unknown_provider`, or `rate_limited` for a deep check too soon.
        """
        settings = self.factory.settings(name)
        if not settings.configured:
            return _report(name, settings.chain, ProviderHealth()) | {
                "status": "ERROR",
                "message": "This provider is not configured.",
                "error": "provider_not_configured",
            }
        provider = self.factory.get(name)
        if deep:
            now = time.monotonic()
            wait = self._deep_checks.get(name, -inf) + self._health_cache_seconds - now
            if wait > 0:
                raise GatewayError("rate_limited", provider=name, retry_after=wait)
            self._deep_checks[name] = now
            await _check(provider, "Answer with the word OK.")
        elif provider.health.is_stale(self._health_cache_seconds):
            check = self._checks.get(name)
            if check is None or check.done():
                check = self._checks[name] = asyncio.create_task(_check(provider, None))
            await asyncio.wait({check}, timeout=_CHECK_WAIT_SECONDS)
        return _report(name, settings.chain, provider.health) | {
            "breaker": provider.breaker_states()
        }

    def is_demo(self, name: str) -> bool:
        """Whether the provider is simulated. Raises GatewayError `unknown_provider`."""
        demo = self._demo.get(name)
        return self.factory.settings(name).demo if demo is None else demo

    def states(self) -> dict[str, str]:
        """The passive state of each supported provider; makes no request."""
        return {name: self._state(name) for name in self.factory.names}

    def end_chats(self) -> None:
        """End all chats in progress, each with a GatewayError `draining`."""
        self.chats.end()

    async def aclose(self) -> None:
        """Cancel the health checks in the background, then close the providers."""
        for check in self._checks.values():
            check.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)
        await self.factory.aclose()

    def _open_chat(
        self, asked: AskedModel, kept: KeptChat, record: ChatRecorder, message_id: str
    ) -> RunningChat:
        """A chat over the models to ask. Raises GatewayError if no model can be asked."""
        lineup = self._lineups[asked]
        suited = self._suited(lineup, kept)
        now = asyncio.get_running_loop().time()
        blocked = {
            link: Blocked(breaker.code, breaker.seconds_left(now))
            for link, breaker in suited.breakers.items()
            if breaker.open_until is not None and not breaker.admits(now)
        }
        chain = suited.chains[kept.chat.on_break]
        if blocked:
            chain = arrange(chain.links, blocked, chain.max_attempts, chain.on_break, chain.default)
        prepare = partial(self._prepare, lineup, kept)
        until = now + lineup.settings.timeouts.total
        return RunningChat(chain, kept, prepare, self._states, record, message_id, until)

    def _suited(self, lineup: Lineup, kept: KeptChat) -> Lineup:
        """The models that can do what the chat needs. Raises GatewayError `unsupported`."""
        options = kept.chat.options
        if not (kept.kinds or options is not NO_OPTIONS):
            return lineup
        needs = find_needs(options, kept.kinds)
        return lineup.suited(needs) if needs else lineup

    def _prepare(self, lineup: Lineup, kept: KeptChat, name: str) -> tuple[BaseProvider, Prompt]:
        """The provider with this name, and the chat's prompt for it."""
        provider = lineup.providers[name]
        own = provider.settings.system_prompt
        prompt = build_prompt(kept.chat, self._system_prompt if own is None else own)
        return provider, prompt._replace(is_large=kept.is_large)

    def _state(self, name: str) -> str:
        if not self.factory.settings(name).configured:
            return "NOT_CONFIGURED"
        provider = self.factory.built.get(name)
        return provider.health.state if provider else "UNKNOWN"


def _explain(error: Exception, name: str, chat: RunningChat | None) -> Failure:
    """How a chat with the provider `name` failed."""
    if isinstance(error, GatewayError):
        return error if isinstance(error, Failure) else Failure(error, provider=name)
    code = error.reason.value if isinstance(error, ScopeCancelledError) else "internal_error"
    cause = GatewayError(code)
    if chat is None:
        return Failure(cause, provider=name, stage="before_content")
    return chat.failure(cause)


async def _check(provider: BaseProvider, test_message: str | None) -> None:
    began = time.monotonic()
    try:
        is_known = await provider.health_check(provider.settings.chain[0], test_message)
    except GatewayError as error:
        if error.code != "internal_error":  # a bug of the gateway is no failure of the vendor
            provider.health.failed(error.code, "probe")
        context = {"provider": provider.name, "code": error.code, **error.detail}
        _logger.warning("health check failed", extra={"context": context})
    else:
        if is_known:
            provider.health.succeeded(
                time.monotonic() - began, "probe", generated=test_message is not None
            )
    finally:
        provider.health.checked()


_MESSAGES = {
    "REFUSING": "The newest chats were refused.",
    "OK": "The provider answers.",
    "DEGRADED": "Some of the newest requests failed.",
    "ERROR": "The newest requests failed.",
    "UNKNOWN": "Nothing has been asked of the provider yet.",
}


def _report(name: str, models: tuple[str, ...], health: ProviderHealth) -> dict[str, Any]:
    newest = health.newest
    default, fallback, *_ = *models, None, None
    checked_at = datetime.fromtimestamp(newest.wall, UTC) if newest else None
    return {
        "status": health.state,
        "provider": name,
        "message": _MESSAGES["REFUSING" if health.is_refusing else health.state],
        "model": {"default": default, "fallback": fallback},
        "breaker": None,
        "metrics": {"responseTime": health.mean_seconds, "success_rate": health.success_rate},
        "checked_at": checked_at and checked_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "source": newest.source if newest else None,
        "error": health.error,
    }
