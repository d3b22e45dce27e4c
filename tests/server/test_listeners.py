"""The sockets of several workers: one for each slot, on a port that no other process can take."""

from __future__ import annotations

import os
import resource
import socket
import sys
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import uvicorn

from server.listeners import Listeners

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 64
FEWEST = 4  # of so many, if two slots share them by chance: less comes once in 10^14 times

LINUX = sys.platform == "linux"
linux_alone = pytest.mark.skipif(not LINUX, reason="elsewhere all workers share one socket")


@contextmanager
def listening(
    workers: int = 2, host: str = "127.0.0.1", port: int = 0, *, separate: bool = LINUX
) -> Iterator[Listeners]:
    """What a gateway of so many workers listens with; closed at the end, as the process's end would."""
    config = uvicorn.Config("main:load_app", host=host, port=port, workers=workers, log_config=None)
    listeners = Listeners(config, separate=separate)
    try:
        yield listeners
    finally:
        for place in range(len(listeners)):
            listeners[place].close()


def port_of(listeners: Listeners) -> int:
    return int(listeners[0].getsockname()[1])


def count_by_place(listeners: Listeners) -> list[int]:
    """The slots at which clients that connect at once wait; all of them are gone at the end."""
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection(listeners[0].getsockname()[:2]))
        counted = [listeners.count_waiting(place) for place in range(len(listeners))]
        for place, waiting in enumerate(counted):
            for _ in range(waiting):
                stack.enter_context(listeners[place].accept()[0])
    return counted


def has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@linux_alone
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6")),
    ],
)
def test_clients_are_distributed_over_the_slots(host: str) -> None:
    """At whichever port the system gave, for both families of addresses, before any connection is accepted."""
    with listening(host=host) as listeners:
        counted = count_by_place(listeners)
    assert sum(counted) == CLIENTS
    assert min(counted) >= FEWEST


@linux_alone
def test_clients_go_to_the_chosen_slots_only() -> None:
    """To each of them; if none is chosen, to any."""
    with listening(workers=4) as listeners:
        listeners.choose([1, 3])
        first, second, third, fourth = count_by_place(listeners)
        assert (first, third, second + fourth) == (0, 0, CLIENTS)
        assert min(second, fourth) >= FEWEST
        listeners.choose([])
        assert sum(waiting > 0 for waiting in count_by_place(listeners)) > 2


@linux_alone
def test_slot_is_added_and_removed() -> None:
    """One that was added gets no client before it is chosen; one that was removed gets none any more."""
    with listening() as listeners:
        listeners.choose([0, 1])
        listeners.add()
        *old, new = count_by_place(listeners)
        assert (sum(old), new) == (CLIENTS, 0)
        listeners.choose([2])
        assert count_by_place(listeners) == [0, 0, CLIENTS]
        listeners.remove()
        assert sum(count_by_place(listeners)) == CLIENTS


@linux_alone
def test_closed_slot_leaves_the_clients_to_the_others() -> None:
    """Also if the kernel was to choose it."""
    with listening(workers=3) as listeners:
        listeners.choose([0, 1])
        listeners.close(0)
        for _ in range(CLIENTS):
            socket.create_connection(listeners[1].getsockname()).close()
        assert listeners.count_waiting(1) + listeners.count_waiting(2) == CLIENTS


def test_one_of_two_that_bind_at_the_same_moment_listens() -> None:
    """Both can bind while none listens; the first that listens has the port."""
    with socket.socket() as late:
        late.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        late.bind(("127.0.0.1", 0))
        with listening(port=late.getsockname()[1]), pytest.raises(OSError, match="in use"):
            late.listen()


@linux_alone
def test_all_slots_share_one_socket_if_a_second_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Here for lack of a file descriptor; a log line says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    last = os.dup(0)
    os.close(last)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, hard))
    try:
        with listening(workers=3) as listeners:
            assert (listeners[0] is listeners[2], len(listeners)) == (True, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [record.message for record in caplog.records if record.name == "gateway.web"] == [
        "the workers share one socket: another on its port is refused"
    ]


def test_shared_socket_stays_as_it_is() -> None:
    """Nothing is added, chosen or taken away."""
    with listening(separate=False) as listeners:
        assert (listeners[0] is listeners[1], len(listeners)) == (True, 1)
        for change in (
            listeners.add,
            listeners.remove,
            lambda: listeners.choose([1]),
            lambda: listeners.close(1),
        ):
            change()
        with socket.create_connection(listeners[0].getsockname()):
            assert listeners.count_waiting(1) == 0  # none is late: any worker may accept it
            listeners[2].accept()[0].close()


@pytest.mark.parametrize("workers", [1, 2])
def test_address_of_all_interfaces_takes_both_families(workers: int) -> None:
    """HOST=:: is for IPv4, too, at every place; another IPv6 address is for itself."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with listening(workers, "::") as listeners:
        port = port_of(listeners)
        for host in ("127.0.0.1", "::1") * 8:
            socket.create_connection((host, port), timeout=5).close()
    with listening(workers, "::1") as listeners, pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port_of(listeners)), timeout=5)


def test_url_names_the_address() -> None:
    with listening(1) as listeners:
        assert listeners.url == f"http://127.0.0.1:{port_of(listeners)}"
