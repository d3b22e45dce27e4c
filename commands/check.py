"""`python main.py check`: whether a start would succeed, and what would go wrong later."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import stat
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from configuration import Settings, load_settings, startup_warnings
from models import GatewayError
from providers.capabilities import check_capabilities
from providers.factory import ProviderFactory
from settings.file_access import access_warnings
from telemetry.costs import open_prices
from telemetry.redaction import text_line
from web.keys_source import load_keys

_SPARE_FILES = 200  # logs, listeners, connections that are closing
_LOGS = 5
_MEGABYTE = 10**6


class Finding(NamedTuple):
    """What was looked at, and what was found."""

    state: Literal["ok", "warning", "FAILED"]
    text: str


def add_check_command(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser("check", help="check the configuration and this machine")
    parser.add_argument("--ask", action="store_true", help="ask each vendor by a free call, too")
    parser.set_defaults(run=run_check)


def run_check(chosen: argparse.Namespace) -> int:
    """Run the command. Raises ConfigurationError."""
    settings = load_checked_settings()
    findings = [Finding("ok", "the configuration and the files that it names")]
    findings += [Finding("warning", warning) for warning in startup_warnings(settings)]
    findings += [
        *check_files(settings),
        *check_logs(settings),
        *check_open_files(settings),
        *check_clock(time.time()),
    ]
    if chosen.ask:
        findings += asyncio.run(ask_vendors(settings))
    for state, text in findings:
        print(text_line(f"{state:<8} {text}"))
    return int(any(finding.state == "FAILED" for finding in findings))


def load_checked_settings() -> Settings:
    """The settings, once the files that they name are read too. Raises ConfigurationError."""
    settings = load_settings()
    check_capabilities(settings.capabilities_file)
    open_prices(settings)
    load_keys(settings)
    return settings


def check_files(settings: Settings) -> Iterator[Finding]:
    """The files that the configuration names: whether other users can read or change them."""
    private = {"KEYS_FILE": settings.keys_file, "LIMITS_FILE": settings.counts_file}
    public = {
        "PRICES_FILE": settings.prices_file,
        "CAPABILITIES_FILE": settings.capabilities_file,
        **{f"{provider.prefix}_CA_FILE": provider.ca_file for provider in settings.providers},
    }
    for variable, path in {**private, **public}.items():
        if path is None:
            continue
        try:
            warnings = list(access_warnings(variable, path, is_private=variable in private))
        except OSError as error:
            warnings = [f"{variable}: who can change {path} is not known: {error.strerror}"]
        yield from (Finding("warning", warning) for warning in warnings)


def check_logs(settings: Settings) -> Iterator[Finding]:
    """The folder of the logs: whether it can be written, by others, and whether it has room."""
    folder = settings.log_folder
    if folder is None:
        yield Finding("ok", "logs go to standard output")
        return
    exists = folder.is_dir()
    places = (folder.absolute(), *folder.absolute().parents)
    place = next(parent for parent in places if parent.is_dir())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("FAILED", f"LOG_DIR: {folder} cannot be written")
        return
    if exists and folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Finding("warning", f"LOG_DIR: other users can write {folder}: chmod 700")
    free = shutil.disk_usage(place).free
    needed = _LOGS * settings.log_max_bytes * (settings.log_backup_count + 1)
    sizes = f"{free // _MEGABYTE} MB free, all logs together take up to {needed // _MEGABYTE} MB"
    yield Finding("ok" if free > needed else "warning", f"LOG_DIR: {folder}, {sizes}")


def check_open_files(settings: Settings) -> Iterator[Finding]:
    """A stream takes two sockets: the client's and the vendor's."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * settings.max_streams + _SPARE_FILES
    text = f"open files: {limit} are allowed, MAX_STREAMS={settings.max_streams} takes {needed}"
    yield Finding("ok" if limit >= needed else "warning", text)


def check_clock(now: float) -> Iterator[Finding]:
    """A machine whose clock is behind refuses certificates, and dates its logs wrongly."""
    newest = Path(__file__).stat().st_mtime
    if now < newest:
        days = (newest - now) / 86_400
        yield Finding("FAILED", f"the clock is {days:.1f} days behind the time of these files")
    else:
        utc = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
        yield Finding("ok", f"the clock: {utc} UTC")


async def ask_vendors(settings: Settings) -> list[Finding]:
    """Whether each configured model exists for its key, by the vendor's free call."""
    if settings.demo_mode:
        return [Finding("warning", "demo mode: there is no vendor to ask")]
    factory = ProviderFactory(settings.providers)
    try:
        await factory.warm()
        return [finding async for finding in _ask_models(factory)]
    finally:
        await factory.aclose()


async def _ask_models(factory: ProviderFactory) -> AsyncIterator[Finding]:
    for name, provider in factory.built.items():
        for model in provider.settings.chain:
            try:
                is_known = await provider.health_check(model)
            except GatewayError as error:
                reason = f" ({error.reason})" if error.reason else ""
                yield Finding("FAILED", f"{name}: {model}: {error.code}{reason}")
            else:
                found = "answers" if is_known else "cannot be checked: there is no free call"
                yield Finding("ok" if is_known else "warning", f"{name}: {model} {found}")
