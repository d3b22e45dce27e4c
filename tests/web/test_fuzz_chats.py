"""Whole chats through the running gateway: any text there and back; any bytes as a head, and the next one served."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from models import Text
from tests.clients.simple_client import join_text, read_events
from tests.fuzzing import fuzzed
from tests.gateways.scripted import ScriptedGateway, answer, scripted_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRICKY = st.sampled_from(
    [
        "\n\ndata: [DONE]\n\n",
        "\r\n",
        "\u2028",
        "\x85",
        "\0",
        '"}',
        "\\u0000",
        "\U0001f600",
        "\ufeff",
    ]
)
TEXTS = st.lists(st.text(max_size=10) | TRICKY, max_size=8).map("".join)
CLEAN_ID = re.compile("[A-Za-z0-9._-]{1,128}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedGateway]:
    """One for all examples."""
    async with scripted_gateway(tmp_path_factory.mktemp("logs")) as running:
        yield running


def asked_texts(gateway: ScriptedGateway) -> str:
    """All the text that the provider was given by the newest chat."""
    prompt = gateway.gpt.history[-1].prompt
    return prompt.system + "".join(
        part.text for turn in prompt.turns for part in turn.parts if isinstance(part, Text)
    )


@fuzzed
@given(
    question=TEXTS.filter(str.strip), deltas=st.lists(TEXTS, max_size=6), is_stream=st.booleans()
)
async def test_any_text_arrives_unchanged_in_both_directions(
    gateway: ScriptedGateway, question: str, deltas: list[str], is_stream: bool
) -> None:
    """The provider has the client's text to the last character, and the client the provider's, in both wires."""
    gateway.gpt.enqueue(*answer(*deltas))
    response = await gateway.chat(
        messages=[{"role": "user", "content": question}], stream=is_stream
    )
    assert response.status_code == 200
    assert question in asked_texts(gateway)
    said = join_text(read_events(response.text)) if is_stream else response.json()["content"]
    assert said == "".join(deltas)


async def send(gateway: ScriptedGateway, sent: bytes, *, is_all: bool = False) -> bytes:
    """All that comes back for these bytes, until the connection's end; `is_all`: the client says that it has done."""
    reader, writer = await asyncio.open_connection(gateway.running.host, gateway.running.port)
    writer.write(sent)
    if is_all:
        writer.write_eof()
    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return said


NO_LINE_ENDS = st.binary(max_size=40).map(
    lambda value: value.replace(b"\r", b"").replace(b"\n", b"")
)


@fuzzed
@given(value=NO_LINE_ENDS, others=st.lists(NO_LINE_ENDS, max_size=2))
async def test_any_request_id_leaves_one_clean_one(
    gateway: ScriptedGateway, value: bytes, others: list[bytes]
) -> None:
    """Whatever bytes a header has: one id comes back that fits in a log line, the client's own if it does."""
    lines = b"".join(b"X-Request-ID: %b\r\n" % each for each in (value, *others))
    said = await send(
        gateway, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n" % lines
    )
    found: list[Any] = re.findall(rb"(?im)^x-request-id: (.*)\r$", said)
    if said.startswith(b"HTTP/1.1 400"):
        return  # no HTTP
    (request_id,) = found
    assert CLEAN_ID.fullmatch(request_id.decode())
    if not others and CLEAN_ID.fullmatch(value.decode("latin-1")):
        assert request_id == value


@fuzzed
@given(head=st.binary(max_size=60), ending=st.sampled_from([b"", b"\r\n\r\n", b"\n\n"]))
async def test_any_bytes_are_answered_or_closed(
    gateway: ScriptedGateway, head: bytes, ending: bytes
) -> None:
    """Bytes that are not HTTP get a 4xx, and the next client is served."""
    said = await send(gateway, head + ending, is_all=True)
    assert re.match(rb"HTTP/1\.1 [24]\d\d ", said) or not said
    assert (await gateway.client.get("/health")).status_code == 200
