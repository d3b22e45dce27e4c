"""Reads a vendor's response as batches of deltas, and checks that the answer is complete.

A batch is the content of one read of the vendor's socket, or of a piece of a large one. Knows no
vendor: each wire has a `Decoder`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    MutableMapping,
)
from functools import partial
from typing import Any, Protocol

from models import GatewayError
from providers.errors import translate
from providers.http.response_body import check_encoding
from providers.wires.body_reader import BodyReader, make_body_reader
from providers.wires.decoder import Batch, Decoder, StreamState
from providers.wires.finish_reasons import check_empty
from streams.closing import close_surely

_EVENTS = "text/event-stream"
_MAX_PIECE = 2**15  # bytes that are decoded before other tasks run
_PROVEN = StreamState.PROVEN  # looking up an enum's members is slow for each event


class RawResponse(Protocol):
    """The attributes of httpx's and httpx2's responses that are used here."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def extensions(self) -> MutableMapping[str, Any]: ...

    request: Any

    def aiter_raw(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


async def read_batches(
    open_response: Callable[[], Awaitable[RawResponse]],
    make_decoder: Callable[[], Decoder],
    max_event_bytes: int,
) -> AsyncGenerator[Batch, None]:
    """Yield the stream's batches: a Usage if one is reported, deltas, a Finish; close the response.

    Raises what `open_response` raises, and GatewayError for a body that is not a whole answer.
    """
    response = await open_response()
    del open_response  # frees the prompt
    response.request = None  # its headers would be a tenth of an open stream's memory
    try:
        media_type = _check_headers(response.headers)
        decoder, reader = make_decoder(), make_body_reader(media_type, max_event_bytes)
        read = response.extensions.get("read") or partial(anext, response.aiter_raw(), None)
        is_empty, rest = True, b""  # rest: what is read and not decoded yet
        chunk: bytes | None = b""
        while chunk is not None and decoder.state is not _PROVEN:
            try:
                chunk, rest = rest or await read(), b""
            except Exception as error:
                if decoder.is_whole_after_break():
                    return
                raise translate(error) from error
            if chunk is not None and len(chunk) > _MAX_PIECE:
                chunk, rest = chunk[:_MAX_PIECE], chunk[_MAX_PIECE:]
                await asyncio.sleep(0)
            is_empty = is_empty and not chunk
            batch: Batch = []
            failure = _decode(decoder, reader, chunk, batch)
            if batch:
                yield batch
            if failure:
                _check_failure(failure, decoder, at_end=chunk is None)
        if decoder.state is _PROVEN and "answered" in response.extensions:
            response.extensions["answered"]()
        _check_end(decoder, media_type, is_empty=is_empty)
    finally:
        await _close(response)


async def _close(response: RawResponse) -> None:
    """Close the response despite a cancellation.

    The gateway's own transport never waits, so it needs no task.
    """
    if "read" in response.extensions:
        await response.aclose()
    else:
        await close_surely(response.aclose())


def _decode(
    decoder: Decoder, reader: BodyReader, chunk: bytes | None, batch: Batch
) -> GatewayError | None:
    """Fill the batch with what was read, None at the stream's end.

    A failure is returned, not raised, since the deltas before it are still to be sent.
    """
    frames = reader.close() if chunk is None else reader.feed(chunk)
    finish_before, usage_before = decoder.finish, decoder.usage
    failure: GatewayError | None = None
    frame = None
    try:
        for frame in frames:
            decoder.decode(frame, batch)
            if decoder.state is _PROVEN:
                break
        if chunk is None:
            decoder.close(batch)
    except Exception as error:  # noqa: BLE001 - the caller raises it after it has yielded the batch
        failure = translate(error)
        if failure is not error:
            failure.__cause__ = error
    if batch:
        decoder.has_content = decoder.has_events = True
        if decoder.finish:
            decoder.goes_on = len(batch) > decoder.finished_at
            decoder.finished_at = 0
    elif frame is not None:
        decoder.has_events = True
    if failure is None and decoder.finish is not finish_before and decoder.finish:
        batch.append(decoder.finish)
    if decoder.surrogates:
        batch[:] = decoder.surrogates.join(batch)
    if decoder.usage and decoder.usage != usage_before:
        batch.insert(0, decoder.usage)
    return failure


def _check_failure(failure: GatewayError, decoder: Decoder, *, at_end: bool) -> None:
    """Raise the failure, unless it is only that the last event of the stream is incomplete.

    An incomplete event is `upstream_truncated` if content followed the finish reason. Else it is
    ignored here, and the end of the stream decides.
    """
    if not (at_end and failure.code == "upstream_bad_event"):
        raise failure
    if decoder.goes_on:
        raise GatewayError("upstream_truncated")


def _check_end(decoder: Decoder, media_type: str, *, is_empty: bool) -> None:
    """Check the end of the stream. Raises GatewayError if the answer is incomplete."""
    if decoder.state is _PROVEN or decoder.is_whole():
        if not decoder.has_content and decoder.finish:
            check_empty(decoder.finish.raw_finish_reason)
        return
    if is_empty:
        raise GatewayError("upstream_bad_response", reason="empty")
    if media_type != _EVENTS and not decoder.has_content:
        raise GatewayError(
            "upstream_bad_response", reason="content_type", detail={"content_type": media_type}
        )
    if not decoder.has_events:
        raise GatewayError("upstream_bad_response", reason="no_events")
    raise GatewayError("upstream_truncated")


def _check_headers(headers: Mapping[str, str]) -> str:
    """The body's media type. Raises GatewayError if it is compressed."""
    check_encoding(headers.get("content-encoding", ""), 200)
    # some servers send the header twice
    return re.split("[;,]", headers.get("content-type", ""))[0].strip().lower()
