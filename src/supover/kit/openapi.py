"""The OpenAPI document: what Litestar derives from the routes, with what it cannot know."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from litestar import Litestar, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import BaseRoute
from litestar.types import ControllerRouterHandler

from supover.kit.api import PUBLIC


class _Nowhere(Router):
    """Takes no route: the document is served at /docs, and by nothing else that the framework would mount."""

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        """Leaves it out."""
        del value
        return []


CONFIG: Final = OpenAPIConfig(
    title="Supover",
    version="1",
    summary="Customers and orders of many shops in one place.",
    description=(
        "`/api/v1/…` is the same as `/api/…`. Amounts are decimal strings at the currency's digits; times are RFC 3339 in UTC, and "
        "one that comes in without a zone is the workspace's; ids are UUID version 7. Errors are problem details (RFC 9457). Lists "
        "go on with `nextCursor`. Every POST takes an `Idempotency-Key`; every single resource has an `ETag`."
    ),
    components=Components(
        security_schemes={
            "apiKey": SecurityScheme(type="http", scheme="bearer", description="An API key, `sk_…`."),
            "session": SecurityScheme(
                type="apiKey", security_scheme_in="cookie", name="supover_session",
                description="A signed-in member of staff; writes carry X-CSRF-Token.",
            ),
        }
    ),
    security=[{"apiKey": []}, {"session": []}],
    openapi_router=_Nowhere("/schema", route_handlers=[]),
    render_plugins=(),
)  # fmt: skip

_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Names the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {
                    "pointer": {"type": "string", "description": "Where: a JSON pointer, or a parameter's name."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "position": {"type": "integer"},
                },
            },
        },
    },
}
_SAYS: Final[Mapping[int, str]] = {
    308: "Merged into another one: see Location.",
    400: "The request cannot be read.",
    401: "No key, or one that is not taken.",
    403: "This caller may not do that.",
    404: "There is nothing here.",
    409: "It clashes with what is there.",
    412: "Somebody else has changed it since it was read.",
    413: "The body is too large.",
    415: "The body is not of a type that is taken.",
    422: "Some fields cannot be taken as they are.",
    429: "Too many requests; try again after Retry-After.",
    503: "Not just now; try again after Retry-After.",
}


def document(app: Litestar, permissions: Mapping[str, str], examples: Mapping[str, object]) -> dict[str, Any]:
    """The document of an application whose operations need these permissions; `examples` by schema."""
    plain = msgspec.json.encode(app.openapi_schema.to_schema())
    # A page of customers is called CustomerList.
    found: dict[str, Any] = msgspec.json.decode(re.sub(rb"Listing_[\w.]*?(\w+)_(?=\")", rb"\1List", plain))
    components = found.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["responses"] = {
        f"Problem{status}": {
            "description": says,
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": {
                        "type": "https://supover.dev/problems/example",
                        "title": says.rstrip("."),
                        "status": status,
                        "detail": says,
                        "instance": "/api/…",
                        "requestId": "0190b0d2c3e47f6a8b9c0d1e2f3a4b5c",
                    },
                }
            },
        }
        for status, says in _SAYS.items()
    }
    for name, example in examples.items():
        components["schemas"][name]["examples"] = [example]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict):
                _complete(path, method, cast("dict[str, Any]", operation), permissions)
    return found


def _complete(path: str, method: str, operation: dict[str, Any], permissions: Mapping[str, str]) -> None:
    name = operation["operationId"]
    responses: dict[str, Any] = operation.setdefault("responses", {})
    responses.pop("400", None)
    statuses = {400, 422, 503}
    permission = permissions.get(name)
    if permission == PUBLIC:
        operation["security"] = []
        # What is public and writes is signing in, which can fail in the same ways.
        statuses |= {401, 403, 429} if method != "get" else set()
    else:
        statuses |= {401, 403, 429}
        operation["description"] = f"{operation.get('description') or ''}\n\nPermission: `{permission}`.".strip()
    if "{" in path:
        statuses.add(404)
        if "/customers/{id}" in path:
            statuses.add(308)
    if method != "get":
        statuses |= {409, 412}
        statuses |= {413, 415} if "requestBody" in operation else set()
    for status in sorted(statuses):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
    for status, response in responses.items():
        if status.startswith("2") and isinstance(response, dict):
            headers = cast("dict[str, Any]", response).setdefault("headers", {})
            headers["X-Request-Id"] = {"schema": {"type": "string"}, "description": "Names this request in the logs."}


def as_json(app: Litestar, permissions: Mapping[str, str], examples: Mapping[str, object]) -> bytes:
    """The document as JSON, its keys in a stable order."""
    return msgspec.json.format(
        msgspec.json.encode(document(app, permissions, examples), order="deterministic"), indent=1
    )
