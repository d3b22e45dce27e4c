"""`/admin`: a page for the operator, and what it shows. Not there unless a key is for it."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import Scope

from web.admin_status import read_status
from web.client_limits import ClientGate
from web.guards import check_key, forbidden
from web.key_ring import KeyRing
from web.origin_guard import forbidden_origin, is_own_page
from web.page import page_response
from web.services import Services


class _AdminRoute(APIRoute):
    """A path that is unknown, whatever the method, unless a key is for the admin page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        ring: KeyRing = scope["app"].state.keys.ring
        return super().matches(scope) if ring.has_admin else (Match.NONE, {})


admin_router = APIRouter(route_class=_AdminRoute)


@admin_router.api_route("/admin", methods=["GET", "HEAD"], include_in_schema=False)
async def admin_page(request: Request) -> Response:
    """The page. It has nothing to hide: it asks for the key, and reads the status with it."""
    return page_response(request.scope, "admin.html")


@admin_router.api_route("/admin/status", methods=["GET", "HEAD"], include_in_schema=False)
async def admin_status(request: Request) -> JSONResponse:
    """The state of all workers, for a key that is for it. No other page may ask, even by CORS."""
    if not is_own_page(request.headers):
        raise forbidden_origin(request.headers)
    services: Services = request.app.state.services
    key = check_key(request, services.keys, needed=True)
    if not (key and key.admin):
        raise forbidden("admin", "The gateway key is not for the admin page.")
    gate = cast(ClientGate, services.gate)  # there is one with KEYS_FILE, and the key is of that
    return JSONResponse(await read_status(services, gate.limiter))
