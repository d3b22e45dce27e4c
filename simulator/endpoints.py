"""Faults of an address, before any request: connections are refused, or TLS fails.

The certificates are generated at run time.
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
    with socket.socket() as bound:  # reserves the port, but does not listen
        bound.bind((host, port))
        yield f"http://{host}:{bound.getsockname()[1]}"


@asynccontextmanager
async def _silent(
    host: str, port: int, context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Accepts connections and never responds, apart from a TLS handshake if `context` is given."""
    connections: set[_SilentConnection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _SilentConnection(connections), host, port, ssl=context
    )
    try:
        yield f"https://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(connections):
            connection.abort()
        await server.wait_closed()


class _SilentConnection(asyncio.Protocol):
    """Ignores everything that it receives."""

    def __init__(self, connections: set[_SilentConnection]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.abort = cast(asyncio.Transport, transport).abort
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)


def _badly_certified(
    host: str, port: int, *, name: str | None = None, days: int = 1
) -> AbstractAsyncContextManager[str]:
    return _silent(host, port, certified_context(name or host, days))


def certified_context(name: str, days: int, authority: Path | None = None) -> ssl.SSLContext:
    """A server's TLS context with a self-signed certificate for a name or address.

    The certificate expires in `days` days.

    The certificate is also written to the file `authority`, for clients that should trust it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(name, datetime.now(UTC) + days * _DAY, key).public_bytes(
        serialization.Encoding.PEM
    )
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
    subject: x509.GeneralName
    try:
        subject = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    itself = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated vendor")])
    return (
        x509.CertificateBuilder()
        .subject_name(itself)
        .issuer_name(itself)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - 30 * _DAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


ENDPOINTS: dict[str, Callable[[str, int], AbstractAsyncContextManager[str]]] = {
    "refused": _refused,
    "tls-unknown-issuer": _badly_certified,
    "tls-expired": partial(_badly_certified, days=-1),
    "tls-wrong-host": partial(_badly_certified, name="elsewhere.invalid"),
    "tls-silence": _silent,
}
"""By name: a context manager that serves the faulty address.

It gets a host and a port (0: any), and returns the URL.
"""
