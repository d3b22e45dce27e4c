"""The gateway's own variables in groups, with their defaults. `.env.example` explains each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from settings.client_limits import ClientLimits
from settings.gateway_keys import GatewayKeys
from settings.hosts import parse_address
from settings.model_aliases import ModelAliases
from settings.values import (
    CLIENT_PARAMETERS,
    ClientParameters,
    CommaList,
    Contact,
    Count,
    Dollars,
    Dsn,
    HeaderName,
    Host,
    LowerCase,
    Network,
    Options,
    Origin,
    Proxy,
    Rate,
    RootPath,
    Seconds,
    SecondsOrNever,
    SystemPrompt,
    UpperCase,
    Url,
)

STANDARD_OUTPUT = Path("-")
OpenAIApi = Annotated[Literal["auto", "responses", "chat"], LowerCase]


class ServerOptions(Options):
    """Where the gateway listens, and who may use it."""

    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 3050
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    root_path: RootPath | None = None
    trusted_proxies: Annotated[tuple[Network, ...], CommaList] = ()

    gateway_api_keys: GatewayKeys = ()
    keys_file: Path | None = None
    revoked_streams: Annotated[Literal["finish", "end"], LowerCase] = "finish"
    allow_anonymous: bool = False
    allowed_hosts: Annotated[tuple[Host, ...], CommaList, LowerCase] = ()
    cors_origins: Annotated[tuple[Origin, ...], CommaList, LowerCase] = ()
    cors_headers: Annotated[tuple[HeaderName, ...], CommaList] = ()
    security_contact: Annotated[tuple[Contact, ...], CommaList] = ()
    anonymous_requests_per_minute: Count | None = None
    anonymous_streams: Count | None = None
    anonymous_tokens_per_day: Count | None = None
    anonymous_usd_per_day: Dollars | None = None
    limits_file: Path | None = None

    @property
    def has_keys(self) -> bool:
        """Whether clients need a key."""
        return bool(self.gateway_api_keys or self.keys_file)

    @property
    def anonymous_limits(self) -> ClientLimits | None:
        """The limits of each address, if clients need no key."""
        limits = ClientLimits(
            requests_per_minute=self.anonymous_requests_per_minute,
            streams=self.anonymous_streams,
            tokens_per_day=self.anonymous_tokens_per_day,
            usd_per_day=self.anonymous_usd_per_day,
        )
        return None if limits == ClientLimits() or self.has_keys else limits

    @property
    def has_limits(self) -> bool:
        """Whether clients may have limits."""
        return bool(self.keys_file or self.anonymous_limits)

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine can reach the gateway."""
        address = parse_address(self.host)
        return self.host.lower() == "localhost" or bool(address and address.is_loopback)

    @property
    def is_local_only(self) -> bool:
        """Whether only this machine is served: there are no keys, and no anonymous access."""
        return not (self.has_keys or self.allow_anonymous)

    @property
    def checks_hosts(self) -> bool:
        """Whether requests with a host name other than loopback or ALLOWED_HOSTS are refused."""
        if self.allowed_hosts:
            return True
        is_open = self.allow_anonymous and (self.trusted_proxies or not self.is_on_loopback)
        return not (self.has_keys or is_open)


class UpstreamOptions(Options):
    """What all vendors share."""

    demo: Annotated[Literal["auto", "on", "off"], LowerCase] = "auto"
    system_prompt: SystemPrompt | None = None
    model_aliases: ModelAliases = ()
    capabilities_file: Path | None = None
    costs: bool = True
    prices_file: Path | None = None
    anthropic_prompt_cache: Annotated[Literal["off", "5m", "1h"], LowerCase] = "off"
    openai_prompt_cache_key: bool = False
    openai_api: OpenAIApi = "auto"
    upstream_proxy: Proxy | None = None
    upstream_transport: Annotated[Literal["own", "aiohttp"], LowerCase] = "own"


class LogOptions(Options):
    """The logs."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], UpperCase] = (
        "INFO"
    )
    log_dir: Path = Path("logs")
    log_format: Annotated[Literal["console", "json"], LowerCase] = "console"
    log_max_bytes: Annotated[int, Field(ge=1024, le=2**40)] = 10_000_000
    log_backup_count: Annotated[int, Field(ge=0, le=1000)] = 5
    conversation_log: Annotated[Literal["full", "metadata", "off"], LowerCase] = "full"

    @property
    def log_folder(self) -> Path | None:
        """The folder of the log files; None if all lines go to standard output."""
        return None if self.log_dir == STANDARD_OUTPUT else self.log_dir


class MetricsOptions(Options):
    """What Prometheus reads."""

    metrics: bool = False
    metrics_host: Host = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = None

    @property
    def has_metrics(self) -> bool:
        """Whether anything is counted."""
        return self.metrics or self.metrics_port is not None


class TraceOptions(Options):
    """Where traces go."""

    otel_exporter_otlp_endpoint: Url | None = None
    otel_service_name: str = "ai-chat-gateway"
    traceparent_providers: tuple[str, ...] = ()


class SentryOptions(Options):
    """Reports to Sentry."""

    sentry_dsn: Dsn | None = None
    sentry_environment: str = "development"
    sentry_traces_sample_rate: Rate = 0.1
    sentry_profiles_sample_rate: Rate = 0.1
    sentry_debug_route: bool = True


class LimitOptions(Options):
    """The limits of a request, of an answer, and of all chats together."""

    max_body_bytes: Count = 8 * 2**20
    max_pending_bytes: Count = 256 * 2**20
    max_messages: Count = 2_000
    max_message_chars: Count = 200_000
    max_image_bytes: Count = 5 * 2**20
    max_file_bytes: Count = 5 * 2**20
    max_json_depth: Annotated[int, Field(ge=6, le=500)] = 32
    max_json_values: Count = 100_000
    max_tools: Count = 128
    max_schema_bytes: Count = 64 * 2**10
    max_schema_depth: Annotated[int, Field(ge=1, le=500)] = 24
    max_states: Count = 20_000
    max_state_bytes: Count = 64 * 2**20
    max_kept_item_bytes: Annotated[int, Field(ge=0, le=2**31)] = 16 * 2**20
    max_connections_per_address: Count | None = None
    max_streams: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_event_bytes: Annotated[int, Field(ge=1024, le=2**31)] = 8 * 2**20
    max_answer_chars: Annotated[int, Field(ge=1000, le=2**31)] = 4_000_000
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 4
    client_parameters: ClientParameters = CLIENT_PARAMETERS
    on_break: Annotated[Literal["error", "restart", "hold"], LowerCase] = "error"


class TimeoutOptions(Options):
    """How long the gateway waits for a vendor, for a client, and at its stop."""

    connect_timeout_seconds: Seconds = 5
    first_content_timeout_seconds: Seconds = 12
    last_first_content_timeout_seconds: Seconds = 60
    idle_timeout_seconds: Seconds = 30
    total_timeout_seconds: Seconds = 600
    settle_seconds: Seconds = 5
    status_hold_seconds: Seconds = 10
    heartbeat_seconds: SecondsOrNever = 15
    send_timeout_seconds: Seconds = 30
    keep_alive_seconds: Seconds = 75
    drain_grace_seconds: SecondsOrNever = 5
    drain_timeout_seconds: Seconds = 30
    health_cache_seconds: Seconds = 30


class OptionGroups(
    TimeoutOptions,
    LimitOptions,
    SentryOptions,
    TraceOptions,
    MetricsOptions,
    LogOptions,
    UpstreamOptions,
    ServerOptions,
):
    """All groups. Problems are reported in the order of the fields, so from the last group on."""

    @property
    def counts_file(self) -> Path | None:
        """The file of what clients have used; None if that is kept in memory alone."""
        beside_logs = self.log_folder and self.log_folder / "limits.json"
        return (self.limits_file or beside_logs) if self.has_limits else None

    def is_demo_mode(self, *, has_vendor: bool) -> bool:
        """Whether a simulator answers instead of the vendors."""
        return self.demo == "on" or (self.demo == "auto" and self.is_on_loopback and not has_vendor)


def dependent_defaults(written: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that depend on other variables. `written` has the variables that are set."""
    environment = str(written.get("sentry_environment"))
    defaults: dict[str, Any] = {"sentry_debug_route": environment.lower() != "production"}
    if str(written.get("log_dir")) == str(STANDARD_OUTPUT):
        # What reads it keeps it elsewhere: questions and answers only if asked for.
        defaults["conversation_log"] = "metadata"
    return defaults
