"""The OpenAPI document as a contract: whatever is asked, right or wrong, is answered in a way that it describes."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg
import httpx
import msgspec
import requests
import schemathesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis import checks as general
from schemathesis.specs.openapi import checks as openapi

from supover.access.sessions import Attempts
from supover.kit.db import Database
from tests import makers
from tests.house.asking import operations
from tests.house.world import Call, Shop, calls, faults

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

DOCUMENT: Final[Mapping[str, Any]] = msgspec.json.decode(
    (Path(__file__).resolve().parents[2] / "docs" / "openapi.json").read_bytes()
)
HOST: Final = "http://shop.test"
SLOW_IS_FINE: Final = cast("Sequence[HealthCheck]", list(HealthCheck))
# Generic in ways that a type checker cannot follow.
AnyCase = Case[Any]
CHECKS: Final[Any] = [
    getattr(room, name)
    for room, name in (
        (general, "not_a_server_error"),
        (openapi, "status_code_conformance"),
        (openapi, "content_type_conformance"),
        (openapi, "response_headers_conformance"),
        (openapi, "response_schema_conformance"),
    )
]


# Neither the key nor the session of the test is to be taken from it.
@cache
def _schema() -> Any:
    paths: Mapping[str, Any] = {
        path: {method: {**about, "security": []} for method, about in methods.items()}
        for path, methods in DOCUMENT["paths"].items()
    }
    return schemathesis.openapi.from_dict({**DOCUMENT, "security": [], "paths": paths})


def names() -> Sequence[str]:
    """Every operation; what removes things comes last."""
    found = [(o.method == "DELETE", o.id) for o in operations(DOCUMENT) if o.is_api]
    return [id for _, id in sorted(found)]


@cache
def call(name: str) -> Call:
    """The operation with a good body."""
    return next(call for call in calls(DOCUMENT) if call.operation.id == name)


@cache
def cases(name: str) -> st.SearchStrategy[AnyCase]:
    """Requests for this operation: as the document wants them, and not."""
    operation = call(name).operation
    found = _schema()[operation.path][operation.method]
    return found.as_strategy(GenerationMode.POSITIVE) | found.as_strategy(GenerationMode.NEGATIVE)


def aim(case: AnyCase, name: str, shop: Shop, *, with_good_body: bool) -> None:
    """Points a request at what is there; a good body leaves what is wrong to the address and the headers."""
    by_name = {p["name"]: p for p in call(name).operation.parameters if p["in"] == "path"}
    places = [place for place, parameter in by_name.items() if parameter["schema"].get("format") == "uuid"]
    for place, noun in zip(places, call(name).nouns, strict=True):
        case.path_parameters[place] = str(shop.ids[noun])
    if with_good_body and call(name).body is not None:
        case.body, case.media_type = dict(call(name).body or {}), "application/json"


async def send(program: httpx.AsyncClient, case: AnyCase) -> httpx.Response:
    """Sends a request as it is, signed by the program's key unless it signs itself."""
    kwargs = case.as_transport_kwargs(base_url=HOST)
    known = {"method", "url", "headers", "files", "data", "json", "params", "cookies"}
    sent = requests.Request(**{name: value for name, value in kwargs.items() if name in known}).prepare()
    body: Any = sent.body
    request = httpx.Request(
        sent.method or "GET",
        sent.url or HOST,
        headers=[(_bytes(name), _bytes(value)) for name, value in sent.headers.items()],
        content=body.encode() if isinstance(body, str) else body,
    )
    request.headers.setdefault("Authorization", program.headers["Authorization"])
    return await program.send(request)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "replace")


def check(case: AnyCase, answer: httpx.Response) -> None:
    """Raises when an answer is not what the document says, or not what every answer is."""
    cast("Any", case).validate_response(answer, checks=CHECKS)
    assert list(faults(answer)) == []


async def forget_attempts(db: Database, owner: "Connection") -> None:
    """Hundreds of wrong passwords from this address are nobody else's."""
    makers.application(db).app.state.door.authenticate.attempts = Attempts()
    await owner.execute("delete from data.throttle")
