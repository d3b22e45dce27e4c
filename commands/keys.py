"""`python main.py keys`: makes keys, lists them, checks their file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from configuration import VALID_PROVIDERS, ConfigurationError, load_settings
from settings.file_access import access_warnings
from settings.gateway_keys import GatewayKey
from settings.keys_file import KeysFileError, read_keys_file
from settings.new_keys import new_key
from web.keys_source import load_keys


def add_keys_command(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser("keys", help="make, list and check gateway keys")
    actions = parser.add_subparsers(dest="action", required=True)
    new = actions.add_parser("new", help="make a key")
    new.add_argument("name")
    new.add_argument("--admin", action="store_true", help="for the admin page, and for no chats")
    actions.add_parser("list", help="list the keys, with their last use by the audit log")
    check = actions.add_parser("check", help="check KEYS_FILE, or another file")
    check.add_argument("file", nargs="?", type=Path)
    parser.set_defaults(run=run_keys)


def run_keys(chosen: argparse.Namespace) -> int:
    """Run the command. Raises ConfigurationError."""
    match chosen.action:
        case "new":
            print("\n".join(describe_new(chosen.name, is_admin=chosen.admin)))
        case "list":
            print("\n".join(list_keys()))
        case "check":
            print("\n".join(check_file(chosen.file)))
    return 0


def describe_new(name: str, *, is_admin: bool) -> Iterator[str]:
    try:
        key, sha256 = new_key(name)
    except ValueError as error:
        raise ConfigurationError([f"NAME: {error}"]) from None
    table = f'"{name}"' if "." in name else name
    yield f"The key, shown only now:   {key}"
    lines = f'[keys.{table}]\nsha256 = "{sha256}"'
    if is_admin:
        yield f"Its lines for KEYS_FILE:\n\n{lines}\nadmin = true\ndoors = []  # for no chats"
        return
    yield f"Its entry for .env:        GATEWAY_API_KEYS={name}:{sha256}"
    yield f"Or its lines for KEYS_FILE:\n\n{lines}"


def list_keys() -> Iterator[str]:
    settings = load_settings()
    keys = load_keys(settings)
    if not keys:
        yield "no keys: GATEWAY_API_KEYS and KEYS_FILE are empty"
        return
    folder = settings.log_folder
    used = last_uses(folder) if folder else {}
    unused = "never" if folder else "unknown, without log files"
    for key in keys:
        yield f"{key.name}  {'; '.join(key_facts(key))}; last used {used.get(key.name, unused)}"


def key_facts(key: GatewayKey) -> Iterator[str]:
    if key.expires is None:
        yield "does not expire"
    else:
        word = "expired" if key.expires <= datetime.now(UTC) else "expires"
        yield f"{word} {key.expires.isoformat()}"
    scope = key.scope
    for option, names in (
        ("providers", scope and scope.providers),
        ("doors", key.doors),
        ("models", scope and scope.models),
        ("tags", key.tags),
    ):
        if names:
            yield f"{option} {', '.join(sorted(names))}"
    if key.doors is not None and not key.doors:
        yield "no chats"
    if key.admin:
        yield "admin"
    if key.metrics:
        yield "metrics"
    if key.deep_health:
        yield "deep health"


def last_uses(folder: Path) -> dict[str, str]:
    """When each key was used last, by the lines of the audit log that are still there."""
    found: dict[str, str] = {}
    for file in folder.glob("audit.log*"):
        with file.open(encoding="utf-8", errors="replace") as lines:
            for name, time in uses_in(lines):
                found[name] = max(time, found.get(name, ""))
    return found


def uses_in(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue  # the line is being written
        if isinstance(fields, dict) and fields.get("client"):
            yield str(fields["client"]), str(fields.get("timestamp"))


def check_file(file: Path | None) -> Iterator[str]:
    path: Path | None = file
    taken: tuple[GatewayKey, ...] = ()
    if path is None:
        settings = load_settings()
        path, taken = settings.keys_file, settings.gateway_api_keys
    if path is None:
        raise ConfigurationError(["KEYS_FILE: is not set, so there is no file to check"])
    try:
        keys = read_keys_file(path, VALID_PROVIDERS, taken)
    except KeysFileError as error:
        raise ConfigurationError(f"{path}: {finding}" for finding in error.findings) from None
    yield f"{path} is right; keys: {len({key.name for key in keys})}"
    for warning in access_warnings("KEYS_FILE", path, is_private=True):
        yield f"but {warning}"
    if admins := sorted({key.name for key in keys if key.admin}):
        yield f"for the admin page: {', '.join(admins)}"
    for key in keys:
        if key.expires and key.expires <= datetime.now(UTC):
            yield f"but {key.name} has expired"
