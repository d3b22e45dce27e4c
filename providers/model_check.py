"""Checks by free calls whether a vendor has a model.

That is a call for the model, or for the list if there is no such call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from models import GatewayError
from providers.errors import translate

_NO_SUCH_CALL = (404, 405, 501)  # statuses; 404 may also mean that the model does not exist

Fetch = Callable[[], Awaitable[object]]


async def has_model(retrieve: Fetch, list_models: Fetch, model: str) -> bool:
    """True if the vendor has the model, False if it has neither call.

    Raises the SDK's exception, or GatewayError. `retrieve` and `list_models` return parsed JSON. A
    server with a single model accepts any name for it.
    """
    try:
        await retrieve()
    except Exception as error:
        if not is_no_such_call(error):
            raise
        refusal = error
    else:
        return True
    try:
        listed = list(_names(await list_models()))
    except Exception as error:
        if is_no_such_call(error):
            return False
        raise
    # A 404 about the model has a code; a server without the call has none.
    is_about_model = translate(refusal).detail.get("vendor_code") == "model_not_found"
    is_listed = _bare_name(model) in map(_bare_name, listed)
    if is_listed or (len(listed) == 1 and not is_about_model):
        return True
    raise refusal


def is_no_such_call(error: Exception) -> bool:
    """Whether the vendor does not have the call, or not what it is for."""
    return translate(error).detail.get("vendor_status") in _NO_SUCH_CALL


def _names(listed: object) -> Iterator[str]:
    """The models of a list.

    OpenAI and Anthropic have `data[].id`, Gemini `models[].name`, Ollama plain lists.
    """
    rows: Any = listed
    if isinstance(listed, dict):
        rows = listed.get("data") or listed.get("models") or []
    if not isinstance(rows, list):
        raise GatewayError("upstream_bad_response", reason="model_list")
    for row in rows:
        name = (
            row
            if isinstance(row, str)
            else isinstance(row, dict) and (row.get("id") or row.get("name"))
        )
        if isinstance(name, str):
            yield name


def _bare_name(model: str) -> str:
    """Ollama lists `llama3.2:latest` for `llama3.2`, Gemini `models/…`."""
    return model.removeprefix("models/").lower().removesuffix(":latest")
