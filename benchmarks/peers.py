"""Other gateways in front of the simulator's OpenAI API: `make bench-peers`.

Each runs as its users run it, with one worker.
"""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.contenders import ANY_LLM, LITELLM, PORTKEY, Contender
from benchmarks.load import Target
from benchmarks.processes import Process, free_port, started

_PEERS = Path(__file__).parents[1] / ".peers"
_KEY = "sk-benchmark-key"
_HEADERS = (f"Authorization: Bearer {_KEY}",)
_PATH = "/v1/chat/completions"
_ANY_LLM_LIMIT = 12  # it has 15 database connections, one a stream, and hangs at the 16th
_PORTKEY = _PEERS / PORTKEY / "node_modules/@portkey-ai/gateway"

_LITELLM_CONFIGURATION = """
model_list:
  - model_name: "*"
    litellm_params:
      model: openai/*
      api_base: http://127.0.0.1:{vendor_port}/openai/v1
      api_key: benchmark-key
"""
_ANY_LLM_CONFIGURATION = """
providers:
  openai:
    api_base: http://127.0.0.1:{vendor_port}/openai/v1
    api_key: benchmark-key
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another gateway: its installation, its version, how it is started, when it is ready."""

    name: str
    folder: Path
    distribution: str
    start: Callable[[int, Path], AbstractContextManager[Contender]]
    ready_path: str

    @property
    def is_installed(self) -> bool:
        """Whether `make bench-peers` could install it."""
        return (self.folder / "made").exists()

    @property
    def why_not(self) -> str:
        """The last line of an installation that failed."""
        log = self.folder.with_suffix(".log")
        return (
            (log.read_text().strip().splitlines() or [""])[-1]
            if log.exists()
            else "`make bench-peers` was not run"
        )

    @property
    def version(self) -> str:
        """The version of its package."""
        if self.name == PORTKEY:
            return str(json.loads((_PORTKEY / "package.json").read_text())["version"])
        return next(
            found.version
            for found in distributions(name=self.distribution, path=[str(self.packages)])
        )

    @property
    def packages(self) -> Path:
        """The folder of its dependencies."""
        if self.name == PORTKEY:
            return self.folder / "node_modules"
        return next((self.folder / "lib").glob("python3*")) / "site-packages"


@contextmanager
def _start_litellm(vendor_port: int, folder: Path) -> Iterator[Contender]:
    port, configuration = free_port(), folder / "litellm.yaml"
    configuration.write_text(_LITELLM_CONFIGURATION.format(vendor_port=vendor_port))
    options = [
        "--config",
        str(configuration),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    # Its table of prices is the one that it ships: without a network, three attempts to load
    # another one would delay its start.
    variables = {"LITELLM_MASTER_KEY": _KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [str(_PEERS / LITELLM / "bin/litellm"), *options]
    with started(command, port, variables, folder=folder) as process:
        yield _speaking_openai(LITELLM, process)


@contextmanager
def _start_any_llm(vendor_port: int, folder: Path) -> Iterator[Contender]:
    folder = Path(tempfile.mkdtemp(dir=folder))  # its database is in it
    port, configuration = free_port(), folder / "any_llm.yaml"
    configuration.write_text(_ANY_LLM_CONFIGURATION.format(vendor_port=vendor_port))
    command = [
        str(_PEERS / ANY_LLM / "bin/any-llm-gateway"),
        "serve",
        "--config",
        str(configuration),
    ]
    command += ["--host", "127.0.0.1", "--port", str(port), "--master-key", _KEY, "--workers", "1"]
    with started(command, port, {}, folder=folder) as process:
        headers = {"Authorization": f"Bearer {_KEY}", "Content-Type": "application/json"}
        user = json.dumps({"user_id": "benchmark"}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/users", user, headers)
        urllib.request.urlopen(request, timeout=10).close()
        yield Contender(
            ANY_LLM,
            process,
            lambda model: replace(
                Target.vendor(ANY_LLM, port, _PATH, f"openai:{model}", user="benchmark"),
                headers=_HEADERS,
            ),
            is_slow=True,
            limit=_ANY_LLM_LIMIT,
        )


@contextmanager
def _start_portkey(vendor_port: int, folder: Path) -> Iterator[Contender]:
    port = free_port()
    command = ["node", str(_PORTKEY / "build/start-server.js"), f"--port={port}"]
    headers = (
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: http://127.0.0.1:{vendor_port}/openai/v1",
    )
    with started(command, port, {}, folder=folder) as process:
        yield replace(_speaking_openai(PORTKEY, process, *headers), is_slow=False)


def _speaking_openai(name: str, process: Process, *headers: str) -> Contender:
    def target(model: str) -> Target:
        return replace(
            Target.vendor(name, process.port, _PATH, model), headers=(*_HEADERS, *headers)
        )

    return Contender(name, process, target, is_slow=True)


PEERS = (
    Peer(PORTKEY, _PEERS / PORTKEY, "@portkey-ai/gateway", _start_portkey, "/"),
    Peer(LITELLM, _PEERS / LITELLM, "litellm", _start_litellm, "/health/liveliness"),
    Peer(ANY_LLM, _PEERS / ANY_LLM, "any-llm-sdk", _start_any_llm, "/health"),
)


def dependencies_mb(packages: Path, names: set[str] | None = None) -> float:
    """The size of an environment's packages, or of those named, in MB, without bytecode."""
    if packages.name == "node_modules":
        return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) / 1e6
    found = [
        part
        for part in distributions(path=[str(packages)])
        if names is None or _normal(part.name) in names
    ]
    files = [
        Path(str(file.locate()))
        for part in found
        if part.name != "pip"
        for file in part.files or ()
    ]
    return (
        sum(path.stat().st_size for path in files if path.suffix != ".pyc" and path.is_file()) / 1e6
    )


def our_dependencies_mb() -> float:
    """The size of the packages of `requirements.lock`, as they are installed here."""
    lock = (Path(__file__).parents[1] / "requirements.lock").read_text().splitlines()
    names = {
        _normal(line.partition("==")[0])
        for line in lock
        if "==" in line and not line.startswith((" ", "#"))
    }
    return dependencies_mb(
        next(Path(place) for place in sys.path if place.endswith("site-packages")), names
    )


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
