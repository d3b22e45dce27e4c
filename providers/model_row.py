"""The row that applies to a model, as text: TOML with the origin of each field.

It can be put into CAPABILITIES_FILE and changed there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from configuration import ConfigurationError, Settings
from providers.capabilities import Field, load_capabilities


def describe_model(settings: Settings, name: str) -> str:
    """The row of a model, of each provider that knows it, or of the one in `PROVIDER/NAME`.

    Raises ConfigurationError if no provider knows the model.
    """
    providers = {provider.name: provider for provider in settings.providers}
    prefix, _, rest = name.partition("/")
    if prefix in providers and rest:
        return "\n".join(_write_row(settings, prefix, rest))
    knowing = [
        provider.name
        for provider in settings.providers
        if name in provider.chain
        or load_capabilities(provider.name, settings.capabilities_file).knows(name)
    ]
    if not knowing:
        known = ", ".join(f"{provider}/{name}" for provider in providers)
        raise ConfigurationError([f"NAME: no row is about this model; ask for one of {known}"])
    return "\n\n".join("\n".join(_write_row(settings, provider, name)) for provider in knowing)


def _write_row(settings: Settings, provider: str, model: str) -> Iterator[str]:
    capabilities = load_capabilities(provider, settings.capabilities_file)
    written = {field.name: field for field in capabilities.fields(model)}
    yield f"[{provider}.{json.dumps(model)}]"
    for name, value in msgspec.to_builtins(capabilities.of(model)).items():
        field = written.get(name, Field(name, value))
        origin = "no row: as for any model"
        if field.beginning is not None:
            row = field.beginning if field.beginning == "default" else f'"{field.beginning}"'
            file = settings.capabilities_file if field.is_operators else "capabilities.toml"
            origin = f"[{provider}.{row}] of {file}"
        text = f"# {name} is not known" if value is None else f"{name} = {json.dumps(value)}"
        yield f"{text:<60}  # {origin}"
