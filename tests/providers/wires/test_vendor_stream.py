"""A vendor's open response to batches: the end rule, what is no stream at all, and a close that is sure."""

from __future__ import annotations

import asyncio

import pytest

from models import GatewayError, Text
from providers.wires.decoder import Batch, Decoder
from providers.wires.finish_reasons import Finish
from providers.wires.sse_reader import Frame
from providers.wires.vendor_stream import read_batches
from streams.closing import close_surely
from tests.vendors.scripted_response import EVENT_STREAM, ScriptedResponse

LIMIT = 1000

ANSWER = b"data: Hel\n\ndata: lo\n\n"
FINISH, OTHER, END = b"data: <finish>\n\n", b"data: <other>\n\n", b"data: <end>\n\n"
NONSENSE, OVERLOADED = b"data: <nonsense>\n\n", b"data: <overloaded>\n\n"


class WordsDecoder(Decoder):
    """A made-up wire: each event is a piece of text, but for a few words in angle brackets."""

    def __init__(self, *, ends_at_break: bool = False) -> None:
        super().__init__()
        self._ends_at_break = ends_at_break

    def is_whole_after_break(self) -> bool:
        return self._ends_at_break and self.is_whole()

    def decode(self, frame: Frame, batch: Batch) -> None:
        match frame.data:
            case b"<finish>" | b"<other>":
                self.set_finish(frame.data[1:-1].decode(), None, batch)
            case b"<end>":
                self.take_mark()
            case b"<nonsense>":
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
            case b"<overloaded>":
                raise GatewayError("upstream_unavailable", reason="overloaded")
            case text:
                batch.append(Text(text.decode()))


async def collect(
    response: ScriptedResponse, decoder: Decoder | None = None
) -> tuple[list[Batch], GatewayError | None]:
    """All batches, and the error that ended them."""
    batches: list[Batch] = []
    try:
        async for batch in read_batches(response.open, lambda: decoder or WordsDecoder(), LIMIT):
            batches.append(batch)
    except GatewayError as error:
        return batches, error
    return batches, None


async def read(
    *reads: bytes | Exception, decoder: Decoder | None = None
) -> tuple[str, str | None, str | None]:
    """The text, the finish's own word, and the error's code."""
    batches, error = await collect(ScriptedResponse(*reads), decoder)
    events = [event for batch in batches for event in batch]
    text = "".join(event.text for event in events if isinstance(event, Text))
    finishes = [event.raw_finish_reason or "none" for event in events if isinstance(event, Finish)]
    return text, finishes[-1] if finishes else None, error.code if error else None


async def test_what_came_together_leaves_together() -> None:
    """One read, one batch; a read that completes no event makes none."""
    batches, error = await collect(ScriptedResponse(ANSWER, b"data: !", b"\n\n" + FINISH + END))
    assert error is None
    assert batches == [[Text("Hel"), Text("lo")], [Text("!"), Finish("other", "finish")]]


async def test_other_tasks_run_while_a_large_read_is_decoded() -> None:
    """It is decoded in pieces, so that no vendor holds the loop with many small events."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    batches, error = await collect(ScriptedResponse(b"\r\n" * 2**17 + ANSWER + FINISH + END))
    counting.cancel()
    assert error is None
    assert batches[-1][:2] == [Text("Hel"), Text("lo")]
    assert turns >= 8


async def test_finish_stands_last_in_its_batch() -> None:
    """Text of the same read that follows a finish comes before it in the batch."""
    batches, _ = await collect(ScriptedResponse(FINISH + ANSWER))
    assert batches == [[Text("Hel"), Text("lo"), Finish("other", "finish", follows_content=False)]]


ENDINGS: dict[str, tuple[list[bytes | Exception], tuple[str, str | None, str | None]]] = {
    "end mark": ([ANSWER, FINISH, END], ("Hello", "finish", None)),
    "end mark without a finish reason": ([ANSWER, END], ("Hello", None, "upstream_truncated")),
    "end mark alone": ([END], ("", None, "upstream_truncated")),
    "all in one read": ([ANSWER + FINISH + END], ("Hello", "finish", None)),
    "no text at all": ([FINISH, END], ("", "finish", None)),
    "EOF after the finish reason": ([ANSWER, FINISH], ("Hello", "finish", None)),
    "last event without its blank line": ([ANSWER, b"data: <finish>"], ("Hello", "finish", None)),
    "text after the finish reason": ([FINISH, ANSWER], ("Hello", "finish", None)),
    "text after the end mark is nothing": (
        [ANSWER, FINISH + END + b"data: more\n\n"],
        ("Hello", "finish", None),
    ),
    "nonsense after the end mark is nothing": (
        [ANSWER, FINISH + END + NONSENSE],
        ("Hello", "finish", None),
    ),
    "error after the end mark is nothing": (
        [ANSWER, FINISH + END + OVERLOADED],
        ("Hello", "finish", None),
    ),
    "socket fails after the end mark": (
        [ANSWER, FINISH + END, ConnectionResetError()],
        ("Hello", "finish", None),
    ),
    "socket fails after the finish reason": (
        [ANSWER, FINISH, ConnectionResetError()],
        ("Hello", "finish", "upstream_unavailable"),
    ),
    "a finish reason that is none without content": (
        [OTHER, END],
        ("", "other", "upstream_truncated"),
    ),
    "the same with content": ([ANSWER, OTHER, END], ("Hello", "other", None)),
    "half an event after the finish reason": (
        [ANSWER, FINISH, b"data: <nonsense>"],
        ("Hello", "finish", None),
    ),
    "half an event after text after the finish reason": (
        [FINISH, ANSWER, b"data: <nonsense>"],
        ("Hello", "finish", "upstream_truncated"),
    ),
    "the same in one read": (
        [FINISH + ANSWER + b"data: <nonsense>"],
        ("Hello", "finish", "upstream_truncated"),
    ),
    "half an event after text between finish reasons": (
        [FINISH + ANSWER, FINISH, b"data: <nonsense>"],
        ("Hello", "finish", None),
    ),
    "half an event": ([ANSWER, b"data: <nonsense>"], ("Hello", None, "upstream_truncated")),
    "clean EOF without an end": ([ANSWER], ("Hello", None, "upstream_truncated")),
    "EOF within an event": ([ANSWER, b"data: x"], ("Hellox", None, "upstream_truncated")),
    "EOF before any event": ([b": ping\n\n"], ("", None, "upstream_bad_response")),
    "socket fails": ([ANSWER, ConnectionResetError()], ("Hello", None, "upstream_unavailable")),
    "socket fails at once": ([ConnectionResetError()], ("", None, "upstream_unavailable")),
    "error first": ([OVERLOADED], ("", None, "upstream_unavailable")),
    "error in mid-stream": ([ANSWER, OVERLOADED, FINISH], ("Hello", None, "upstream_unavailable")),
    "text before an error of the same read": (
        [ANSWER + OVERLOADED],
        ("Hello", None, "upstream_unavailable"),
    ),
    "error after the finish, before the end": (
        [ANSWER, FINISH, OVERLOADED],
        ("Hello", "finish", "upstream_unavailable"),
    ),
    "nonsense": ([ANSWER, NONSENSE], ("Hello", None, "upstream_bad_event")),
    "event too large": (
        [ANSWER, b"data: ".ljust(LIMIT + 1, b"x")],
        ("Hello", None, "event_too_large"),
    ),
    "empty": ([], ("", None, "upstream_bad_response")),
    "empty reads": ([b"", b""], ("", None, "upstream_bad_response")),
}


@pytest.mark.parametrize(("reads", "outcome"), ENDINGS.values(), ids=ENDINGS)
async def test_ending(
    reads: list[bytes | Exception], outcome: tuple[str, str | None, str | None]
) -> None:
    """The end rule: what is a whole answer, what is a failure, and that no text before it is lost."""
    assert await read(*reads) == outcome


async def test_a_wire_may_be_whole_at_a_break() -> None:
    """On a wire whose finish reason comes after all text, a connection that breaks then takes nothing away."""
    reset = ConnectionResetError()
    result = await read(ANSWER, FINISH, reset, decoder=WordsDecoder(ends_at_break=True))
    assert result == ("Hello", "finish", None)
    result = await read(ANSWER, reset, decoder=WordsDecoder(ends_at_break=True))
    assert result == ("Hello", None, "upstream_unavailable")


async def test_nothing_is_read_after_the_end_mark() -> None:
    """A vendor that keeps its socket open after the end does not keep us."""
    response = ScriptedResponse(ANSWER + FINISH + END, b"data: more\n\n")
    await collect(response)
    assert response.read == 1


async def test_empty_response_says_so() -> None:
    """A 200 without a body: the reason distinguishes it from HTML."""
    _, error = await collect(ScriptedResponse())
    assert error
    assert error.reason == "empty"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/event-stream",
        "text/event-stream; charset=utf-8",
        "text/event-stream;charset=UTF-8",
        "Text/Event-Stream",
    ],
)
async def test_event_stream_is_read(content_type: str) -> None:
    """Whatever its parameters and capitals, an event stream is one."""
    _, error = await collect(ScriptedResponse(FINISH, headers={"content-type": content_type}))
    assert error is None


TYPES: list[dict[str, str]] = [
    {},
    {"content-type": ""},
    {"content-type": "text/html"},
    {"content-type": "text/plain"},
    {"content-type": "application/json; charset=utf-8"},
]


@pytest.mark.parametrize("headers", TYPES)
async def test_events_of_another_content_type_are_read(headers: dict[str, str]) -> None:
    """A body is judged by its bytes: events are events, whatever the header says of them."""
    batches, error = await collect(ScriptedResponse(b"\r\n", ANSWER, FINISH + END, headers=headers))
    assert error is None
    assert batches == [[Text("Hel"), Text("lo")], [Finish("other", "finish")]]


@pytest.mark.parametrize(
    "body",
    [b"<!DOCTYPE html><p>data: Hi\n\n</p>", b"\xef\xbb\xbf\n <html>", b"Bad gateway", b"\n\n"],
)
@pytest.mark.parametrize("headers", TYPES)
async def test_a_page_is_no_answer(headers: dict[str, str], body: bytes) -> None:
    """HTML or prose with status 200 is `upstream_bad_response`, and the log has its content type."""
    batches, error = await collect(ScriptedResponse(body, headers=headers))
    assert batches == []
    assert error
    assert (error.code, error.reason) == ("upstream_bad_response", "content_type")


async def test_a_text_that_says_it_is_a_stream_is_no_answer() -> None:
    _, error = await collect(ScriptedResponse(b"Hi"))
    assert error
    assert (error.code, error.reason) == ("upstream_bad_response", "no_events")


@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "GZIP", " gzip ", "x-gzip"]
)
async def test_compressed_body_is_refused(encoding: str) -> None:
    """We asked for identity; what comes compressed would come in clumps."""
    _, error = await collect(
        ScriptedResponse(FINISH, headers={**EVENT_STREAM, "content-encoding": encoding})
    )
    assert error
    assert (error.code, error.reason) == ("upstream_bad_response", "compressed")


@pytest.mark.parametrize("encoding", ["identity", "identity ", "Identity", "", "none", "utf-8"])
async def test_body_that_is_not_compressed_is_read(encoding: str) -> None:
    """Some servers write other things into Content-Encoding than a compression."""
    _, error = await collect(
        ScriptedResponse(FINISH, headers={**EVENT_STREAM, "content-encoding": encoding})
    )
    assert error is None


@pytest.mark.parametrize("failing", [NONSENSE, OVERLOADED])
async def test_failure_is_not_its_own_cause(failing: bytes) -> None:
    """The causes of an error form no circle."""
    _, error = await collect(ScriptedResponse(failing))
    assert error
    assert error.__cause__ is not error


class Closing:
    """A close that waits until it is let go."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.ended = False

    async def close(self) -> None:
        self.began.set()
        await self.may_end.wait()
        self.ended = True


async def test_cancelled_close_goes_on_to_its_end() -> None:
    """The caller may be cancelled meanwhile; the vendor's connection is still closed."""
    closing = Closing()
    task = asyncio.create_task(close_surely(closing.close()))
    await closing.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    closing.may_end.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert closing.ended


async def test_failing_close_hides_nothing() -> None:
    """A close that fails is noted in the log, and does not take the place of what led to it."""

    async def fail() -> None:
        raise OSError("closed already")

    await close_surely(fail())


async def test_hanging_close_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A close that never ends delays its caller by its timeout at most."""
    monkeypatch.setattr("streams.closing._CLOSE_SECONDS", 0.01)
    closing = Closing()
    await asyncio.wait_for(close_surely(closing.close()), 5)
    assert not closing.ended
