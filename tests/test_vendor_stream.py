"""A vendor's open response to batches: the end rule, what is no stream at all, and a close that is sure."""

from __future__ import annotations

import asyncio

import pytest

from closing import close_surely
from models import Delta, Finish, GatewayError
from providers.sse_reader import Frame
from providers.vendor_stream import Batch, Decoder, read_batches
from tests.scripted_response import EVENT_STREAM, ScriptedResponse

LIMIT = 1000

ANSWER = b"data: Hel\n\ndata: lo\n\n"
FINISH, SOFT_FINISH, END = b"data: <finish>\n\n", b"data: <soft finish>\n\n", b"data: <end>\n\n"
NONSENSE, OVERLOADED = b"data: <nonsense>\n\n", b"data: <overloaded>\n\n"


class WordsDecoder(Decoder):
    """A made-up wire: each event is a piece of text, but for a few words in angle brackets."""

    def decode(self, frame: Frame, batch: Batch) -> None:
        match frame.data:
            case b"<finish>":
                self.finish = Finish("stop", "fin")
            case b"<soft finish>":
                self.finish = Finish("stop", "soft", sure=False)
            case b"<end>":
                self.finish = self.finish or Finish("other", None)
                self.ended = True
            case b"<nonsense>":
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
            case b"<overloaded>":
                raise GatewayError("upstream_unavailable", reason="overloaded")
            case text:
                batch.append(Delta(text.decode()))


async def collect(response: ScriptedResponse) -> tuple[list[Batch], GatewayError | None]:
    """All batches, and the error that ended them."""
    batches: list[Batch] = []
    try:
        async for batch in read_batches(response.open, WordsDecoder(), LIMIT):
            batches.append(batch)
    except GatewayError as error:
        return batches, error
    return batches, None


async def read(*reads: bytes | Exception) -> tuple[str, str | None, str | None]:
    """The text, the finish's own word, and the error's code."""
    batches, error = await collect(ScriptedResponse(*reads))
    events = [event for batch in batches for event in batch]
    text = "".join(event.content for event in events if isinstance(event, Delta))
    finishes = [event.raw_finish_reason or "none" for event in events if isinstance(event, Finish)]
    return text, finishes[-1] if finishes else None, error.code if error else None


async def test_what_came_together_leaves_together() -> None:
    """One read, one batch; a read that completes no event makes none."""
    batches, error = await collect(ScriptedResponse(ANSWER, b"data: !", b"\n\n" + FINISH + END))
    assert error is None
    assert batches == [[Delta("Hel"), Delta("lo")], [Delta("!"), Finish("stop", "fin")]]


async def test_finish_stands_last_in_its_batch() -> None:
    """Text of the same read that follows a finish comes before it in the batch."""
    batches, _ = await collect(ScriptedResponse(SOFT_FINISH + ANSWER))
    assert batches == [[Delta("Hel"), Delta("lo"), Finish("stop", "soft", sure=False)]]


ENDINGS: dict[str, tuple[list[bytes | Exception], tuple[str, str | None, str | None]]] = {
    "end mark": ([ANSWER, FINISH, END], ("Hello", "fin", None)),
    "end mark without a finish reason": ([ANSWER, END], ("Hello", "none", None)),
    "all in one read": ([ANSWER + FINISH + END], ("Hello", "fin", None)),
    "no text at all": ([FINISH, END], ("", "fin", None)),
    "EOF after the finish reason": ([ANSWER, FINISH], ("Hello", "fin", None)),
    "EOF after a finish that may go on": ([ANSWER, SOFT_FINISH], ("Hello", "soft", None)),
    "last event without its blank line": ([ANSWER, b"data: <finish>"], ("Hello", "fin", None)),
    "text after a finish that may go on": ([SOFT_FINISH, ANSWER], ("Hello", "soft", None)),
    "text after the end mark is nothing": ([ANSWER, FINISH + END + b"data: more\n\n"], ("Hello", "fin", None)),
    "nonsense after the end mark is nothing": ([ANSWER, FINISH + END + NONSENSE], ("Hello", "fin", None)),
    "error after the end mark is nothing": ([ANSWER, FINISH + END + OVERLOADED], ("Hello", "fin", None)),
    "socket fails after the finish": ([ANSWER, FINISH, ConnectionResetError()], ("Hello", "fin", None)),
    "socket fails after the end mark": ([ANSWER, FINISH + END, ConnectionResetError()], ("Hello", "fin", None)),
    "socket fails after a finish that may go on": (
        [ANSWER, SOFT_FINISH, ConnectionResetError()],
        ("Hello", "soft", "upstream_unavailable"),
    ),
    "clean EOF without an end": ([ANSWER], ("Hello", None, "upstream_truncated")),
    "EOF within an event": ([ANSWER, b"data: x"], ("Hellox", None, "upstream_truncated")),
    "EOF before any event": ([b": ping\n\n"], ("", None, "upstream_truncated")),
    "socket fails": ([ANSWER, ConnectionResetError()], ("Hello", None, "upstream_unavailable")),
    "socket fails at once": ([ConnectionResetError()], ("", None, "upstream_unavailable")),
    "error first": ([OVERLOADED], ("", None, "upstream_unavailable")),
    "error in mid-stream": ([ANSWER, OVERLOADED, FINISH], ("Hello", None, "upstream_unavailable")),
    "text before an error of the same read": ([ANSWER + OVERLOADED], ("Hello", None, "upstream_unavailable")),
    "error after the finish, before the end": ([ANSWER, FINISH, OVERLOADED], ("Hello", "fin", "upstream_unavailable")),
    "nonsense": ([ANSWER, NONSENSE], ("Hello", None, "upstream_bad_event")),
    "event too large": ([ANSWER, b"data: ".ljust(LIMIT + 1, b"x")], ("Hello", None, "event_too_large")),
    "empty": ([], ("", None, "upstream_bad_response")),
    "empty reads": ([b"", b""], ("", None, "upstream_bad_response")),
}


@pytest.mark.parametrize(("reads", "outcome"), ENDINGS.values(), ids=ENDINGS)
async def test_ending(reads: list[bytes | Exception], outcome: tuple[str, str | None, str | None]) -> None:
    """The end rule: what is a whole answer, what is a failure, and that no text before it is lost."""
    assert await read(*reads) == outcome


async def test_nothing_is_read_after_the_end_mark() -> None:
    """A vendor that keeps its socket open after the end does not keep us."""
    response = ScriptedResponse(ANSWER + FINISH + END, b"data: more\n\n")
    await collect(response)
    assert response.read == 1


async def test_empty_response_says_so() -> None:
    """A 200 without a body: the reason tells it from HTML."""
    _, error = await collect(ScriptedResponse())
    assert error
    assert error.reason == "empty"


@pytest.mark.parametrize(
    "content_type",
    ["text/event-stream", "text/event-stream; charset=utf-8", "text/event-stream;charset=UTF-8", "Text/Event-Stream"],
)
async def test_event_stream_is_read(content_type: str) -> None:
    """Whatever its parameters and capitals, an event stream is one."""
    _, error = await collect(ScriptedResponse(FINISH, headers={"content-type": content_type}))
    assert error is None


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": ""}, {"content-type": "text/html"}, {"content-type": "application/json; charset=utf-8"}],
)
async def test_other_content_is_refused_unread(headers: dict[str, str]) -> None:
    """HTML or JSON with status 200 is no answer, and its body is not even looked at."""
    response = ScriptedResponse(ANSWER, FINISH, headers=headers)
    batches, error = await collect(response)
    assert (batches, response.read) == ([], 0)
    assert error
    assert (error.code, error.reason) == ("upstream_bad_response", "content_type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity"])
async def test_compressed_body_is_refused(encoding: str) -> None:
    """We asked for identity; what comes compressed would come in clumps."""
    _, error = await collect(ScriptedResponse(FINISH, headers={**EVENT_STREAM, "content-encoding": encoding}))
    assert error
    assert (error.code, error.reason) == ("upstream_bad_response", "compressed")


async def test_identity_encoding_is_read() -> None:
    """A vendor that says that nothing is compressed is believed."""
    _, error = await collect(ScriptedResponse(FINISH, headers={**EVENT_STREAM, "content-encoding": "identity"}))
    assert error is None


@pytest.mark.parametrize("failing", [NONSENSE, OVERLOADED])
async def test_failure_is_not_its_own_cause(failing: bytes) -> None:
    """Whoever walks down the causes of an error comes to an end."""
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
    """Who closes may be cancelled meanwhile; the vendor's connection is closed all the same."""
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
    """A close that never ends holds nobody for longer than its time."""
    monkeypatch.setattr("closing._CLOSE_SECONDS", 0.01)
    closing = Closing()
    await asyncio.wait_for(close_surely(closing.close()), 5)
    assert not closing.ended
