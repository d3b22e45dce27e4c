"""`python -m resilience.prober PORT`: asks /health each 20 ms until its input ends, then tells the answers' delays.

It has a process of its own, so that neither the load's nor the gateway's loop decides when it asks. An answer that is
late because of the machine is told from one that is late because of the gateway by how late the prober itself was.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

_EACH_SECONDS = 0.02
_PATIENCE_SECONDS = 5.0
_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Probes(msgspec.Struct):
    """Milliseconds of each answer, how late the prober itself was each time, and what was no good answer."""

    answered_ms: list[float] = []
    own_delay_ms: list[float] = []
    bad: list[str] = []


def _probe(port: int, probes: Probes) -> None:
    began = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as connection:
            connection.sendall(_REQUEST)
            answer = connection.recv(65_536)
    except OSError as error:
        probes.bad.append(type(error).__name__)
        return
    probes.answered_ms.append(1000 * (time.perf_counter() - began))
    if not answer.startswith(b"HTTP/1.1 200"):
        probes.bad.append(answer[:20].decode("latin-1"))


def _wait_for_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def _main() -> None:
    port, probes, over = int(sys.argv[1]), Probes(), threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    due = time.perf_counter()
    while not over.is_set():
        _probe(port, probes)
        due = max(due + _EACH_SECONDS, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
        probes.own_delay_ms.append(1000 * (time.perf_counter() - due))
    sys.stdout.buffer.write(msgspec.json.encode(probes))


@contextmanager
def probing(port: int) -> Iterator[Probes]:
    """Probe while the block runs; the delays are there after it."""
    probes = Probes()
    command = [sys.executable, "-m", "resilience.prober", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield probes
        output, _ = process.communicate()
    told = msgspec.json.decode(output, type=Probes)
    probes.answered_ms, probes.own_delay_ms, probes.bad = told.answered_ms, told.own_delay_ms, told.bad


if __name__ == "__main__":
    _main()
