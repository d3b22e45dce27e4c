"""Tables of the codes, types and sentences in vendors' errors.

A new word of a vendor is a new row, with a test. Codes and types are compared as a whole, ignoring
case. A sentence counts only at the beginning of the message (after the name of an exception or
similar), since the rest may quote the client's prompt.
"""

from __future__ import annotations

import re

_CODE_BY_WORD = {
    # The account has no quota or credit left.
    "insufficient_quota": "upstream_quota",  # OpenAI, 429
    "billing_hard_limit_reached": "upstream_quota",
    "billing_not_active": "upstream_quota",
    "billing_disabled": "upstream_quota",  # google.rpc.ErrorInfo
    "billing_error": "upstream_quota",  # Anthropic, 402
    "enforced_spend_limit_reached": "upstream_quota",  # Anthropic, 429 `rate_limit_error`
    "exceeded_current_quota_error": "upstream_quota",  # Moonshot, 429
    "insufficient_balance": "upstream_quota",
    "insufficient_balance_error": "upstream_quota",
    "insufficient_credits": "upstream_quota",
    "insufficient_funds": "upstream_quota",
    "insufficient_user_quota": "upstream_quota",  # one-api and new-api, 403
    "payment_required": "upstream_quota",
    "arrearage": "upstream_quota",  # Alibaba, 400
    "allocationquota.freetieronly": "upstream_quota",  # Alibaba, 403
    "prepaidbilloverdue": "upstream_quota",
    "postpaidbilloverdue": "upstream_quota",
    "commoditynotpurchased": "upstream_quota",
    "accountoverdueerror": "upstream_quota",  # Volcengine, 403
    "1113": "upstream_quota",  # Zhipu, 429
    # The key, the account or the region may not use the API.
    "invalid_api_key": "upstream_auth",
    "invalidapikey": "upstream_auth",  # Alibaba
    "incorrect_api_key_error": "upstream_auth",  # Moonshot
    "invalid_authentication_error": "upstream_auth",  # Moonshot
    "authentication_error": "upstream_auth",
    "permission_error": "upstream_auth",
    "permission_denied_error": "upstream_auth",
    "unauthenticated": "upstream_auth",  # google.rpc.Code
    "permission_denied": "upstream_auth",
    "api_key_invalid": "upstream_auth",  # google.rpc.ErrorInfo, 400
    "api_key_service_blocked": "upstream_auth",
    "service_disabled": "upstream_auth",
    "consumer_suspended": "upstream_auth",
    "organization_on_hold": "upstream_auth",  # Anthropic, 400
    "organization_restricted": "upstream_auth",  # Groq, 400
    "invalid_organization": "upstream_auth",
    "account_deactivated": "upstream_auth",
    "unsupported_country_region_territory": "upstream_auth",  # OpenAI, 403
    "data_residency_mismatch": "upstream_auth",  # OpenAI
    # The model does not exist, or not for this account.
    "model_not_found": "upstream_model_not_found",
    "model_not_available": "upstream_model_not_found",
    "model_decommissioned": "upstream_model_not_found",
    "model_terms_required": "upstream_model_not_found",  # Groq, 400
    "model_permission_blocked_org": "upstream_model_not_found",  # Groq, 403
    "model_permission_blocked_project": "upstream_model_not_found",
    "deploymentnotfound": "upstream_model_not_found",  # Azure
    "resource_not_found_error": "upstream_model_not_found",  # Moonshot
    "1211": "upstream_model_not_found",  # Zhipu, 400
    # The conversation is longer than the model's context.
    "context_length_exceeded": "context_length_exceeded",
    "context_window_exceeded": "context_length_exceeded",
    "contextwindowexceedederror": "context_length_exceeded",  # LiteLLM
    "model_context_window_exceeded": "context_length_exceeded",
    "exceed_context_size_error": "context_length_exceeded",  # llama.cpp
    "string_above_max_length": "context_length_exceeded",
    "model_max_prompt_tokens_exceeded": "context_length_exceeded",  # GitHub
    "tokens_limit_reached": "context_length_exceeded",  # GitHub, 413
    "prompt_too_long": "context_length_exceeded",
    "3051": "context_length_exceeded",  # Mistral, 400
    "1261": "context_length_exceeded",  # Zhipu, 400
    # The content is not allowed.
    "content_filter": "content_filtered",
    "content_policy_violation": "content_filtered",
    "responsibleaipolicyviolation": "content_filtered",  # Azure
    "invalid_prompt": "content_filtered",  # OpenAI, 400
    "bio_policy": "content_filtered",  # OpenAI's Responses, as the other two
    "misalignment_policy_violation": "content_filtered",
    "image_content_policy_violation": "content_filtered",
    "data_inspection_failed": "content_filtered",  # Alibaba
    "datainspectionfailed": "content_filtered",
    "1301": "content_filtered",  # Zhipu
    # Too many requests for now.
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "rate_limit_reached_error": "rate_limited",  # Moonshot
    "too_many_requests": "rate_limited",
}

# OpenAI's Responses: an image that the client sent, such as one that is too large.
_IMAGE_ERROR = re.compile(
    "image_(?!content).+|(invalid|empty)_(base64_)?image.*|unsupported_image.*"
)

# Statuses of errors sent as events or in the body of a 200: documented types, and the names of
# google.rpc.Code.
_STATUS_BY_WORD = {
    "invalid_request_error": 400,
    "badrequesterror": 400,  # vLLM
    "invalid_argument": 400,
    "failed_precondition": 400,
    "out_of_range": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "notfounderror": 404,  # vLLM
    "not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "cancelled": 499,
    "api_error": 500,
    "server_error": 500,
    "internal": 500,
    "internalservererror": 500,  # vLLM
    "unavailable": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
}

# What may precede a vendor's sentence: the name of a Python exception, a status, the words of a
# proxy.
_LEAD_WORDS = (
    r"[\w.]*(?:error|exception)[\w.]*|context_length_exceeded|error code|provider returned error"
    r"|error from provider|(?:upstream|provider) error|the model returned the following errors"
    r"|unable to submit request because"
    r"|<?[45]\d\d>?"
)
# After these a message may quote the client's text: it is not believed about the account or the
# model.
_QUOTING_LEAD_WORDS = r"(?:invalid|bad) request|input validation error|invalid params"
CODES_OF_REQUESTS = ("context_length_exceeded", "content_filtered")  # the request is the cause
# "The total number of tokens in the request (5000) exceeds the model's context window", in the
# words of any server.
_LENGTH = (
    r"(?:(?:the|this|your|total|estimated|maximum|number|of|in|and|requested|request(?:'s)?|input"
    r"|prompt|context|message|messages|conversation|sequence|text|image|output|tokens?|length|count"
    r"|\(\d+(?: tokens)?\)|\d+) ){1,12}"
)
_IS_OVER = (
    r"(?:is |are )?"
    r"(?:exceeds?|exceeded|too (?:long|large) for|(?:greater|larger|longer|more) than)\b"
)
_CONTEXT = (
    r"(?![^\n]{0,80}\bper (?:second|minute|hour|day)\b)[^:\"\n]{0,50}?"
    r"\b(?:context\b|n_ctx|max_(?:seq|model|total)\w*|max(?:imum)? (?:\w+ )?(?:tokens|length)\b)"
)
_SENTENCES = {
    "context_length_exceeded": (
        _LENGTH + _IS_OVER + _CONTEXT,
        r"input exceeds (?:the )?context window",
        r"(?:the |model's ){0,2}context (?:length|size|window) (?:has been |is |was )?exceeded",
        r"context shift is disabled",  # llama.cpp, 500
        # vLLM, 400: what the prompt leaves of the context
        r"max_tokens must be at least 1, got -\d",
        r"cannot truncate prompt with n_keep \(\d+\) >= n_ctx",  # LM Studio
        r"prompt tokens limit exceeded",
        # Anthropic, Bedrock, Ollama, Fireworks, 400; llama.cpp, 500
        r"(?:the )?(?:input |prompt ){1,2}(?:is )?too (?:long|big)\b",
        r"input length and `max_tokens` exceed context limit",  # Anthropic, 400
        r"request size exceeds model context window",  # Anthropic, 413
        # Gemini, 400
        r"(?:the )?input token count (?:\(\d+\)|of \d+)? ?exceeds the maximum number of tokens",
        r"the input token count is \d+ but the model only supports",  # Vertex, 400
        # llama.cpp, 400
        r"(?:the )?request (?:\(\d+ tokens\) )?exceeds the available context size",
        r"(?:the )?(?:input|prompt) is larger than the max context size",  # llama.cpp, 500
        # OpenAI, vLLM, DeepSeek, OpenRouter, xAI
        r"this (?:model|endpoint)'s maximum (?:context|prompt) length is \d",
        r"'max_tokens' or 'max_completion_tokens' is too large: \d+\. "  # vLLM, 400
        r"this model's maximum context length",
        # vLLM, 400
        r"you passed \d+ input (?:tokens|characters)\b.{0,120}\bcontext length is only \d",
        r"the (?:decoder |encoder )?prompt \((?:total )?length \d+\) "  # vLLM
        r"is longer than the maximum model length",
        # SGLang, 400
        r"the (?:input|prompt) \(\d+ tokens\) is longer than the model's context length",
        r"input length \(\d+ tokens\) exceeds the maximum allowed length",  # SGLang, 400
        r"requested token count exceeds the model's maximum context length",  # SGLang, 400
        # LM Studio
        r"the number of tokens to keep from the initial prompt is greater than the context length",
        r"trying to keep the first \d+ tokens when context the overflows",  # LM Studio, 500
        r"(?:error in iterating prediction stream\. )?reached context length\b",  # LM Studio
        # Mistral, 400
        r"prompt contains \d+ tokens.{0,60} too large for model with \d+ maximum context length",
        r"your request exceeded model token limit",  # Moonshot, 400
        r"`inputs` tokens \+ `max_new_tokens` must be <=",  # TGI, 422
        r"`inputs` must have less than \d+ tokens",  # TGI, 422
        r"the input length exceeds the context length",  # Ollama, 400
        r"context window exceeds limit",  # MiniMax, 400
        r"your input exceeds the context window",  # OpenAI, 400
        r"input tokens exceed the configured limit",  # OpenAI, 400
        r"please reduce the length of the messages or completion",  # Groq, Cerebras, 400
        r"prompt token count of \d+ exceeds the limit of \d",  # GitHub, 400
        r"range of input length should be",  # Alibaba, 400
        r"too many tokens: (?:size limit exceeded|total number of tokens)",  # Cohere, 400
        r"prompt exceeds max length",  # Zhipu, 400
    ),
    "upstream_quota": (
        r"your credit balance is too low to access",  # Anthropic, 400
        r"usage credits are required for",  # Anthropic, 429
        r"you have reached your specified (?:workspace )?api usage limits",  # Anthropic, 400
        r"(?:your )?account\b[^.]{0,80} is suspended,? (?:possibly )?due to "
        # Moonshot, 429; Fireworks, 412
        r"(?:insufficient balance|reaching the monthly spending limit|failure to pay)",
        r"(?:the free tier of the model|your (?:free )?quota) has been exhausted",  # Alibaba, 403
        r"key limit exceeded",  # OpenRouter, 403
        r"you have exceeded your (?:monthly|included) [^.]{0,20}credits",  # Hugging Face, 402
        r"(?:your )?monthly spend(?:ing)? limit (?:has been )?(?:reached|exceeded)",
        r"you are using a trial key, which is limited to \d+ api calls / month",  # Cohere, 429
        r"your prepayment credits are depleted",  # Gemini, 429
        # OpenAI, 429; Gemini sends it for a quota per minute, too, with another ending
        r"you exceeded your current quota, please check your plan and billing details\. "
        r"for more information on this error, read the docs",
        r"insufficient (?:account )?(?:balance|credits|funds)\b",  # DeepSeek, 402
        r"your team \S{1,80} has either used all available credits",  # xAI, 403
        r"your newly created team doesn't have any (?:credits|licenses)",  # xAI, 403
        r"billing hard limit has been reached",  # OpenAI, 400
        r"access denied, please make sure your account is in good standing",  # Alibaba, 400
    ),
    "upstream_auth": (
        r"user location is not supported for the api use",  # Gemini, 400
        r"gemini api free tier is not available in your country",  # Gemini, 400
        r"this (?:organization has been disabled|credential is only authorized)",  # Anthropic, 400
        r"organization has been restricted",  # Groq, 400
        r"country, region, or territory not supported",  # OpenAI, 403
        r"access to anthropic models is not allowed from unsupported countries",  # Anthropic, 400
        r"incorrect api key provided",  # xAI, 400
        r"api key (?:not valid|not found|expired)",  # Gemini, 400
        r"invalid (?:api key|x-api-key)\b",
    ),
    "upstream_model_not_found": (
        # OpenAI, 400, 403 and 404: this model alone
        r"your organization must be verified to (?:use|stream)",
        r"no endpoints found for \S",  # OpenRouter
        r"(?:the )?(?:requested )?model [`'\"]?[\w./:@-]{1,200}[`'\"]? "
        r"(?:does not exist|(?:is )?not found|has been de\w+ed\b)",
        r"model not exist",  # DeepSeek, 400
        r"invalid model: [\w./:@-]",  # Mistral, 400
        r"[\w./:@-]{1,200} is not a valid model id",  # OpenRouter, 400
        r"no models? (?:is )?loaded",  # LM Studio, 400
    ),
    "content_filtered": (
        r"output blocked by content filtering policy",  # Anthropic, 400
        r"content exists risk",  # DeepSeek, 400
        r"your chosen model requires moderation",  # OpenRouter, 403
        r"invalid prompt: your prompt was flagged",  # OpenAI, 400
        r"input data may contain inappropriate content",  # Alibaba, 400
    ),
}


def _compile_sentences(code: str, sentences: tuple[str, ...]) -> re.Pattern[str]:
    leads = f"{_LEAD_WORDS}|{_QUOTING_LEAD_WORDS}" if code in CODES_OF_REQUESTS else _LEAD_WORDS
    pattern = rf"(?:(?:{leads})[\s:,.;-]{{0,4}}){{0,4}}(?:{'|'.join(sentences)})"
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


_SENTENCE_PATTERNS = tuple(
    (_compile_sentences(code, sentences), code) for code, sentences in _SENTENCES.items()
)
_LONGEST_READ = 1000  # characters at the start of a message


def code_of_word(word: object) -> str | None:
    """The gateway's code for a vendor's code or type, text or number; None without a row."""
    is_word = isinstance(word, str | int) and not isinstance(word, bool)
    return _CODE_BY_WORD.get(str(word).lower()) if is_word else None


def code_of_sentence(message: str) -> str | None:
    """The gateway's code for a message that starts with a sentence of the table, else None."""
    beginning = message[:_LONGEST_READ].lstrip()
    return next((code for pattern, code in _SENTENCE_PATTERNS if pattern.match(beginning)), None)


def status_of_word(word: object) -> int | None:
    """The HTTP status that a vendor's code or type stands for, or is, as number or text."""
    if isinstance(word, bool) or not isinstance(word, str | int | float):
        return None
    text = str(word).lower().removesuffix(".0")
    if re.fullmatch(r"[345]\d\d", text, re.ASCII):
        return int(text)
    if _IMAGE_ERROR.fullmatch(text):
        return 400
    return _STATUS_BY_WORD.get(text)
