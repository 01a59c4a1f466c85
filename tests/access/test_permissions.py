from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover import wiring
from supover.access.permissions import KNOWN, OWNER, PERMISSIONS, PUBLIC, ROLES, SCOPES, Role, held, of_role
from supover.kit import front
from supover.kit.db import Database
from tests import makers

# What each role may do, said a second time: operation → the least role, from the least to the greatest.
LADDER: tuple[Role, ...] = ("viewer", "agent", "admin", "owner")
LEAST: dict[str, Role] = {
    "customers:read": "viewer",
    "orders:read": "viewer",
    "events:read": "viewer",
    "imports:read": "viewer",
    "customers:write": "agent",
    "customers:merge": "agent",
    "orders:write": "agent",
    "imports:write": "admin",
    "admin": "admin",
    OWNER: "owner",
}


@pytest.mark.parametrize("role", LADDER)
@pytest.mark.parametrize("permission", [*LEAST, KNOWN])
def test_each_role_may_do_what_the_table_says(role: Role, permission: str) -> None:
    allowed = permission == KNOWN or LADDER.index(role) >= LADDER.index(LEAST[permission])
    assert (permission in of_role(role)) is allowed


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("permission", [*SCOPES, OWNER])
def test_a_scope_amounts_to_itself_to_reading_where_it_writes_and_admin_to_all_but_owner(
    scope: str, permission: str
) -> None:
    implied = permission == scope or (scope == "admin" and permission != OWNER)
    implied = implied or (scope.endswith(":write") and permission == scope.replace(":write", ":read"))
    implied = implied or (scope, permission) == ("customers:merge", "customers:read")
    reads_customers = scope in ("customers:read", "customers:write", "customers:merge")
    implied = implied or (reads_customers and permission == "duplicates:read")
    assert (permission in held([scope])) is implied


def test_nobody_holds_public_or_what_does_not_exist() -> None:
    everything = held(["owner", *SCOPES])
    assert PUBLIC not in everything
    assert "" not in everything
    assert "customers:delete" not in everything


@given(st.sets(st.sampled_from([*SCOPES, OWNER])), st.sets(st.sampled_from([*SCOPES, OWNER])))
def test_more_grants_never_take_anything_away(some: set[str], more: set[str]) -> None:
    assert held(some) <= held(some | more)
    assert held(held(some)) == held(some)


def test_every_permission_is_public_known_or_can_be_granted() -> None:
    assert set(PERMISSIONS.values()) <= {PUBLIC, KNOWN, OWNER, *SCOPES}
    assert {permission for granted in ROLES.values() for permission in granted} <= {OWNER, *SCOPES}


def test_only_signing_in_and_what_a_signature_opens_are_public() -> None:
    assert [operation for operation, permission in PERMISSIONS.items() if permission == PUBLIC] == [
        "access.sign_in",
        "exports.fetch",
        "hooks.receive",
    ]


def test_every_route_has_its_permission_and_every_permission_its_route() -> None:
    operations = [str(handler.opt["operation"]) for handler in wiring.handlers()]
    assert len(set(operations)) == len(operations)
    assert set(operations) == set(PERMISSIONS)
    assert {str(handler.opt["operation"]) for handler in front.handlers()} == set(front.PERMISSIONS)


def test_the_framework_adds_no_route_of_its_own(db: Database) -> None:
    app = makers.application(db).app
    ours = {path for handler in [*wiring.handlers(), *front.handlers(), *wiring.pages()] for path in handler.paths}
    assert {route.path for route in app.routes} == ours


READS: Final = {"segments.show_preview", "consent.may_send_many"}
"""Questions too long for an address."""
ONES_OWN: Final = {"views.create", "views.replace", "views.change", "views.delete"}
"""Whoever reads customers keeps views of them; sharing one needs more."""


def test_whatever_writes_needs_more_than_reading() -> None:
    light = {
        str(handler.opt["operation"])
        for handler in wiring.handlers()
        if handler.http_methods != {"GET"} and PERMISSIONS[str(handler.opt["operation"])].endswith(":read")
    }
    assert light == READS | ONES_OWN
