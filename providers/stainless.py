"""What the openai, anthropic and groq adapters share.

Stainless generates their SDKs, with one interface. The SDK owns authentication, URLs, transport and
typed errors. The stream's bytes are read here: `create()` would build typed objects for each chunk.
"""

from __future__ import annotations

import hmac
from abc import abstractmethod
from collections.abc import AsyncGenerator, Container, Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from configuration import ProviderSettings
from models import Prompt
from providers.base import BaseProvider
from providers.base_url import BaseUrl
from providers.http.client import api_key
from providers.model_check import has_model
from providers.parameters import request_ids
from providers.token_count import count_tokens
from providers.wires.decoder import Batch, Decoder
from providers.wires.vendor_stream import RawResponse, read_batches
from streams.off_loop import call_off_loop


def client_options(
    settings: ProviderSettings, base_url: BaseUrl, http_client: Any
) -> dict[str, Any]:
    """The arguments of an SDK's client. It retries nothing: `providers.policy` does."""
    return {
        "api_key": api_key(settings),
        "base_url": base_url.url(""),
        "max_retries": 0,
        "timeout": http_client.timeout,
        "http_client": http_client,
    }


class StainlessProvider(BaseProvider):
    """A vendor whose SDK Stainless generates.

    A subclass creates the client, and says what to send.
    """

    response_class: ClassVar[type]  # of the HTTP library that the SDK is built on
    stream_class: ClassVar[type]
    decoder: ClassVar[type[Decoder]]
    chat_path: ClassVar[str] = "/chat/completions"
    models_path: ClassVar[str] = "/models"
    models_query: ClassVar[str] = ""
    request_id_header: ClassVar[str] = "x-request-id"
    # The call that counts tokens, if the vendor has one, and the fields of a chat that it takes.
    count_path: ClassVar[str] = ""
    counted_fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, settings: ProviderSettings, base_url: BaseUrl, client: Any) -> None:
        super().__init__(settings)
        self._base_url = base_url
        self._url = base_url.url(self.chat_path)
        self._client = client
        # The SDKs read these from the environment, and have no argument to prevent it.
        client._custom_headers = {}
        # They parse the URL for each request, which takes a twentieth of the whole chat's time.
        client._prepare_url = lru_cache(maxsize=8)(client._prepare_url)
        self._request_options = {"max_retries": 0, "timeout": client.timeout}

    @staticmethod
    @abstractmethod
    def to_body(prompt: Prompt, model: str) -> dict[str, object]:
        """The body of a request for a stream, without parameters."""

    def body(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The same with the parameters that the model accepts."""
        return self.to_body(prompt, model) | self.accepted(prompt, model)

    def accepted(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The parameters, with a key of the conversation if that is configured.

        It is made of the client's id of the conversation, or else of the conversation's beginning.
        """
        accepted = super().accepted(prompt, model)
        if self.settings.prompt_cache_key and "prompt_cache_key" not in prompt.left_out:
            return {**accepted, "prompt_cache_key": self._make_cache_key(prompt)}
        return accepted

    def _make_cache_key(self, prompt: Prompt) -> str:
        """A digest. With the vendor's key in it, an id cannot be found by trying likely ones."""
        if prompt.conversation_id is None:
            made_of: object = prompt.system, prompt.options.tools, prompt.turns[0]
        else:
            made_of = prompt.conversation_id
        secret = api_key(self.settings).encode()
        return hmac.digest(secret, msgspec.json.encode(made_of), "sha256").hex()[:32]

    def headers(self, body: Mapping[str, object]) -> Mapping[str, str]:  # noqa: ARG002
        """Further headers that the vendor needs for this body."""
        return {}

    def stream_response(
        self, prompt: Prompt, model: str, message_id: str
    ) -> AsyncGenerator[Batch, None]:
        open_response = partial(self._open, prompt, model, message_id)
        make_decoder = partial(self.decoder, self.name, model)
        return read_batches(open_response, make_decoder, self.settings.max_event_bytes)

    async def _open(self, prompt: Prompt, model: str, message_id: str) -> RawResponse:
        """Send the request. Raises the SDK's typed errors; `read_batches` closes the response.

        If asked to cast a stream to its HTTP library's response class, the SDK returns that
        response unread: the lowest level that it supports. Encoded JSON, a full URL and explicit
        options save it a quarter of its work.
        """
        body, content = await self._make_request(prompt, model)
        response: RawResponse = await self._client.post(
            self._url,
            cast_to=self.response_class,
            content=content,
            options=self._options_of(body),
            stream=True,
            stream_cls=self.stream_class,
        )
        self.note_opened(model, message_id, response.headers.get(self.request_id_header))
        return response

    async def has_model(self, model: str) -> bool:
        retrieve = self._base_url.url(f"{self.models_path}/{quote(model, safe='')}")
        list_models = self._base_url.url(self.models_path, self.models_query)
        return await has_model(
            partial(self._client.get, retrieve, cast_to=object),
            partial(self._client.get, list_models, cast_to=object),
            model,
        )

    async def request_count(self, prompt: Prompt, model: str) -> int | None:
        if not self.count_path:
            return None
        body, content = await self._make_request(prompt, model, self.counted_fields)
        post = partial(
            self._client.post,
            self._base_url.url(self.count_path),
            cast_to=object,
            content=content,
            options=self._options_of(body),
        )
        return await count_tokens(post, "input_tokens")

    async def _make_request(
        self, prompt: Prompt, model: str, fields: Container[str] | None = None
    ) -> tuple[Mapping[str, object], bytes]:
        """The body of a request, if need be of these fields alone, and the same as JSON."""

        def make() -> tuple[Mapping[str, object], bytes]:
            body = self.body(prompt, model)
            if fields is not None:
                body = {name: value for name, value in body.items() if name in fields}
            return body, msgspec.json.encode(body)

        return await call_off_loop(make) if prompt.is_large else make()

    def _options_of(self, body: Mapping[str, object]) -> dict[str, Any]:
        """The options of a request with this body."""
        headers = {**request_ids(), **self.headers(body)}
        return {"headers": headers, **self._request_options}

    async def aclose(self) -> None:
        await self._client.close()
