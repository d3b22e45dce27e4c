"""What Sentry is told: bugs, what the operator must mend, vendors that fail. A Sentry that is dead changes nothing.

No event has local variables, a request's body, a prompt, a key, or a header that is not on a list; an exception is
told by its types and frames, without what it says.

Knows nothing of the configuration: it is given its settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Literal

import sentry_sdk
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.transport import Transport
from sentry_sdk.types import Event, Hint

from log_line import request_id_context
from logging_config import OncePerMinute, debug_with_context, logger
from redaction import hide, plain

_CLOSE_SECONDS = 1.0
_HEADERS_SENT = frozenset({"user-agent", "content-type", "content-length", "host", "x-request-id"})


@dataclass
class _State:
    """What has been reported in this process."""

    reports: OncePerMinute = field(default_factory=OncePerMinute)


_state = _State()


@dataclass(frozen=True)
class SentrySettings:
    """How to report to Sentry; without a `dsn` nothing is reported.

    The rates are shares from 0 to 1: of requests that are traced, and of processes that profile what they trace.
    """

    dsn: str | None
    environment: str
    traces_sample_rate: float
    profiles_sample_rate: float
    release: str


def configure_sentry(settings: SentrySettings, transport: type[Transport] | None = None) -> None:
    """Report to Sentry from now on, if there is a DSN, by a thread of the SDK's own: one that is dead changes nothing.

    Only integrations named here are on: no AI, HTTP client or logging ones, which would send prompts.
    """
    _state.reports = OncePerMinute()
    if not settings.dsn:
        return
    try:
        sentry_sdk.init(
            dsn=settings.dsn,
            transport=transport,
            environment=settings.environment,
            release=settings.release,
            traces_sample_rate=settings.traces_sample_rate or None,
            profile_session_sample_rate=settings.profiles_sample_rate or None,
            profile_lifecycle="trace",
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[
                DedupeIntegration(),
                ExcepthookIntegration(),
                StarletteIntegration(transaction_style="url", failed_request_status_codes=set()),
            ],
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            auto_session_tracking=False,
            trace_propagation_targets=[],
            strict_trace_continuation=True,  # no trace goes on, and is sampled, because a client's header says so,
            org_id=token_hex(),  # which would have to name this
            shutdown_timeout=_CLOSE_SECONDS,
            spotlight=False,
            debug=False,
            before_send=_clean_event,
            before_send_transaction=_clean_transaction,
        )
    except ValueError:
        logger.error("Sentry stays off: SENTRY_DSN is no DSN")  # the exception quotes it


def shutdown_sentry() -> None:
    """Stop reporting; what has yet to be sent gets a second."""
    client = sentry_sdk.get_client()
    if client.is_active():
        client.close(timeout=_CLOSE_SECONDS)
        sentry_sdk.get_global_scope().set_client(None)


def report_outage(*, kind: str, provider: str, model: str | None, details: Mapping[str, Any]) -> None:
    """Tell Sentry that a vendor fails: one event a minute, process, kind and provider."""
    if _is_due("outage", kind, provider):
        _report("warning", kind, provider, model, details)


def report_misconfiguration(*, kind: str, provider: str, model: str | None, details: Mapping[str, Any]) -> None:
    """Tell Sentry what the operator must mend: one event a minute, process, kind, provider and model."""
    if _is_due("misconfiguration", kind, provider, model):
        _report("error", kind, provider, model, details)


def report_bug(exception: BaseException, *, provider: str | None = None, model: str | None = None) -> None:
    """Tell Sentry of an exception that should not have been. Never raises, as none of the reports does."""
    if sentry_sdk.get_client().is_active():
        with _surviving():
            sentry_sdk.capture_exception(exception, tags=_tags(provider=provider, model=model))


def _is_due(*subject: str | None) -> bool:
    return sentry_sdk.get_client().is_active() and _state.reports.allows(*subject)


def _report(
    level: Literal["warning", "error"], kind: str, provider: str, model: str | None, details: Mapping[str, Any]
) -> None:
    with _surviving():
        sentry_sdk.capture_message(
            f"{provider}: {kind}",
            level=level,
            tags=_tags(kind=kind, provider=provider, model=model),
            contexts={"provider_details": plain(details)},
            fingerprint=[kind, provider],
        )


def _tags(**tags: str | None) -> dict[str, str]:
    return {name: value for name, value in tags.items() if value is not None}


@contextmanager
def _surviving() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a Sentry that fails must change nothing for the chat
        debug_with_context(logger, "a report to Sentry failed", error=error)


def _clean_transaction(event: Event, hint: Hint) -> Event | None:
    """A trace as it may leave; none of a health probe, which comes every few seconds for ever."""
    return None if str(event.get("transaction")).startswith("/health") else _clean_event(event, hint)


def _clean_event(event: Event, _hint: Hint) -> Event:
    """The event as it may leave: the request by method, URL and allowed headers; exceptions by type and frames."""
    event.setdefault("tags", {})["request_id"] = request_id_context.get()
    if request := event.get("request"):
        sent: Any = request.get("headers", {})
        headers = {name: value for name, value in sent.items() if name.lower() in _HEADERS_SENT}
        event["request"] = {"method": request.get("method"), "url": request.get("url"), "headers": headers}
    for exception in event.get("exception", {}).get("values", ()):
        exception["value"] = ""
    cleaned: Event = _hide_within(event)
    return cleaned


def _hide_within(value: Any) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {name: _hide_within(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide_within(item) for item in value]
    return value
