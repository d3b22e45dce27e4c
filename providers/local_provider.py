"""Any local server with OpenAI's chat completions API: Ollama, vLLM, llama.cpp."""

from __future__ import annotations

from typing import ClassVar

from providers.openai_provider import OpenAIProvider
from providers.wires.decoder import Decoder
from providers.wires.kept_reasoning import KeptReasoningDecoder


class LocalProvider(OpenAIProvider):
    """OpenAI's wire at LOCAL_BASE_URL, with the parameters that these servers share."""

    decoder: ClassVar[type[Decoder]] = KeptReasoningDecoder
