"""What every server has, whatever it serves: its health, its measurements, its documentation."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, cast

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from supover.kit import api, openapi, problems, telemetry
from supover.kit.crypto import same

Asked = Request[Any, Any, Any]


class NotReady(problems.Unavailable):
    """The database does not answer."""


class MetricsRefused(problems.Unauthorized):
    """The measurements ask for their token."""


class Health(msgspec.Struct, frozen=True):
    """`status` is 'ok'."""

    status: str = "ok"


PERMISSIONS: Final[Mapping[str, str]] = {
    "health.live": api.PUBLIC,
    "health.ready": api.PUBLIC,
    "metrics.render": api.PUBLIC,
    "docs.page": api.PUBLIC,
    "docs.openapi": api.PUBLIC,
    "docs.asset": api.PUBLIC,
}
READY: Final = "select 1"

PAGE: Final = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Supover API</title>
<link rel="icon" href="/docs/assets/favicon-32x32.png"><link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head><body><noscript>The document itself: <a href="/docs/openapi.json">/docs/openapi.json</a></noscript>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script><script src="/docs/assets/swagger-ui-standalone-preset.js"></script>
<script src="/docs/assets/start.js"></script></body></html>
"""
WITHOUT_ASSETS: Final = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Supover API</title></head>
<body><h1>Supover API</h1><p>This server was installed without its pages.
The whole API is described in <a href="/docs/openapi.json">/docs/openapi.json</a>.</p></body></html>
"""
START: Final = b"""window.ui = SwaggerUIBundle({ url: "/docs/openapi.json", dom_id: "#swagger-ui", deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset], layout: "BaseLayout", validatorUrl: null,
  tryItOutEnabled: true, persistAuthorization: true, displayRequestDuration: true });
"""
ASSETS: Final[Mapping[str, str]] = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-standalone-preset.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
CACHE: Final = {"Cache-Control": "public, max-age=86400"}


def _asset(name: str) -> bytes | None:
    found = files("supover") / "static" / "swagger" / name
    return found.read_bytes() if found.is_file() else None


def _opt(operation: str) -> dict[str, str]:
    return {"operation": operation}


@get("/docs", include_in_schema=False, opt=_opt("docs.page"))
async def page() -> ASGIResponse:
    """Show the documentation."""
    body = PAGE if _asset("swagger-ui-bundle.js") else WITHOUT_ASSETS
    return ASGIResponse(body=body, media_type="text/html")


@get("/docs/assets/{name:str}", include_in_schema=False, opt=_opt("docs.asset"))
async def asset(name: FromPath[str]) -> ASGIResponse:
    """Send one of the documentation's files."""
    if name == "start.js":
        return ASGIResponse(body=START, media_type="text/javascript", headers=CACHE)
    body = _asset(name) if name in ASSETS else None
    if body is None:
        raise problems.NotFound
    return ASGIResponse(body=body, media_type=ASSETS[name], headers=CACHE)


@get("/docs/openapi.json", include_in_schema=False, opt=_opt("docs.openapi"))
async def document(request: Asked) -> ASGIResponse:
    """Send the OpenAPI document."""
    door: api.Door = request.app.state.door
    kept = cast("bytes | None", request.app.state.get("openapi_json"))
    if kept is None:
        kept = request.app.state.openapi_json = openapi.as_json(
            request.app, door.permissions, request.app.state.examples
        )
    return ASGIResponse(body=kept, media_type="application/json")


@get("/health/live", operation_id="health.live", tags=["Health"], opt=_opt("health.live"))
async def live() -> Health:
    """Say that the process runs."""
    return Health()


@get("/health/ready", operation_id="health.ready", tags=["Health"], opt=_opt("health.ready"))
async def ready(request: Asked) -> Health:
    """Say that the process can answer: its database does."""
    door: api.Door = request.app.state.door
    try:
        async with door.database.across() as con:
            await con.fetchval(READY)
    except Exception as error:
        raise NotReady(headers={"Retry-After": "1"}) from error
    return Health()


@get("/metrics", operation_id="metrics.render", tags=["Health"], media_type="text/plain", opt=_opt("metrics.render"))
async def metrics(request: Asked) -> bytes:
    """Show the measurements, for Prometheus.

    Where a metrics token is set, it is asked for as a bearer token.
    """
    token = cast("str | None", request.app.state.get("metrics_token"))
    if token is not None and not same(request.headers.get("authorization", ""), f"Bearer {token}"):
        raise MetricsRefused(headers={"WWW-Authenticate": "Bearer"})
    door: api.Door = request.app.state.door
    used, size, limit = door.database.in_use()
    telemetry.db_pool(size=size, idle=size - used, limit=limit)
    return telemetry.render()


def handlers() -> list[HTTPRouteHandler]:
    """The routes of this module."""
    return [page, asset, document, live, ready, metrics]
