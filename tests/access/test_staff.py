import asyncio
from typing import Any
from uuid import UUID

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


async def invite(client: Client, place: Place, email: str, **more: Any) -> dict[str, Any]:
    body = {"email": email, "name": "Whoever", "role": "agent", **more}
    answer = await client.as_key(place.key, "POST", "/api/staff", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def staff_of(client: Client, place: Place) -> list[dict[str, Any]]:
    return (await client.as_key(place.key, "GET", "/api/staff")).json()["data"]


async def test_somebody_new_chooses_a_password_with_the_code(client: Client, place: Place) -> None:
    email = f"New.Person-{ids.new().hex}@Shop.example"
    invited = await invite(client, place, f" {email} ", name=" New  Person ")
    code = invited["invitationCode"]
    assert (invited["email"], invited["name"], invited["role"]) == (email, "New Person", "agent")
    (listed,) = await staff_of(client, place)
    assert (listed["id"], listed["name"], listed["disabledAt"], listed["acceptedAt"]) == (
        invited["id"],
        "New Person",
        None,
        None,
    )
    assert code not in str(listed)
    for wrong in ({}, {"invitationCode": "wrong"}, {"invitationCode": ""}):
        assert (await client.sign_in(email, **wrong)).status_code == 401
    assert (await client.sign_in(email, code)).status_code == 401
    assert (await client.sign_in(f"x{email}", invitationCode=code)).status_code == 401
    weak = await client.sign_in(email, "short", invitationCode=code)
    assert (weak.status_code, weak.json()["errors"][0]["pointer"]) == (422, "/password")
    session = (await client.sign_in(email.lower(), invitationCode=f" {code.upper()} ")).json()
    assert (session["id"], session["email"], session["role"]) == (invited["id"], email, "agent")
    assert session["workspace"]["id"] == str(place.workspace.id)
    (member,) = await staff_of(client, place)
    assert (member["id"], member["name"], member["acceptedAt"] is not None) == (invited["id"], "New Person", True)
    assert (await client.sign_in(email)).status_code == 200
    again = await client.sign_in(email, invitationCode=code)
    assert (again.status_code, again.json()["type"]) == (403, "https://supover.dev/problems/invitation-refused")
    actions = [e["action"] for e in (await client.as_key(place.key, "GET", "/api/audit")).json()["data"]]
    assert actions == ["access.sign_in", "access.accept_invitation", "access.add_staff"]


async def test_an_inviter_learns_nothing_of_an_account_and_gives_nothing_until_it_is_accepted(
    client: Client, db: Database, place: Place
) -> None:
    other = await make_place(db)
    member = await other.staff("owner")
    await client.sign_in(member.email)
    known = await invite(client, place, member.email.upper(), name="Guessed", role="viewer")
    fresh = await invite(client, place, f"{ids.new().hex}@shop.example", name="Guessed", role="viewer")
    assert {k: v for k, v in known.items() if k in ("name", "role")} == {"name": "Guessed", "role": "viewer"}
    assert known.keys() == fresh.keys()
    assert (known["email"], len(known["invitationCode"])) == (member.email.upper(), len(fresh["invitationCode"]))
    assert known["id"] != str(member.id)
    by_id = {m["id"]: m for m in await staff_of(client, place)}
    hidden = {"id": "", "email": "", "createdAt": ""}
    assert by_id[known["id"]] | hidden == by_id[fresh["id"]] | hidden
    # Nothing is open yet, neither to a session that is there nor to one that is new.
    assert [w["id"] for w in (await client.get("/api/session")).json()["workspaces"]] == [str(other.workspace.id)]
    assert (await client.put("/api/session", json={"workspaceId": str(place.workspace.id)})).status_code == 403
    refused = await client.sign_in(member.email, workspaceId=str(place.workspace.id))
    assert (refused.status_code, refused.json()["type"]) == (403, "https://supover.dev/problems/no-workspace")


async def test_only_the_password_of_the_account_and_the_code_together_accept(
    client: Client, db: Database, place: Place
) -> None:
    other = await make_place(db)
    member, stranger = await other.staff("owner"), await other.staff("agent")
    code = (await invite(client, place, member.email, role="viewer"))["invitationCode"]
    # The inviter has the code, but neither the password nor a way to choose another.
    assert (await client.sign_in(member.email, "another good password", invitationCode=code)).status_code == 401
    for email, given in ((stranger.email, code), (member.email, "aaaa-bbbb-cccc-dddd-eeee")):
        refused = await client.sign_in(email, invitationCode=given)
        assert (refused.status_code, refused.json()["type"]) == (403, "https://supover.dev/problems/invitation-refused")
    session = (await client.sign_in(member.email, invitationCode=code)).json()
    assert (session["id"], session["name"], session["role"]) == (str(member.id), "The owner", "viewer")
    assert session["workspace"]["id"] == str(place.workspace.id)
    (listed,) = await staff_of(client, place)
    assert (listed["id"], listed["name"]) == (str(member.id), "The owner")


async def test_whose_account_another_workspace_made_first_takes_nothing_here(
    client: Client, db: Database, place: Place
) -> None:
    """A stranger makes an account for somebody's email by inviting it and using the code; then the email is invited here."""
    email, strangers = f"{ids.new().hex}@shop.example", await make_place(db)
    theirs = (await invite(client, strangers, email))["invitationCode"]
    assert (await client.sign_in(email, "the strangers password", invitationCode=theirs)).status_code == 200
    await invite(client, place, email, role="admin")
    assert (await client.get("/api/workspace")).json()["id"] == str(strangers.workspace.id)
    for asked in ({"workspaceId": str(place.workspace.id)}, {"invitationCode": theirs}):
        assert (await client.sign_in(email, "the strangers password", **asked)).status_code == 403
    session = (await client.sign_in(email, "the strangers password")).json()
    assert [w["id"] for w in session["workspaces"]] == [str(strangers.workspace.id)]


async def test_a_code_ends_by_itself_by_removal_and_makes_room_for_another(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    email = f"{ids.new().hex}@shop.example"
    first = await invite(client, place, email)
    again = await client.as_key(place.key, "POST", "/api/staff", json={"email": email, "name": "N", "role": "agent"})
    assert (again.status_code, again.json()["type"]) == (409, "https://supover.dev/problems/staff-known")
    kept = await owner.fetchrow("select * from data.invitation where id = $1", first["id"])
    assert kept is not None
    assert kept["expires_at"] - kept["created_at"] == commands.INVITED_FOR
    assert kept["code_hash"] == commands.digest(first["invitationCode"])
    await owner.execute("update data.invitation set expires_at = now() where id = $1", first["id"])
    assert (await client.sign_in(email, invitationCode=first["invitationCode"])).status_code == 401
    second = await invite(client, place, email)
    changed = await client.as_key(place.key, "PATCH", f"/api/staff/{second['id']}", json={"role": "viewer"})
    assert (changed.status_code, changed.json()["role"]) == (200, "viewer")
    assert (await client.as_key(place.key, "DELETE", f"/api/staff/{second['id']}")).status_code == 204
    assert (await client.sign_in(email, invitationCode=second["invitationCode"])).status_code == 401
    third = await invite(client, place, email)
    # The operator answers for the person: what was open is closed with it.
    added = await place.staff("viewer", email)
    assert [m["id"] for m in await staff_of(client, place)] == [str(added.id)]
    assert (await client.sign_in(email, invitationCode=third["invitationCode"])).status_code == 403


async def test_a_code_is_good_for_one_of_many_at_once(client: Client, db: Database, place: Place) -> None:
    email = f"{ids.new().hex}@shop.example"
    code = (await invite(client, place, email))["invitationCode"]
    answers = await asyncio.gather(
        *(client.sign_in(email, f"good password number {n}", invitationCode=code) for n in range(3))
    )
    assert sorted(a.status_code for a in answers) in ([200, 401, 401], [200, 401, 403], [200, 403, 403])
    assert len(await staff_of(client, place)) == 1


async def test_who_is_only_invited_is_no_owner_and_has_no_password(db: Database, place: Place) -> None:
    boss = await place.staff("owner")
    new = NewStaff(email=f"{ids.new().hex}@shop.example", name="Next", role="owner")
    async with db.tx(place.workspace.id) as tx:
        invited = await commands.invite_staff(tx, place.operator, new)
        with pytest.raises(LastOwner):
            await commands.remove_staff(tx, place.operator, boss.id)
        with pytest.raises(StaffNotFound):
            await commands.reset_password(tx, await queries.find_staff(tx, invited.id))
        with pytest.raises(CannotGrant):
            await commands.remove_staff(tx, with_role(place, "admin"), invited.id)


async def test_a_member_cannot_be_added_twice(client: Client, place: Place) -> None:
    member = await place.staff("agent")
    body = {"email": member.email.upper(), "name": "Again", "role": "viewer"}
    answer = await client.as_key(place.key, "POST", "/api/staff", json=body)
    assert (answer.status_code, answer.json()["type"]) == (409, "https://supover.dev/problems/staff-known")
    async with place.db.reader(place.workspace.id) as reader:
        assert (await queries.find_staff(reader, member.id)).role == "agent"


async def test_an_answer_that_is_replayed_shows_no_code(
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
    assert first["invitationCode"] is not None
    assert second == {**first, "invitationCode": None}
    kept = await owner.fetchval("select body from data.idempotency where workspace_id = $1", place.workspace.id)
    assert first["invitationCode"].encode() not in kept


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
                await commands.invite_staff(tx, with_role(place, by), new)
            assert await queries.search_staff(tx) == []
        else:
            assert (await commands.invite_staff(tx, with_role(place, by), new)).role == role


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


async def test_who_lost_the_code_gets_another_and_the_first_one_ends(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    email = f"{ids.new().hex}@shop.example"
    first = await invite(client, place, email)
    await owner.execute("update data.invitation set expires_at = now() where id = $1", UUID(first["id"]))
    path = f"/api/staff/{first['id']}/invitation"
    headers = {"Idempotency-Key": "anew"}
    answer = await client.as_key(place.key, "POST", path, headers=headers)
    second = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (200, f"/api/staff/{first['id']}")
    assert second["invitationCode"] != first["invitationCode"]
    assert second["expiresAt"] > first["expiresAt"]
    assert {**second, "expiresAt": 0, "invitationCode": 0} == {**first, "expiresAt": 0, "invitationCode": 0}
    replayed = (await client.as_key(place.key, "POST", path, headers=headers)).json()
    assert replayed == {**second, "invitationCode": None}
    assert (await client.sign_in(email, invitationCode=first["invitationCode"])).status_code == 401
    assert (await client.sign_in(email, invitationCode=second["invitationCode"])).status_code == 200
    again = await client.as_key(place.key, "POST", path)
    assert (again.status_code, again.json()["type"]) == (409, "https://supover.dev/problems/staff-not-invited")


async def test_only_an_owner_invites_an_owner_anew_and_strangers_are_not_there(
    client: Client, db: Database, place: Place
) -> None:
    async with place.db.tx(place.workspace.id) as tx:
        boss = await commands.invite_staff(
            tx, place.operator, NewStaff(email=f"{ids.new().hex}@shop.example", name="Boss", role="owner")
        )
    path = f"/api/staff/{boss.id}/invitation"
    refused = await client.as_key(place.key, "POST", path)
    assert (refused.status_code, refused.json()["type"]) == (403, "https://supover.dev/problems/cannot-grant")
    other = await make_place(db)
    for method, address in (
        ("POST", path),
        ("GET", f"/api/staff/{boss.id}"),
        ("POST", f"/api/staff/{ids.new()}/invitation"),
    ):
        assert (await client.as_key(other.key, method, address)).status_code == 404


async def test_one_member_is_read(client: Client, place: Place) -> None:
    member = await place.staff("agent")
    found = (await client.as_key(place.key, "GET", f"/api/staff/{member.id}")).json()
    assert (found["id"], found["email"], found["role"], found["disabledAt"]) == (
        str(member.id),
        member.email,
        "agent",
        None,
    )
    invited = await client.as_key(
        place.key,
        "POST",
        "/api/staff",
        json={"email": f"{ids.new().hex}@shop.example", "name": "New", "role": "viewer"},
    )
    assert (await client.as_key(place.key, "GET", invited.headers["location"])).json()["acceptedAt"] is None


async def test_staff_are_listed_by_pages_in_both_directions(client: Client, place: Place) -> None:
    names = ["Ann", "Bea", "Bea", "Cem", "Zoe"]
    for name in reversed(names):
        await invite(client, place, f"{ids.new().hex}@shop.example", name=name)

    async def pages(**asked: str) -> list[str]:
        found: list[str] = []
        while True:
            page = (
                await client.as_key(place.key, "GET", "/api/staff", params={"limit": "2", "count": "true", **asked})
            ).json()
            assert page["total"] == 5
            found += [one["name"] for one in page["data"]]
            if page["nextCursor"] is None:
                return found
            asked["cursor"] = page["nextCursor"]

    assert await pages() == await pages(sort="name") == await pages(sort="-createdAt") == names
    assert await pages(sort="-name") == await pages(sort="createdAt") == names[::-1]
    second = (await client.as_key(place.key, "GET", "/api/staff", params={"limit": "2", "page": "2"})).json()
    assert [one["name"] for one in second["data"]] == ["Bea", "Cem"]
    for asked in ({"role": "agent"}, {"sort": "email"}, {"limit": "201"}):
        assert (await client.as_key(place.key, "GET", "/api/staff", params=asked)).status_code == 422
