"""The rules between variables, each of which prevents a start if it is broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from importlib.util import find_spec
from typing import NamedTuple

from settings.model_aliases import ModelAlias
from settings.options import LimitOptions, OptionGroups, TraceOptions
from settings.providers import ProviderSettings

_TRACE_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class Conflict(NamedTuple):
    """A broken rule. Not reported if one of its variables has a problem of its own."""

    variables: set[str]
    message: str


def server_conflicts(options: OptionGroups) -> Iterator[Conflict]:
    """Without keys the gateway serves this machine alone, unless anonymous access is wanted.

    The metrics have a port of their own.
    """
    if options.metrics_port and options.metrics_port == options.port:
        yield Conflict(
            {"PORT", "METRICS_PORT"},
            "METRICS_PORT: should be another port than PORT; METRICS=true serves the metrics there",
        )
    if not (options.is_on_loopback or options.has_keys or options.allow_anonymous):
        yield Conflict(
            {"HOST", "GATEWAY_API_KEYS", "ALLOW_ANONYMOUS"},
            "HOST: without gateway keys only loopback (127.0.0.1) is listened on; to be reached "
            "from elsewhere set GATEWAY_API_KEYS or KEYS_FILE (`python main.py keys new NAME`), or "
            "ALLOW_ANONYMOUS=true to let anybody in",
        )
    if options.trusted_proxies and options.is_local_only:
        yield Conflict(
            {"TRUSTED_PROXIES", "GATEWAY_API_KEYS", "ALLOW_ANONYMOUS"},
            "TRUSTED_PROXIES: a proxy serves the gateway to others, so without gateway keys it "
            "does not start; set GATEWAY_API_KEYS or KEYS_FILE (`python main.py keys new NAME`) or "
            "ALLOW_ANONYMOUS=true to let anybody in",
        )


def trace_conflicts(options: TraceOptions) -> Iterator[Conflict]:
    """The packages for traces are installed if traces are on. Vendors join only those."""
    if options.traceparent_providers and not options.otel_exporter_otlp_endpoint:
        yield Conflict(
            {"TRACEPARENT_PROVIDERS", "OTEL_EXPORTER_OTLP_ENDPOINT"},
            "TRACEPARENT_PROVIDERS: there is no trace to pass on; set OTEL_EXPORTER_OTLP_ENDPOINT",
        )
    if options.otel_exporter_otlp_endpoint and not all(map(_is_installed, _TRACE_PACKAGES)):
        yield Conflict(
            {"OTEL_EXPORTER_OTLP_ENDPOINT"},
            "OTEL_EXPORTER_OTLP_ENDPOINT: traces need the packages opentelemetry-sdk and "
            "opentelemetry-exporter-otlp-proto-http, which are not installed",
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package around it is missing
        return False


def limit_conflicts(options: LimitOptions) -> Iterator[Conflict]:
    """The memory for all prompts has room for the largest one."""
    if options.max_pending_bytes < options.max_body_bytes:
        yield Conflict(
            {"MAX_PENDING_BYTES", "MAX_BODY_BYTES"},
            "MAX_PENDING_BYTES: should be at least MAX_BODY_BYTES, "
            "or the largest body is never let in",
        )


def demo_conflicts(
    options: OptionGroups, openings: Sequence[str], unread_file: str | None, *, has_vendor: bool
) -> Iterator[Conflict]:
    """Simulated answers are served on loopback only, and never because of a mistake.

    `openings` are the variables that enable a vendor each.
    """
    is_demo = options.is_demo_mode(has_vendor=has_vendor)
    if options.demo == "on" and not options.is_on_loopback:
        yield Conflict(
            {"HOST", "DEMO"},
            "DEMO: simulated answers are served on loopback only; "
            "set HOST=127.0.0.1, or DEMO=auto with a vendor's key",
        )
    elif is_demo and options.demo == "auto" and unread_file:
        yield Conflict(
            {"DEMO"},
            f"DEMO: {unread_file} was not read, for .env belongs beside main.py; set ENV_FILE to "
            "its path, or DEMO=on for simulated answers",
        )
    elif not is_demo and not has_vendor:
        way_out = "DEMO=auto" if options.is_on_loopback else "HOST=127.0.0.1 with DEMO=auto"
        yield Conflict(
            {"HOST", "DEMO", *openings},
            f"no vendor can be asked: set at least one of {', '.join(openings)}; or set {way_out} "
            "for simulated answers",
        )


def fallback_conflicts(
    providers: Iterable[ProviderSettings], supported: AbstractSet[str]
) -> Iterator[Conflict]:
    """A chain goes on with other providers, and only with those that are supported."""
    for provider in providers:
        if unusable := {*provider.fallback_providers} - (supported - {provider.name}):
            variable = f"{provider.prefix}_FALLBACK_PROVIDERS"
            problem = f"should name other supported providers, not {', '.join(sorted(unusable))}"
            yield Conflict({variable, "SUPPORTED_PROVIDERS"}, f"{variable}: {problem}")


def alias_conflicts(
    aliases: Iterable[ModelAlias], supported: AbstractSet[str]
) -> Iterator[Conflict]:
    """Every alias leads to a provider that is supported."""
    if unusable := {alias.provider for alias in aliases} - supported:
        problem = f"should lead to supported providers, not {', '.join(sorted(unusable))}"
        yield Conflict({"MODEL_ALIASES", "SUPPORTED_PROVIDERS"}, f"MODEL_ALIASES: {problem}")


def address_conflicts(providers: Iterable[ProviderSettings]) -> Iterator[Conflict]:
    """A provider has an address, and its own one."""
    for provider in providers:
        if provider.address_problem:
            variable = f"{provider.prefix}_BASE_URL"
            yield Conflict({variable}, f"{variable}: {provider.address_problem}")
