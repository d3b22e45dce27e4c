"""`python main.py` as users start it: a process of its own, nothing configured but what a test says.

It runs in the test's folder and reads no `.env` of a developer's; its environment has the path alone.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from main import main
from simulator import Scripted, Simulator
from tests.clients.simple_client import join_text, read_events
from tests.gateways.served import groq_at
from tests.vendors.simulated_vendor import QUESTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAIN = Path(__file__).parents[2] / "main.py"
VENDORS = ("gpt", "claude", "gemini", "groq")
STARTING_SECONDS = 60  # on a busy machine
STOPPING_SECONDS = 20
SECRET = "sk-a-secret-of-the-test"


@dataclass(frozen=True)
class Served:
    """A gateway that is being served, and a client of it."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    folder: Path

    def chat(self, provider: str, **headers: str) -> httpx.Response:
        """The whole response to a chat."""
        return self.client.post(f"/chat/{provider}", json=QUESTION, headers=headers)

    def stop(self, number: signal.Signals) -> int:
        """Send the signal; the exit status. Raises TimeoutExpired."""
        self.process.send_signal(number)
        return self.process.wait(STOPPING_SECONDS)

    @property
    def console(self) -> str:
        """What it has said on stdout and stderr."""
        return (self.folder / "console").read_text()

    def log_lines(self, name: str = "app") -> list[dict[str, Any]]:
        """A log's lines, each one JSON object; none if nothing was logged."""
        path = self.folder / "logs" / f"{name}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def environment(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """The path, the folder of the logs, and the variables; what coverage needs to count a process."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "PATH" or name.startswith("COVERAGE_")
    }
    return kept | {"LOG_DIR": str(folder / "logs"), "ENV_FILE": os.devnull} | variables


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def run(folder: Path, *arguments: str, **variables: str) -> Ended:
    """The command line in a process, to its end."""
    command = [sys.executable, str(MAIN), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, variables),
        capture_output=True,
        text=True,
        timeout=STARTING_SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """The command line in this process, which takes a hundredth of the time; for what ends before it serves."""

    def run(*arguments: str, **variables: str) -> Ended:
        capsys.readouterr()
        chosen = environment(tmp_path, variables)
        for name in os.environ.keys() - chosen:
            monkeypatch.delenv(name)
        for name, value in chosen.items():
            monkeypatch.setenv(name, value)
        status = main(list(arguments))
        return Ended(status, *capsys.readouterr())

    return run


def find_free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Served]:
    """`python main.py` from its readiness on; killed if the test leaves it running."""
    port = find_free_port()
    env = environment(
        folder, {"PORT": str(port), "DRAIN_GRACE_SECONDS": "0"} | variables
    )  # no balancer is waiting
    with (folder / "console").open("wb") as console:
        process = subprocess.Popen(
            [sys.executable, str(MAIN)], cwd=folder, env=env, stdout=console, stderr=console
        )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30
        ) as client:
            served = Served(process, client, folder)
            wait_until_ready(served)
            yield served
    finally:
        process.kill()
        process.wait()


def wait_until_ready(served: Served) -> None:
    """Until it takes requests; fails with its output if it ends before, or takes too long."""
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and served.process.poll() is None:
        with suppress(httpx.TransportError):
            if served.client.get("/health").status_code == 200:
                return
        time.sleep(0.05)
    pytest.fail(f"it does not serve: {served.console}")


@pytest.fixture(scope="module")
def vendor() -> Iterator[dict[str, str]]:
    """The variables for `groq` at a simulator that says hello."""
    with start_blocking_portal() as portal:
        simulator = Simulator(default=Scripted(("Hello",)))
        with portal.wrap_async_context_manager(simulator):
            yield {name.upper(): value for name, value in groq_at(simulator).items()}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway for which nothing is configured."""
    with serving(tmp_path_factory.mktemp("demo")) as served:
        yield served


@pytest.fixture(scope="module")
def demo_answers(demo: Served) -> dict[str, httpx.Response]:
    """The answers of all four, requested at once: each comes at a reader's pace."""
    with ThreadPoolExecutor(len(VENDORS)) as pool:
        return dict(zip(VENDORS, pool.map(demo.chat, VENDORS), strict=True))


@pytest.mark.parametrize("provider", VENDORS)
def test_unconfigured_gateway_answers_by_demo(
    demo_answers: dict[str, httpx.Response], provider: str
) -> None:
    """Each of the four providers streams a whole answer, and says in start and header that it is simulated."""
    response = demo_answers[provider]
    start, *deltas, end, done = read_events(response.text)
    assert response.status_code == 200
    assert (start["type"], end["type"], done) == ("start", "end", "[DONE]")
    assert (start["demo"], response.headers["x-gateway-demo"]) == (True, "true")
    assert "Hello?" in join_text(deltas)
    assert "simulated" in join_text(deltas)
    assert end["finish_reason"] == "stop"
    assert min(end["usage"]["input_tokens"], end["usage"]["output_tokens"]) > 0


def test_health_and_console_say_that_it_is_a_demo(demo: Served) -> None:
    """`/health` says so to programs, the start-up lines to a person."""
    health = demo.client.get("/health").json()
    assert (health["status"], health["demo"]) == ("OK", True)
    assert "DEMO MODE" in demo.console


@pytest.mark.parametrize("provider", VENDORS)
def test_demo_provider_is_healthy(demo: Served, provider: str) -> None:
    """The free check goes to the simulator, too."""
    report = demo.client.get(f"/health/{provider}")
    assert (report.status_code, report.json()["status"]) == (200, "OK")


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/static/style.css", "/static/page.js"]
)
def test_pages_are_served(demo: Served, path: str) -> None:
    """The chat page, the API's pages and the static files, from wherever it was started."""
    response = demo.client.get(path)
    assert response.status_code == 200
    assert response.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_ends_it_well(
    tmp_path: Path, vendor: dict[str, str], number: signal.Signals
) -> None:
    """Within seconds, with status 0, with every chat's record written and no traceback."""
    with serving(tmp_path, **vendor) as served:
        assert read_events(served.chat("groq").text)[-1] == "[DONE]"
        assert served.stop(number) == 0
    assert [
        line["context"]["outcome"]
        for line in served.log_lines()
        if line["message"] == "chat finished"
    ] == ["ok"]
    assert "Traceback" not in served.console
    assert served.log_lines("error") == []


def test_two_workers_share_port_and_logs(tmp_path: Path, vendor: dict[str, str]) -> None:
    """Chats at once are all answered; each leaves one record, on lines that no other worker has torn."""
    chats = 12
    with serving(tmp_path, WORKERS="2", **vendor) as served:
        with ThreadPoolExecutor(chats) as pool:
            answers = list(pool.map(served.chat, ["groq"] * chats))
        assert [read_events(answer.text)[-1] for answer in answers] == ["[DONE]"] * chats
        assert served.stop(signal.SIGTERM) == 0
        with pytest.raises(httpx.ConnectError):
            served.client.get("/health")
    lines = served.log_lines()
    finished = [line for line in lines if line["message"] == "chat finished"]
    assert sorted(line["request_id"] for line in finished) == sorted(
        answer.headers["x-request-id"] for answer in answers
    )
    assert {line["context"]["outcome"] for line in finished} == {"ok"}
    assert sum(" serves " in line["message"] for line in lines) == 2
    assert (
        sum("running on http://127.0.0.1" in line["message"] for line in lines) == 1
    )  # as the parent says
    assert len(served.log_lines("conversation")) == chats


def test_unusable_capability_file_ends_the_start_with_its_reason(
    tmp_path: Path, run_here: Callable[..., Ended]
) -> None:
    """A table that cannot be read must not become no table."""
    ended = run_here(CAPABILITIES_FILE=str(tmp_path / "absent.toml"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "CAPABILITIES_FILE" in ended.stderr
    assert "cannot be read" in ended.stderr


def test_wrong_configuration_is_reported_whole(tmp_path: Path) -> None:
    """One report of everything that is wrong, a line each, without a value; status 2, and nothing is served."""
    wrong = {
        "PORT": "http",
        "OPENAI_API_KEY": f"{SECRET} x",
        "OPENAI_TEMPERATURE": "9",
        "LOG_LEVEL": "loud",
    }
    ended = run(tmp_path, **wrong)
    first, *findings = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout, first) == (2, "", "The configuration is wrong:")
    assert sorted(finding.split(":")[0].strip() for finding in findings) == sorted(wrong)
    assert SECRET not in ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_open_gateway_is_refused(run_here: Callable[..., Ended], host: str) -> None:
    """Beyond loopback without gateway keys: the refusal names both ways out."""
    ended = run_here(HOST=host, OPENAI_API_KEY=SECRET)
    assert ended.returncode == 2
    assert "GATEWAY_API_KEYS" in ended.stderr
    assert "ALLOW_ANONYMOUS" in ended.stderr


@pytest.mark.parametrize("variable", ["OPENAI_API_KEI", "OPENAI_APIKEY", "GROK_API_KEY"])
def test_mistyped_variable_serves_no_demo_to_the_public(
    run_here: Callable[..., Ended], variable: str
) -> None:
    """Beyond loopback a gateway that knows no vendor's key refuses to start, and names what it looked for."""
    ended = run_here(HOST="0.0.0.0", ALLOW_ANONYMOUS="true", **{variable: SECRET})
    assert ended.returncode == 2
    assert "OPENAI_API_KEY" in ended.stderr
    assert "GROQ_API_KEY" in ended.stderr
    assert f"{variable} is no variable of the gateway; was" in ended.stderr
    assert SECRET not in ended.stderr


def test_demo_is_refused_beyond_loopback(run_here: Callable[..., Ended]) -> None:
    """Even if it is asked for."""
    ended = run_here(HOST="0.0.0.0", ALLOW_ANONYMOUS="true", DEMO="on")
    assert ended.returncode == 2
    assert "DEMO" in ended.stderr


def test_new_key_opens_the_gateway(
    tmp_path: Path, vendor: dict[str, str], run_here: Callable[..., Ended]
) -> None:
    """`keys new` prints a key and its entry; with the entry in `.env` that key, and no other, is accepted."""
    made = run_here("keys", "new", "phone")
    assert made.returncode == 0
    key, entry = (line.rpartition(" ")[2] for line in made.stdout.splitlines()[:2])
    assert re.fullmatch("GATEWAY_API_KEYS=phone:[0-9a-f]{64}", entry)
    (tmp_path / ".env").write_text(entry)
    with serving(tmp_path, ENV_FILE=".env", **vendor) as served:
        assert served.chat("groq").status_code == 401
        assert served.chat("groq", Authorization=f"Bearer {key}x").status_code == 401
        assert served.chat("groq", Authorization=f"Bearer {key}").status_code == 200
        assert served.stop(signal.SIGTERM) == 0
    assert key not in served.console + str(served.log_lines("debug"))


def test_row_of_a_model_is_printed(run_here: Callable[..., Ended]) -> None:
    """Whatever is configured; a model that no row is about is reported with what to ask for."""
    shown = run_here("model", "gpt-6-luna")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith('[gpt."gpt-6-luna"]')
    unknown = run_here("model", "no-such-model")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "local/no-such-model" in unknown.stderr


def test_key_of_a_bad_name_is_refused(run_here: Callable[..., Ended]) -> None:
    """A name that fits no entry is reported in a sentence."""
    ended = run_here("keys", "new", "no name")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "NAME" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_port_of_another_gateway_is_reported(
    tmp_path: Path, vendor: dict[str, str], run_here: Callable[..., Ended]
) -> None:
    """Its workers share the port among themselves, and with no other gateway, whether that has workers or none."""
    with serving(tmp_path, WORKERS="2", **vendor) as served:
        port = str(served.client.base_url.port)
        others = [run_here(WORKERS=workers, PORT=port, **vendor) for workers in ("1", "2")]
        assert served.client.get("/health").status_code == 200
    for ended in others:
        assert ended.returncode == 3
        assert "address already in use" in ended.stderr.lower()
        assert "Traceback" not in ended.stderr
