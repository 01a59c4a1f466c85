"""Every route with every role and every scope: who may gets past the door, who may not is told so."""

import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from supover import wiring
from supover.access.permissions import PERMISSIONS, PUBLIC, ROLES, SCOPES, held
from supover.kit import ids
from supover.kit.db import Database
from tests import makers
from tests.access.places import Place

REFUSED = "https://supover.dev/problems/not-allowed"
GRANTS = {f"scope {scope}": (scope,) for scope in SCOPES} | {f"role {role}": granted for role, granted in ROLES.items()}


@pytest.fixture
async def whole(db: Database) -> AsyncGenerator[httpx.AsyncClient]:
    async with makers.client(db) as found:
        yield found


def calls() -> list[tuple[str, str, str]]:
    """Operation, method and an address with ids of nothing, of every route."""
    return [
        (str(handler.opt["operation"]), method, re.sub(r"\{[^}]*:uuid\}|\{[^}]*\}", str(ids.new()), path))
        for handler in wiring.handlers()
        for method in handler.http_methods
        for path in handler.paths
    ]


ALSO = {
    "exports.customers": "customers:read",
    "exports.addresses": "customers:read",
    "exports.orders": "orders:read",
}
"""What is asked for beside an operation's own permission: who takes something out must be one who may read it."""


def body(method: str) -> dict[str, Any]:
    return {} if method in ("GET", "DELETE") else {"json": {}}


@pytest.mark.parametrize("grant", GRANTS)
async def test_whoever_may_gets_past_the_door_and_nobody_else(
    whole: httpx.AsyncClient, place: Place, grant: str
) -> None:
    # A key that holds what a role holds: only owners differ, by what no operation asks for.
    granted = tuple(scope for scope in GRANTS[grant] if scope in SCOPES)
    key = await place.new_key(*granted)
    wrong: list[str] = []
    for operation, method, path in calls():
        if PERMISSIONS[operation] == PUBLIC:
            continue
        answer = await whole.request(method, path, headers={"Authorization": f"Bearer {key.api_key}"}, **body(method))
        refused = answer.status_code == 403 and answer.json()["type"] == REFUSED
        if (
            refused is ({PERMISSIONS[operation], ALSO.get(operation, PERMISSIONS[operation])} <= held(granted))
            or answer.status_code in (401, 405)
            or answer.status_code >= 500
        ):
            wrong.append(f"{operation}: {answer.status_code}")
    assert wrong == []


async def test_nobody_unknown_gets_past_the_door(whole: httpx.AsyncClient) -> None:
    for operation, method, path in calls():
        if operation == "exports.fetch":
            continue  # its address is the right to it
        answer = await whole.request(method, path, **body(method))
        expected = 422 if operation == "access.sign_in" else 401
        assert answer.status_code == expected, operation
        assert answer.headers["content-type"] == "application/problem+json"
