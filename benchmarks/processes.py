"""The measured processes: starts and stops them, and reads their CPU time and memory.

Linux only: it reads /proc.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import IO

_START_SECONDS = 90.0
_STOP_SECONDS = 60.0  # a gateway waits for its chats
_CPU_CLOCK = 2  # of a whole process, in the low bits of Linux's clock id
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})

_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
worker_rlimit_nofile 16384;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000;
    upstream vendor {{ server 127.0.0.1:{vendor_port}; keepalive 1024; keepalive_requests 100000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://vendor;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"""


class Process:
    """A process and its children, with the port that it listens on."""

    def __init__(self, popen: subprocess.Popen[bytes], port: int) -> None:
        self._popen = popen
        self.port = port

    def send_signal(self, number: int) -> None:
        """Send the process itself a signal."""
        self._popen.send_signal(number)

    def open_files(self) -> int:
        """The open descriptors of the whole tree, including sockets."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())

    def cpu_seconds(self) -> float:
        """CPU time of the whole tree since its start, from the kernel's clock of each process."""
        return sum(self.cpu_by_process().values())

    def cpu_by_process(self) -> dict[int, float]:
        """The same, of each process of the tree."""
        return {pid: time.clock_gettime(~pid << 3 | _CPU_CLOCK) for pid in self.pids()}

    def memory_mb(self) -> float:
        """Resident memory of the whole tree, in MB."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(status.partition("VmRSS:")[2].split()[0]) for status in statuses) / 1024

    def pids(self) -> list[int]:
        """The process, its children, and theirs."""
        pids = [self._popen.pid]
        for pid in pids:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            pids.extend(int(child) for child in children)
        return pids


@contextmanager
def simulator() -> Iterator[Process]:
    """The simulated vendors."""
    port = free_port()
    with started([sys.executable, "-m", "simulator", "--port", str(port)], port, {}) as process:
        yield process


@contextmanager
def gateway(
    vendor_port: int,
    models: Mapping[str, str],
    folder: Path,
    variables: Mapping[str, str] = NO_VARIABLES,
    command: Sequence[str] = ("main.py",),
) -> Iterator[Process]:
    """The gateway as its users run it, with one worker.

    `models` go by the prefix of a provider's variables. `variables` are further ones, and override
    others. The logs and the console's output are in the folder.
    """
    port = int(variables.get("PORT", free_port()))
    paths = {
        "OPENAI": "openai/v1",
        "ANTHROPIC": "anthropic",
        "GEMINI": "gemini",
        "GROQ": "groq",
        "LOCAL": "local/v1",
    }
    chosen = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WORKERS": "1",
        "LOG_DIR": str(folder / "logs"),
    }
    chosen["ENV_FILE"] = os.devnull  # not the .env of this checkout
    for prefix, model in models.items():
        chosen[f"{prefix}_API_KEY"] = "benchmark-key"
        chosen[f"{prefix}_BASE_URL"] = f"http://127.0.0.1:{vendor_port}/{paths[prefix]}"
        chosen[f"{prefix}_MODEL_DEFAULT"] = model
    with (
        (folder / "console").open("ab") as console,
        started([sys.executable, *command], port, chosen | dict(variables), console) as process,
    ):
        _wait_until(partial(_is_ready, port), "the gateway is not ready")
        yield process


def find_nginx() -> str | None:
    """The path of nginx, or None if it is not installed."""
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


@contextmanager
def nginx(vendor_port: int, folder: Path) -> Iterator[Process | None]:
    """nginx as a plain proxy in front of the simulator; None if it is not installed."""
    program = find_nginx()
    if program is None:
        yield None
        return
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, port=port, vendor_port=vendor_port))
    with started([program, "-p", str(folder), "-c", str(configuration)], port, {}) as process:
        yield process


@contextmanager
def started(
    command: Sequence[str],
    port: int,
    variables: Mapping[str, str],
    console: IO[bytes] | None = None,
    folder: Path | None = None,
) -> Iterator[Process]:
    """A process that listens on the port, with these variables. It is stopped by SIGTERM.

    Its working directory is the folder, or ours.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    output = console or subprocess.DEVNULL
    popen = subprocess.Popen(
        command, cwd=folder, env=kept | dict(variables), stdout=output, stderr=output
    )
    try:
        _wait_until(partial(_is_listening, popen, port), f"{command!r} does not listen")
        yield Process(popen, port)
    finally:
        popen.send_signal(signal.SIGTERM)
        try:
            popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass  # it is killed
        finally:
            popen.kill()
            popen.wait()


def _wait_until(is_done: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if is_done():
            return
        time.sleep(0.01)
    raise RuntimeError(f"{problem} after {_START_SECONDS:.0f} s")


def _is_listening(popen: subprocess.Popen[bytes], port: int) -> bool:
    if popen.poll() is not None:
        raise RuntimeError(f"{popen.args!r} ended at once with status {popen.returncode}")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_ready(port: int) -> bool:
    """Whether `/health` answers 200: a gateway listens before it has loaded the vendors' SDKs."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_START_SECONDS)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


def count_processors() -> int:
    """The number of processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
