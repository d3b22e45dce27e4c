"""The HTTP routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from configuration import VERSION
from models import GatewayError
from providers.model_names import ListedModel
from web.admin import admin_router
from web.chats import chat_route
from web.counts import count_route
from web.doors import COUNTS, DOORS
from web.doors.base import CountingDoor, Door
from web.doors.model_lists import (
    anthropic_model,
    anthropic_models,
    openai_model,
    openai_models,
    speaks_anthropic,
)
from web.framework import DirectRoute
from web.guards import check_key, check_operator, check_provider, forbidden
from web.metrics import metrics_response
from web.openapi import (
    CHATS,
    HEALTH,
    LIVE,
    PROVIDER_HEALTH,
    TOKEN_COUNTS,
    OpenApiDocument,
)
from web.openapi_openai import MODEL, MODELS
from web.openapi_ui_message import RESUME
from web.page import page_response
from web.page_config import page_config
from web.security_contact import security_policy, security_text
from web.services import Services

router = APIRouter()


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def add_doors(router: APIRouter, doors: Mapping[str, Door]) -> None:
    """Add a route for the chats of each door."""
    for path, door in doors.items():
        page = CHATS.get(path, {"include_in_schema": False})
        router.add_api_route(
            path, chat_route(door), methods=["POST"], route_class_override=DirectRoute, **page
        )


def add_counts(router: APIRouter, doors: Mapping[str, CountingDoor]) -> None:
    """Add the routes at which clients ask for the tokens of a chat."""
    for path, door in doors.items():
        router.add_api_route(path, count_route(door), methods=["POST"], **TOKEN_COUNTS[path])


add_doors(router, DOORS)
add_counts(router, COUNTS)


@router.head("/v1/models", include_in_schema=False)
@router.get("/v1/models", **MODELS)
async def models(request: Request) -> JSONResponse:
    """The names of models that clients can ask for."""
    services = _services(request)
    key = check_key(request, services.keys)
    to_list = anthropic_models if speaks_anthropic(request.headers) else openai_models
    listed = services.gateway.listed_models()
    if key and (scope := key.scope):
        names = services.gateway.factory.names
        listed = tuple(
            model
            for model in listed
            if scope.allows(model.provider, model.name)
            or (model.name in names and scope.allows_provider(model.provider))
        )
    return JSONResponse(to_list(listed))


# a model's name may have slashes
@router.head("/v1/models/{name:path}", include_in_schema=False)
@router.get("/v1/models/{name:path}", **MODEL)
async def model(name: str, request: Request) -> JSONResponse:
    """One model, listed or not: whether clients can ask for it."""
    services = _services(request)
    key = check_key(request, services.keys)
    found = ListedModel(name, services.gateway.find_model(name).provider)
    check_provider(key, found.provider)
    to_item = anthropic_model if speaks_anthropic(request.headers) else openai_model
    return JSONResponse(to_item(found))


@router.get("/ui/chat/{provider}/{chat}/stream", **RESUME)
async def resume(provider: str, request: Request) -> Response:
    """Pages of the AI SDK ask for a stream to resume. This status says that there is none."""
    _services(request).gateway.factory.settings(provider)  # an unknown provider is an error
    return Response(status_code=204)


# for load balancers
@router.api_route("/health", methods=["HEAD", "OPTIONS"], include_in_schema=False)
@router.get("/health", **HEALTH)
async def health(request: Request) -> JSONResponse:
    """Whether this instance accepts requests. No vendor is called."""
    services = _services(request)
    if services.drain.is_draining:
        status, message = "DRAINING", "This instance is about to stop"
    elif services.streams.is_reached:
        status, message = "OVERLOADED", "All places for streams are taken"
    else:
        status, message = "OK", "System operational"
    body = {
        "status": status,
        "message": message,
        "version": VERSION,
        "demo": services.settings.demo_mode,
        "streams": {"open": services.streams.open, "limit": services.streams.limit},
        "providers": services.gateway.states(),
    }
    return (
        JSONResponse(body)
        if status == "OK"
        else JSONResponse(body, 503, headers={"Retry-After": "1"})
    )


@router.api_route("/health/live", methods=["HEAD", "OPTIONS"], include_in_schema=False)
@router.get("/health/live", **LIVE)
async def live() -> dict[str, str]:
    """Liveness: the process responds."""
    return {"status": "OK"}


@router.head("/health/{provider}", include_in_schema=False)
@router.get("/health/{provider}", **PROVIDER_HEALTH)
async def provider_health(provider: str, request: Request, deep: bool = False) -> JSONResponse:
    """One provider's state. A test message to its default model (`deep`) needs a gateway key."""
    services = _services(request)
    if deep:
        key = check_key(request, services.keys, needed=True)
        check_provider(key, provider)
        if key and not key.deep_health:
            raise forbidden("deep_health", "The gateway key is not for deep checks.")
    report: dict[str, Any] = await services.gateway.check_health(provider, deep=deep)
    return JSONResponse(report, 503 if report["status"] == "ERROR" else 200)


@router.get("/sentry-debug", include_in_schema=False)
async def sentry_debug(request: Request) -> None:
    """Raise a test error for Sentry."""
    settings = _services(request).settings
    if not settings.sentry_debug_route:
        raise GatewayError("not_found")
    check_operator(request, _services(request).keys)
    raise RuntimeError("a test error for Sentry")


@router.api_route("/metrics", methods=["GET", "HEAD"], include_in_schema=False)
async def metrics(request: Request) -> Response:
    """What Prometheus reads."""
    key = check_operator(request, _services(request).keys)
    if key and not key.metrics:
        raise forbidden("metrics", "The gateway key is not for metrics.")
    return await metrics_response(request)


@router.head("/", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The chat page."""
    return page_response(request.scope)


@router.api_route("/ui/config", methods=["GET", "HEAD"], include_in_schema=False)
async def config(request: Request) -> JSONResponse:
    """The limits and the providers, for the chat page."""
    return JSONResponse(page_config(_services(request)), headers={"Cache-Control": "no-store"})


@router.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
async def reference(request: Request) -> Response:
    """The API reference, without files from other hosts."""
    return page_response(request.scope, "reference.html")


@router.api_route("/service_worker.js", methods=["GET", "HEAD"], include_in_schema=False)
async def service_worker(request: Request) -> Response:
    """Keeps the chat page in the browser. Its place is its scope: the page's folder."""
    return page_response(request.scope, "service_worker.js")


@router.api_route("/openapi.json", methods=["GET", "HEAD"], include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    document: OpenApiDocument = request.app.state.openapi
    return document.respond(request.scope)


@router.api_route("/.well-known/security.txt", methods=["GET", "HEAD"], include_in_schema=False)
async def security_contact(request: Request) -> PlainTextResponse:
    """The contact for reporting a vulnerability."""
    return security_text(request, _services(request).settings.security_contact)


@router.api_route("/SECURITY.md", methods=["GET", "HEAD"], include_in_schema=False)
async def policy(request: Request) -> Response:
    """The security policy, and how to report a vulnerability."""
    return security_policy(request.scope)


router.include_router(admin_router)
