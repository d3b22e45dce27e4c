"""What vendors and compatible servers say when they refuse a request, as reported in public, and what it means."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from models import GatewayError
from providers.errors import vendor_error
from providers.refusals import VendorRefusalError

OPENAI = {"type": "invalid_request_error", "param": None, "code": None}


def openai(message: str, **more: object) -> dict[str, Any]:
    return {"error": OPENAI | {"message": message} | more}


def anthropic(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google(message: str, status: str = "INVALID_ARGUMENT", code: int = 400) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status}}


def mistral(*details: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "error",
        "message": {"detail": list(details)},
        "type": "invalid_request_error",
        "code": None,
    }


# --- parameters --------------------------------------------------------------------------------------

SENT = {
    "temperature": (),
    "max_completion_tokens": ("max_tokens",),
    "reasoning_effort": ("reasoning", "thinking", "effort"),
    "stream_options": ("include_usage",),
    "thinkingLevel": ("thinkingConfig",),
    "includeThoughts": ("thinkingConfig",),
}
EXTRA = {
    "type": "extra_forbidden",
    "msg": "Extra inputs are not permitted",
    "input": {"temperature": 1},
}
UNKNOWN_FIELD = (
    "Invalid JSON payload received. Unknown name \"thinkingLevel\" at 'generation_config.thinking_config': Cannot find "
    "field."
)
RAW_TEMPERATURE = '{"error": {"message": "bad temperature"}}'
REFUSED_PARAMETERS: list[tuple[int, Any, str]] = [
    (400, openai("Unrecognized request argument supplied: reasoning_effort"), "reasoning_effort"),
    (400, openai("Unsupported value: 'minimal'", param="reasoning.effort"), "reasoning_effort"),
    (
        400,
        openai("Function tools with reasoning_effort are not", param="reasoning_effort"),
        "reasoning_effort",
    ),
    (
        400,
        openai("Unsupported value: 'temperature' does not support 0.5 with this model."),
        "temperature",
    ),
    (
        400,
        openai("max_tokens is too large: 8192. This model supports at most 4096"),
        "max_completion_tokens",
    ),
    (
        400,
        openai("Invalid 'temperature': decimal above maximum value.", param="temperature"),
        "temperature",
    ),
    (400, openai("`reasoning_effort` must be one of `none` or `default`"), "reasoning_effort"),
    (
        400,
        openai("'reasoning_effort' : value is not one of the allowed values ['none']"),
        "reasoning_effort",
    ),
    (400, {"error": '"gemma3" does not support thinking'}, "reasoning_effort"),
    (400, {"detail": "Unsupported parameter: stream_options"}, "stream_options"),
    (400, {"message": "stream_options is not supported", "code": "invalid"}, "stream_options"),
    (422, {"detail": [EXTRA | {"loc": ["body", "stream_options"]}]}, "stream_options"),
    (
        422,
        {"detail": [EXTRA | {"loc": ["body", "stream_options", "include_usage"]}]},
        "stream_options",
    ),
    (422, mistral(EXTRA | {"loc": ["body", "reasoning_effort"]}), "reasoning_effort"),
    (422, [{"error": {"message": "unknown field", "param": "streamOptions"}}], "stream_options"),
    (400, anthropic("This model does not support the effort parameter."), "reasoning_effort"),
    (400, anthropic("This model does not support effort level 'xhigh'."), "reasoning_effort"),
    (400, anthropic("`temperature` may only be set to 1 when thinking is enabled"), "temperature"),
    (400, google("Thinking level MINIMAL is not supported for this model."), "thinkingLevel"),
    (400, google("Thinking level is not supported for this model."), "thinkingLevel"),
    (
        400,
        google("Unable to submit request because Thinking_config.include_thoughts is only"),
        "includeThoughts",
    ),
    (400, google(UNKNOWN_FIELD), "thinkingLevel"),
    (
        400,
        {"error": {"details": [{"fieldViolations": [{"field": "x.include_thoughts"}]}]}},
        "includeThoughts",
    ),
    (
        400,
        {"error": {"message": "Provider returned error", "metadata": {"raw": RAW_TEMPERATURE}}},
        "temperature",
    ),
    (
        400,
        openai("max_tokens=8192cannot be greater than max_model_len=4096. Please request"),
        "max_completion_tokens",
    ),
]


@pytest.mark.parametrize(("status", "body", "parameter"), REFUSED_PARAMETERS)
def test_refused_parameter_is_found_wherever_it_is_named(
    status: int, body: object, parameter: str
) -> None:
    """In the text, in `param`, `loc` or `field`; in snake case, camel case, with blanks or nested."""
    error = vendor_error(body, status=status)
    assert isinstance(error, VendorRefusalError)
    assert error.code == "rejected_by_provider"
    assert error.named_among(SENT)[0] == parameter


@pytest.mark.parametrize(
    "body",
    [
        openai("Invalid 'messages[3]'.", param="messages[3]"),
        openai("Unsupported parameter: 'top_p'"),
        openai("The temperatures are wrong"),
        {
            "detail": [
                {
                    "loc": ["body", "messages"],
                    "msg": "bad",
                    "input": "my temperature and reasoning_effort",
                }
            ]
        },
        {"error": {"message": "tool failed", "failed_generation": "temperature"}},
        {},
        None,
    ],
)
def test_what_is_no_sent_parameter_is_not_found(body: object) -> None:
    """Another parameter, a longer word, or the client's own input in the answer."""
    error = vendor_error(body, status=400)
    assert isinstance(error, VendorRefusalError)
    assert error.named_among(SENT) == []


def test_what_the_vendor_said_shows_nowhere() -> None:
    """It is kept to find parameters in, and may quote the prompt."""
    error = vendor_error(openai("secret words about temperature", param="secret place"), status=400)
    assert "secret" not in f"{error} {error!r} {error.safe_message} {error.detail} {error.args}"


# --- the account, the model, the context, the content ------------------------------------------------

INPUT_AND_LIMIT = "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease input length"
OPENAI_CONTEXT = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (808 in the"
VLLM_CONTEXT = (
    "You passed 5000 input tokens and requested 100 output tokens. "
    "However, the model's context length is only 4096"
)
SGLANG_CONTEXT = "The input (5000 tokens) is longer than the model's context length (4096 tokens)."
LM_STUDIO_CONTEXT = "The number of tokens to keep from the initial prompt is greater than the context length. Try to"
OPENROUTER_RAW = (
    '{"error":{"message":"This endpoint\'s maximum context length is 8192 tokens","code":400}}'
)
LITELLM_TAIL = (
    '{"type":"error","error":{"type":"invalid_request_error",'
    '"message":"prompt is too long: 210000 tokens > 200000"}}'
)
PYTHON_TAIL = (
    "{'error': {'message': \"This model's maximum context length is 8192 tokens. However, you requested 9000\", "
    "'type': 'invalid_request_error', 'param': None, 'code': 400}}"
)
VERIFY = "Your organization must be verified to use the model `o3`. Please go to: https://platform.openai.com/settings"
CONTEXT: list[tuple[int | None, Any]] = [
    (400, anthropic(INPUT_AND_LIMIT)),
    (400, anthropic("prompt is too long: 210000 tokens > 200000 maximum")),
    (413, anthropic("Request size exceeds model context window")),
    (400, {"error": {"code": 400, "message": "request (33056 tokens) exceeds the available context size (32768 tokens)",
                     "type": "exceed_context_size_error", "n_ctx": 32768}}),
    (400, {"error": {"code": 400, "message": "the request exceeds the available context size. try increasing it"}}),
    (500, {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}),
    (400, {"object": "error", "message": OPENAI_CONTEXT, "type": "BadRequestError", "param": None, "code": 400}),
    (400, {"error": {"message": VLLM_CONTEXT, "type": "BadRequestError", "code": 400}}),
    (400, {"object": "error", "message": "The decoder prompt (length 4500) is longer than the maximum model length of",
           "code": 400}),
    (400, {"object": "error", "message": SGLANG_CONTEXT, "type": "BadRequestError", "code": 400}),
    (400, {"message": "Requested token count exceeds the model's maximum context length of 4096 tokens."}),
    (400, {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": OPENROUTER_RAW}}}),
    (400, {"error": {"message": "This endpoint's maximum context length is 131072 tokens.", "code": 400}}),
    (None, {"error": {"message": LM_STUDIO_CONTEXT}, "message": LM_STUDIO_CONTEXT}),
    (500, {"error": LM_STUDIO_CONTEXT}),
    (500, {"error": "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded"}),
    (400, openai("Please reduce the length of the messages or completion.", code="context_length_exceeded")),
    (400, openai("Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192")),
    (400, openai("Your input exceeds the context window of this model.", code="context_length_exceeded")),
    (400, openai("Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in")),
    (400, google("The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).")),
    (400, google("The input token count exceeds the maximum number of tokens allowed 1048576.")),
    (400, google("Unable to submit request because the input token count is 33000 but the model only supports up to")),
    (400, {"object": "error", "type": "invalid_request_prompt", "code": "3051",
           "message": "Prompt contains 65673 tokens, too large for model with 32768 maximum context length"}),
    (400, {"message": "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 maximum context "
                      "length"}),
    (400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)",
                     "type": "invalid_request_error"}}),
    (400, openai(OPENAI_CONTEXT)),
    (400, {"error": "prompt too long; exceeded max context length by 812 tokens"}),
    (500, {"error": "the input length exceeds the context length"}),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4076",
           "error_type": "validation"}),
    (400, {"code": "Client specified an invalid argument",
           "error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."}),
    (400, openai("litellm.ContextWindowExceededError: BadRequestError: prompt is too long: 9 tokens > 8 maximum")),
    (400, openai("The model returned the following errors: prompt is too long: 9 tokens > 8 maximum")),
    (400, openai("Upstream error: This model's maximum context length is 8192 tokens")),
    (400, openai("Error code: 400 - This model's maximum context length is 8192 tokens")),
    (400, openai("x", type="ContextWindowExceededError")),
    (400, openai("prompt token count of 130000 exceeds the limit of 128000", code="model_max_prompt_tokens_exceeded")),
    (400, [google("The input token count (9) exceeds the maximum number of tokens allowed (8).")]),
    (400, OPENAI_CONTEXT),
    (400, openai("Requested tokens (5000) exceed context window of 4096")),
    (400, openai("max_tokens must be at least 1, got -50.", type="BadRequestError", code=400)),
    (400, openai("Input length (5000) exceeds model's maximum context length (4096).", code=400)),
    (400, openai("Total tokens of image and text exceed max message tokens. Request id: 02", code="InvalidParameter")),
    (400, openai("Prompt length 5000 is greater than max_seq_len 4096")),
    (400, openai("input tokens exceeds the model's maximum context window")),
    (400, openai("The total number of tokens in the request (21) exceeds the model's context window of 20")),
    (400, openai("Your input is too long for this model's context. Max context length is 131072")),
    (400, openai("tokens in request more than max tokens allowed")),
    (400, openai("Context length exceeded: the conversation is too long")),
    (400, openai("Input exceeds context window of this model")),
    (400, openai("prompt tokens limit exceeded: 200000 > 128000")),
    (400, openai(f"litellm.BadRequestError: AnthropicException - {LITELLM_TAIL}", type=None, code="400")),
    (400, openai(f"litellm.BadRequestError: AnthropicException - {LITELLM_TAIL}. Received Model Group=claude\nx=None")),
    (400, openai(f"litellm.BadRequestError: VertexAIException BadRequestError - b'{LITELLM_TAIL}'")),
    (400, {"detail": f"Error code: 400 - {PYTHON_TAIL}"}),
    (500, {"detail": f"Error code: 400 - {PYTHON_TAIL}"}),
    (500, {"error": f"openai.BadRequestError: Error code: 400 - {PYTHON_TAIL}"}),
    (500, {"detail": "Error code: 400 - {'error': {'message': 'too much', 'code': 'context_length_exceeded'}}"}),
    (None, {"error": "Error in iterating prediction stream. Reached context length of 4096 tokens with model"}),
    (None, {"error": "Cannot truncate prompt with n_keep (5000) >= n_ctx (4096)"}),
    (500, {"error": {"code": 500, "message": "context shift is disabled", "type": "server_error"}}),
    (500, openai("context_length_exceeded: the request exceeds the available context size; context shift is disabled")),
    (500, openai("Input prompt is too big compared to KV size. Please try increasing KV size.")),
    (400, openai("The estimated number of input and maximum output tokens (9) exceeded this model context window")),
    (400, openai("ValidationException: Input is too long for requested model.")),
    (500, openai("The model's context window has been exceeded")),
]  # fmt: skip
RAW_QUOTA = '{"error":{"code":"insufficient_quota","message":"x"}}'
MOONSHOT = "Your account org-1 <ak-2> is suspended due to insufficient balance, please recharge your account"
SPENT_OPENAI = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
QUOTA: list[tuple[int | None, Any]] = [
    (400, anthropic("You have reached your specified API usage limits. You will regain access on 2026-12-01.")),
    (400, anthropic("You have reached your specified workspace API usage limits.")),
    (400, anthropic("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing")),
    (402, anthropic("Payment", "billing_error")),
    (400, anthropic("Payment", "billing_error")),
    (429, {"error": {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}}),
    (429, {"error": {"message": "Your account is suspended due to insufficient balance, please recharge your account",
                     "type": "exceeded_current_quota_error"}}),
    (429, {"error": {"message": MOONSHOT, "type": "rate_limit"}}),
    (429, openai(SPENT_OPENAI, type="insufficient_quota", code="insufficient_quota")),
    (429, openai(SPENT_OPENAI)),
    (403, openai("x", code="insufficient_user_quota", type="new_api_error")),
    (402, {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}),
    (400, {"error": {"message": "Insufficient Balance"}}),
    (None, {"error": {"code": 402, "message": "x"}}),
    (None, {"error": {"code": "402", "message": "x"}}),
    (500, {"error": {"code": "402", "message": "x"}}),
    (400, {"error": {"status": 402, "message": "x"}}),
    (429, google("Your prepayment credits are depleted. Please go to AI Studio", "RESOURCE_EXHAUSTED", 429)),
    (429, {"error": {"code": "1113", "message": "x"}}),
    (429, {"error": {"code": 1113, "message": "x"}}),
    (400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}),
    (403, {"code": "The caller does not have permission to execute the specified operation",
           "error": "Your team a1b2 has either used all available credits or reached its monthly spending limit."}),
    (429, {"error": '{"error": {"code": "insufficient_quota"}}'}),
    (400, {"error": {"errors": [{"code": "insufficient_quota"}]}}),
    (412, openai("Account acme is suspended, possibly due to reaching the monthly spending limit or failure to pay",
                 code="PRECONDITION_FAILED")),
    (403, {"code": "AllocationQuota.FreeTierOnly", "message": "x"}),
    (403, openai("The free tier of the model has been exhausted. If you wish to continue access the model on a paid")),
    (403, openai("Your quota has been exhausted")),
    (403, {"code": "PrepaidBillOverdue", "message": "The prepaid bill is overdue."}),
    (403, {"error": {"message": "Key limit exceeded (total limit). Manage it using", "code": 403}}),
    (400, {"error": "You have exceeded your monthly included credits for Inference Providers."}),
    (429, openai("Monthly spend limit reached")),
    (429, anthropic("Usage credits are required for long context requests.", "rate_limit_error")),
    (429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month."}),
    (400, {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": RAW_QUOTA}}}),
    (402, openai("litellm.APIError: AnthropicException - " + RAW_QUOTA)),
]  # fmt: skip
AUTH: list[tuple[int | None, Any]] = [
    (400, google("User location is not supported for the API use.", "FAILED_PRECONDITION")),
    (400, google("Gemini API free tier is not available in your country. Please", "FAILED_PRECONDITION")),
    (400, anthropic("This organization has been disabled.")),
    (400, anthropic("x", "authentication_error")),
    (400, anthropic("This credential is only authorized for use with Claude Code and cannot be used for other")),
    (400, openai("Organization has been restricted. Please reach out to support", code="organization_restricted")),
    (400, openai("Organization has been restricted. Please reach out to support if you believe this was in error.")),
    (403, openai("Country, region, or territory not supported", code="unsupported_country_region_territory")),
    (400, openai("Country, region, or territory not supported")),
    (400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***. You can"}),
    (None, {"error": {"status": "PERMISSION_DENIED", "message": "x"}}),
    (None, {"error": {"status": "UNAUTHENTICATED", "message": "x"}}),
    (None, {"error": {"code": "403", "message": "x"}}),
    (400, {"error": {"code": 401, "message": "User not found."}}),
    (400, {"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}),
    (400, google("API Key not found. Please pass a valid API key.")),
    (400, google('{"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}', "Bad Request")),
]  # fmt: skip
NOT_FOUND: list[tuple[int | None, Any]] = [
    (403, openai(VERIFY)),
    (400, openai("Your organization must be verified to stream this model.", param="stream", code="unsupported_value")),
    (404, openai(VERIFY, code="model_not_found")),
    (400, {"object": "error", "message": "Invalid model: mistral-huge", "type": "invalid_model", "code": "1500"}),
    (400, openai("The model `llama-3.1-70b-versatile` has been decommissioned", code="model_decommissioned")),
    (400, openai("The model `llama-3.1-70b-versatile` has been decommissioned and is no longer supported.")),
    (400, openai("Model Not Exist")),
    (400, {"error": {"message": "foo/bar:free is not a valid model ID", "code": 400}}),
    (400, openai("x", code="model_terms_required")),
    (403, openai("x", code="model_permission_blocked_org")),
    (None, {"error": {"status": "NOT_FOUND", "message": "x"}}),
    (400, openai("The requested model 'x' does not exist.")),
    (400, {"error": {"message": "No endpoints found for acme/x.", "code": 400}}),
    (None, {"error": {"code": 404.0, "message": "x"}}),
    (400, {"error": {"message": "No models loaded. Please load a model in the developer page"}}),
]  # fmt: skip
FILTERED: list[tuple[int | None, Any]] = [
    (400, anthropic("Output blocked by content filtering policy")),
    (400, openai("Content Exists Risk")),
    (400, openai("Invalid prompt: your prompt was flagged as potentially violating", code="invalid_prompt")),
    (403, {"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"], "flagged_input": "a"}}}),
    (400, {"code": "data_inspection_failed", "message": "x"}),
]  # fmt: skip
TABLES = {
    "context_length_exceeded": CONTEXT,
    "upstream_quota": QUOTA,
    "upstream_auth": AUTH,
    "upstream_model_not_found": NOT_FOUND,
    "content_filtered": FILTERED,
    "rate_limited": [
        (None, google("x", "RESOURCE_EXHAUSTED", 429)),
        (None, {"error": {"status": "RESOURCE_EXHAUSTED", "message": "x"}}),
        (None, {"error": {"code": "429", "message": "x"}}),
        (429, google(SPENT_OPENAI.replace("read the docs", "head to"), "RESOURCE_EXHAUSTED", 429)),
        (502, {"error": {"code": 429, "message": "x"}}),
    ],
    "upstream_unavailable": [
        (None, {"error": {"status": "UNAVAILABLE", "message": "x"}}),
        (None, {"object": "error", "message": "x", "type": "InternalServerError", "code": 500}),
        (503, {"error": {"code": 404, "message": "x"}}),
    ],
}


@pytest.mark.parametrize(
    ("code", "status", "body"), [(code, *case) for code, cases in TABLES.items() for case in cases]
)
def test_reported_error_has_its_code(code: str, status: int | None, body: object) -> None:
    """By codes and types, as text or number, nested, bare or in a list; by sentences; in whatever status."""
    assert vendor_error(body, status=status).code == code


@pytest.mark.parametrize(("status", "body"), [*CONTEXT, *FILTERED])
def test_what_the_client_sent_never_counts_against_the_vendor(
    status: int | None, body: object
) -> None:
    """Long chats of one client must not open the breaker for all clients, sent as a 400, a 500 or an event."""
    assert not vendor_error(body, status=status).is_vendors


@pytest.mark.parametrize(("status", "body"), [*QUOTA, *AUTH, *NOT_FOUND])
def test_what_the_operator_must_change_is_reported(status: int | None, body: object) -> None:
    """An account, a key, a region or a model's name: other vendors are asked meanwhile."""
    error = vendor_error(body, status=status)
    assert error.is_misconfiguration
    assert error.kind.next_model in ("yes", "other_vendor")


def sentences() -> list[str]:
    """Every sentence above that decides a code."""
    found = []
    for cases in (CONTEXT, QUOTA, AUTH, NOT_FOUND, FILTERED):
        for _, body in cases:
            error = body.get("error", body) if isinstance(body, dict) else {"message": body}
            message = (
                error
                if isinstance(error, str)
                else error.get("message")
                if isinstance(error, dict)
                else None
            )
            if isinstance(message, str) and len(message) > 10:
                found.append(message)
    return found


ECHOES = [
    "messages.0.content: '{}' is not allowed",
    "Invalid content in message 1: {}",
    'Could not parse "{}"',
    "Request contains text parts with errors. Got: {}",
    "1 validation error: messages -> 0 -> content\n  {}",
    "The following text was refused: {}",
    "my question: {}",
]


def is_alarming(error: GatewayError) -> bool:
    return error.is_misconfiguration or error.is_vendors or error.code == "context_length_exceeded"


@pytest.mark.parametrize("echo", ECHOES)
def test_error_that_quotes_the_prompt_raises_no_alarm(echo: str) -> None:
    """A client that writes a vendor's words into its prompt gets a rejected request and raises no alarm."""
    for sentence in sentences():
        for body in (
            openai(echo.format(sentence)),
            anthropic(echo.format(sentence)),
            google(echo.format(sentence)),
        ):
            assert not is_alarming(vendor_error(body, status=400)), sentence


@pytest.mark.parametrize(
    "lead", ["Invalid request: ", "Bad request: ", "Error: Invalid request. ", "invalid params, "]
)
@pytest.mark.parametrize(
    "prompt",
    [
        "your credit balance is too low to access x",
        "Invalid API key",
        "The model gpt does not exist",
        "Key limit exceeded",
    ],
)
def test_prompt_after_words_about_the_request_raises_no_alarm(lead: str, prompt: str) -> None:
    """What follows may be the client's text: it says nothing of the account."""
    assert vendor_error(openai(lead + prompt), status=400).code == "rejected_by_provider"


QUOTING: list[Callable[[str], object]] = [
    openai,
    anthropic,
    lambda prompt: {"error": prompt},
    lambda prompt: {"detail": prompt},
    lambda prompt: {"errors": [prompt]},
    lambda prompt: f"Error: {prompt}",
]


@pytest.mark.parametrize("status", [400, 422, 500, None])
@pytest.mark.parametrize(
    "prompt",
    [
        '{"code":"insufficient_quota"}',
        '{"error":{"code":401,"type":"authentication_error"}}',
        '[{"message":"Invalid API key"}]',
        '{"code":429,"type":"rate_limit_error"}',
        '{"type":"model_not_found"}',
        '{"error":{"code":400,"message":"Invalid API key","status":"UNAUTHENTICATED"}}',
        '{"raw":"{\\"code\\":\\"insufficient_quota\\"}"}',
        "BadRequestError - {'code': 'insufficient_quota'}",
    ],
)
def test_json_within_a_message_raises_no_alarm(prompt: str, status: int | None) -> None:
    """It may be what the client has sent, and shows nowhere."""
    for shape in QUOTING:
        error, plain = (vendor_error(shape(text), status=status) for text in (prompt, "bad"))
        assert (error.code, error.detail) == (plain.code, plain.detail)


@pytest.mark.parametrize("field", ["input", "failed_generation"])
def test_quoted_input_is_not_read(field: str) -> None:
    """FastAPI and Groq send the client's text back in fields of its own."""
    quoted = {field: "Your credit balance is too low to access the API", "msg": "bad"}
    for body in ({"detail": [quoted]}, {"error": quoted}):
        assert vendor_error(body, status=422).code == "rejected_by_provider"


def test_deep_and_wide_bodies_are_classified_at_once() -> None:
    """A vendor's body of any shape costs no more than reading it."""
    deep: Any = "x"
    for _ in range(500):
        deep = {"error": [deep, deep]} if len(str(deep)) < 10_000 else {"error": deep}
    wide = {"errors": [{"details": [{"code": number}] * 50} for number in range(1000)]}
    for body in (deep, wide, [wide] * 100):
        began = time.process_time()
        assert vendor_error(body, status=400).code == "rejected_by_provider"
        assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    "message",
    [
        "The request exceeds the maximum number of images",
        "Request size exceeds maximum size of 20 MB",
        "messages: text content blocks must be non-empty",
        "Prompt: 'my context is longer than'",
        "Message 3 is too long for: the context",
    ],
)
def test_other_limits_are_no_context(message: str) -> None:
    """What is over another limit, or quotes a text that is about a context."""
    assert vendor_error(openai(message), status=400).code == "rejected_by_provider"


def test_tokens_per_minute_are_a_rate() -> None:
    """A request with more tokens than a minute may have is limited by its rate."""
    message = "Requested tokens (9000) exceed the maximum tokens of 6000 per minute"
    assert vendor_error(openai(message), status=429).code == "rate_limited"


@pytest.mark.parametrize(
    "text",
    [
        "e" * 100_000,
        "error " * 20_000,
        "a." * 50_000,
        f"error: {{{'errors' * 9999}",
        "in " * 9999,
        "{" * 100_000,
        "[" * 100_000,
    ],
)
def test_long_text_is_classified_at_once(text: str) -> None:
    """No pattern takes more than linear time over what a vendor may send."""
    assert vendor_error(openai(text), status=400).code == "rejected_by_provider"
