"""The gateway's two verbs, `stream_chat` and `check_health`, and the one final record of each chat.

Knows providers by their port alone; knows nothing of HTTP, of wires or of any vendor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from error_reporting import report_bug, report_misconfiguration, report_outage
from logging_config import ChatRecord, log_conversation, record_chat
from models import ChatIdentity, ChatRequest, Delta, End, Event, GatewayError, Restart, Start, Timing
from prompt_engineering import build_prompt
from providers.base import BaseProvider
from providers.factory import ProviderFactory
from providers.health import ProviderHealth
from providers.vendor_stream import close_surely

_MISCONFIGURATIONS = ("upstream_auth", "upstream_quota", "upstream_model_not_found")
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

    async def stream_chat(
        self, name: str, request: ChatRequest, identity: ChatIdentity
    ) -> AsyncGenerator[list[Event], None]:
        """The chat's batches: Start with the first content, deltas, End. Raises GatewayError, whatever went wrong."""
        chat = _ChatLog(name, request, identity)
        try:
            provider = self.factory.get(name)
            system_prompt = provider.settings.system_prompt
            prompt = build_prompt(request, self._system_prompt if system_prompt is None else system_prompt)
            answer = provider.stream(prompt, identity.id, restart=request.on_break == "restart")
            try:
                async for batch in answer:
                    yield chat.take(batch)
            finally:
                await close_surely(answer.aclose())
        except GatewayError as error:
            chat.fail(error)
            raise
        except Exception as error:
            report_bug(error)
            _logger.exception("chat failed by a bug")
            failure = GatewayError("internal_error", provider=name)
            chat.fail(failure)
            raise failure from error
        finally:
            chat.close()

    async def check_health(self, name: str, *, deep: bool = False) -> dict[str, Any]:
        """The state of one provider: from its traffic, or where that is stale from one free call, shared by all askers.

        `deep` has the default model answer a test message, at most once in the time that a check is kept.
        Raises GatewayError `unknown_provider`, or `rate_limited` for a deep check too soon.
        """
        settings = self.factory.settings(name)
        if not settings.configured:
            return _report(name, ProviderHealth(), settings.models) | {
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
        return _report(name, provider.health, settings.models)

    def states(self) -> dict[str, str]:
        """Each supported provider's passive state; asks nobody."""
        return {name: self._state(name) for name in self.factory.names}

    async def aclose(self) -> None:
        """Stop what runs in the background, then close the providers."""
        for check in self._checks.values():
            check.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)
        await self.factory.aclose()

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


async def _check(provider: BaseProvider, test_message: str | None) -> None:
    began = time.monotonic()
    try:
        await provider.health_check(provider.settings.models[0], test_message)
    except GatewayError as error:
        provider.health.failed(error.code, "probe")
        _logger.warning("health check failed", extra={"context": {"provider": provider.name, **error.detail}})
    else:
        provider.health.succeeded(time.monotonic() - began, "probe")


_STATE_MESSAGES = {
    "OK": "The provider answers.",
    "DEGRADED": "Some of the newest requests failed.",
    "ERROR": "The newest requests failed.",
    "UNKNOWN": "Nothing has been asked of the provider yet.",
}


def _report(name: str, health: ProviderHealth, models: tuple[str, ...]) -> dict[str, Any]:
    newest = health.newest
    return {
        "status": health.state,
        "provider": name,
        "message": _STATE_MESSAGES[health.state],
        "model": {"default": models[0] if models else None, "fallback": models[1] if len(models) > 1 else None},
        "breaker": None,
        "metrics": {"responseTime": health.mean_seconds, "success_rate": health.success_rate},
        "checked_at": datetime.fromtimestamp(newest.wall, UTC).isoformat() if newest else None,
        "source": newest.source if newest else None,
        "error": newest.error if newest else None,
    }


class _ChatLog:
    """What one chat leaves behind: an opening line, its conversation, one final record."""

    def __init__(self, provider: str, request: ChatRequest, identity: ChatIdentity) -> None:
        self._provider = provider
        self._request = request
        self._began = time.monotonic()
        self._first_content: float | None = None
        self._start: Start | Restart | None = None
        self._end: End | None = None
        self._error: GatewayError | None = None
        self._texts: list[str] = []
        context = {"provider": provider, "id": identity.id, "messages": len(request.messages)}
        _logger.info("chat started", extra={"context": context})

    def take(self, batch: list[Event]) -> list[Event]:
        """Note a batch on its way out; the End gets its timing."""
        for place, event in enumerate(batch):
            if type(event) is Delta:
                self._texts.append(event.content)
            elif isinstance(event, End):
                self._end = batch[place] = msgspec.structs.replace(event, timing=self._timing())
            elif isinstance(event, Start | Restart):
                self._take_opening(event, batch)
        return batch

    def fail(self, error: GatewayError) -> None:
        """Note how the chat failed."""
        self._error = error
        error.provider = error.provider or self._provider

    def close(self) -> None:
        """Write what remains of the chat. Synchronous: it must hold when the chat is being cancelled."""
        outcome = self._outcome()
        record_chat(self._record(outcome))
        log_conversation(
            provider=self._provider,
            model=self._start.model if self._start else None,
            query=next((m.text for m in reversed(self._request.messages) if m.role == "user"), ""),
            answer="".join(self._texts),
            outcome=outcome,
        )
        self._report_to_sentry(outcome)

    def _take_opening(self, event: Start | Restart, batch: list[Event]) -> None:
        self._start = event
        self._texts.clear()
        if self._first_content is None and any(type(other) is Delta for other in batch):
            self._first_content = time.monotonic()

    def _timing(self) -> Timing:
        first = self._first_content
        now = time.monotonic()
        return Timing(None if first is None else _milliseconds(first - self._began), _milliseconds(now - self._began))

    def _outcome(self) -> str:
        if self._end:
            return "fallback_ok" if self._end.fallback else "ok"
        error = self._error
        if error is None:
            return "client_gone"
        if error.code in ("internal_error", "draining"):
            return "drained" if error.code == "draining" else error.code
        if error.kind.status < 500 and error.code != "rate_limited":
            return "rejected"
        return "upstream_error_after" if error.stage == "after_content" else "upstream_error_before"

    def _record(self, outcome: str) -> ChatRecord:
        end, error, timing = self._end, self._error, self._timing()
        usage = end.usage if end else None
        fallback = self._start.fallback if self._start else None
        return ChatRecord(
            provider=self._provider,
            model=self._start.model if self._start else error.model if error else None,
            fallback=_fallback_fields(fallback),
            outcome=outcome,
            error_code=error.code if error else None,
            reason=error.reason if error else None,
            status=error.kind.status if error else 200,
            first_content_ms=timing.first_content_ms,
            total_ms=timing.total_ms,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            attempts=end.attempts if end else len(error.attempts) if error else None,
            dropped_params=list(end.dropped_params) if end else [],
        )

    def _report_to_sentry(self, outcome: str) -> None:
        fallback = self._start.fallback if self._start else None
        kind = self._error.code if self._error else fallback.reason if fallback else ""
        model = self._error.model if self._error else fallback.from_model if fallback else None
        details = self._error.detail if self._error else {}
        if kind in _MISCONFIGURATIONS:
            report_misconfiguration(kind=kind, provider=self._provider, model=model, details=details)
        elif outcome.startswith("upstream_error") and kind != "rate_limited":
            report_outage(kind=kind, provider=self._provider, model=model, details=details)


def _fallback_fields(fallback: Any) -> Mapping[str, str] | None:
    return {"from": fallback.from_model, "to": fallback.to_model, "reason": fallback.reason} if fallback else None


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
