"""The optional parameters of a request: which are sent to a model, and which it has refused.

Also the ids that a request has in its headers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import ClassVar

from configuration import ProviderSettings
from models import NO_OPTIONS, AnswerOptions, GatewayError, Prompt, Text, Turn
from providers.capabilities import load_capabilities
from providers.model_options import NOT_TAKEN, ModelOptions
from providers.refusals import RefusedParameterError, VendorRefusalError
from providers.schemas.adapt import Dialect, dropped_fields
from telemetry.error_reporting import report_misconfiguration
from telemetry.log_line import request_id_context
from telemetry.span import vendor_traceparent_context

_logger = logging.getLogger("gateway.providers")

# A chat template without a system role refuses system prompts. It is handled like a refused
# parameter: see `fit`.
SYSTEM_ROLE = "system_role"
_SYSTEM_ROLE_NAMES = (
    "system role not supported",  # Gemma's template
    "system role is not supported",
    "system message not supported",
    "system messages are not supported",
    "only user and assistant roles are supported",  # Mistral's older templates
    "conversation roles must alternate user assistant",
    "messages[0].role does not support system",  # OpenAI's o1-mini
    "developer instruction is not enabled",  # Gemma by Gemini's API
    "systemInstruction",  # Gemini's API: not enabled, not supported, an unknown name
)

# The length of the answer counts towards the context, so an error about the context may name it.
_LENGTH_PARAMETERS = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxOutputTokens",
)

# Such an error names the model, and a model's name may have "thinking" in it: parameters count by
# their own names.
_CODES_THAT_NAME_MODELS = ("upstream_auth", "upstream_model_not_found")

# The parameters that a client may set, with their fields in AnswerOptions.
_CLIENT_FIELDS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop": "stop",
    "seed": "seed",
    "reasoning_effort": "effort",
    "parallel_tool_calls": "parallel",
}


class RequestParameters:
    """The part of a provider that knows which parameters its models accept. Shared by all chats."""

    # Other names by which vendors refer to a parameter when they refuse it.
    parameter_names: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # The client's name of a parameter that has another one on the wire.
    client_names: ClassVar[Mapping[str, str]] = {}
    # How the vendor takes schemas; None: as they are.
    dialect: ClassVar[Dialect | None] = None

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.capabilities = load_capabilities(settings.name, settings.capabilities_file)
        self._left_out: dict[str, frozenset[str]] = {}  # by model
        self._options: dict[str, ModelOptions] = {}  # by model
        self._accepted: dict[tuple[str, frozenset[str]], dict[str, object]] = {}

    def parameters(self, options: ModelOptions) -> Mapping[str, object]:  # noqa: ARG002
        """The optional parameters of a request, by their names on the wire.

        None: not asked for. `NOT_TAKEN`: asked for, but the model does not accept it.
        """
        return {}

    def streams(self, prompt: Prompt, model: str) -> bool:  # noqa: ARG002
        """Whether the answer comes in pieces; else nothing comes before all of it is made."""
        return True

    def options(self, model: str, asked: AnswerOptions = NO_OPTIONS) -> ModelOptions:
        """The options that a client asks for and the configured ones, adapted to the model."""
        if asked is not NO_OPTIONS:
            return ModelOptions(self.settings, self.capabilities.of(model), asked)
        if model not in self._options:
            self._options[model] = ModelOptions(self.settings, self.capabilities.of(model))
        return self._options[model]

    def accepted(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The parameters to send: those that are set, that the model accepts and has not refused.

        They are the same for each chat without options: the caller must not change them.
        """
        if prompt.options is not NO_OPTIONS or not prompt.is_plain:
            return self.choose(prompt, model)
        key = model, prompt.left_out
        if key not in self._accepted:
            self._accepted[key] = self.choose(prompt, model)
        return self._accepted[key]

    def choose(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The same, made anew."""
        parameters = self.parameters(self.options(model, prompt.options))
        return {
            name: value
            for name, value in parameters.items()
            if value is not None and value is not NOT_TAKEN and name not in prompt.left_out
        }

    def left_out(self, model: str) -> frozenset[str]:
        """What is not sent to the model: parameters that it has refused, and a role that it lacks.

        A refusal is remembered once the same request has been answered without the parameter, since
        a vendor's text may name a parameter for another reason, for example if it quotes the
        prompt.
        """
        if model not in self._left_out:
            has_system_role = self.options(model).capability.system_role
            self._left_out[model] = frozenset() if has_system_role else frozenset({SYSTEM_ROLE})
        return self._left_out[model]

    def dropped_params(self, asked: Prompt, model: str) -> tuple[str, ...]:
        """What was asked for and left out or lowered, by the client's names of the parameters."""
        options = self.options(model, asked.options)
        dropped = {
            name
            for name, value in self.parameters(options).items()
            if value is NOT_TAKEN or (value is not None and name in asked.left_out)
        }
        dropped |= asked.left_out & {SYSTEM_ROLE}
        names = {self.client_names.get(name, name) for name in dropped} | options.reduced
        if self.dialect and (asked.options.tools or asked.options.output):
            names.update(dropped_fields(asked.options, self.dialect))
        return tuple(sorted(names))

    def forget_options(self, model: str) -> None:
        """Forget what is kept of a model."""
        self._left_out.pop(model, None)
        self._options.pop(model, None)
        self._accepted = {key: kept for key, kept in self._accepted.items() if key[0] != model}
        self.capabilities.forget(model)

    def refused_by(
        self, error: GatewayError, asked: Prompt, model: str
    ) -> RefusedParameterError | None:
        """The error with the refused parameter, if one was refused that can be left out."""
        if not isinstance(error, VendorRefusalError):
            return None
        sent = {name: self.parameter_names.get(name, ()) for name in self.accepted(asked, model)}
        parameter = find_refused(error, asked, sent)
        if parameter is None:
            return None
        client_name = self.client_names.get(parameter, parameter)
        is_lasting = says_of_model(error, client_name, asked.options)
        return RefusedParameterError(error, parameter, is_lasting=is_lasting)

    def remember(self, model: str, dropped: Mapping[str, bool]) -> None:
        """Leave out the dropped parameters from now on, and report them.

        The operator should add them to the model's row.
        """
        lasting = frozenset(name for name, lasts in dropped.items() if lasts)
        known = self.left_out(model)
        if new := sorted(lasting - known):
            self._left_out[model] = known | lasting
            context = {"provider": self.name, "model": model, "parameters": new}
            _logger.warning(
                "model refuses parameters; they are left out from now on",
                extra={"context": context},
            )
            report_misconfiguration(
                kind="unsupported_parameter", provider=self.name, model=model, details=context
            )


def find_refused(
    refusal: VendorRefusalError, prompt: Prompt, sent: Mapping[str, Iterable[str]]
) -> str | None:
    """The parameter that the vendor refuses, out of those `sent`, each with its other names.

    None if it names none. Only one is returned: if two parameters exclude each other, the other one
    can stay.
    """
    if refusal.code == "context_length_exceeded":
        sent = {name: () for name in sent if name in _LENGTH_PARAMETERS}
        return next(iter(refusal.named_among(sent)), None)
    if refusal.code in _CODES_THAT_NAME_MODELS:
        sent = dict.fromkeys(sent, ())
    if prompt.system and SYSTEM_ROLE not in prompt.left_out:
        sent = {SYSTEM_ROLE: _SYSTEM_ROLE_NAMES, **sent}
    return next(iter(refusal.named_among(sent)), None)


def says_of_model(refusal: VendorRefusalError, client_name: str, asked: AnswerOptions) -> bool:
    """Whether the model would refuse the parameter in other chats, too.

    Not if one conversation is too long. A client's value may be a wrong one, unless the vendor says
    that there is no such parameter. What a client asks for, such as tools, may exclude a parameter
    that other chats can have.
    """
    if refusal.code == "context_length_exceeded":
        return False
    field = _CLIENT_FIELDS.get(client_name)
    if asked is NO_OPTIONS or field is None:
        return True
    if asked.tools or asked.output or asked.effort is not None:
        return False
    is_clients = getattr(asked, field) not in (None, ())
    return not is_clients or refusal.detail.get("vendor_code") == "unsupported_parameter"


def fit(prompt: Prompt, left_out: frozenset[str]) -> Prompt:
    """The prompt adapted to `left_out`.

    Without a system role, the system prompt starts the first turn.
    """
    if not left_out:
        return prompt
    if SYSTEM_ROLE not in left_out or not prompt.system:
        return prompt._replace(left_out=left_out - {SYSTEM_ROLE})
    first, *others = prompt.turns
    system, parts = prompt.system + "\n\n", first.parts
    match parts[0]:
        case Text(text):
            parts = (Text(system + text), *parts[1:])
        case _:
            parts = (Text(system), *parts)
    turns = (Turn(first.role, parts), *others)
    return prompt._replace(system="", turns=turns, left_out=left_out)


def request_ids() -> dict[str, str]:
    """The headers: the request's id, and the trace's if the vendor may know of that."""
    headers = {"X-Request-ID": request_id_context.get()}
    if traceparent := vendor_traceparent_context.get():
        headers["traceparent"] = traceparent
    return headers
