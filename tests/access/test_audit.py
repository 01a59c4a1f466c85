import re
from datetime import datetime, timedelta

import asyncpg
import msgspec
import pytest

from supover.access import audit, commands
from supover.access.model import NewKey
from supover.access.permissions import PERMISSIONS
from supover.kit import ids
from supover.kit.db import Database
from tests.access.places import Client, Place, make_client, make_place

Connection = "asyncpg.Connection[asyncpg.Record]"


async def test_every_write_has_its_row_with_old_and_new_values(client: Client, place: Place) -> None:
    await place.staff("owner")
    member = await place.staff("agent")
    await client.as_key(place.key, "PATCH", f"/api/staff/{member.id}", json={"role": "viewer"})
    await client.as_key(place.key, "DELETE", f"/api/staff/{member.id}")
    made = (await client.as_key(place.key, "POST", "/api/keys", json={"name": "K", "scopes": ["admin"]})).json()
    await client.as_key(place.key, "DELETE", f"/api/keys/{made['id']}")
    listed = (await client.as_key(place.key, "GET", "/api/audit")).json()["data"]
    assert [(e["action"], e["subjectId"], e["actorName"]) for e in listed] == [
        ("access.revoke_key", made["id"], "First key"),
        ("access.create_key", made["id"], "First key"),
        ("access.remove_staff", str(member.id), "First key"),
        ("access.change_staff", str(member.id), "First key"),
    ]
    revoked, created, removed, changed = ({c["field"]: (c["old"], c["new"]) for c in e["changes"]} for e in listed)
    assert changed == {"role": ("agent", "viewer")}
    assert removed == {"email": (member.email, None), "role": ("viewer", None)}
    assert created["scopes"] == (None, ["admin"])
    assert revoked["revokedAt"][0] is None
    assert "apiKey" not in created
    assert "token_hash" not in created


async def test_the_log_is_filtered_and_paged(client: Client, place: Place, db: Database) -> None:
    subject = ids.new()
    for n in range(5):
        async with db.tx(place.workspace.id, actor="cli" if n % 2 else "system") as tx:
            await audit.record(tx, f"test.step_{n}", subject if n else None)

    async def actions(**asked: str) -> tuple[list[str], str | None, int | None]:
        page = (await client.as_key(place.key, "GET", "/api/audit", params=asked)).json()
        return [e["action"].removeprefix("test.step_") for e in page["data"]], page["nextCursor"], page["total"]

    assert await actions() == (["4", "3", "2", "1", "0"], None, None)
    assert await actions(sort="at") == (["0", "1", "2", "3", "4"], None, None)
    assert await actions(subjectId=str(subject), count="true") == (["4", "3", "2", "1"], None, 4)
    assert await actions(actor="cli") == (["3", "1"], None, None)
    assert await actions(actor="cli", subjectId=str(ids.new())) == ([], None, None)
    first, cursor, total = await actions(limit="2", count="true")
    assert (first, total) == (["4", "3"], 5)
    assert cursor is not None
    assert (await actions(limit="2", cursor=cursor))[0] == ["2", "1"]
    assert (await actions(limit="2", page="3"))[0] == ["0"]


async def test_the_log_is_filtered_by_action_and_by_time_in_the_workspaces_zone(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    # Midnight in Berlin is 23:00 UTC in winter.
    for n, moment in enumerate(
        ("2026-01-09T22:30:00Z", "2026-01-09T23:30:00Z", "2026-01-10T22:30:00Z", "2026-01-10T23:30:00Z")
    ):
        when = datetime.fromisoformat(moment)
        await owner.execute(
            "insert into data.audit_log (workspace_id, id, at, actor, action) values ($1, $2, $3, 'cli', $4)",
            place.workspace.id, ids.first_at(when + timedelta(seconds=n)), when, f"test.step_{n % 2}",
        )  # fmt: skip

    async def at(**asked: str) -> list[str]:
        answer = await client.as_key(place.key, "GET", "/api/audit", params={"sort": "at", **asked})
        assert answer.status_code == 200, answer.text
        return [e["at"][8:13] for e in answer.json()["data"]]

    assert await at() == ["09T22", "09T23", "10T22", "10T23"]
    assert await at(action="test.step_1") == ["09T23", "10T23"]
    assert await at(action="test.nothing") == []
    assert await at(atFrom="2026-01-10", atTo="2026-01-10") == ["09T23", "10T22"]
    assert await at(atFrom="2026-01-10", action="test.step_0") == ["10T22"]
    assert await at(atTo="2026-01-09T23:30:00Z") == ["09T22"]
    assert await at(atFrom="2026-01-10T23:30:00Z") == ["10T23"]
    for asked in ({"atFrom": "yesterday"}, {"atTo": "2026-13-01"}, {"subject": str(place.key.id)}, {"cause": "x"}):
        refused = await client.as_key(place.key, "GET", "/api/audit", params=asked)
        assert [e["pointer"] for e in refused.json()["errors"]] == list(asked)


async def test_another_workspaces_log_is_not_there(client: Client, db: Database, place: Place) -> None:
    other = await make_place(db)
    async with db.tx(other.workspace.id) as tx:
        await audit.record(tx, "test.secret", other.workspace.id)
    asked = {"subjectId": str(other.workspace.id)}
    assert (await client.as_key(place.key, "GET", "/api/audit", params=asked)).json()["data"] == []


async def test_what_is_secret_is_noted_without_its_value(
    place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    class Thing(msgspec.Struct, frozen=True):
        password_hash: str | None
        token: str | None

    async with place.db.tx(place.workspace.id) as tx:
        tx.changed(
            "thing", ids.new(), Thing("old canary", None), Thing("new canary", "canary"), ["password_hash", "token"]
        )
        await audit.record(tx, "test.secrets")
    kept = await owner.fetchval("select changes::text from data.audit_log where action = 'test.secrets'")
    assert "canary" not in kept
    assert kept.count("(set)") == 3


async def test_a_write_that_fails_leaves_no_row(client: Client, place: Place) -> None:
    assert (await client.as_key(place.key, "PATCH", "/api/workspace", json={"name": ""})).status_code == 422
    assert (await client.as_key(place.key, "GET", "/api/audit")).json()["data"] == []


# --- who may what, besides what every route is asked in tests/house --------------------------------------------------------


async def test_an_operation_that_the_table_does_not_name_is_refused_to_the_owner(
    db: Database, client: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {k: v for k, v in PERMISSIONS.items() if k != "access.search_keys"}
    monkeypatch.setattr("tests.access.places.PERMISSIONS", without)
    async with make_client(db, client.authenticator.settings) as stricter:
        assert (await stricter.as_key(place.key, "GET", "/api/keys")).status_code == 403
        await stricter.sign_in((await place.staff("owner")).email)
        assert (await stricter.get("/api/keys")).status_code == 403
        await stricter.authenticator.close()


async def test_no_answer_holds_a_hash_or_anothers_token(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    boss = await place.staff("owner")
    await client.sign_in(boss.email)
    async with place.db.tx(place.workspace.id, actor="cli") as tx:
        key = await commands.create_key(tx, place.operator, NewKey(name="Canary", scopes=["admin"]), most_a_minute=None)
        await audit.record(tx, "access.create_key", key.id)
    secrets = [str(place.key.api_key), str(key.api_key), str(next(iter(client.cookies.values()))), "argon2"]
    hashes = await owner.fetch(
        """select encode(token_hash, 'hex'), encode(token_hash, 'base64') from data.api_key union all
           select encode(token_hash, 'hex'), encode(csrf_hash, 'hex') from data.session"""
    )
    secrets += [value for row in hashes for value in row]
    for path in ("session", "workspace", "staff", "keys", "keys?include=revoked", "audit"):
        answer = await client.get(f"/api/{path}")
        assert answer.status_code == 200
        assert not [secret for secret in secrets if secret in answer.text], path
        assert not re.search(r"hash|password", answer.text.replace("temporaryPassword", "")), path
