"""A provider's variables, and the settings that its adapter gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from settings.options import OpenAIApi, OptionGroups
from settings.values import (
    CaFile,
    CommaList,
    Count,
    ModelPattern,
    Options,
    SystemPrompt,
    Temperature,
    Url,
    VendorKey,
)

_TIMEOUTS = ("connect", "first_content", "last_first_content", "idle", "total")
_SPARE_CONNECTIONS = 100  # besides the streams': for health calls, and for streams that are closing

OpenedBy = Literal["api_key", "base_url"]

# Addresses of another API than the provider's, which are easily confused with its own.
_FOREIGN_TO_ANTHROPIC = (
    r"/completions$|/openai(/v1)?$|^(api\.openai\.com|api\.groq\.com|generativelanguage\.)"
)
_FOREIGN_TO_GEMINI = (
    r"/completions$|/messages$|/openai(/v1)?$|/models/[^/]+$"
    r"|^(api\.openai\.com|api\.groq\.com|api\.anthropic\.com)"
)
_FOREIGN_TO_CHAT_COMPLETIONS = (
    r"/messages$|/anthropic(/v1)?$|/api/(chat|generate|tags)$|(?<!/chat)/completions$|/embeddings$"
    r"|GenerateContent$"
)
_FOREIGN_ADDRESSES = {"claude": _FOREIGN_TO_ANTHROPIC, "gemini": _FOREIGN_TO_GEMINI}


class ProviderRow(NamedTuple):
    """One provider: its name in paths, the prefix of its variables, its default models and address.

    `opened_by` is the variable that enables the provider: the key of a vendor, or the base URL of
    the operator's own server, which may need no key. A row without an address needs
    <PREFIX>_BASE_URL. `names` are patterns of the names of the vendor's models.
    """

    name: str
    prefix: str
    model_default: str | None
    model_fallback: str | None
    base_url: str | None = None
    opened_by: OpenedBy = "api_key"
    names: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, Any]:
        """The defaults of the provider's variables, as far as they are its own."""
        return {
            "model_default": self.model_default,
            "model_fallback": self.model_fallback,
            "base_url": self.base_url,
        }

    def variable(self, option: str) -> str:
        """The name of one of the provider's variables."""
        return f"{self.prefix}_{option.upper()}"


class VendorOptions(Options):
    """The variables of each provider: `base_url` is OPENAI_BASE_URL for the prefix OPENAI."""

    api_key: VendorKey | None = None
    base_url: Url | None = None
    model_default: str | None = None
    model_fallback: str | None = None
    models: Annotated[tuple[ModelPattern, ...], CommaList] = ()
    temperature: Temperature | None = None
    max_tokens: Count = 8192
    system_prompt: SystemPrompt | None = None
    reasoning_effort: str | None = None
    fallback_providers: tuple[str, ...] = ()
    ca_file: CaFile | None = None


class Timeouts(NamedTuple):
    """How long to wait for a vendor, in seconds: <NAME>_TIMEOUT_SECONDS."""

    connect: float
    first_content: float  # of a stream, while another model can still be asked
    last_first_content: float  # of the last model, or of one that does not stream
    idle: float  # between contents
    total: float
    settle: float  # without content after a finish reason: SETTLE_SECONDS


class ProviderSettings(VendorOptions):
    """The configuration of one adapter. The size of its pool exceeds MAX_STREAMS."""

    name: str
    prefix: str
    timeouts: Timeouts
    capabilities_file: Path | None = None
    prompt_cache: Literal["off", "5m", "1h"] = "off"
    prompt_cache_key: bool = False
    proxy: SecretStr | None = None
    transport: Literal["own", "aiohttp"] = "own"
    openai_api: OpenAIApi = "auto"
    max_event_bytes: int
    max_answer_chars: int
    max_attempts: int
    max_connections: int
    opened_by: OpenedBy = "api_key"
    names: tuple[str, ...] = ()
    demo: bool = False

    @property
    def chain(self) -> tuple[str, ...]:
        """The default model and the fallback model, without duplicates."""
        models = (self.model_default, self.model_fallback)
        return tuple(dict.fromkeys(model for model in models if model))

    @property
    def configured(self) -> bool:
        """Whether the provider can be used."""
        return bool(self.model_default and getattr(self, self.opened_by))

    @property
    def address_problem(self) -> str | None:
        """The problem of the address, if it is missing or belongs to another API."""
        if not self.base_url:
            if self.opened_by == "api_key" and self.api_key:
                return f"{self.name} has a key but no address; set this variable"
            return None
        parts = urlsplit(self.base_url)
        address = f"{parts.hostname}{parts.path.rstrip('/')}"
        foreign = _FOREIGN_ADDRESSES.get(self.name, _FOREIGN_TO_CHAT_COMPLETIONS)
        if re.search(foreign, address):
            return "should be an address of the provider's own API, not of another"
        return None


def make_provider_settings(
    row: ProviderRow, vendor: VendorOptions, own: OptionGroups, *, demo: bool
) -> ProviderSettings:
    """The settings of an adapter. The proxy is for vendors, not for the operator's own server."""
    timeouts = {wait: getattr(own, f"{wait}_timeout_seconds") for wait in _TIMEOUTS}
    options = dict(vendor)
    options["base_url"] = vendor.base_url or row.base_url
    return ProviderSettings(
        **options,
        name=row.name,
        prefix=row.prefix,
        timeouts=Timeouts(**timeouts, settle=own.settle_seconds),
        capabilities_file=own.capabilities_file,
        prompt_cache=own.anthropic_prompt_cache if row.prefix == "ANTHROPIC" else "off",
        prompt_cache_key=own.openai_prompt_cache_key and row.prefix == "OPENAI",
        proxy=own.upstream_proxy if row.opened_by == "api_key" and not demo else None,
        transport=own.upstream_transport,
        openai_api=own.openai_api,
        max_event_bytes=own.max_event_bytes,
        max_answer_chars=own.max_answer_chars,
        max_attempts=own.max_attempts,
        max_connections=own.max_streams + _SPARE_CONNECTIONS,
        opened_by=row.opened_by,
        names=row.names,
        demo=demo,
    )
