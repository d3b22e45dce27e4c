"""Normalises host names and origins of web pages, so that they can be compared."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

_LONGEST_ADDRESS = 100  # characters, with an interface's name
_AUTHORITY = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d*)?|([^:@/\[\]]*)(?::\d*)?")
_DEFAULT_PORT = re.compile(r"(?<=^http)(://.*):80$|(?<=^https)(://.*):443$")


def host_name(authority: str) -> str:
    """The host of `host`, `host:port` or `[address]:port`.

    It is in lower case, without brackets, port and a final dot. An IP address is returned in its
    shortest form, and an invalid authority unchanged.
    """
    match = _AUTHORITY.fullmatch(authority)
    if not match:
        return authority
    name = (match[1] or match[2]).lower().removesuffix(".")
    address = parse_address(name)
    return str(address) if address else name


def parse_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse an IP address; an IPv4-mapped IPv6 address becomes IPv4. Returns None for a name."""
    return _parse(name) if len(name) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=256)  # each request has the same few
def _parse(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=1024)
def client_network(address: str) -> str:
    """What a client is counted by: its address, of IPv6 the /64 network, which one usually owns.

    The address of a UNIX socket, or one that a proxy made up, is returned unchanged.
    """
    parsed = parse_address(address.partition("%")[0])
    if parsed is None:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False) if parsed.version == 6 else parsed)


def is_loopback(name: str) -> bool:
    """Whether a name or address always means this machine.

    `localhost` does: DNS cannot give it another address.
    """
    address = parse_address(name)
    if address:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


def is_in_networks(name: str, networks: Iterable[str]) -> bool:
    """Whether a name is an address in one of the networks, which may be single addresses."""
    address = parse_address(name)
    return address is not None and any(
        address in ipaddress.ip_network(network) for network in networks
    )


def is_one_word(name: str) -> bool:
    """Whether a name has no dot, as is usual for containers and local networks."""
    return "." not in name and ":" not in name


def normalise_origin(origin: str) -> str:
    """The origin in lower case, without the port if it is the scheme's default."""
    return _DEFAULT_PORT.sub(r"\1\2", origin.lower())
