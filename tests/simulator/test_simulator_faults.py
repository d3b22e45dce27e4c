"""The simulator's faults are what their names say, on every vendor's wire, before content and after it."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from simulator import WIRES, ResponsesWire, Simulator, Wire
from simulator.endpoints import ENDPOINTS, certified_context
from simulator.faults import ANSWER, DELTAS_BEFORE, FAULTS, UNREAD_BODY, fault_behaviour
from tests.clients.plain_http import make_client
from tests.fault_matrix.cells import load_cases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
WIRES_BY_NAME: dict[str, type[Wire]] = {**WIRES, "responses": ResponsesWire}
STEPS_LOOKED_AT = 2000  # of a plan: more than any answer has, and an end for those that have none
QUESTION = {"messages": [{"role": "user", "content": "What was it?"}]}
QUESTION["input"] = QUESTION["messages"]
AFTER = [str(case["fault"]) for case in load_cases() if case["phase"] == "after"]


def bytes_of(model: str, provider: str) -> bytes:
    """What a model sends, as far as it is looked at."""
    behaviour = fault_behaviour(model)
    assert behaviour
    plan = behaviour.plan(WIRES_BY_NAME[provider](model, QUESTION))
    return b"".join(step.data for step in itertools.islice(plan.steps, STEPS_LOOKED_AT))


@pytest.mark.parametrize("provider", WIRES_BY_NAME)
def test_every_fault_has_its_bytes_on_every_wire(provider: str) -> None:
    """In both phases, and twice alike but for what counts; only silence and a broken connection have none."""
    silent = {"silence", "close", "reset-at-once", "unread-body"}
    for phase in ("", "@after"):
        assert {name for name in FAULTS if not bytes_of(f"fault-{name}{phase}", provider)} == silent


@pytest.mark.parametrize("provider", WIRES_BY_NAME)
def test_fault_after_content_comes_after_three_deltas(provider: str) -> None:
    """Before it comes none of the answer; after it three deltas, and never the fourth."""
    deltas = [delta.strip().encode() for delta in ANSWER]
    for name in set(AFTER):
        before, after = (
            bytes_of(f"fault-{name}", provider),
            bytes_of(f"fault-{name}@after", provider),
        )
        assert [delta in after for delta in deltas] == [True] * DELTAS_BEFORE + [
            False
        ] * DELTAS_BEFORE, name
        assert not any(delta in before for delta in deltas), name


@pytest.mark.parametrize(
    "model", ["fault-stall", "fault-stall@before", "fault-stall@after", "fault-stall@after~9b"]
)
def test_fault_is_found_by_a_models_name(model: str) -> None:
    """With its phase, and whatever a model has for itself after a tilde."""
    assert fault_behaviour(model)


@pytest.mark.parametrize(
    "model", ["stall", "fault-", "fault-unheard-of", "fault-stall@later", "my-fault-stall", ""]
)
def test_other_names_are_no_fault(model: str) -> None:
    """A model that names none has none."""
    assert fault_behaviour(model) is None


def test_flapping_fails_about_half_of_the_calls() -> None:
    """By a chance that every run repeats."""
    answers = [bytes_of("fault-flapping", "gpt").startswith(b"HTTP/1.1 200") for _ in range(200)]
    assert 70 < sum(answers) < 130


async def test_unread_body_is_left_unread() -> None:
    """The call is noted by its beginning; the rest of the body is left unread."""
    body = json.dumps({"model": f"{UNREAD_BODY}~1", **QUESTION, "more": "x" * 20_000_000}).encode()
    head = f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with Simulator() as simulator:
        _, writer = await asyncio.open_connection(HOST, simulator.port)
        writer.write(head + body)
        call = await simulator.wait_for_call()
        assert (call.provider, call.model, call.body) == ("gpt", f"{UNREAD_BODY}~1", None)
        assert writer.transport.get_write_buffer_size() > len(body) / 2
        writer.transport.abort()
        assert await simulator.wait_closed(call, 10)


# Addresses


async def shake_hands(url: str, context: ssl.SSLContext) -> None:
    """One TLS handshake with the address, at most half a second long."""
    async with asyncio.timeout(0.5):
        _, writer = await asyncio.open_connection(HOST, int(url.rpartition(":")[2]), ssl=context)
    writer.close()


async def test_refused_address_accepts_no_connection() -> None:
    """A connection is refused."""
    async with ENDPOINTS["refused"](HOST, 0) as url:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, int(url.rpartition(":")[2]))


async def test_silent_handshake_does_not_end() -> None:
    """The connection is made, and TLS is not."""
    async with ENDPOINTS["tls-silence"](HOST, 0) as url:
        with pytest.raises(TimeoutError):
            await shake_hands(url, ssl.create_default_context())


@pytest.mark.parametrize(
    "name", [name for name in ENDPOINTS if name.startswith("tls-") and name != "tls-silence"]
)
async def test_bad_certificate_is_refused(name: str) -> None:
    """A client that checks certificates goes away."""
    async with ENDPOINTS[name](HOST, 0) as url:
        with pytest.raises(ssl.SSLCertVerificationError):
            await shake_hands(url, ssl.create_default_context())


@asynccontextmanager
async def trusted(name: str, days: int, folder: Path) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """An address whose certificate's signer is trusted by the client's context."""
    authority = folder / "authority.pem"
    server_context = certified_context(name, days, authority)
    async with await asyncio.start_server(
        lambda _, writer: writer.close(), HOST, 0, ssl=server_context
    ) as server:
        yield (
            f"https://{HOST}:{server.sockets[0].getsockname()[1]}",
            ssl.create_default_context(cafile=str(authority)),
        )


@pytest.mark.parametrize(
    ("name", "days", "words"),
    [(HOST, -1, "expired"), ("elsewhere.invalid", 1, "mismatch|not valid for")],
)
async def test_certificate_is_bad_for_its_own_reason(
    name: str, days: int, words: str, tmp_path: Path
) -> None:
    """To a client that trusts the signer, the expired one is expired, and the other is another host's."""
    async with trusted(name, days, tmp_path) as (url, context):
        with pytest.raises(ssl.SSLCertVerificationError, match=words):
            await shake_hands(url, context)


async def test_good_certificate_is_taken(tmp_path: Path) -> None:
    """What is wrong with the bad ones is nothing else."""
    async with trusted(HOST, 1, tmp_path) as (url, context):
        await shake_hands(url, context)


# By hand


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "--port", "0", *arguments),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize(("fault", "answers"), [("503", 503), ("html-200", 200), ("refused", None)])
async def test_every_model_has_the_fault_that_is_asked_for_by_hand(
    fault: str, answers: int | None
) -> None:
    """`--fault` gives it to whatever model is asked, or to the address."""
    process = await start("--fault", fault)
    assert process.stdout
    try:
        await asyncio.wait_for(process.stdout.readline(), 20)  # a comment says what the lines are
        first = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        url = first.strip().partition("=")[2]
        assert await ask(url) == answers
    finally:
        process.terminate()
        await process.communicate()


async def ask(url: str) -> int | None:
    """The status of an answer; None if the connection is refused."""
    body: dict[str, Any] = {"model": "any", **QUESTION}
    async with make_client() as client:
        try:
            return (await client.post(f"{url}/chat/completions", json=body)).status_code
        except httpx.ConnectError:
            return None


async def test_unknown_fault_is_refused_by_hand() -> None:
    """With a sentence, and status 2."""
    process = await start("--fault", "unheard-of")
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert b"--fault" in complaint
