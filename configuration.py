"""What the operator decided: the environment and `.env`, read once, checked as a whole, then frozen.

The only reader of the environment. Knows variables, bounds and the rules between them; must not know a vendor's SDK,
the web or the logs. The environment wins over `.env`; an empty value or a placeholder is unset in either.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

VERSION = "1.0.0"


class ProviderRow(NamedTuple):
    """One provider: its name in paths, the prefix of its variables, its models unless configured.

    A vendor is opened by a key; a server of the operator's own by its base URL, and may need no key.
    """

    name: str
    prefix: str
    model_default: str | None
    model_fallback: str | None
    opened_by: Literal["api_key", "base_url"] = "api_key"


_PROVIDER_ROWS = (
    ProviderRow("gpt", "OPENAI", "gpt-6-luna", "gpt-5.6-luna"),
    ProviderRow("claude", "ANTHROPIC", "claude-haiku-5-5", "claude-sonnet-5-5"),
    ProviderRow("gemini", "GEMINI", "gemini-3.8-flash", "gemini-3.5-flash-lite"),
    ProviderRow("groq", "GROQ", "openai/gpt-oss-120b", "openai/gpt-oss-20b"),
    ProviderRow("local", "LOCAL", None, None, opened_by="base_url"),
)
VALID_PROVIDERS = tuple(row.name for row in _PROVIDER_ROWS)

_PLACEHOLDER = re.compile(r"your[_-].*|<[^<>]*>|change[_-]?me.*", re.IGNORECASE | re.DOTALL)
_KEY = re.compile(r"[!-~]+")
_KEY_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY_ENTRY = re.compile(rf"({_KEY_NAME.pattern}):([0-9A-Fa-f]{{64}})")
_HOST = re.compile(r"[A-Za-z0-9._-]+|(?=.*:.*:)[0-9A-Fa-f:.]+(%\w+)?")
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_DSN = re.compile(r"https?://[^@/\s]+@[^@/\s]+/(\S+/)?\d+")
_EXPECTED = {"bool": "should be true or false", "int": "should be a whole number", "float": "should be a number"}
_PROVIDERS_EXPECTED = f"should be names out of {', '.join(VALID_PROVIDERS)}, with commas between"
_SIMILARITY = 0.85  # of a misspelled variable to the one that was meant
_SPARE_CONNECTIONS = 100  # beside the streams: health calls, and streams that are being closed


class ConfigurationError(ValueError):
    """What is wrong with the configuration, each finding on a line of its own. Never holds a value."""

    def __init__(self, findings: Iterable[str]) -> None:
        super().__init__("\n  ".join(("The configuration is wrong:", *findings)))


@dataclass(frozen=True)
class GatewayKey:
    """A client's key: its name, and the SHA-256 of it in lower-case hex."""

    name: str
    sha256: str = field(repr=False)


class Clocks(NamedTuple):
    """How long a vendor may take, in seconds: <CLOCK>_TIMEOUT_SECONDS."""

    connect: float
    first_content: float  # while another model remains to be asked
    last_first_content: float
    idle: float  # between contents
    total: float


def _must(hold: Callable[[str], object], right: str) -> AfterValidator:
    """A check of a string or secret; `right` says what would pass, for the value itself is never shown."""

    def check(value: Any) -> Any:
        if not hold(value.get_secret_value() if isinstance(value, SecretStr) else value):
            raise ValueError(f"should be {right}")
        return value

    return AfterValidator(check)


def _when_text(convert: Callable[[str], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: convert(value) if isinstance(value, str) else value)


def _split(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def _parse_keys(text: str) -> tuple[GatewayKey, ...]:
    matches = [_KEY_ENTRY.fullmatch(entry) for entry in _split(text)]
    keys = tuple(GatewayKey(match[1], match[2].lower()) for match in matches if match)
    if len(keys) < len(matches):
        places = ", ".join(str(place) for place, match in enumerate(matches, 1) if not match)
        raise ValueError(f"entry {places} should be name:sha256 as `python main.py keys new NAME` makes it")
    if len({key.name for key in keys}) < len(keys):
        raise ValueError("should have each name once; two entries have the same")
    return keys


def _check_providers(names: tuple[str, ...]) -> tuple[str, ...]:
    if not set(names) <= set(VALID_PROVIDERS):
        raise ValueError(_PROVIDERS_EXPECTED)
    return tuple(dict.fromkeys(names))


def _sort_providers(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError(_PROVIDERS_EXPECTED)
    return tuple(name for name in VALID_PROVIDERS if name in names)


def _parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.split() == [text]
    except ValueError:
        return False


def _is_plain_url(text: str) -> bool:
    return _is_url(text) and "@" not in text


Count = Annotated[int, Field(ge=1, le=2**31)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
SecondsOrNever = Annotated[float, Field(ge=0, le=86_400)]
Rate = Annotated[float, Field(ge=0, le=1)]
Host = Annotated[str, _must(_HOST.fullmatch, "an address or name without a port, such as 127.0.0.1 or ::1")]
Origin = Annotated[str, _must(_ORIGIN.fullmatch, "origins such as https://chat.example.com:8443, without a path, or *")]
Network = Annotated[str, _must(_parse_network, "IP addresses or networks such as 10.0.0.7 or 10.0.0.0/8")]
Url = Annotated[str, _must(_is_plain_url, "a URL such as https://api.example.com/v1, without user or password")]
Proxy = Annotated[SecretStr, _must(_is_url, "a URL such as http://user:password@proxy.example.com:3128")]
Dsn = Annotated[SecretStr, _must(_DSN.fullmatch, "a DSN as Sentry shows it, https://<key>@<host>/<project number>")]
VendorKey = Annotated[SecretStr, _must(_KEY.fullmatch, "the key as the vendor shows it, without spaces")]
LowerCase, UpperCase, CommaList = _when_text(str.lower), _when_text(str.upper), _when_text(_split)
ProviderNames = Annotated[tuple[str, ...], AfterValidator(_check_providers), CommaList, LowerCase]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class ProviderOptions(_Frozen):
    """The variables of each provider: a field `base_url` is OPENAI_BASE_URL for the provider of that prefix."""

    api_key: VendorKey | None = None
    base_url: Url | None = None
    model_default: str | None = None
    model_fallback: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Count = 8192
    system_prompt: str | None = None
    reasoning_effort: str | None = None
    fallback_providers: ProviderNames = ()


class ProviderSettings(ProviderOptions):
    """All that an adapter knows of the configuration. Its pool of `max_connections` is larger than MAX_STREAMS."""

    name: str
    prefix: str
    clocks: Clocks
    proxy: SecretStr | None = None
    transport: Literal["own", "aiohttp"] = "own"
    max_event_bytes: int
    max_attempts: int
    max_connections: int
    opened_by: Literal["api_key", "base_url"] = "api_key"
    demo: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """The chain of models, each once."""
        return tuple(dict.fromkeys(model for model in (self.model_default, self.model_fallback) if model))

    @property
    def configured(self) -> bool:
        """Whether it can be asked at all."""
        return bool(self.model_default and getattr(self, self.opened_by))


class GatewayOptions(_Frozen):
    """The gateway's own variables: a field `max_streams` is MAX_STREAMS. Each is explained in `.env.example`."""

    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 3050
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    trusted_proxies: Annotated[tuple[Network, ...], CommaList] = ()
    supported_providers: Annotated[ProviderNames, AfterValidator(_sort_providers)] = VALID_PROVIDERS
    demo: Annotated[Literal["auto", "on", "off"], LowerCase] = "auto"
    system_prompt: str | None = None
    upstream_proxy: Proxy | None = None
    upstream_transport: Annotated[Literal["own", "aiohttp"], LowerCase] = "own"

    gateway_api_keys: Annotated[tuple[GatewayKey, ...], _when_text(_parse_keys)] = ()
    allow_anonymous: bool = False
    cors_origins: Annotated[tuple[Origin, ...], CommaList, LowerCase] = ()

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], UpperCase] = "INFO"
    log_dir: Path = Path("logs")
    log_max_bytes: Annotated[int, Field(ge=1024, le=2**40)] = 10_000_000
    log_backup_count: Annotated[int, Field(ge=0, le=1000)] = 5
    conversation_log: Annotated[Literal["full", "metadata", "off"], LowerCase] = "full"

    sentry_dsn: Dsn | None = None
    sentry_environment: str = "development"
    sentry_traces_sample_rate: Rate = 0.1
    sentry_profiles_sample_rate: Rate = 0.1
    sentry_debug_route: bool = True

    max_body_bytes: Count = 8 * 2**20
    max_messages: Count = 200
    max_message_chars: Count = 200_000
    max_image_bytes: Count = 5 * 2**20
    max_json_depth: Annotated[int, Field(ge=6, le=500)] = 32
    max_streams: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_event_bytes: Annotated[int, Field(ge=1024, le=2**31)] = 2**20
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 4

    connect_timeout_seconds: Seconds = 5
    first_content_timeout_seconds: Seconds = 12
    last_first_content_timeout_seconds: Seconds = 60
    idle_timeout_seconds: Seconds = 30
    total_timeout_seconds: Seconds = 600
    status_hold_seconds: Seconds = 10
    heartbeat_seconds: SecondsOrNever = 15
    send_timeout_seconds: Seconds = 30
    drain_grace_seconds: SecondsOrNever = 5
    drain_timeout_seconds: Seconds = 30
    health_cache_seconds: Seconds = 30


PROVIDER_SETTINGS: Mapping[str, Mapping[str, str]] = {
    row.name: {option: f"{row.prefix}_{option.upper()}" for option in ProviderOptions.model_fields}
    for row in _PROVIDER_ROWS
}
_VARIABLES = {option.upper() for option in GatewayOptions.model_fields}.union(
    *(variables.values() for variables in PROVIDER_SETTINGS.values())
)


class Settings(GatewayOptions):
    """The gateway's whole configuration. No key shows in its `repr`."""

    vendors: Mapping[str, ProviderOptions]
    placeholders: tuple[str, ...] = ()
    misspelled: tuple[tuple[str, str], ...] = ()
    simulated: frozenset[str] = frozenset()

    @property
    def is_on_loopback(self) -> bool:
        """Whether this machine alone reaches the gateway."""
        address = _parse_network(self.host)
        return self.host.lower() == "localhost" or bool(address and address.is_loopback)

    @property
    def has_vendor(self) -> bool:
        """Whether there is anybody to ask: a vendor's key, or a server of one's own."""
        return any(getattr(self.vendors[row.name], row.opened_by) for row in _PROVIDER_ROWS)

    @property
    def demo_mode(self) -> bool:
        """Whether a simulator answers in the vendors' place."""
        return self.demo == "on" or (self.demo == "auto" and self.is_on_loopback and not self.has_vendor)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, in clear, for whoever must keep them out of something."""
        keys = (vendor.api_key for vendor in self.vendors.values())
        return tuple(secret.get_secret_value() for secret in (*keys, self.upstream_proxy, self.sentry_dsn) if secret)

    @property
    def providers(self) -> tuple[ProviderSettings, ...]:
        """The supported providers, configured or not."""
        return tuple(self.provider(name) for name in self.supported_providers)

    def provider(self, name: str) -> ProviderSettings:
        """One provider, supported or not. Its proxy is for vendors on the internet alone. Raises ValueError."""
        row = _PROVIDER_ROWS[VALID_PROVIDERS.index(name)]
        demo = name in self.simulated
        return ProviderSettings(
            **dict(self.vendors[name]),
            name=name,
            prefix=row.prefix,
            clocks=Clocks(*(getattr(self, f"{clock}_timeout_seconds") for clock in Clocks._fields)),
            proxy=self.upstream_proxy if row.opened_by == "api_key" and not demo else None,
            transport=self.upstream_transport,
            max_event_bytes=self.max_event_bytes,
            max_attempts=self.max_attempts,
            max_connections=self.max_streams + _SPARE_CONNECTIONS,
            opened_by=row.opened_by,
            demo=demo,
        )

    def with_demo(self, base_urls: Mapping[str, str]) -> Settings:
        """These settings with the named providers at a simulator's base URLs, their real keys left out."""
        simulated = {
            name: self.vendors[name].model_copy(update={"base_url": base_url, "api_key": SecretStr("demo")})
            for name, base_url in base_urls.items()
        }
        update = {"demo": "on", "vendors": {**self.vendors, **simulated}, "simulated": frozenset(simulated)}
        return self.model_copy(update=update)


def load_settings(env_file: str | Path | None = ".env", **overrides: Any) -> Settings:
    """The settings out of `.env`, over it the environment, over that the overrides: variables in lower case.

    Raises ConfigurationError with everything that is wrong, TypeError for an override that is no variable.
    """
    asked = {name.upper(): value for name, value in overrides.items()}
    if unknown := asked.keys() - _VARIABLES:
        raise TypeError(f"no such variable: {', '.join(sorted(unknown))}")
    values, notes = _read_variables(env_file)
    values |= {name: value for name, value in asked.items() if value is not None and not _is_unset(str(value))}
    findings: dict[str, str] = {}
    try:
        settings = _build(values, notes)
    except ValidationError as error:  # the rules between variables are judged on the rest
        findings = dict(_describe(finding) for finding in error.errors())
        settings = _build({name: value for name, value in values.items() if name not in findings}, notes)
    lines = [f"{name}: {problem}" for name, problem in findings.items()]
    lines += [conflict for about, conflict in _find_conflicts(settings) if not about & findings.keys()]
    if lines:
        raise ConfigurationError([*lines, *_misspellings(settings)])
    return settings


def _read_variables(env_file: str | Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is set, by variable, and what of the rest is worth a warning."""
    try:
        in_file = DotEnvSettingsSource(BaseSettings, env_file=env_file, env_file_encoding="utf-8-sig").env_vars
    except (OSError, UnicodeError):
        raise ConfigurationError([f"{env_file}: cannot be read; it should be a text file in UTF-8"]) from None
    in_environment = EnvSettingsSource(BaseSettings).env_vars
    written = [(name.upper(), _unquote(text or "")) for name, text in (*in_file.items(), *in_environment.items())]
    values: dict[str, Any] = {name: text for name, text in written if name in _VARIABLES and not _is_unset(text)}
    placeholders = {name for name, text in written if name in _VARIABLES and text} - values.keys()
    close = {name: get_close_matches(name, _VARIABLES, 1, _SIMILARITY) for name, _ in written if name not in _VARIABLES}
    misspelled = tuple((name, meant[0]) for name, meant in close.items() if meant)
    return values, {"placeholders": tuple(sorted(placeholders)), "misspelled": misspelled}


def _unquote(text: str) -> str:
    text = text.strip()
    while len(text) >= 2 and text[0] in "\"'" and text[0] == text[-1]:
        text = text[1:-1].strip()
    return text


def _is_unset(text: str) -> bool:
    return not text.strip() or bool(_PLACEHOLDER.fullmatch(text))


def _build(values: Mapping[str, Any], notes: Mapping[str, Any]) -> Settings:
    options = {option: values[option.upper()] for option in GatewayOptions.model_fields if option.upper() in values}
    options.setdefault("sentry_debug_route", str(options.get("sentry_environment")).lower() != "production")
    vendors = {
        row.name: {"model_default": row.model_default, "model_fallback": row.model_fallback}
        | {option: values[name] for option, name in PROVIDER_SETTINGS[row.name].items() if name in values}
        for row in _PROVIDER_ROWS
    }
    return Settings.model_validate({**options, **notes, "vendors": vendors})


def _describe(finding: Any) -> tuple[str, str]:
    """The variable and its problem; what pydantic says of a type is a programmer's sentence."""
    place, kind = finding["loc"], finding["type"].removesuffix("_parsing")
    variable = PROVIDER_SETTINGS[place[1]][place[2]] if place[0] == "vendors" else place[0].upper()
    said = finding["msg"].removeprefix("Value error, ").replace("Input should", "should")
    return variable, _EXPECTED.get(kind, said)


def _find_conflicts(settings: Settings) -> Iterator[tuple[set[str], str]]:
    """Each broken rule, after the variables that it is about."""
    openings = [PROVIDER_SETTINGS[row.name][row.opened_by] for row in _PROVIDER_ROWS]
    if not (settings.is_on_loopback or settings.gateway_api_keys or settings.allow_anonymous):
        yield (
            {"HOST", "GATEWAY_API_KEYS", "ALLOW_ANONYMOUS"},
            "HOST: without gateway keys only loopback (127.0.0.1) is listened on; to be reached from elsewhere set "
            "GATEWAY_API_KEYS (`python main.py keys new NAME` makes one), or ALLOW_ANONYMOUS=true to let anybody in",
        )
    if settings.demo == "on" and not settings.is_on_loopback:
        yield (
            {"HOST", "DEMO"},
            "DEMO: simulated answers are served on loopback only; set HOST=127.0.0.1, or DEMO=auto with a vendor's key",
        )
    elif not settings.demo_mode and not settings.has_vendor:
        way_out = "set DEMO=auto" if settings.is_on_loopback else "set HOST=127.0.0.1 with DEMO=auto"
        yield (
            {"HOST", "DEMO", *openings},
            f"no vendor can be asked: set at least one of {', '.join(openings)}; or {way_out} for simulated answers",
        )

    for name in settings.supported_providers:
        variable, others = PROVIDER_SETTINGS[name]["fallback_providers"], settings.vendors[name].fallback_providers
        if unusable := {*others} - {*settings.supported_providers} | {*others} & {name}:
            yield (
                {variable, "SUPPORTED_PROVIDERS"},
                f"{variable}: should name other supported providers, not {', '.join(sorted(unusable))}",
            )


def startup_warnings(settings: Settings) -> list[str]:
    """What may be a mistake but keeps nobody from starting, a sentence each."""
    warnings = [f"placeholders count as unset: {', '.join(settings.placeholders)}"] if settings.placeholders else []
    warnings += _misspellings(settings)
    unready = [provider for provider in settings.providers if not (provider.configured or settings.demo_mode)]
    if unready and settings.supported_providers != VALID_PROVIDERS:
        names = ", ".join(provider.name for provider in unready)
        warnings.append(f"SUPPORTED_PROVIDERS names what is not configured: {names}")
    opened = [provider for provider in unready if getattr(provider, provider.opened_by)]
    warnings += [f"{provider.name} needs {provider.prefix}_MODEL_DEFAULT, which is unset" for provider in opened]
    return warnings


def _misspellings(settings: Settings) -> list[str]:
    return [f"{name} is no variable of the gateway; was {meant} meant?" for name, meant in settings.misspelled]


def new_gateway_key(name: str) -> tuple[str, str]:
    """A new secret key, and its entry for GATEWAY_API_KEYS. Raises ConfigurationError for a name that fits no entry."""
    if not _KEY_NAME.fullmatch(name):
        raise ConfigurationError(["NAME: should be up to 64 letters, digits, dots, hyphens or underscores"])
    key = secrets.token_urlsafe(32)
    return key, f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"
