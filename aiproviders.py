"""The gateway's two verbs, `stream_chat` and `check_health`: the prompt, and the chain of providers.

Knows providers by their port alone; knows nothing of HTTP, of wires or of any vendor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from chat_log import ChatLog
from closing import close_stream, is_running
from models import ChatIdentity, ChatRequest, Event, GatewayError, Prompt
from prompt_engineering import build_prompt
from providers.attempts import Chain
from providers.base import BaseProvider
from providers.factory import ProviderFactory
from providers.health import ProviderHealth

_TEST_MESSAGE = "Answer with the word OK."
_CHECK_PATIENCE_SECONDS = 2.0

_logger = logging.getLogger("gateway.chat")


class Gateway:
    """All providers behind the two verbs. Whoever makes it closes it."""

    def __init__(self, factory: ProviderFactory, *, system_prompt: str | None, health_cache_seconds: float) -> None:
        self.factory = factory
        self._system_prompt = system_prompt
        self._health_cache_seconds = health_cache_seconds
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._deep_checks: dict[str, float] = {}
        self._chats: set[_Chat] = set()

    async def stream_chat(
        self, name: str, request: ChatRequest, identity: ChatIdentity
    ) -> AsyncGenerator[list[Event], None]:
        """The chat's batches: Start with the first content, deltas, End. Raises GatewayError, whatever went wrong."""
        chat = ChatLog(name, request, identity)
        under_way = _Chat()
        self._chats.add(under_way)
        try:
            chain = self._open_chain(name, request)
            while not chain.is_answered:
                provider = self.factory.get(chain.link.provider)
                prompt = self._prompt(provider, request)
                chat.chain = chain
                answer = under_way.answer = provider.stream(prompt, identity.id, chain)
                try:
                    async for batch in answer:
                        yield chat.take(batch)
                        if under_way.is_ended and not chain.is_answered:
                            raise chat.failure("draining")
                finally:
                    await close_stream(answer)
        except asyncio.CancelledError:
            if not under_way.was_ended():
                raise
            failure = chat.failure("draining")
            chat.fail(failure)
            raise failure from None
        except GatewayError as error:
            chat.fail(error)
            raise
        except Exception as error:
            failure = chat.failure("internal_error")
            chat.fail(failure)
            raise failure from error
        finally:
            self._chats.discard(under_way)
            chat.close()

    async def check_health(self, name: str, *, deep: bool = False) -> dict[str, Any]:
        """The state of one provider: from its traffic, or where that is stale from one free call, shared by all askers.

        `deep` has the default model answer a test message, at most once in the time that a check is kept.
        Raises GatewayError `unknown_provider`, or `rate_limited` for a deep check too soon.
        """
        settings = self.factory.settings(name)
        if not settings.configured:
            return _report(name, settings.models, ProviderHealth()) | {
                "status": "ERROR",
                "message": "This provider is not configured.",
                "error": "provider_not_configured",
            }
        provider = self.factory.get(name)
        if deep:
            self._limit_deep_check(name)
            await _check(provider, _TEST_MESSAGE)
        elif provider.health.is_stale(self._health_cache_seconds):
            await self._check_once(provider)
        return _report(name, settings.models, provider.health) | {"breaker": provider.breaker_states()}

    def states(self) -> dict[str, str]:
        """Each supported provider's passive state; asks nobody."""
        return {name: self._state(name) for name in self.factory.names}

    def end_chats(self) -> None:
        """End the chats that are under way, each with a GatewayError `draining`."""
        for chat in self._chats:
            chat.end()

    async def aclose(self) -> None:
        """Stop what runs in the background, then close the providers."""
        for check in self._checks.values():
            check.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)
        await self.factory.aclose()

    def _open_chain(self, name: str, request: ChatRequest) -> Chain:
        """The models to ask. Raises GatewayError where there are none, or where all of them are known to be down."""
        settings = self.factory.settings(name)
        others = [other for other in settings.fallback_providers if self.factory.settings(other).configured]
        links = [link for each in (name, *others) for link in self.factory.get(each).links()]
        now = asyncio.get_running_loop().time()
        until = now + settings.clocks.total
        chain = Chain(links, settings.max_attempts, restart=request.on_break == "restart", until=until, now=now)
        if chain.refusal:
            raise chain.refusal
        return chain

    def _prompt(self, provider: BaseProvider, request: ChatRequest) -> Prompt:
        own = provider.settings.system_prompt
        return build_prompt(request, self._system_prompt if own is None else own)

    def _state(self, name: str) -> str:
        if not self.factory.settings(name).configured:
            return "NOT_CONFIGURED"
        provider = self.factory.built.get(name)
        return provider.health.state if provider else "UNKNOWN"

    async def _check_once(self, provider: BaseProvider) -> None:
        check = self._checks.get(provider.name)
        if check is None or check.done():
            check = self._checks[provider.name] = asyncio.create_task(_check(provider, None))
        await asyncio.wait({check}, timeout=_CHECK_PATIENCE_SECONDS)

    def _limit_deep_check(self, name: str) -> None:
        now = time.monotonic()
        wait = self._deep_checks.get(name, -self._health_cache_seconds) + self._health_cache_seconds - now
        if wait > 0:
            raise GatewayError("rate_limited", provider=name, retry_after=wait)
        self._deep_checks[name] = now


class _Chat:
    """A chat under way. A drain ends it where it waits for its vendor, else when the client has what it is given."""

    __slots__ = ("_task", "answer", "is_ended")

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self.answer: AsyncGenerator[list[Event], None] | None = None  # the newest provider's
        self.is_ended = False

    def end(self) -> None:
        """Let the chat end as soon as nothing of it is being written."""
        self.is_ended = True
        if self._task and (self.answer is None or is_running(self.answer)):
            self._task.cancel()

    def was_ended(self) -> bool:
        """Whether it was `end` alone that cancelled the chat's task; then the task goes on."""
        return self.is_ended and self._task is not None and self._task.uncancel() == 0


async def _check(provider: BaseProvider, test_message: str | None) -> None:
    began = time.monotonic()
    try:
        await provider.health_check(provider.settings.models[0], test_message)
    except GatewayError as error:
        if error.code != "internal_error":  # our own bug says nothing of the vendor
            provider.health.failed(error.code, "probe")
        context = {"provider": provider.name, "code": error.code, **error.detail}
        _logger.warning("health check failed", extra={"context": context})
    else:
        provider.health.succeeded(time.monotonic() - began, "probe")


_STATE_MESSAGES = {
    "OK": "The provider answers.",
    "DEGRADED": "Some of the newest requests failed.",
    "ERROR": "The newest requests failed.",
    "UNKNOWN": "Nothing has been asked of the provider yet.",
}


def _report(name: str, models: tuple[str, ...], health: ProviderHealth) -> dict[str, Any]:
    newest = health.newest
    return {
        "status": health.state,
        "provider": name,
        "message": _STATE_MESSAGES[health.state],
        "model": {"default": models[0] if models else None, "fallback": models[1] if len(models) > 1 else None},
        "breaker": None,
        "metrics": {"responseTime": health.mean_seconds, "success_rate": health.success_rate},
        "checked_at": datetime.fromtimestamp(newest.wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if newest else None,
        "source": newest.source if newest else None,
        "error": newest.error if newest else None,
    }
