"""Warnings about probable mistakes that do not prevent a start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from urllib.parse import urlsplit

from settings.hosts import is_loopback
from settings.options import ServerOptions
from settings.providers import ProviderRow, VendorOptions
from settings.variables import SourceNotes

Vendor = tuple[ProviderRow, VendorOptions]

_WIDE_IPV4, _WIDE_IPV6 = 4, 8  # bits of a prefix
# A private network that wide; the widest of IPv4 has 8 bits.
_PRIVATE_IPV6 = IPv6Network("fc00::/7")


def source_warnings(notes: SourceNotes) -> Iterator[str]:
    """Warnings about the sources: placeholders, names that are no variables, `.env` itself."""
    if notes.placeholders:
        yield f"placeholders count as unset: {', '.join(notes.placeholders)}"
    yield from misspellings(notes)
    if notes.unknown:
        yield f".env sets what is no variable of the gateway: {', '.join(notes.unknown)}"
    if notes.exposed_file:
        yield (
            f"{notes.exposed_file} has secrets and every user of this machine can read it: "
            "chmod 600"
        )
    if notes.unread_file:
        yield (
            f"{notes.unread_file} is not read: .env belongs beside main.py, "
            "or set ENV_FILE to its path"
        )


def misspellings(notes: SourceNotes) -> Iterator[str]:
    """Names that are similar to a variable's."""
    for name, meant in notes.misspelled:
        yield f"{name} is no variable of the gateway; was {meant} meant?"


def server_warnings(options: ServerOptions) -> Iterator[str]:
    """Warnings about host names that are not checked, and proxies that any client may pose as."""
    if not (options.has_keys or options.checks_hosts):
        yield (
            "anybody may ask, by any host name: set ALLOWED_HOSTS to the names that the gateway has"
        )
    networks = [ip_network(network) for network in options.trusted_proxies]
    four = [network for network in networks if isinstance(network, IPv4Network)]
    six = [network for network in networks if isinstance(network, IPv6Network)]
    # too wide to contain only proxies
    wide_four = [each for each in collapse_addresses(four) if each.prefixlen <= _WIDE_IPV4]
    wide_six = [each for each in collapse_addresses(six) if each.prefixlen <= _WIDE_IPV6]
    wide_six = [each for each in wide_six if not each.subnet_of(_PRIVATE_IPV6)]
    for network in (*wide_four, *wide_six):
        yield f"TRUSTED_PROXIES has all of {network}: any client there may say what its address is"


def key_warnings(vendors: Iterable[Vendor]) -> Iterator[str]:
    """Warnings about keys that go over a network in plain text."""
    for row, vendor in vendors:
        base_url = urlsplit(vendor.base_url or "")
        is_open = base_url.scheme == "http" and not is_loopback(base_url.hostname or "")
        if vendor.api_key and is_open:
            yield (
                f"{row.variable('base_url')} is http://: "
                f"the key in {row.variable('api_key')} goes out unencrypted"
            )


def half_configured_warnings(vendors: Iterable[Vendor]) -> Iterator[str]:
    """Warnings about variables that are set although the one that enables the provider is not."""
    for row, vendor in vendors:
        if getattr(vendor, row.opened_by):
            continue
        options = ("base_url",) if row.opened_by == "api_key" else ("api_key", "model_default")
        for option in options:
            if getattr(vendor, option) not in (None, getattr(row, option, None)):
                yield (
                    f"{row.variable(option)} does nothing without "
                    f"{row.variable(row.opened_by)}, which is unset"
                )
