"""Any server of one's own that speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp."""

from __future__ import annotations

from typing import ClassVar

from providers.openai_provider import OpenAIProvider


class LocalProvider(OpenAIProvider):
    """OpenAI's wire at LOCAL_BASE_URL, with the parameters that these servers have in common."""

    optional_parameters: ClassVar[tuple[str, ...]] = ("temperature", "max_tokens", "reasoning_effort", "stream_options")

    def parameters(self) -> dict[str, object]:
        return {
            "max_tokens": self.settings.max_tokens,
            "temperature": self.settings.temperature,
            "reasoning_effort": self.settings.reasoning_effort,
            "stream_options": {"include_usage": True},
        }
