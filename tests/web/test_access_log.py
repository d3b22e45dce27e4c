"""The client in each log line of a request, the audit log, and how many lines unknown clients may cause."""

from __future__ import annotations

import asyncio
import json
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from logging_config import logger
from settings.new_keys import new_key
from telemetry.log_line import Client, client_context
from tests.clients.raw_client import connect
from tests.gateways.log_files import logs_in, messages, read_log
from tests.gateways.scripted import answer, scripted_gateway, silence
from web.stranger_lines import StrangerLines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateways.scripted import ScriptedGateway

NAME = "team-a"
KEY, SHA256 = new_key(NAME)
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
BODY = {"messages": [{"role": "user", "content": "Hello?"}]}
FLOOD = 500


@asynccontextmanager
async def keyed_gateway(folder: Path, **options: Any) -> AsyncIterator[ScriptedGateway]:
    """A gateway with one gateway key."""
    keys = ({"name": NAME, "sha256": SHA256},)
    async with scripted_gateway(folder, gateway_api_keys=keys, **options) as gateway:
        yield gateway


def audited(folder: Path) -> list[dict[str, Any]]:
    """The uses of guarded routes: their clients and what they did."""
    lines = [line for line in read_log(folder, "audit") if line["message"] == "access"]
    return [
        {"client": line["client"], "address": line["address"], **line["context"]} for line in lines
    ]


async def test_every_line_of_a_chat_has_its_client(tmp_path: Path) -> None:
    """The gateway key's name and the address, from the opening line to the final record; never the key."""
    async with keyed_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hello"))
        assert (await gateway.chat(headers={**WITH_KEY, "X-Request-ID": "r-1"})).status_code == 200
        await gateway.running.settle()
        lines = [line for line in read_log(tmp_path, "debug") if line["request_id"] == "r-1"]
        lines += read_log(tmp_path, "conversation")
    assert {"chat started", "chat finished", "conversation"} <= set(messages(lines))
    assert {(line["client"], line["address"]) for line in lines} == {("team-a", "127.0.0.1")}
    (record,) = [line["context"] for line in lines if line["message"] == "chat finished"]
    assert (record["door"], record["client"]) == ("native", "team-a")
    assert KEY not in json.dumps(
        [*read_log(tmp_path, "debug"), *read_log(tmp_path, "audit"), *lines]
    )


async def test_line_of_a_client_without_a_key_has_its_address(tmp_path: Path) -> None:
    """Its name is null."""
    async with keyed_gateway(tmp_path) as gateway:
        await gateway.chat()
        (line,) = [
            line for line in read_log(tmp_path) if line["message"] == "answered with an error"
        ]
    assert (line["client"], line["address"], line["context"]["code"]) == (
        None,
        "127.0.0.1",
        "unauthorized",
    )


def test_console_names_the_client(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After the request's id."""
    client = client_context.set(Client("192.0.2.7", "team-a"))
    with logs_in(tmp_path):
        logger.info("seen")
    client_context.reset(client)
    assert capsys.readouterr().err.endswith("[-] team-a@192.0.2.7 seen\n")


async def test_address_is_the_one_that_a_trusted_proxy_says(tmp_path: Path) -> None:
    """Addresses from other clients are not believed."""
    for proxies, address in ((["127.0.0.1"], "192.0.2.9"), ([], "127.0.0.1")):
        folder = tmp_path / address
        options: dict[str, Any] = {"trusted_proxies": proxies}
        async with keyed_gateway(folder, **options) as gateway:
            await gateway.chat(headers={"X-Forwarded-For": "192.0.2.9"})
            assert [line["address"] for line in audited(folder)] == [address]


ACCESSES: dict[str, tuple[str, str, dict[str, str], dict[str, Any]]] = {
    "a chat": (
        "POST",
        "/chat/gpt",
        WITH_KEY,
        {"outcome": "accepted", "provider": "gpt", "status": 200, "code": None},
    ),
    "x-api-key": (
        "POST",
        "/chat/gpt",
        {"X-API-Key": KEY},
        {"outcome": "accepted", "provider": "gpt", "status": 200},
    ),
    "no key": (
        "POST",
        "/chat/gpt",
        {},
        {"outcome": "refused", "status": 401, "code": "unauthorized"},
    ),
    "a wrong key": (
        "POST",
        "/chat/gpt",
        {"Authorization": f"Bearer {KEY}x"},
        {"outcome": "refused", "status": 401, "code": "unauthorized"},
    ),
    "an unknown provider": (
        "POST",
        "/chat/unknown",
        WITH_KEY,
        {"outcome": "accepted", "provider": "unknown", "status": 404, "code": "unknown_provider"},
    ),
    "a bad body": (
        "POST",
        "/chat/gpt?bad",
        WITH_KEY,
        {"outcome": "accepted", "status": 422, "code": "invalid_request"},
    ),
    "another site's page": (
        "POST",
        "/chat/gpt",
        {**WITH_KEY, "Origin": "https://other.example"},
        {"outcome": "refused", "status": 403, "code": "forbidden_origin"},
    ),
    "a deep health check": (
        "GET",
        "/health/gpt?deep=true",
        {"Authorization": "Bearer guessed"},
        {"outcome": "refused", "status": 401, "path": "/health/gpt"},
    ),
}


@pytest.mark.parametrize(("method", "path", "headers", "expected"), ACCESSES.values(), ids=ACCESSES)
async def test_use_of_a_guarded_route_is_in_the_audit_log(
    tmp_path: Path, method: str, path: str, headers: dict[str, str], expected: dict[str, Any]
) -> None:
    """Its client, its action and its result; in this log only."""
    async with keyed_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hello"))
        body = {} if "bad" in path else BODY
        await gateway.client.request(method, path, json=body, headers=headers)
        await gateway.running.settle()
        (access,) = audited(tmp_path)
    is_known = expected["outcome"] == "accepted"
    whole = {
        "client": "team-a" if is_known else None,
        "address": "127.0.0.1",
        "method": method,
        **expected,
    }
    assert whole.items() <= access.items()
    assert not any(line["message"] == "access" for line in read_log(tmp_path, "debug"))


async def test_refused_host_is_in_the_audit_log(tmp_path: Path) -> None:
    """A name that is rebound to this machine."""
    async with scripted_gateway(tmp_path) as gateway:
        response = await gateway.chat(headers={"Host": "rebound.example"})
        (access,) = audited(tmp_path)
    assert (access["outcome"], access["status"]) == ("refused", response.status_code)
    assert access["code"] == "forbidden_host"


async def test_unguarded_requests_are_not_in_the_audit_log(tmp_path: Path) -> None:
    """The page, health and what is not there cost no line of it."""
    async with keyed_gateway(tmp_path) as gateway:
        for path in ("/", "/health", "/health/live", "/health/gpt", "/nowhere"):
            await gateway.client.get(path)
        assert audited(tmp_path) == []


async def test_client_that_left_before_the_answer_is_in_the_audit_log(tmp_path: Path) -> None:
    """Without a status."""
    async with keyed_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(silence)
        request = asyncio.create_task(gateway.chat(headers=WITH_KEY))
        async with asyncio.timeout(10):
            await gateway.gpt.silent.wait()
        request.cancel()
        await asyncio.wait([request])
        await gateway.running.settle()
        (access,) = audited(tmp_path)
    assert (access["client"], access["status"]) == ("team-a", None)


async def test_start_and_stop_are_in_the_audit_log(tmp_path: Path) -> None:
    """With the process; the file is its owner's alone."""
    async with keyed_gateway(tmp_path):
        pass
    lines = read_log(tmp_path, "audit")
    assert messages(lines) == ["gateway started", "gateway stopped"]
    assert len({line["context"]["process"] for line in lines}) == 1
    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "path", ["/" + "x" * 7_000, "/chat/" + "%E2%80%AE" * 700, "/health/" + "y" * 7_000]
)
async def test_long_path_is_cut(tmp_path: Path, path: str) -> None:
    """In every log; its length is still there."""
    async with keyed_gateway(tmp_path) as gateway:
        await gateway.client.post(path, headers=WITH_KEY, json=BODY)
        lines = read_log(tmp_path, "debug") + read_log(tmp_path, "audit")
    (context,) = [line["context"] for line in lines if line["message"] == "answered with an error"]
    assert len(context["path"]) < 240
    assert "… (cut: " in context["path"]
    assert max(len(json.dumps(line)) for line in lines) < 4_000


def make_flood(kind: str) -> list[tuple[str, str, dict[str, str]]]:
    """Requests of one kind that cost a line each."""
    long = "x" * 2_000
    floods: dict[str, list[tuple[str, str, dict[str, str]]]] = {
        "paths": [("GET", f"/{long}/{number}", {}) for number in range(FLOOD)],
        "keys": [
            ("POST", "/chat/gpt", {"X-API-Key": f"guess-{number}"}) for number in range(FLOOD)
        ],
        "methods": [("PUT", "/chat/gpt", {}) for _ in range(FLOOD)],
        "origins": [
            ("POST", "/chat/gpt", {"Origin": f"https://{number}.example"})
            for number in range(FLOOD)
        ],
    }
    return floods[kind]


@pytest.mark.parametrize("kind", ["paths", "keys", "methods", "origins"])
async def test_unknown_client_cannot_fill_the_logs(tmp_path: Path, kind: str) -> None:
    """Some lines of a flood from one address are written, and the number of the rest; keys have no such limit."""
    async with keyed_gateway(tmp_path) as gateway:
        for method, path, headers in make_flood(kind):
            await gateway.client.request(method, path, headers=headers)
        gateway.gpt.enqueue(*answer("Hello"))
        await gateway.chat(headers=WITH_KEY)
        await gateway.client.post("/chat/unknown", json=BODY, headers=WITH_KEY)
        await gateway.running.settle()
    lines = read_log(tmp_path, "debug")
    errors = [line for line in lines if line["message"] == "answered with an error"]
    left_out = [line["context"]["lines"] for line in lines if "left out" in line["message"]]
    assert 20 < len(errors) < 100
    assert len(errors) - 1 + sum(left_out) == FLOOD
    assert errors[-1]["client"] == "team-a"
    assert [access["outcome"] for access in audited(tmp_path)].count("refused") <= len(errors)
    assert [access["outcome"] for access in audited(tmp_path)].count("accepted") == 2


async def test_flood_of_invalid_requests_cannot_fill_the_logs(tmp_path: Path) -> None:
    """Refused before any app: bounded likewise, with the address."""
    async with scripted_gateway(tmp_path) as gateway:
        for _ in range(100):
            async with connect(gateway.running) as client:
                await client.send(b"\x16\x03\x01 no request\r\n\r\n")
                await client.read_to_end()
        lines = [line for line in read_log(tmp_path) if "HTTP request" in line["message"]]
    assert 20 <= len(lines) < 60
    assert {line["address"] for line in lines} == {"127.0.0.1"}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


async def test_rate_of_lines_is_bounded_by_address_and_in_all() -> None:
    """Twenty at once and one a second of an address; a hundred at once and ten a second of all."""
    clock = Clock()
    lines = StrangerLines(clock)
    assert sum(lines.allow("192.0.2.1") for _ in range(100)) == 20
    clock.now += 5
    assert sum(lines.allow("192.0.2.1") for _ in range(100)) == 5
    clock.now += 1_000
    assert sum(lines.allow(f"192.0.2.{number % 250}") for number in range(1_000)) == 100
    clock.now += 3
    assert sum(lines.allow(f"198.51.100.{number % 250}") for number in range(1_000)) == 30
    lines.close()


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        (None, None, True),
        ("unix", "other", False),
    ],
)
async def test_addresses_of_one_client_are_one(
    first: str | None, second: str | None, is_one: bool
) -> None:
    """A client with a network of IPv6 addresses has no more lines than one with a single address."""
    lines = StrangerLines(Clock())
    assert sum(lines.allow(first) for _ in range(20)) == 20
    assert lines.allow(second) is not is_one
    lines.close()


async def test_number_of_left_out_lines_is_written_after_a_while(tmp_path: Path) -> None:
    """It names no request and no client, though one of them caused it."""
    with logs_in(tmp_path):
        client = client_context.set(Client("192.0.2.1"))
        lines = StrangerLines(Clock(), summary_seconds=0.01)
        allowed = sum(lines.allow("192.0.2.1") for _ in range(25))
        client_context.reset(client)
        async with asyncio.timeout(10):
            while not (logged := read_log(tmp_path)):  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)
    assert allowed == 20
    assert (logged[0]["context"], "address" in logged[0]) == ({"lines": 5}, False)
