"""`python -m resilience.prober PORT`: asks /health each 20 ms until its input ends.

Then it prints the delays. It runs in a separate process, so that neither the load's loop nor the
gateway's delays it. Its own delay shows whether the machine made an answer late.
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
_TIMEOUT_SECONDS = 5.0
_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Probes(msgspec.Struct):
    """The milliseconds of each answer, the prober's own delay each time, and the bad answers."""

    answered_ms: list[float] = []
    own_delay_ms: list[float] = []
    bad: list[str] = []


def main() -> None:
    """Probe until the input ends, and print what was measured."""
    address, probes, over = ("127.0.0.1", int(sys.argv[1])), Probes(), threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    due = time.perf_counter()
    while not over.is_set():
        began = time.perf_counter()
        try:
            with socket.create_connection(address, timeout=_TIMEOUT_SECONDS) as connection:
                connection.sendall(_REQUEST)
                answer = connection.recv(65_536)
        except OSError as error:
            probes.bad.append(type(error).__name__)
        else:
            probes.answered_ms.append(1000 * (time.perf_counter() - began))
            if not answer.startswith(b"HTTP/1.1 200"):
                probes.bad.append(answer[:20].decode("latin-1"))
        due = max(due + _EACH_SECONDS, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
        probes.own_delay_ms.append(1000 * (time.perf_counter() - due))
    sys.stdout.buffer.write(msgspec.json.encode(probes))


@contextmanager
def probing(port: int) -> Iterator[Probes]:
    """Probe during the block. The delays are available after it."""
    probes = Probes()
    command = [sys.executable, "-m", "resilience.prober", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield probes
        output, _ = process.communicate()
    measured = msgspec.json.decode(output, type=Probes)
    probes.answered_ms, probes.own_delay_ms, probes.bad = (
        measured.answered_ms,
        measured.own_delay_ms,
        measured.bad,
    )


if __name__ == "__main__":
    main()
