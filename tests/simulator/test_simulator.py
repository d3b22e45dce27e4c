"""The simulator speaks the vendors' wires: their SDKs' typed clients understand it, and every byte is as specified."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import groq
import httptools
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai.types import HttpOptions

from simulator import (
    WIRES,
    Demo,
    Error,
    Raw,
    Replay,
    ResponsesWire,
    Scripted,
    Silence,
    Simulator,
    Thought,
    Wire,
    random_cuts,
)
from tests.conftest import CORPUS

WIRES_BY_NAME: dict[str, type[Wire]] = {**WIRES, "responses": ResponsesWire}
PROVIDERS = list(WIRES_BY_NAME)  # `responses`: gpt, too
VENDORS = {
    "gpt": "openai",
    "claude": "anthropic",
    "gemini": "gemini",
    "groq": "groq",
}  # provider: folder of recordings
QUICK = Demo(pace=0, first=0)
QUESTION = "Why is the sky blue, and the sunset red?"


class Answer(NamedTuple):
    """What an SDK's typed client made of a stream."""

    text: str
    reasoning: str
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None


class Received(NamedTuple):
    """What a bare socket received: the body's pieces as they were framed, and whether the message was whole."""

    status: int
    pieces: list[bytes]
    whole: bool
    reset: bool

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


# The vendors' SDKs


@asynccontextmanager
async def connect_sdk(simulator: Simulator, provider: str) -> AsyncIterator[Any]:
    """The SDK's client for a provider, without retries."""
    url = simulator.base_urls["gpt" if provider == "responses" else provider]
    if provider == "gemini":
        async with httpx2.AsyncClient() as http:
            options = HttpOptions(base_url=url, api_version="v1", httpx_async_client=http)
            with genai.Client(api_key="simulated", http_options=options) as gemini:
                yield gemini
        return
    sdk: Any = {"claude": anthropic.AsyncAnthropic, "groq": groq.AsyncGroq}.get(
        provider, openai.AsyncOpenAI
    )
    async with sdk(api_key="simulated", base_url=url, max_retries=0) as client:
        yield client


async def ask_chat_completions(client: Any, model: str, content: Any) -> Answer:
    """OpenAI, Groq, and local servers."""
    options = (
        {} if isinstance(client, groq.AsyncGroq) else {"stream_options": {"include_usage": True}}
    )
    messages = [{"role": "user", "content": content}]
    stream = await client.chat.completions.create(
        model=model, messages=messages, stream=True, **options
    )
    text, reasoning, finish, usage = "", "", None, None
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasoning += (
                getattr(choice.delta, "reasoning", None)
                or getattr(choice.delta, "reasoning_content", "")
                or ""
            )
            finish = choice.finish_reason or finish
        usage = chunk.usage or usage
    return Answer(
        text, reasoning, finish, usage and usage.prompt_tokens, usage and usage.completion_tokens
    )


async def ask_responses(client: Any, model: str, content: Any) -> Answer:
    """OpenAI by the Responses API, with the SDK's helper, which checks the order of the events."""
    asked = [{"role": "user", "content": content}]
    async with client.responses.stream(
        model=model, input=asked, reasoning={"summary": "auto"}
    ) as stream:
        deltas = [event async for event in stream if event.type.endswith("_text.delta")]
        response = await stream.get_final_response()
    texts = [event.delta for event in deltas if event.type == "response.output_text.delta"]
    return Answer(
        "".join(texts),
        "".join(event.delta for event in deltas if "reasoning" in event.type),
        response.status,
        response.usage.input_tokens,
        response.usage.output_tokens,
    )


async def ask_messages(client: Any, model: str, content: Any) -> Answer:
    """Anthropic."""
    messages = [{"role": "user", "content": content}]
    async with client.messages.stream(model=model, max_tokens=100, messages=messages) as stream:
        message = await stream.get_final_message()
    text = "".join(block.text for block in message.content if block.type == "text")
    reasoning = "".join(block.thinking for block in message.content if block.type == "thinking")
    return Answer(
        text,
        reasoning,
        message.stop_reason,
        message.usage.input_tokens,
        message.usage.output_tokens,
    )


async def ask_gemini(client: Any, model: str, content: Any) -> Answer:
    """Gemini."""
    text, reasoning, finish, usage = "", "", None, None
    async for chunk in await client.aio.models.generate_content_stream(
        model=model, contents=content
    ):
        candidate = chunk.candidates[0]
        for part in candidate.content.parts:
            if part.thought:
                reasoning += part.text
            else:
                text += part.text
        finish = candidate.finish_reason.value if candidate.finish_reason else finish
        usage = chunk.usage_metadata
    output = usage and (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return Answer(text, reasoning, finish, usage and usage.prompt_token_count, output)


ASKS: dict[str, Callable[[Any, str, Any], Awaitable[Answer]]] = {
    "responses": ask_responses,
    "claude": ask_messages,
    "gemini": ask_gemini,
}


async def ask(
    simulator: Simulator, provider: str, model: str = "any-model", content: Any = QUESTION
) -> Answer:
    """One streamed answer through the SDK."""
    async with connect_sdk(simulator, provider) as client:
        return await ASKS.get(provider, ask_chat_completions)(client, model, content)


def picture_of(provider: str) -> list[dict[str, Any]]:
    """A question with one image, as each SDK takes it."""
    if provider == "gemini":
        return [
            {
                "parts": [
                    {"text": QUESTION},
                    {"inline_data": {"mime_type": "image/png", "data": b"png"}},
                ],
                "role": "user",
            }
        ]
    if provider == "claude":
        source = {"type": "base64", "media_type": "image/png", "data": "cG5n"}
        return [{"type": "text", "text": QUESTION}, {"type": "image", "source": source}]
    url = "data:image/png;base64,cG5n"
    if provider == "responses":
        part = {"type": "input_image", "image_url": url}
        return [{"type": "input_text", "text": QUESTION}, part]
    image = {"type": "image_url", "image_url": {"url": url}}
    return [{"type": "text", "text": QUESTION}, image]


# A bare socket


class Listener(asyncio.Protocol):
    """A client that keeps the answer's pieces as they are framed."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reads = 0
        self.whole = False
        self.lost = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.reads += 1
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(isinstance(exc, ConnectionResetError))

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        self.whole = True

    async def receive(self) -> Received:
        """Everything until the connection is gone."""
        reset = await asyncio.wait_for(self.lost, 10)
        return Received(self._parser.get_status_code(), self.pieces, self.whole, reset)


def request_for(provider: str, model: str, *, keep_alive: bool = False) -> bytes:
    """A chat request's bytes."""
    wire = WIRES_BY_NAME[provider]
    path = wire.base_path + re.sub(r"\(\?:.*?\)\?", "", wire.chat_path.pattern).replace(
        "(?P<model>.+)", model
    )
    body = json.dumps(
        {
            "model": model,
            "stream": True,
            wire.turns_key: [{"role": "user", wire.parts_key: [{"text": "Hi"}]}],
        }
    ).encode()
    kept = "keep-alive" if keep_alive else "close"
    head = f"POST {path} HTTP/1.1\r\nHost: simulator\r\nConnection: {kept}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def listen(simulator: Simulator, request: bytes) -> Listener:
    """Send a request over a connection of its own."""
    loop = asyncio.get_running_loop()
    _, listener = await loop.create_connection(Listener, "127.0.0.1", simulator.port)
    listener.transport.write(request)
    return listener


async def receive(simulator: Simulator, provider: str = "gpt", model: str = "model") -> Received:
    """The answer to a chat request that asks for the connection to be closed."""
    return await (await listen(simulator, request_for(provider, model))).receive()


async def open_stream(
    simulator: Simulator, provider: str = "gpt", model: str = "model"
) -> asyncio.StreamWriter:
    """Send a chat request without reading the answer. Returns once the simulator has it."""
    calls = len(simulator.calls)
    _, writer = await asyncio.open_connection("127.0.0.1", simulator.port, limit=1024)
    writer.write(request_for(provider, model, keep_alive=True))
    await simulator.wait_for_call(calls + 1)
    return writer


# Healthy answers


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_sdk_reads_a_demo_answer_about_the_question(provider: str) -> None:
    """Each vendor's typed client gives a whole answer that quotes the question and says that it is simulated."""
    async with Simulator(default=QUICK) as simulator:
        answer = await ask(simulator, provider)
    assert QUESTION in answer.text
    assert "simulated" in answer.text
    assert WIRES_BY_NAME[provider].vendor in answer.text
    assert not answer.reasoning
    assert answer.finish_reason in {"stop", "completed", "end_turn", "STOP"}
    assert answer.input_tokens == len(QUESTION.split())
    assert (answer.output_tokens or 0) > 50


@pytest.mark.parametrize("provider", ["responses", "claude", "gemini", "groq", "local"])
async def test_demo_shows_reasoning_if_it_is_asked_for(provider: str) -> None:
    """A question that says `think` gets reasoning beside the text, if the vendor shows any."""
    async with Simulator(default=QUICK) as simulator:
        answer = await ask(simulator, provider, content=f"Think. {QUESTION}")
    assert "this thought is simulated" in answer.reasoning
    assert "this thought" not in answer.text


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_demo_mentions_the_images(provider: str) -> None:
    """An image in the request, in each vendor's form, is counted in the answer."""
    async with Simulator(default=QUICK) as simulator:
        answer = await ask(simulator, provider, content=picture_of(provider))
    assert "and 1 image." in answer.text


@pytest.mark.parametrize("model", ["paced-1200x100000", "burst-1200"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_load_streams_its_count(provider: str, model: str) -> None:
    """`paced-<count>x<rate>` and `burst-<count>` give that many numbered deltas, in order, and the right usage."""
    async with Simulator() as simulator:
        answer = await ask(simulator, provider, model)
    assert answer.text == "".join(f" {number % 1000:03d}" for number in range(1200))
    assert answer.output_tokens == 1200


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_stamped_model_sends_the_time_of_its_writes(provider: str) -> None:
    """`stamped-<count>x<rate>` gives deltas that are the times at which they were written, in microseconds."""
    before = time.monotonic()
    async with Simulator() as simulator:
        answer = await ask(simulator, provider, "stamped-20x1000")
    after = time.monotonic()
    stamps = [
        int(answer.text[start : start + 16]) / 1e6 for start in range(0, len(answer.text), 16)
    ]
    assert len(stamps) == answer.output_tokens == 20
    assert [before, *stamps, after] == sorted([before, *stamps, after])


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_model_check_is_answered_and_costs_nothing(provider: str) -> None:
    """The SDK's free call for a model parses, is counted apart, and costs no token."""
    async with Simulator() as simulator:
        async with connect_sdk(simulator, provider) as client:
            if provider == "gemini":
                card = await client.aio.models.get(model="a-model")
                assert card.name == "models/a-model"
            else:
                card = await client.models.retrieve("maker/a-model")
                assert card.id == "maker/a-model"
        checks = simulator.count_checks(WIRES_BY_NAME[provider].provider)
        assert (simulator.count(), simulator.count_checks(), checks) == (0, 1, 1)
        assert simulator.summary()["input_tokens"] == simulator.summary()["output_tokens"] == 0


async def test_model_check_can_fail() -> None:
    """`check_behaviours` decides over model checks, and `behaviours` does not."""
    async with (
        Simulator(behaviours={"model": Error(500)}) as simulator,
        connect_sdk(simulator, "gpt") as client,
    ):
        await client.models.retrieve("model")
        simulator.check_behaviours["model"] = Error(401)
        with pytest.raises(openai.AuthenticationError):
            await client.models.retrieve("model")


async def test_scripted_pieces_come_as_they_are() -> None:
    """Text and thoughts go into the vendor's wire, bytes onto it as they stand."""
    unknown = b'event: news\ndata: {"type":"news"}\n\n'
    async with Simulator(
        behaviours={"model": Scripted((Thought("Hm"), "A", unknown, "B"))}
    ) as simulator:
        answer = await ask(simulator, "claude", "model")
        received = await receive(simulator, "claude")
    assert (answer.reasoning, answer.text) == ("Hm", "AB")
    assert unknown in received.pieces


async def test_list_gives_one_behaviour_a_call() -> None:
    """The behaviours of a list are taken in turn, the last stays."""
    async with Simulator(
        behaviours={"model": [Error(500), Error(503), Scripted(("A",))]}
    ) as simulator:
        received = [(await receive(simulator)).status for _ in range(4)]
    assert received == [500, 503, 200, 200]


# Recorded bytes


def recordings() -> list[Any]:
    """The first three chat recordings of each vendor, with its provider."""
    folders = [
        (provider, folder)
        for provider, vendor in VENDORS.items()
        for folder in sorted((CORPUS / vendor).glob("*"))[:3]
    ]
    return [pytest.param(*case, id=f"{case[0]}-{case[1].name[:3]}") for case in folders]


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(("provider", "folder"), recordings())
async def test_replay_is_exact_a_byte_at_a_time(provider: str, folder: Path) -> None:
    """Each byte of a recording arrives, in order, each in a chunk and in a write of its own."""
    recorded = (folder / "response.sse").read_bytes()[:4000]
    async with Simulator(behaviours={"model": Replay(recorded, cuts=1)}) as simulator:
        listener = await listen(simulator, request_for(provider, "model"))
        received = await listener.receive()
    assert received.body == recorded
    assert received.whole
    assert {len(piece) for piece in received.pieces} == {1}
    assert listener.reads == len(recorded) + 1


@pytest.mark.parametrize("chunked", [True, False])
async def test_replay_cuts_at_the_offsets(chunked: bool) -> None:
    """The segments are those between the given cuts, with and without chunked encoding."""
    data = "Käse — 🧀".encode()
    cuts = random_cuts(len(data), seed=7, count=4)
    async with Simulator(behaviours={"model": Replay(data, cuts, chunked=chunked)}) as simulator:
        received = await receive(simulator)
    places = [0, *cuts, len(data)]
    assert received.pieces == [data[start:end] for start, end in itertools.pairwise(places)]
    assert cuts == random_cuts(len(data), seed=7, count=4)


ERROR_CLASSES = {
    400: "BadRequest",
    401: "Authentication",
    403: "PermissionDenied",
    404: "NotFound",
    429: "RateLimit",
}


def recorded_errors(*, in_stream: bool) -> list[Any]:
    """The recorded errors with their providers: those with an error status, or those inside a stream."""
    cases = []
    for provider, vendor in VENDORS.items():
        for folder in sorted((CORPUS / "errors" / vendor).glob("*")):
            status = json.loads((folder / "meta.json").read_text())["status"]
            if (status == 200) is in_stream:
                cases.append(
                    pytest.param(provider, folder, status, id=f"{provider}-{folder.name[:7]}")
                )
    return cases


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(("provider", "folder", "status"), recorded_errors(in_stream=False))
async def test_recorded_error_raises_the_sdks_class(
    provider: str, folder: Path, status: int
) -> None:
    """A recorded error is to the SDK what it was when the vendor sent it: class, status and body."""
    async with Simulator(behaviours={"model": Error.recorded(folder)}) as simulator:
        with pytest.raises(
            (
                openai.APIStatusError,
                anthropic.APIStatusError,
                groq.APIStatusError,
                genai_errors.APIError,
            )
        ) as info:
            await ask(simulator, provider, "model")
    raised: Any = info.value
    if provider == "gemini":
        assert raised.code == status
        assert type(raised).__name__ == ("ServerError" if status >= 500 else "ClientError")
    else:
        assert raised.status_code == status
        assert type(raised).__name__.startswith(ERROR_CLASSES.get(status, ""))


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(("provider", "folder", "status"), recorded_errors(in_stream=True))
async def test_recorded_error_in_a_stream_is_replayed(
    provider: str, folder: Path, status: int
) -> None:
    """An error event of a stream comes with status 200, byte for byte."""
    async with Simulator(behaviours={"model": Error.recorded(folder)}) as simulator:
        received = await receive(simulator, provider)
    assert (received.status, received.body) == (status, (folder / "body").read_bytes())


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_named_error_is_the_vendors(provider: str, status: int) -> None:
    """A model called `error-<status>` answers with that status in the vendor's own shape."""
    async with Simulator() as simulator:
        received = await receive(simulator, provider, f"error-{status}")
    error = json.loads(received.body)["error"]
    assert received.status == status
    assert error["message"]
    assert {"gemini": error.get("code"), "claude": status}.get(provider, status) == status


# Endings and silence


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("then", "whole", "reset"),
    [("close", True, False), ("cut", False, False), ("reset", False, True)],
)
async def test_broken_answers_end_as_configured(
    provider: str, then: Any, whole: bool, reset: bool
) -> None:
    """A stream without its end mark ends whole, cut off in mid-message, or by a reset."""
    async with Simulator(
        behaviours={"model": Scripted(("first ", "second"), then=then)}
    ) as simulator:
        received = await receive(simulator, provider)
    assert b"second" in received.body
    assert not any(mark in received.body for mark in (b"[DONE]", b"message_stop", b"finishReason"))
    assert (received.whole, received.reset) == (whole, reset)


@pytest.mark.parametrize(
    ("finish", "reason", "mark"),
    [(True, True, True), ("reason", True, False), (False, False, False)],
)
async def test_finish_decides_over_reason_and_mark(finish: Any, reason: bool, mark: bool) -> None:
    """An answer can end with its reason and its mark, with the reason alone, or with neither."""
    async with Simulator(
        behaviours={"model": Scripted(("text",), finish=finish, then="close")}
    ) as simulator:
        received = await receive(simulator)
    assert (b'"finish_reason":"stop"' in received.body, b"[DONE]" in received.body) == (
        reason,
        mark,
    )


async def test_connection_is_kept_after_a_whole_answer() -> None:
    """Requests that follow each other, sent at once or after an answer, share a connection."""
    async with Simulator(default=QUICK) as simulator:
        two = request_for("gpt", "a", keep_alive=True) + request_for("groq", "b")
        received = await (await listen(simulator, two)).receive()
        assert [call.connection for call in simulator.calls] == [1, 1]
        assert all(call.finished for call in simulator.calls)
    assert received.body.count(b"[DONE]") == 2


@pytest.mark.parametrize(
    "behaviour",
    [
        Silence(),
        Silence("events"),
        Silence("content", heartbeat=0.01),
        Silence(after=3),
        Scripted(("a",), then="hang"),
    ],
)
async def test_client_leaving_is_seen(behaviour: Any) -> None:
    """A held call is open until its client leaves, and then it is closed, unfinished."""
    async with Simulator(behaviours={"model": behaviour}) as simulator:
        writer = await open_stream(simulator)
        call = simulator.calls[0]
        assert not await simulator.wait_closed(call, 0.05)
        writer.close()
        assert await simulator.wait_closed(call)
        assert not call.finished


@pytest.mark.parametrize(
    ("behaviour", "status", "pieces"),
    [(Silence("events"), 200, 0), (Silence("content"), 200, 1), (Silence(after=3), 200, 4)],
)
async def test_silence_comes_where_it_says(behaviour: Any, status: int, pieces: int) -> None:
    """Before the events only headers come; before the content the opening, too; after three deltas, those."""
    async with Simulator(behaviours={"model": behaviour}) as simulator:
        listener = await listen(simulator, request_for("gpt", "model"))
        call = await simulator.wait_for_call()
        assert not await simulator.wait_closed(call, 0.1)
        listener.transport.close()
        received = await listener.receive()
    assert (received.status, len(received.pieces), received.whole) == (status, pieces, False)


async def test_heartbeats_go_on_without_content() -> None:
    """A stream of heartbeats alone has no end."""
    async with Simulator(behaviours={"model": Silence("content", heartbeat=0.005)}) as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(request_for("claude", "model"))
        for _ in range(5):
            received = await asyncio.wait_for(reader.readuntil(b'{"type": "ping"}'), 5)
            assert b"text_delta" not in received
        writer.close()


async def test_raw_bytes_replace_the_answer() -> None:
    """Junk in place of HTTP arrives as it is."""
    async with Simulator(behaviours={"model": Raw(b"\x16\x03\x01 no HTTP")}) as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(request_for("gpt", "model"))
        assert await reader.read() == b"\x16\x03\x01 no HTTP"
        writer.close()


# The server


async def test_calls_remember_the_request() -> None:
    """Provider, model, path, headers, body and tokens of each call can be looked at, and their counts from outside."""
    async with Simulator(default=QUICK) as simulator:
        await ask(simulator, "claude", "a-model")
        await ask(simulator, "groq", "error-less")
        call = simulator.calls[0]
        assert (call.provider, call.model, call.path) == (
            "claude",
            "a-model",
            "/anthropic/v1/messages",
        )
        assert call.headers["content-type"] == "application/json"
        assert call.body["messages"] == [{"role": "user", "content": QUESTION}]
        assert (simulator.count(), simulator.count("groq"), simulator.count("gpt")) == (2, 1, 0)
        counts = json.loads(
            (await (await listen(simulator, b"GET /__calls HTTP/1.0\r\n\r\n")).receive()).body
        )
    assert counts["calls"] == 2
    assert counts["calls_by_provider"]["groq"] == 1
    assert counts["input_tokens"] == call.input_tokens * 2 > 0
    assert counts["open_streams"] == 0


async def test_counts_outlive_the_remembered_calls() -> None:
    """A simulator that runs for long forgets the oldest calls, and counts them still."""
    async with Simulator(default=QUICK, remembered=1) as simulator:
        await receive(simulator, model="first")
        await receive(simulator, model="second")
        assert [call.model for call in simulator.calls] == ["second"]
        assert simulator.count() == 2


async def test_slow_reader_pauses_only_itself() -> None:
    """A client that doesn't read stops its own stream while a longer one goes on to its end; nothing is lost by it."""
    slow, long = Scripted(("x" * 32_768,) * 1000), Scripted(("y",) * 4000)
    async with Simulator(behaviours={"slow": slow, "long": long}) as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port, limit=1024)
        writer.write(request_for("gpt", "slow"))
        call = await simulator.wait_for_call()
        assert (await receive(simulator, "gpt", "long")).body.count(b"y") >= 4000
        assert not call.finished
        received = await asyncio.wait_for(reader.read(), 20)
        assert received.count(b"x" * 32_768) == 1000
        assert call.finished
        writer.close()


async def test_body_in_chunks_is_read() -> None:
    """A request may come without a content length."""
    request = request_for("gpt", "model")
    head, _, body = request.partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    async with Simulator(default=QUICK) as simulator:
        received = await (
            await listen(simulator, head + b"\r\n\r\n" + pieces + b"0\r\n\r\n")
        ).receive()
        assert simulator.calls[0].model == "model"
    assert received.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NOT HTTP\r\n\r\n", 400),
        (b"GET /nowhere HTTP/1.0\r\n\r\n", 404),
        (b"GET /openai/v1/nowhere HTTP/1.0\r\n\r\n", 404),
        (b"POST /openai/v1/chat/completions HTTP/1.0\r\nContent-Length: 5\r\n\r\n{'a':", 400),
        (b"POST /openai/v1/chat/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", 400),
    ],
)
async def test_what_is_no_call_is_refused(request_bytes: bytes, status: int) -> None:
    """Nonsense gets an error status and is no call."""
    async with Simulator() as simulator:
        received = await (await listen(simulator, request_bytes)).receive()
        assert not simulator.calls
    assert received.status == status


async def test_closing_leaves_nothing_behind() -> None:
    """With streams open, the end of the simulator closes their connections and leaves no task."""
    async with Simulator() as simulator:
        writers = [
            await open_stream(simulator, provider, "paced-1000x10") for provider in PROVIDERS
        ]
    assert all(call.closed.is_set() for call in simulator.calls)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    for writer in writers:
        writer.close()
