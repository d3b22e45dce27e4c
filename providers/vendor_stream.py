"""From a vendor's response to batches of what it says: opens, checks, reads and decodes it, and holds the end rule.

A batch is what one read of the vendor's socket brought. This room knows no vendor: a `Decoder` knows each wire.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any, Protocol

from closing import close_surely
from models import Delta, Finish, GatewayError
from providers.errors import translate
from providers.sse_reader import Frame, SSEReader

Batch = list[Delta | Finish]


class RawResponse(Protocol):
    """What httpx's and httpx2's responses have in common, as far as it is read here."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def extensions(self) -> MutableMapping[str, Any]: ...

    request: Any

    def aiter_raw(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


class Decoder(ABC):
    """One vendor's wire, one stream: frames in, deltas out; remembers the vendor's word that it has finished."""

    __slots__ = ("ended", "finish")

    def __init__(self) -> None:
        self.finish: Finish | None = None
        self.ended = False  # the end mark has been read: nothing after it counts

    @abstractmethod
    def decode(self, frame: Frame, batch: Batch) -> None:
        """Append what the frame says. Raises GatewayError for an error event, msgspec's error for nonsense."""


async def read_batches(
    open_response: Callable[[], Awaitable[RawResponse]], decoder: Decoder, max_event_bytes: int
) -> AsyncGenerator[Batch, None]:
    """The stream's batches, each with its deltas first and a Finish last, if one came; the response is closed.

    Raises what opening it raises, and GatewayError where the stream was none, stopped without its end mark, or said an
    error.
    """
    response = await open_response()
    response.request = None  # whose headers would be a tenth of an open stream's memory
    try:
        _check_headers(response.headers)
        reader = SSEReader(max_event_bytes)
        read = response.extensions.get("read") or partial(anext, response.aiter_raw(), None)
        heard = at_end = False
        while not (decoder.ended or at_end):
            try:
                chunk = await read()
            except Exception as error:
                if decoder.finish and decoder.finish.sure:
                    return  # the answer is whole: what its socket does now turns no success into failure
                raise translate(error) from error
            at_end = chunk is None
            batch: Batch = []
            failure = _decode(decoder, reader.close() if chunk is None else reader.feed(chunk), batch)
            heard = heard or bool(chunk)
            if batch:
                yield batch
            if isinstance(failure, GatewayError):
                raise failure
            if failure:
                raise translate(failure) from failure
        if decoder.ended and "answered" in response.extensions:
            response.extensions["answered"]()
        if not decoder.finish:
            raise GatewayError("upstream_truncated") if heard else GatewayError("upstream_bad_response", reason="empty")
    finally:
        await _close(response)


async def _close(response: RawResponse) -> None:
    """Close it, whatever comes between. The own transport's close waits for nothing, and needs no task of its own."""
    if "read" in response.extensions:
        await response.aclose()
    else:
        await close_surely(response.aclose())


def _decode(decoder: Decoder, frames: Iterable[Frame], batch: Batch) -> Exception | None:
    """Fill the batch. A failure is given back, not raised: what came before it is still to be told."""
    finish_before = decoder.finish
    try:
        for frame in frames:
            decoder.decode(frame, batch)
            if decoder.ended:
                break
    except Exception as error:  # noqa: BLE001 - raised by the caller, once the batch is out
        return error
    if decoder.finish is not finish_before and decoder.finish:
        batch.append(decoder.finish)
    return None


def _check_headers(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", "identity") != "identity":
        raise GatewayError("upstream_bad_response", reason="compressed")
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "text/event-stream":
        raise GatewayError("upstream_bad_response", reason="content_type", detail={"content_type": media_type})
