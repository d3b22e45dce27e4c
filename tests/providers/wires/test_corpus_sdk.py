"""Every recorded stream at one byte a read, through each vendor's real SDK: only the transport beneath it is ours.

The provider, its SDK's client and all between are what production has; the transport answers whatever it is asked with
the recording at hand, a byte at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any, NamedTuple

import httpx
import httpx2
import pytest
from httpx_aiohttp.httpx2 import Httpx2AiohttpClient
from pydantic import SecretStr

from configuration import ProviderSettings
from models import Delta, End, GatewayError, Reasoning, Refusal, Start, Text
from providers.anthropic_provider import AnthropicProvider
from providers.base import BaseProvider
from providers.gemini_provider import GeminiProvider
from providers.groq_provider import GroqProvider
from providers.openai_provider import OpenAIProvider, ResponsesProvider
from tests.conftest import CORPUS_ABSENT
from tests.exhaustive import exhaustive, split_by_kind
from tests.vendors.recordings import PLAYERS, Recording, kind_of, recordings
from tests.vendors.scripted_provider import make_settings, stream

RECORDINGS = recordings()
FEW, OTHERS = split_by_kind(kind_of, RECORDINGS)
LIMIT = 8_000_000  # bytes: recorded images come in one event

pytestmark = pytest.mark.skipif(not RECORDINGS, reason=CORPUS_ABSENT)


class OneByteARead(httpx.AsyncByteStream, httpx2.AsyncByteStream):
    """A body that arrives a byte at a time."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for place in range(len(self._body)):
            yield self._body[place : place + 1]

    async def aclose(self) -> None:
        """Nothing is open."""


class RecordedTransport(httpx.AsyncBaseTransport, httpx2.AsyncBaseTransport):
    """Answers with `body`, in the classes of the HTTP library that the SDK is built on; `asked` counts."""

    body = b""
    asked = 0

    def __init__(self, library: ModuleType) -> None:
        self._library = library

    async def handle_async_request(self, request: Any) -> Any:
        self.asked += 1
        headers = {"content-type": "text/event-stream"}
        return self._library.Response(200, headers=headers, stream=OneByteARead(self.body))


class BytewiseOpenAI(OpenAIProvider):
    """GPT over a transport."""

    def __init__(self, settings: ProviderSettings, transport: RecordedTransport) -> None:
        super().__init__(settings)
        self._client = self._client.with_options(
            http_client=httpx2.AsyncClient(transport=transport)
        )


class BytewiseResponses(ResponsesProvider):
    """GPT by the Responses API over a transport."""

    def __init__(self, settings: ProviderSettings, transport: RecordedTransport) -> None:
        super().__init__(settings)
        self._client = self._client.with_options(
            http_client=httpx2.AsyncClient(transport=transport)
        )


class BytewiseAnthropic(AnthropicProvider):
    """Claude over a transport."""

    def __init__(self, settings: ProviderSettings, transport: RecordedTransport) -> None:
        super().__init__(settings)
        self._client = self._client.with_options(
            http_client=httpx2.AsyncClient(transport=transport)
        )


class BytewiseGroq(GroqProvider):
    """Groq over a transport."""

    def __init__(self, settings: ProviderSettings, transport: RecordedTransport) -> None:
        super().__init__(settings)
        self._client = self._client.with_options(http_client=httpx.AsyncClient(transport=transport))


class BytewiseGemini(GeminiProvider):
    """Gemini over a transport."""

    def __init__(self, settings: ProviderSettings, transport: RecordedTransport) -> None:
        super().__init__(settings)
        self._http = Httpx2AiohttpClient(transport=transport)


BYTEWISE: dict[
    str, tuple[Callable[[ProviderSettings, RecordedTransport], BaseProvider], ModuleType]
] = {
    "gpt": (BytewiseOpenAI, httpx2),
    "responses": (BytewiseResponses, httpx2),
    "claude": (BytewiseAnthropic, httpx2),
    "gemini": (BytewiseGemini, httpx2),
    "groq": (BytewiseGroq, httpx),
}


class Answer(NamedTuple):
    """What a stream amounts to: its joined texts, and its End or the code of its error."""

    text: str
    reasoning: str
    refusal: str
    end: End | None
    error: str | None


async def play(provider: BaseProvider) -> Answer:
    """Ask the provider as the gateway does."""
    events: list[Any] = []
    error: str | None = None
    try:
        async for batch in stream(provider):
            events += batch
    except GatewayError as failure:
        error = failure.code
    assert [type(event) for event in events[:1]] in ([Start], [])
    deltas = [event for event in events if isinstance(event, Delta)]
    return Answer(
        text="".join(delta.text for delta in deltas if isinstance(delta, Text)),
        reasoning="".join(delta.text for delta in deltas if isinstance(delta, Reasoning)),
        refusal="".join(delta.text for delta in deltas if isinstance(delta, Refusal)),
        end=next((event for event in events[-1:] if isinstance(event, End)), None),
        error=error,
    )


def check(answer: Answer, recording: Recording) -> None:
    """The answer is the recording's, to the byte."""
    received = (answer.text, answer.reasoning, answer.refusal, answer.error)
    assert received == (
        recording.text,
        recording.reasoning,
        recording.refusal,
        recording.error_code,
    ), recording
    assert (answer.end is None) == (recording.error_code is not None), recording
    if answer.end:
        usage = answer.end.usage
        assert answer.end.finish_reason == recording.finish_reason, recording
        assert (usage and usage.input_tokens, usage and usage.output_tokens) == recording.tokens, (
            recording
        )


@pytest.mark.parametrize("name", PLAYERS)
@pytest.mark.parametrize(
    "played", [FEW, *exhaustive(OTHERS)], ids=["one of each kind", "the others"]
)
async def test_every_recording_at_a_byte_a_read_through_the_real_sdk(
    name: str, played: list[Recording]
) -> None:
    """Text, thinking, refusal, ending and usage are the vendor's, of every recording without exception."""
    chosen = [recording for recording in played if recording.player == name]
    build, library = BYTEWISE[name]
    transport = RecordedTransport(library)
    settings = make_settings(
        name=chosen[0].provider,
        api_key=SecretStr("key-of-a-test"),
        base_url="http://127.0.0.1:1",
        model_fallback=None,
        max_event_bytes=LIMIT,
        max_attempts=1,
    )
    provider = build(settings, transport)
    for recording in chosen:
        transport.body = recording.body
        check(await play(provider), recording)
    await provider.aclose()
    print(f"{name}: {len(chosen)} recordings, {sum(len(one.body) for one in chosen)} reads")
    assert transport.asked == len(chosen) > 0


def test_all_recordings_have_their_sdk() -> None:
    """The plays above are of all 225 recordings."""
    assert (
        len([recording for recording in FEW + OTHERS if recording.player in BYTEWISE])
        == len(RECORDINGS)
        == 225
    )
