import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from supover.access import commands, queries
from supover.access.model import Caller, CannotGrant, LastOwner, NewStaff, StaffKnown, StaffNotFound
from supover.access.permissions import Role, of_role
from supover.kit import ids
from supover.kit.db import Database
from tests.access.places import PASSWORD, Client, Place, make_place


def with_role(place: Place, role: Role) -> Caller:
    return msgspec.structs.replace(place.operator, kind="staff", id=ids.new(), role=role, permissions=of_role(role))


async def test_somebody_new_gets_an_account_with_a_password_shown_once(client: Client, place: Place) -> None:
    email = f"New.Person-{ids.new().hex}@Shop.example"
    body = {"email": f" {email} ", "name": " New  Person ", "role": "agent"}
    answer = await client.as_key(place.key, "POST", "/api/staff", json=body)
    assert answer.status_code == 201
    added = answer.json()
    assert (added["email"], added["name"], added["role"]) == (email, "New Person", "agent")
    assert (await client.sign_in(email, added["temporaryPassword"])).status_code == 200
    listed = (await client.as_key(place.key, "GET", "/api/staff")).json()
    assert [(m["email"], m["role"], m["disabledAt"]) for m in listed["data"]] == [(email, "agent", None)]
    assert added["temporaryPassword"] not in str(listed)


async def test_somebody_known_keeps_their_account_and_password(client: Client, db: Database, place: Place) -> None:
    other = await make_place(db)
    member = await other.staff("owner")
    answer = await client.as_key(
        place.key, "POST", "/api/staff", json={"email": member.email.upper(), "name": "Somebody else", "role": "viewer"}
    )
    assert answer.status_code == 201
    added = answer.json()
    assert (added["id"], added["email"], added["name"]) == (str(member.id), member.email, "The owner")
    assert added["temporaryPassword"] is None
    assert (await client.sign_in(member.email, workspaceId=str(place.workspace.id))).json()["role"] == "viewer"
    assert (await client.sign_in(member.email, workspaceId=str(other.workspace.id))).json()["role"] == "owner"


async def test_a_member_cannot_be_added_twice(client: Client, place: Place) -> None:
    member = await place.staff("agent")
    body = {"email": member.email.upper(), "name": "Again", "role": "viewer"}
    answer = await client.as_key(place.key, "POST", "/api/staff", json=body)
    assert (answer.status_code, answer.json()["type"]) == (409, "https://supover.dev/problems/staff-known")
    async with place.db.reader(place.workspace.id) as reader:
        assert (await queries.find_staff(reader, member.id)).role == "agent"


async def test_an_answer_that_is_replayed_shows_no_password(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async def add() -> dict[str, Any]:
        body = {"email": "replayed@shop.example", "name": "Replayed", "role": "agent"}
        answer = await client.as_key(
            place.key, "POST", "/api/staff", json=body, headers={"Idempotency-Key": f"add-{place.workspace.id}"}
        )
        assert answer.status_code == 201
        return answer.json()

    first, second = await add(), await add()
    assert first["temporaryPassword"] is not None
    assert second == {**first, "temporaryPassword": None}
    kept = await owner.fetchval("select body from data.idempotency where workspace_id = $1", place.workspace.id)
    assert first["temporaryPassword"].encode() not in kept


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "nobody", "name": "N", "role": "agent"}, "/email"),
        ({"email": "a b@shop.example", "name": "N", "role": "agent"}, "/email"),
        ({"email": "a@b@shop.example", "name": "N", "role": "agent"}, "/email"),
        ({"email": "a\u202e@shop.example", "name": "N", "role": "agent"}, "/email"),
        ({"email": "x" * 250 + "@shop.example", "name": "N", "role": "agent"}, "/email"),
        ({"email": "n@shop.example", "name": " ", "role": "agent"}, "/name"),
        ({"email": "n@shop.example", "role": "agent"}, "/name"),
        ({"email": "n@shop.example", "name": "N", "role": "root"}, "/role"),
        ({"email": "n@shop.example", "name": "N"}, "/role"),
        ({"email": "n@shop.example", "name": "N", "role": "agent", "password": PASSWORD}, "/password"),
        ({"email": "n@shop.example", "name": "N", "role": "agent", "id": "x"}, "/id"),
    ],
)
async def test_bad_staff_are_refused_by_field(client: Client, place: Place, body: dict[str, Any], pointer: str) -> None:
    answer = await client.as_key(place.key, "POST", "/api/staff", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert (await client.as_key(place.key, "GET", "/api/staff")).json()["data"] == []


# --- who may make whom ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "admin", "agent", "viewer"])
@pytest.mark.parametrize("by", ["owner", "admin"])
async def test_only_an_owner_makes_an_owner(place: Place, by: Role, role: Role) -> None:
    new = NewStaff(email=f"{ids.new().hex}@shop.example", name="New", role=role)
    async with place.db.tx(place.workspace.id) as tx:
        if by == "admin" and role == "owner":
            with pytest.raises(CannotGrant):
                await commands.add_staff(tx, with_role(place, by), new)
            assert await queries.search_staff(tx) == []
        else:
            assert (await commands.add_staff(tx, with_role(place, by), new)).role == role


async def test_an_admin_neither_promotes_itself_nor_touches_an_owner(client: Client, place: Place) -> None:
    boss, second, member = await place.staff("owner"), await place.staff("owner"), await place.staff("admin")
    await client.sign_in(member.email)
    before = (await client.get("/api/staff")).json()
    tries = [
        ("PATCH", f"/api/staff/{member.id}", {"role": "owner"}),
        ("PATCH", f"/api/staff/{boss.id}", {"role": "viewer"}),
        ("PATCH", f"/api/staff/{boss.id}", {"role": "owner"}),
        ("DELETE", f"/api/staff/{second.id}", None),
        ("POST", "/api/staff", {"email": "crony@shop.example", "name": "Crony", "role": "owner"}),
    ]
    for method, path, body in tries:
        answer = await client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["type"]) == (403, "https://supover.dev/problems/cannot-grant"), path
    assert (await client.get("/api/staff")).json() == before


async def test_an_admin_key_is_no_owner(client: Client, place: Place) -> None:
    body = {"email": "crony@shop.example", "name": "Crony", "role": "owner"}
    assert (await client.as_key(place.key, "POST", "/api/staff", json=body)).status_code == 403
    assert (await client.as_key(place.key, "POST", "/api/staff", json={**body, "role": "admin"})).status_code == 201


# --- the last owner ------------------------------------------------------------------------------------------------------


async def test_the_last_owner_stays(client: Client, db: Database, place: Place) -> None:
    boss = await place.staff("owner")
    await place.staff("admin")
    await client.sign_in(boss.email)
    for method, body in (("PATCH", {"role": "admin"}), ("DELETE", None)):
        answer = await client.request(method, f"/api/staff/{boss.id}", json=body)
        assert (answer.status_code, answer.json()["type"]) == (409, "https://supover.dev/problems/last-owner")
    with pytest.raises(LastOwner) as refused:
        await commands.disable_staff(db, boss.email)
    assert refused.value.extra == {"workspaceIds": [place.workspace.id]}
    second = await place.staff("owner")
    assert (await client.patch(f"/api/staff/{boss.id}", json={"role": "admin"})).json()["role"] == "admin"
    assert (await client.request("DELETE", f"/api/staff/{second.id}")).status_code == 403


async def test_an_owner_who_cannot_sign_in_does_not_count(db: Database, place: Place) -> None:
    boss, second = await place.staff("owner"), await place.staff("owner")
    await commands.disable_staff(db, second.email)
    async with db.tx(place.workspace.id) as tx:
        with pytest.raises(LastOwner):
            await commands.remove_staff(tx, place.operator, boss.id)
    with pytest.raises(LastOwner):
        await commands.disable_staff(db, boss.email)
    await commands.enable_staff(db, second.email)
    await commands.disable_staff(db, boss.email)


async def test_two_owners_who_go_at_once_leave_one(db: Database, place: Place) -> None:
    owners = [await place.staff("owner") for _ in range(2)]

    async def go(id: Any, way: str, email: str) -> str:
        try:
            if way == "disable":
                await commands.disable_staff(db, email)
            else:
                async with db.tx(place.workspace.id) as tx:
                    if way == "remove":
                        await commands.remove_staff(tx, place.operator, id)
                    else:
                        await commands.change_role(tx, place.operator, id, "viewer")
        except LastOwner:
            return "refused"
        return "gone"

    for ways in (("demote", "demote"), ("remove", "disable")):
        outcome = await asyncio.gather(*(go(o.id, way, o.email) for o, way in zip(owners, ways, strict=True)))
        assert sorted(outcome) == ["gone", "refused"], ways
        owners = [await place.staff("owner") for _ in range(2)]
        async with db.tx(place.workspace.id) as tx:
            for member in await queries.search_staff(tx):
                if member.role == "owner" and member.id not in {o.id for o in owners}:
                    await commands.remove_staff(tx, place.operator, member.id)


# --- other workspaces ----------------------------------------------------------------------------------------------------


async def test_another_workspaces_staff_are_not_there(client: Client, db: Database, place: Place) -> None:
    other = await make_place(db)
    stranger = await other.staff("agent")
    for id in (stranger.id, ids.new()):
        for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
            answer = await client.as_key(place.key, method, f"/api/staff/{id}", json=body)
            assert (answer.status_code, answer.json()["type"]) == (404, "https://supover.dev/problems/staff-not-found")
    async with db.tx(place.workspace.id) as tx:
        with pytest.raises(StaffNotFound):
            await queries.find_staff_by_email(tx, stranger.email)
    async with db.reader(other.workspace.id) as reader:
        assert (await queries.find_staff(reader, stranger.id)).role == "agent"


async def test_members_are_those_of_the_workspace_that_asks_whatever_it_says(db: Database, place: Place) -> None:
    other = await make_place(db)
    await other.staff("owner")
    async with db.reader(place.workspace.id) as reader:
        found = await reader.rows("select m.email from members($2) m where $1::uuid is not null", other.workspace.id)
    assert found == []


async def test_resetting_a_password_needs_a_membership_here(client: Client, db: Database, place: Place) -> None:
    other = await make_place(db)
    stranger = await other.staff("owner")
    async with db.reader(other.workspace.id) as reader:
        member = await queries.find_staff(reader, stranger.id)
    async with db.tx(place.workspace.id) as tx:
        await commands.reset_password(tx, member, "another good password")
    assert (await client.sign_in(stranger.email)).status_code == 200
    async with db.tx(other.workspace.id) as tx:
        temporary = await commands.reset_password(tx, member)
    assert temporary is not None
    assert (await client.get("/api/session")).status_code == 401
    assert (await client.sign_in(stranger.email)).status_code == 401
    assert (await client.sign_in(stranger.email, temporary)).status_code == 200


async def test_a_membership_that_ended_ends_its_sessions_for_good(client: Client, db: Database, place: Place) -> None:
    await place.staff("owner")
    member = await place.staff("viewer")
    await client.sign_in(member.email)
    async with db.tx(place.workspace.id) as tx:
        await commands.remove_staff(tx, place.operator, member.id)
    await place.staff("viewer", member.email)
    client.authenticator.doubt(member.id)
    assert (await client.get("/api/session")).status_code == 401


async def test_adding_needs_what_the_command_says(place: Place) -> None:
    member = await place.staff("agent")
    async with place.db.tx(place.workspace.id) as tx:
        with pytest.raises(StaffKnown):
            await commands.add_staff(tx, place.operator, NewStaff(email=member.email, name="x", role="agent"))
