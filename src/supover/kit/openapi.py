"""The OpenAPI document: what Litestar derives from the routes, with what it cannot know."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec
import msgspec.inspect
from litestar import Litestar, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.routes import BaseRoute
from litestar.types import ControllerRouterHandler

from supover.kit.api import PUBLIC


class _Nowhere(Router):
    """Takes no route: the document is served at /docs, and by nothing else that the framework would mount."""

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        """Leaves it out."""
        del value
        return []


def config(tags: Sequence[str]) -> OpenAPIConfig:
    """How the API describes itself; the tags of operations in this order, whatever their addresses."""
    return OpenAPIConfig(
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
        tags=[Tag(name) for name in tags],
    )  # fmt: skip


_PLACE: Final = re.compile(r"\{(\w+)\}")
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
    408: "The body did not come in time.",
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
    for body in _bodies(app):
        _say_what_is_refused(body, components["schemas"])
    _say_what_they_are(components["schemas"])
    for name, example in examples.items():
        components["schemas"][name]["examples"] = [example]
    found["paths"] = {
        _PLACE.sub(lambda place: f"{{{camel(place[1])}}}", path): on for path, on in found["paths"].items()
    }
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict):
                _complete(path, method, cast("dict[str, Any]", operation), permissions, components["schemas"])
    return found


def _bodies(app: Litestar) -> set[type[msgspec.Struct]]:
    """The structs that the routes read bodies into, with those inside them."""
    found: set[type[msgspec.Struct]] = set()

    def add(info: msgspec.inspect.Type) -> None:
        match info:
            case msgspec.inspect.StructType() if info.cls not in found:
                found.add(info.cls)
                for field in info.fields:
                    add(field.type)
            case msgspec.inspect.Metadata():
                add(info.type)
            case msgspec.inspect.UnionType():
                for one in info.types:
                    add(one)
            case msgspec.inspect.ListType():
                add(info.item_type)
            case _:
                pass

    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            body = handler.parsed_data_field
            if body is not None and isinstance(body.annotation, type) and issubclass(body.annotation, msgspec.Struct):
                add(msgspec.inspect.type_info(body.annotation))
    return found


def _say_what_is_refused(body: type[msgspec.Struct], schemas: Mapping[str, Any]) -> None:
    """Other fields are refused; and what is read piece by piece is described all the same."""
    schema = schemas.get(body.__name__)
    if schema is None:
        return
    if body.__struct_config__.forbid_unknown_fields:
        schema["additionalProperties"] = False
    for field in msgspec.structs.fields(body):
        for meta in getattr(field.type, "__metadata__", ()):
            if isinstance(meta, msgspec.Meta) and meta.extra_json_schema:
                schema["properties"][field.encode_name].update(meta.extra_json_schema)


def _say_what_they_are(schemas: Mapping[str, Any]) -> None:
    """A struct's docstring is its schema's description; the schema has the struct's name."""
    for kind in _below(msgspec.Struct):
        schema = schemas.get(kind.__name__)
        # Of two rooms' structs of one name only one is in the document.
        if schema is None or set(schema.get("properties", ())) != set(kind.__struct_encode_fields__):
            continue
        if kind.__doc__ and kind.__module__.startswith("supover."):
            schema.setdefault("description", inspect.cleandoc(kind.__doc__))


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def camel(name: str) -> str:
    """A parameter of a function as the document calls it."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _complete(
    path: str, method: str, operation: dict[str, Any], permissions: Mapping[str, str], schemas: Mapping[str, Any]
) -> None:
    name = operation["operationId"]
    parameters: list[dict[str, Any]] = operation.get("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "path":
            parameter["name"] = camel(parameter["name"])
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
        statuses.add(409)
        statuses |= {408, 413, 415} if "requestBody" in operation else set()
    if any(parameter["name"] == "If-Match" for parameter in parameters):
        statuses.add(412)
    if any(parameter["name"] == "format" and "csv" in str(parameter["schema"]) for parameter in parameters):
        responses["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    if method == "get" and "version" in _answered(responses, schemas):
        responses["304"] = {"description": "It is still what If-None-Match names."}
    for status in sorted(statuses):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
    for status, response in responses.items():
        if status.startswith("2") and isinstance(response, dict):
            headers = cast("dict[str, Any]", response).setdefault("headers", {})
            headers["X-Request-Id"] = {"schema": {"type": "string"}, "description": "Names this request in the logs."}


def _answered(responses: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the answer."""
    schema = responses.get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    found = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return cast("Mapping[str, Any]", found.get("properties", {}))


def as_json(app: Litestar, permissions: Mapping[str, str], examples: Mapping[str, object]) -> bytes:
    """The document as JSON, its keys in a stable order."""
    return msgspec.json.format(
        msgspec.json.encode(document(app, permissions, examples), order="deterministic"), indent=1
    )
