"""One id for a request's whole life: from the client, through every log line, to the vendor and back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from configuration import VALID_PROVIDERS
from simulator import WIRES, Behaviour, Error, Scripted, Silence
from tests.gateways.log_files import messages, read_log
from tests.gateways.scripted import answer, scripted_gateway
from tests.vendors.simulated_vendor import QUESTION, simulated_vendor

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

CHATS = 50
FATES: list[Behaviour] = [
    Scripted(("Hello", " there"), pace=0.02),
    Error(400),
    Scripted(("Hel",), pace=0.01, then="cut"),
    Error(500),
    Scripted(("Hello",), first=0.05),
]
"""What happens to the chats in turn: an answer, a refusal, a break, a fallback, a slow answer."""


def request_id(number: int) -> str:
    return f"request-{number:02d}-of-a-test"


def find_lines(folder: Path, word: str) -> dict[str, list[Any]]:
    """`grep word logs/*.log`: the lines by the name of their log."""
    return {
        file.stem: [json.loads(line) for line in file.read_text().splitlines() if word in line]
        for file in folder.glob("*.log")
    }


async def ask(client: httpx.AsyncClient, number: int) -> httpx.Response:
    """A chat that differs from the others in everything."""
    return await client.post(
        "/chat/gpt",
        json={
            "messages": [{"role": "user", "content": f"question {number:02d}"}],
            "conversation_id": f"conversation-{number:02d}",
            "stream": number % 5 > 0,
        },
        headers={"X-Request-ID": request_id(number)},
    )


async def test_fifty_chats_at_once_keep_their_ids_apart(tmp_path: Path) -> None:
    """Each line of each chat has its own id, first to last, the final record after the response too."""
    async with simulated_vendor(tmp_path, "gpt") as vendor:
        vendor.simulator.behaviours["luna"] = FATES * CHATS
        vendor.simulator.behaviours["nova"] = Scripted(("Hello",))
        responses = await asyncio.gather(*(ask(vendor.client, number) for number in range(CHATS)))
        await vendor.gateway.settle()
    assert [response.headers["x-request-id"] for response in responses] == [
        request_id(n) for n in range(CHATS)
    ]
    assert Counter(response.status_code for response in responses)[200] >= CHATS / 2
    for number in range(CHATS):
        check_life(find_lines(tmp_path, request_id(number)), number)
    strangers = [line for line in read_log(tmp_path, "debug") if line["request_id"] == "-"]
    assert {line["logger"] for line in strangers} <= {"gateway", "uvicorn.error"}


def check_life(found: dict[str, list[Any]], number: int) -> None:
    """What grep finds by one id is one chat, whole, and nothing of another."""
    for line in [line for lines in found.values() for line in lines]:
        assert line["request_id"] == request_id(number), line
        assert line["conversation_id"] == f"conversation-{number:02d}", line
    counts = Counter(messages(found["app"]))
    assert (counts["chat started"], counts["chat finished"]) == (1, 1)
    assert messages(found["app"])[0] == "chat started"
    (conversation,) = found["conversation"]
    assert conversation["context"]["query"] == f"question {number:02d}"
    (record,) = [line["context"] for line in found["app"] if line["message"] == "chat finished"]
    opened = [line for line in found["debug"] if line["message"] == "vendor stream opened"]
    assert opened or record["first_content_ms"] is None
    assert all(line["context"]["vendor_request_id"].startswith("req_simulated") for line in opened)


async def test_record_of_a_client_that_left_has_its_id(tmp_path: Path) -> None:
    """What is logged after the client has left is still found by the id."""
    async with simulated_vendor(tmp_path, "gpt") as vendor:
        vendor.simulator.behaviours["luna"] = Silence("content", after=1)
        await asyncio.gather(*(leave_midway(vendor.client, number) for number in range(10)))
        await vendor.gateway.settle()
    for number in range(10):
        found = find_lines(tmp_path, request_id(number))
        check_life(found, number)
        assert found["conversation"][0]["context"]["outcome"] == "client_gone"


async def leave_midway(client: httpx.AsyncClient, number: int) -> None:
    body = {
        "messages": [{"role": "user", "content": f"question {number:02d}"}],
        "conversation_id": f"conversation-{number:02d}",
    }
    headers = {"X-Request-ID": request_id(number)}
    async with client.stream("POST", "/chat/gpt", json=body, headers=headers) as response:
        await anext(response.aiter_bytes())


async def test_every_event_that_names_a_request_names_this_one(tmp_path: Path) -> None:
    """The start of a stream, its error, and a whole answer have the id of the response's header."""
    async with scripted_gateway(tmp_path) as gateway:
        headers = {"X-Request-ID": "r-1"}
        gateway.gpt.enqueue(*answer("Hello")[:1], RuntimeError())
        streamed = await gateway.chat(headers=headers)
        gateway.gpt.enqueue(*answer("Hello"))
        whole = await gateway.chat(headers=headers, stream=False)
    start, *_, error = (
        json.loads(block[6:]) for block in streamed.text.split("\n\n") if block.startswith("data: ")
    )
    assert (
        start["request_id"] == error["error"]["request_id"] == whole.json()["request_id"] == "r-1"
    )


async def test_request_without_an_id_is_found_by_the_one_it_got(tmp_path: Path) -> None:
    """The id that the gateway made is in the header, and finds the same lines."""
    async with scripted_gateway(tmp_path) as gateway:
        gateway.gpt.enqueue(*answer("Hello"))
        response = await gateway.chat()
        await gateway.running.settle()
    found = find_lines(tmp_path, response.headers["x-request-id"])
    assert messages(found["app"]) == ["chat started", "chat finished"]
    assert len(found["conversation"]) == 1


@pytest.mark.parametrize("provider", sorted(set(VALID_PROVIDERS) & set(WIRES)))
async def test_vendor_gets_the_id_and_its_own_is_logged_beside_it(
    tmp_path: Path, provider: str
) -> None:
    """Both sides of a complaint to a vendor: our id in its log, its id in ours."""
    async with simulated_vendor(tmp_path, provider) as vendor:
        vendor.simulator.behaviours["luna"] = Scripted(("Hello",))
        await vendor.client.post(
            f"/chat/{provider}", json=QUESTION, headers={"X-Request-ID": "r-1"}
        )
        await vendor.gateway.settle()
        (call,) = vendor.simulator.calls
    (opened,) = [
        line for line in read_log(tmp_path, "debug") if line["message"] == "vendor stream opened"
    ]
    assert call.headers["x-request-id"] == opened["request_id"] == "r-1"
    assert opened["context"]["provider"] == provider
    assert opened["context"]["vendor_request_id"].startswith("req_simulated")


async def test_vendors_own_id_of_a_refused_request_is_logged(tmp_path: Path) -> None:
    """A vendor that refuses a request is asked about it by the id it gave."""
    async with simulated_vendor(tmp_path, "gpt") as vendor:
        vendor.simulator.behaviours["luna"] = Error(400, {"x-request-id": "req_of_the_vendor"})
        await vendor.client.post("/chat/gpt", json=QUESTION, headers={"X-Request-ID": "r-1"})
        await vendor.gateway.settle()
    assert "req_of_the_vendor" in json.dumps(find_lines(tmp_path, "r-1"))
