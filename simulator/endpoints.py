"""Faults of an address, which come before any model is named: nobody listens, or TLS goes wrong.

The certificates are made at run time and are worth nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


@asynccontextmanager
async def _refused(host: str, port: int) -> AsyncIterator[str]:
    with socket.socket() as bound:  # bound, and so nobody else's; not listening
        bound.bind((host, port))
        yield f"http://{host}:{bound.getsockname()[1]}"


@asynccontextmanager
async def _deaf(host: str, port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Takes connections, and answers nothing but TLS, where it has a certificate."""
    connections: set[_DeafConnection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _DeafConnection(connections), host, port, ssl=context)
    try:
        yield f"https://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(connections):
            connection.abort()
        await server.wait_closed()


class _DeafConnection(asyncio.Protocol):
    """Drops what it is sent."""

    def __init__(self, connections: set[_DeafConnection]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.abort = cast(asyncio.Transport, transport).abort
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)


def _badly_certified(
    host: str, port: int, *, name: str | None = None, days: int = 1
) -> AbstractAsyncContextManager[str]:
    return _deaf(host, port, certified_context(name or host, days))


def certified_context(name: str, days: int, authority: Path | None = None) -> ssl.SSLContext:
    """A server's TLS with a certificate for a name or address, signed by itself, that ends in so many days.

    The certificate is left in the file `authority`, for a client that is to trust it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(name, datetime.now(UTC) + days * _DAY, key).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder) / "chain.pem"
        chain.write_bytes(certificate + secret)
        context.load_cert_chain(chain)
    if authority:
        authority.write_bytes(certificate)
    return context


def _sign(name: str, until: datetime, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    itself = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated vendor")])
    return (
        x509.CertificateBuilder()
        .subject_name(itself)
        .issuer_name(itself)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - 30 * _DAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


ENDPOINTS: dict[str, Callable[[str, int], AbstractAsyncContextManager[str]]] = {
    "refused": _refused,
    "tls-unknown-issuer": _badly_certified,
    "tls-expired": partial(_badly_certified, days=-1),
    "tls-wrong-host": partial(_badly_certified, name="elsewhere.invalid"),
    "tls-silence": _deaf,
}
"""By name: given a host and a port (0: any), the address with the fault, for as long as the block runs."""
