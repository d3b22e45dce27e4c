"""KEYS_FILE: the gateway's keys in TOML, one table for each name.

[keys.phone]
sha256 = "…"                 # or a list, while one key replaces another
expires = 2027-01-31
providers = ["gpt", "claude"]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from settings.client_limits import LIMIT_NAMES, ClientLimits
from settings.gateway_keys import KEY_NAME, SHA256_OF_NOTHING, GatewayKey, ModelScope
from settings.values import MODEL_PATTERN

# The names of the client protocols, as the records of chats have them.
DOOR_NAMES = ("native", "openai_chat", "openai_responses", "anthropic", "ui_message")

_MAX_BYTES = 16 * 2**20
_PATH = re.compile(r" - at `\$\.?([^`]*)`")

_Sha256 = Annotated[str, Meta(pattern="^[0-9A-Fa-f]{64}$")]
_Count = Annotated[int, Meta(ge=1, le=2**53)]
_Dollars = Annotated[float, Meta(gt=0, le=10**9)]
_Texts = Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=100)]


class KeysFileError(ValueError):
    """Lists what is wrong with the file, with the lines. Never contains a value."""

    def __init__(self, findings: Iterable[str]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(self.findings))


class Stamp(NamedTuple):
    """What changes if the file does."""

    modified_ns: int
    size: int
    inode: int


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file, as it is written."""

    sha256: _Sha256 | Annotated[tuple[_Sha256, ...], Meta(min_length=1, max_length=10)]
    expires: Any = None
    providers: _Texts | None = None
    doors: _Texts | None = None
    models: _Texts | None = None
    deep_health: bool = False
    metrics: bool = False
    admin: bool = False
    tags: _Texts = ()
    requests_per_minute: _Count | None = None
    streams: _Count | None = None
    connections: _Count | None = None
    tokens_per_day: _Count | None = None
    tokens_per_month: _Count | None = None
    usd_per_day: _Dollars | None = None
    usd_per_month: _Dollars | None = None

    @property
    def hashes(self) -> tuple[str, ...]:
        """The hashes of all keys with this name."""
        written = (self.sha256,) if isinstance(self.sha256, str) else self.sha256
        return tuple(text.lower() for text in written)


def stamp_of(path: Path) -> Stamp:
    """The stamp of the file. Raises OSError."""
    found = path.stat()
    return Stamp(found.st_mtime_ns, found.st_size, found.st_ino)


def read_keys_file(
    path: Path, providers: Collection[str], taken: Iterable[GatewayKey] = ()
) -> tuple[GatewayKey, ...]:
    """The keys of the file. `taken` are those that are configured elsewhere.

    Raises KeysFileError.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise KeysFileError(["is too large"])
        tables = tomllib.loads(text.decode())
    except OSError:
        raise KeysFileError(["cannot be read"]) from None
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise KeysFileError([f"is not TOML: {error}"]) from None
    return _Reader(text.decode(), providers, taken).read(tables)


class _Reader:
    """Reads the tables of one file, and collects what is wrong with them."""

    def __init__(self, text: str, providers: Collection[str], taken: Iterable[GatewayKey]) -> None:
        self._lines = text.splitlines()
        self._providers = providers
        self._names = {key.name for key in taken}
        self._hashes = {key.sha256 for key in taken}
        self._findings: list[str] = []

    def read(self, tables: Mapping[str, Any]) -> tuple[GatewayKey, ...]:
        """The keys. Raises KeysFileError."""
        named = tables.get("keys")
        self._findings += [f"has an unknown table: {name}" for name in tables if name != "keys"]
        keys: list[GatewayKey] = []
        if isinstance(named, dict):
            for name, table in named.items():
                keys += self._read_entry(name, table)
        if not (keys or self._findings):
            # An editor that writes in place leaves an empty file for a moment.
            self._findings.append("has no keys: a key is a table [keys.NAME]")
        if self._findings:
            raise KeysFileError(self._findings)
        return tuple(keys)

    def _read_entry(self, name: str, table: Any) -> list[GatewayKey]:
        try:
            entry = msgspec.convert(table, _Entry)
        except msgspec.ValidationError as error:
            option = _PATH.search(str(error))
            field = re.split(r"[.\[]", option[1])[0] if option else ""
            message = _PATH.sub("", str(error)).replace("Object contains", "has an")
            self._find(name, field, f"{field}: {message}" if field else message)
            return []
        problems = list(self._problems(name, entry))
        for wrong, problem in problems:
            self._find(name, wrong, f"{wrong} {problem}".strip())
        self._hashes.update(entry.hashes)
        return [] if problems else list(_make_keys(name, entry))

    def _problems(self, name: str, entry: _Entry) -> Iterator[tuple[str, str]]:
        """What is wrong with an entry: the options and their problems."""
        if not KEY_NAME.fullmatch(name):
            yield "", "the name should be up to 64 letters, digits, dots, hyphens or underscores"
        if name in self._names:
            yield "", "GATEWAY_API_KEYS has this name, too"
        if SHA256_OF_NOTHING in entry.hashes:
            yield "sha256", "is the hash of an empty key"
        if self._hashes & set(entry.hashes) or len(set(entry.hashes)) < len(entry.hashes):
            yield "sha256", "is in more than one place"
        if not (entry.expires is None or _end_of(entry.expires)):
            yield "expires", "should be a date, or a time with Z or an offset: 2027-01-31T12:00:00Z"
        for option, known in (("providers", self._providers), ("doors", DOOR_NAMES)):
            if set(getattr(entry, option) or ()) - set(known):
                yield option, f"should be names out of {', '.join(known)}"
        if not all(MODEL_PATTERN.fullmatch(pattern) for pattern in entry.models or ()):
            yield "models", "should be names of models, with * for any characters"

    def _find(self, name: str, option: str, problem: str) -> None:
        line = self._line_of(name, option)
        place = f"line {line}: " if line else ""
        self._findings.append(f"{place}keys.{name}: {problem}")

    def _line_of(self, name: str, option: str) -> int | None:
        """The line of an option, or else of its table's head; None if it is written otherwise."""
        head = re.compile(rf"\s*\[\s*keys\s*\.\s*([\"']?){re.escape(name)}\1\s*\]")
        setting = re.compile(rf"\s*([\"']?){re.escape(option)}\1\s*=")
        found = None
        for number, line in enumerate(self._lines, 1):
            if head.match(line):
                found = number
            elif found and line.lstrip().startswith("["):
                break
            elif found and option and setting.match(line):
                return number
        return found


def _make_keys(name: str, entry: _Entry) -> Iterator[GatewayKey]:
    scope = None
    if entry.providers is not None or entry.models is not None:
        providers = None if entry.providers is None else frozenset(entry.providers)
        scope = ModelScope(providers, entry.models)
    limits = ClientLimits(**{name: getattr(entry, name) for name in LIMIT_NAMES})
    for sha256 in entry.hashes:
        yield GatewayKey(
            name=name,
            sha256=sha256,
            expires=_end_of(entry.expires),
            scope=scope,
            doors=None if entry.doors is None else frozenset(entry.doors),
            deep_health=entry.deep_health,
            metrics=entry.metrics,
            admin=entry.admin,
            limits=None if limits == ClientLimits() else limits,
            tags=entry.tags,
        )


def _end_of(expires: Any) -> datetime | None:
    """The moment from which a key is refused. A date is valid to its end, in UTC."""
    if isinstance(expires, datetime):
        return expires if expires.tzinfo else None
    if isinstance(expires, date):
        return datetime.combine(expires + timedelta(days=1), time(), UTC)
    return None
