"""KEYS_FILE: what a table says of a key, and how everything that is wrong is reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from settings.gateway_keys import GatewayKey, ModelScope
from settings.keys_file import DOOR_NAMES, KeysFileError, read_keys_file, stamp_of
from web.doors import DOORS

if TYPE_CHECKING:
    from pathlib import Path

SHA, OTHER = "a" * 64, "b" * 64
PROVIDERS = ("gpt", "claude")

WHOLE = f"""
# the app on the phone
[keys.phone]
sha256 = "{SHA.upper()}"
expires = 2027-01-31T12:00:00+02:00
providers = ["gpt"]
doors = ["native", "openai_chat"]
models = ["gpt-5*", "luna"]
deep_health = true
metrics = true
tags = ["team-a"]

[keys."web.app"]
sha256 = ["{OTHER}", "{"c" * 64}"]
expires = 2027-01-31
"""


def read(path: Path, text: str, *taken: GatewayKey) -> tuple[GatewayKey, ...]:
    """The keys of a file with this text."""
    file = path / "keys.toml"
    file.write_text(text)
    return read_keys_file(file, PROVIDERS, taken)


def test_tables_are_keys(tmp_path: Path) -> None:
    """All that a table can say; a date is valid to its end, and several hashes share one name."""
    phone, *web = read(tmp_path, WHOLE)
    assert phone == GatewayKey(
        name="phone",
        sha256=SHA,
        expires=datetime(2027, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))),
        scope=ModelScope(frozenset({"gpt"}), ("gpt-5*", "luna")),
        doors=frozenset({"native", "openai_chat"}),
        deep_health=True,
        tags=("team-a",),
    )
    assert [(key.name, key.sha256[0]) for key in web] == [("web.app", "b"), ("web.app", "c")]
    end = datetime(2027, 2, 1, tzinfo=UTC)
    assert [(key.expires, key.scope, key.deep_health) for key in web] == 2 * [(end, None, False)]


def test_scope_allows_what_it_names() -> None:
    """A provider and a model both have to be in it."""
    scope = ModelScope(frozenset({"gpt"}), ("gpt-5*",))
    assert scope.allows("gpt", "gpt-5-nano")
    assert not scope.allows("gpt", "gpt-6")
    assert not scope.allows("claude", "gpt-5")
    assert ModelScope(None, ("gpt-5*",)).allows("claude", "gpt-5")
    assert not ModelScope(frozenset()).allows_provider("gpt")


def test_doors_are_those_that_there_are() -> None:
    assert set(DOOR_NAMES) == {door.name for door in DOORS.values()}


HEAD = f'\n[keys.phone]\nsha256 = "{SHA}"\n'
MISTAKES = [
    (HEAD + 'expires = "2027-01-31"', ["line 4: keys.phone: expires should be a date"]),
    (HEAD + "expires = 2027-01-31T12:00:00", ["line 4: keys.phone: expires should be a date"]),
    (HEAD + 'providers = ["gpt", "x"]', ["line 4: keys.phone: providers should be names out of"]),
    (HEAD + 'doors = ["chat"]', ["line 4: keys.phone: doors should be names out of native"]),
    (HEAD + 'models = ["a b"]', ["line 4: keys.phone: models should be names"]),
    (HEAD + "deep_health = 1", ["line 4: keys.phone: deep_health: Expected `bool`"]),
    (HEAD + "provider = 1", ["line 2: keys.phone: has an unknown field `provider`"]),
    ("[keys.phone]", ["line 1: keys.phone: Object missing required field `sha256`"]),
    ("[keys.phone]\nsha256 = 'my key'", ["line 2: keys.phone: sha256: Expected `str` matching"]),
    ("[keys.phone]\nsha256 = []", ["line 2: keys.phone: sha256: Expected `array`"]),
    (f"{HEAD}[keys.'a b']\nsha256 = '{OTHER}'", ["line 4: keys.a b: the name should be"]),
    (f"{HEAD}[keys.web]\nsha256 = '{SHA}'", ["line 5: keys.web: sha256 is in more than one place"]),
    (f"{HEAD}[keys.old]\nsha256 = '{OTHER}'", ["line 4: keys.old: GATEWAY_API_KEYS has this name"]),
    (
        "[keys.a]\nsha256 = 1\n[keys.b]\nsha256 = 2",
        ["line 2: keys.a: sha256", "line 4: keys.b: sha256"],
    ),
    ("[key.phone]", ["has an unknown table: key"]),
    ("", ["has no keys"]),
    ("\n[keys.phone\n", ["is not TOML"]),
    ("\n\nx = = 1", ["line 3"]),
]


@pytest.mark.parametrize(("text", "findings"), MISTAKES)
def test_mistake_is_reported_with_its_line(tmp_path: Path, text: str, findings: list[str]) -> None:
    """All of them, and never a value, which may be a key by mistake."""
    with pytest.raises(KeysFileError) as raised:
        read(tmp_path, text, GatewayKey("old", "f" * 64))
    found = raised.value.findings
    assert len(found) == len(findings)
    for line, words in zip(found, findings, strict=True):
        assert words in line
        assert "my key" not in line


def test_empty_key_is_refused(tmp_path: Path) -> None:
    """Its hash is what a script makes of an unset variable."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    with pytest.raises(KeysFileError, match="empty key"):
        read(tmp_path, f"[keys.phone]\nsha256 = '{empty}'")


def test_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(KeysFileError, match="cannot be read"):
        read_keys_file(tmp_path / "none.toml", PROVIDERS)


def test_stamp_changes_with_the_file(tmp_path: Path) -> None:
    """Even if another file of the same size takes its place."""
    file, other = tmp_path / "keys.toml", tmp_path / "other"
    file.write_text(WHOLE)
    other.write_text(WHOLE)
    before = stamp_of(file)
    assert stamp_of(file) == before
    other.replace(file)
    assert stamp_of(file) != before
