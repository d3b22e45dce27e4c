"""What every test has: no network but loopback, and the folder of recorded vendor streams if there is one.

A refused attempt raises, and fails its test even if the code under test catches the error. Processes
that a test starts are outside of this guard.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import uvloop

import tests.fuzzing  # noqa: F401 - it sets the number of examples
from settings.file_access import access_warnings
from simulator import Demo
from tests.clients.page_browser import open_browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
CORPUS_ABSENT = "the recorded vendor streams are not at ../shared/corpus"

CONNECTING = {"socket.connect", "socket.sendto", "socket.sendmsg"}
LOOKING_UP = {"socket.getaddrinfo", "socket.gethostbyname"}

refused: list[str] = []


class NetworkRefusedError(RuntimeError):
    """A test reached for the network. No OSError: that would pass for a vendor's failure."""


def _parse_address(host: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return None


def _allow_connection(target: Any) -> None:
    if not isinstance(
        target, tuple
    ):  # a Unix socket's path, or None: the socket is connected already
        return
    address = _parse_address(target[0])
    if target[0] != "localhost" and not (address and address.is_loopback):
        _refuse(target[0])


def _allow_lookup(host: Any) -> None:
    if host not in (None, "", "localhost", b"localhost") and not _parse_address(host):
        _refuse(host)


def _refuse(target: Any) -> None:
    refused.append(str(target))
    raise NetworkRefusedError(f"a test may not reach {target}")


def _guard_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    """Judge what the interpreter is about to do; the arguments are those of Python's audit events table."""
    if event in CONNECTING:
        _allow_connection(arguments[1])
    elif event in LOOKING_UP:
        _allow_lookup(arguments[0])


def _guard_uvloop() -> None:
    """uvloop connects and looks up in C, which raises no audit event."""
    connect, look_up = uvloop.Loop.create_connection, uvloop.Loop.getaddrinfo

    async def guarded_connect(
        loop: uvloop.Loop, factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        if host is not None:
            _allow_connection((host, port))
        return await connect(loop, factory, host, port, **options)

    async def guarded_look_up(loop: uvloop.Loop, host: Any, port: Any, **options: Any) -> Any:
        _allow_lookup(host)
        return await look_up(loop, host, port, **options)

    uvloop.Loop.create_connection = guarded_connect  # type: ignore[method-assign, assignment]
    uvloop.Loop.getaddrinfo = guarded_look_up  # type: ignore[method-assign, assignment]


sys.addaudithook(_guard_sockets)
_guard_uvloop()


@pytest.fixture(autouse=True)
def network_refused() -> Iterator[list[str]]:
    """The hosts that this test was refused; what it leaves in the list fails it."""
    refused.clear()
    yield refused
    assert not refused, f"the test reached for {refused}"


@pytest.fixture(autouse=True)
def uvicorn_logging_unchanged() -> Iterator[None]:
    """A `uvicorn.Config` without `log_config=None` detaches uvicorn's loggers from later tests' logs."""
    yield
    server = logging.getLogger("uvicorn")
    assert server.propagate, "the test has configured uvicorn's logging"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a run; each opens a window, and so has a store, of its own."""
    async with open_browser() as opened:
        yield opened


@pytest.fixture
def quick_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demo answers of this process come at once, not at a reader's pace."""
    monkeypatch.setattr("simulator.server.Demo", partial(Demo, pace=0, first=0))


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A test's folder for what other users must not change; skipped below one where they can replace it."""
    for warning in access_warnings("TMPDIR", tmp_path / "absent"):
        pytest.skip(warning)
    return tmp_path


@pytest.fixture
def corpus() -> Path:
    """The folder of recorded vendor streams; a test that uses it is skipped if it is absent."""
    if not CORPUS.is_dir():
        pytest.skip(CORPUS_ABSENT)
    return CORPUS
