"""Requests that a vendor refuses, and the parameters that its error names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from models import GatewayError, Prompt

_LONGEST_READ = 4000  # characters of one text
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS = re.compile(r"[^A-Za-z0-9]+")
# Words for what a client says of tools and of the answer's schema.
_CLIENTS_OWN = (
    "tool",
    "tools",
    "tool_choice",
    "function",
    "functions",
    "schema",
    "response_format",
)


class VendorRefusalError(GatewayError):
    """The vendor rejects the request, perhaps because of one of its parameters.

    The vendor's text is only kept for `named_among`: it is not logged or sent to the client, since
    it may quote the prompt.
    """

    def __init__(
        self,
        code: str,
        *,
        places: Iterable[str],
        texts: Iterable[str],
        retry_after: float | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code, retry_after=retry_after, detail=detail)
        self._places = [_to_words(place) for place in places]
        self._texts = [_to_words(text) for text in texts]

    def named_among(self, parameters: Mapping[str, Iterable[str]]) -> list[str]:
        """The parameters that the vendor names, by a name that `parameters` has for them.

        Snake case, camel case, dots and spaces are equivalent. A location (`param`, `loc`) comes
        before the text, a parameter's own name before its other names, then the first one named.
        """
        return _named(self._places, parameters) or _named(self._texts, parameters)


class RefusedParameterError(GatewayError):
    """The vendor refuses a parameter that can be left out.

    Its status may mean a missing model or permission all the same. `is_lasting`: the model would
    refuse it in other chats, too.
    """

    def __init__(
        self, refusal: VendorRefusalError, parameter: str, *, is_lasting: bool = True
    ) -> None:
        super().__init__(
            refusal.code if refusal.code == "context_length_exceeded" else "rejected_by_provider",
            reason="unsupported_parameter",
            retry_after=refusal.retry_after,
            detail={**refusal.detail, "vendor_param": parameter},
        )
        self.parameter: Final = parameter
        self.is_lasting: Final = is_lasting


def is_of_one_chat(error: GatewayError, asked: Prompt) -> bool:
    """Whether a refusal is no sign that the vendor refuses other chats, too.

    It is of a parameter, which is left out from now on, or of the client's own tools or schema.
    """
    if isinstance(error, RefusedParameterError):
        return True
    has_schemas = bool(asked.options.tools or asked.options.output)
    return (
        has_schemas
        and isinstance(error, VendorRefusalError)
        and bool(error.named_among(dict.fromkeys(_CLIENTS_OWN, ())))
    )


def _named(texts: Iterable[str], parameters: Mapping[str, Iterable[str]]) -> list[str]:
    found: dict[str, tuple[bool, int]] = {}
    for words in texts:
        for name, others in parameters.items():
            for spelling in (name, *others):
                position = words.find(_to_words(spelling))
                if position >= 0:
                    place = (spelling != name, position)
                    found[name] = min(place, found.get(name, place))
    return sorted(found, key=found.__getitem__)


def _to_words(text: str) -> str:
    """`thinkingConfig.topK` as `_thinking_config_top_k_`: a name matches whole words only."""
    spaced = _CAMEL_CASE.sub("_", text[:_LONGEST_READ])
    return f"_{_BETWEEN_WORDS.sub('_', spaced).strip('_').lower()}_"
