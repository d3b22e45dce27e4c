"""Reports bugs, misconfigurations and vendor outages to Sentry.

A Sentry that is down has no effect on chats.

No event contains local variables, a request's body, a prompt, a key, or a header outside the
allowlist. Exceptions are reported by type and stack frames, without their messages.

This module does not import the configuration: its settings are passed in.
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

from logging_config import debug_with_context, logger
from telemetry.log_line import request_id_context
from telemetry.once_per_minute import OncePerMinute
from telemetry.redaction import hide, plain

_CLOSE_SECONDS = 1.0
_PRIVACY: dict[str, Any] = {
    "include_local_variables": False,
    "max_request_body_size": "never",
    "max_breadcrumbs": 0,
    "auto_session_tracking": False,
    "trace_propagation_targets": [],
    "spotlight": False,
    "debug": False,
}
_HEADERS_SENT = frozenset({"user-agent", "content-type", "content-length", "host", "x-request-id"})


@dataclass
class _State:
    """When reports were last sent by this process."""

    reports: OncePerMinute = field(default_factory=OncePerMinute)


_state = _State()


@dataclass(frozen=True)
class SentrySettings:
    """How to report to Sentry. Without a `dsn` nothing is reported.

    The rates are shares from 0 to 1: of requests to trace, and of processes that profile their
    traces.
    """

    dsn: str | None
    environment: str
    traces_sample_rate: float
    profiles_sample_rate: float
    release: str


def configure_sentry(settings: SentrySettings, transport: type[Transport] | None = None) -> None:
    """Report to Sentry from now on, if there is a DSN. The SDK sends reports in a thread.

    Only the integrations named here are enabled: those for AI, HTTP clients and logging would send
    prompts.
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
            # A client's headers cannot continue a trace, and so have it sampled, because they would
            # have to contain `org_id`.
            strict_trace_continuation=True,
            org_id=token_hex(),
            shutdown_timeout=_CLOSE_SECONDS,
            **_PRIVACY,
            before_send=_clean_event,
            before_send_transaction=_clean_transaction,
        )
    except ValueError:
        # Without the exception, which quotes the DSN.
        logger.error("Sentry stays off: SENTRY_DSN is no DSN")


def shutdown_sentry() -> None:
    """Stop reporting. Unsent events have one second to be sent."""
    client = sentry_sdk.get_client()
    if client.is_active():
        client.close(timeout=_CLOSE_SECONDS)
        sentry_sdk.get_global_scope().set_client(None)


def report_outage(
    *, kind: str, provider: str, model: str | None, details: Mapping[str, Any]
) -> None:
    """Report that a vendor fails: at most once a minute for each process, kind and provider."""
    if _is_due("outage", kind, provider):
        _report("warning", kind, provider, model, details)


def report_misconfiguration(
    *, kind: str, provider: str, model: str | None, details: Mapping[str, Any]
) -> None:
    """Report an error that the operator must fix.

    At most once a minute for each process, kind, provider and model.
    """
    if _is_due("misconfiguration", kind, provider, model):
        _report("error", kind, provider, model, details)


def report_bug(
    exception: BaseException, *, provider: str | None = None, model: str | None = None
) -> None:
    """Report an unexpected exception. Like all reports, this never raises."""
    if sentry_sdk.get_client().is_active():
        with _logging_failures():
            sentry_sdk.capture_exception(exception, tags=_tags(provider=provider, model=model))


def _is_due(*subject: str | None) -> bool:
    return sentry_sdk.get_client().is_active() and _state.reports.allows(*subject)


def _report(
    level: Literal["warning", "error"],
    kind: str,
    provider: str,
    model: str | None,
    details: Mapping[str, Any],
) -> None:
    with _logging_failures():
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
def _logging_failures() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a failing Sentry must not affect the chat
        debug_with_context(logger, "a report to Sentry failed", error=error)


def _clean_transaction(event: Event, hint: Hint) -> Event | None:
    """Remove private data from a trace. Traces of health probes are dropped: there are too many."""
    return (
        None if str(event.get("transaction")).startswith("/health") else _clean_event(event, hint)
    )


def _clean_event(event: Event, _hint: Hint) -> Event:
    """Remove private data.

    What stays is the request's method, URL and allowed headers, and exceptions' types and frames.
    """
    event.setdefault("tags", {})["request_id"] = request_id_context.get()
    if request := event.get("request"):
        sent: Any = request.get("headers", {})
        headers = {name: value for name, value in sent.items() if name.lower() in _HEADERS_SENT}
        event["request"] = {
            "method": request.get("method"),
            "url": request.get("url"),
            "headers": headers,
        }
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
