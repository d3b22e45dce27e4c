"""The models that clients can ask for, in the shapes of OpenAI and of Anthropic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from providers.model_names import ListedModel

# When a model was made is not known. Anthropic's documentation names the epoch for that.
_CREATED = 0
_CREATED_AT = "1970-01-01T00:00:00Z"


def speaks_anthropic(headers: Mapping[str, str]) -> bool:
    """Whether the client is one of Anthropic's API, whose requests all have this header."""
    return "anthropic-version" in headers


def openai_model(model: ListedModel) -> dict[str, Any]:
    """A model in OpenAI's shape."""
    return {
        "id": model.name,
        "object": "model",
        "created": _CREATED,
        "owned_by": model.provider,
    }


def openai_models(models: Sequence[ListedModel]) -> dict[str, Any]:
    """OpenAI's list."""
    return {"object": "list", "data": [openai_model(model) for model in models]}


def anthropic_model(model: ListedModel) -> dict[str, Any]:
    """A model in Anthropic's shape."""
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": _CREATED_AT,
        "lifecycle": "active",
    }


def anthropic_models(models: Sequence[ListedModel]) -> dict[str, Any]:
    """Anthropic's list, as its only page."""
    return {
        "data": [anthropic_model(model) for model in models],
        "has_more": False,
        "first_id": models[0].name if models else None,
        "last_id": models[-1].name if models else None,
    }
