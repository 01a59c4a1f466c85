from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from supover.access import commands, queries
from supover.access.model import Caller, CannotGrant, KeyChange, KeyNotFound, NewKey
from supover.access.permissions import SCOPES, held
from supover.kit import clock, ids
from supover.kit.db import Database
from supover.kit.problems import Invalid
from tests.access.places import Client, Place, make_place


def with_scopes(place: Place, *scopes: str, **more: Any) -> Caller:
    return msgspec.structs.replace(place.operator, kind="key", id=ids.new(), permissions=held(scopes), **more)


async def test_a_key_is_shown_once_and_kept_as_a_hash(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    body = {"name": " Store  front ", "scopes": ["orders:write", "customers:read", "orders:write"]}
    answer = await client.as_key(place.key, "POST", "/api/keys", json=body)
    assert answer.status_code == 201
    made = answer.json()
    token = made["apiKey"]
    assert (len(token), token[:3], made["prefix"]) == (51, "sk_", token[:10])
    assert (made["name"], made["scopes"]) == ("Store front", ["customers:read", "orders:write"])
    assert (made["rateLimit"], made["expiresAt"]) == (600, None)
    row = await owner.fetchrow("select * from data.api_key where id = $1", made["id"])
    assert row is not None
    assert row["token_hash"] == commands.digest(token)
    assert token not in str(dict(row))
    listed = (await client.as_key(place.key, "GET", "/api/keys")).json()["data"]
    assert [key["name"] for key in listed] == ["Store front", "First key"]
    assert listed[0]["createdBy"] == f"key:{place.key.id}"
    assert token not in str(listed)
    session = (await client.as_key(token, "GET", "/api/session")).json()
    assert session["permissions"] == ["customers:read", "duplicates:read", "orders:read", "orders:write"]


async def test_an_answer_that_is_replayed_shows_no_key(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async def make() -> tuple[dict[str, Any], str | None]:
        answer = await client.as_key(
            place.key,
            "POST",
            "/api/keys",
            json={"name": "Once", "scopes": ["admin"]},
            headers={"Idempotency-Key": "make"},
        )
        assert answer.status_code == 201
        return answer.json(), answer.headers.get("idempotent-replayed")

    (first, no), (second, yes) = await make(), await make()
    assert (no, yes) == (None, "true")
    assert second == {**first, "apiKey": None}
    kept = await owner.fetchval("select body from data.idempotency where workspace_id = $1", place.workspace.id)
    assert first["apiKey"].encode() not in kept


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "", "scopes": ["admin"]}, "/name"),
        ({"name": "K", "scopes": []}, "/scopes"),
        ({"name": "K", "scopes": ["admin", "root"]}, "/scopes/1"),
        ({"name": "K", "scopes": ["owner"]}, "/scopes/0"),
        ({"name": "K", "scopes": ["public"]}, "/scopes/0"),
        ({"name": "K", "scopes": "admin"}, "/scopes"),
        ({"name": "K", "scopes": ["admin"], "rateLimit": 0}, "/rateLimit"),
        ({"name": "K", "scopes": ["admin"], "rateLimit": 601}, "/rateLimit"),
        ({"name": "K", "scopes": ["admin"], "rateLimit": 1.5}, "/rateLimit"),
        ({"name": "K", "scopes": ["admin"], "expiresAt": "2020-01-01T00:00:00Z"}, "/expiresAt"),
        ({"name": "K", "scopes": ["admin"], "expiresAt": "tomorrow"}, "/expiresAt"),
        ({"name": "K", "scopes": ["admin"], "expiresAt": "9999-12-31T23:59:59-12:00"}, "/expiresAt"),
        ({"name": "K", "scopes": ["admin"], "expiresAt": "0001-01-01T00:00:00"}, "/expiresAt"),
        ({"name": "K", "scopes": ["admin"], "rateLimit": 10**12}, "/rateLimit"),
        ({"name": "K", "scopes": ["x"] * 1000}, "/scopes"),
        ({"name": "K", "scopes": ["admin"], "tokenHash": "x"}, "/tokenHash"),
        ({"name": "K", "scopes": ["admin"], "workspaceId": "x"}, "/workspaceId"),
        ({"scopes": ["admin"]}, "/name"),
    ],
)
async def test_a_bad_key_is_refused_by_field(client: Client, place: Place, body: dict[str, Any], pointer: str) -> None:
    answer = await client.as_key(place.key, "POST", "/api/keys", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    listed = (await client.as_key(place.key, "GET", "/api/keys", params={"count": "true"})).json()
    assert (listed["total"], len(listed["data"])) == (1, 1)


async def test_a_lower_limit_is_taken_and_a_time_without_a_zone_is_the_workspaces(client: Client, place: Place) -> None:
    body = {"name": "K", "scopes": ["admin"], "rateLimit": 7, "expiresAt": "2099-07-01T12:00:00"}
    made = (await client.as_key(place.key, "POST", "/api/keys", json=body)).json()
    assert made["rateLimit"] == 7
    assert made["expiresAt"] == "2099-07-01T10:00:00Z"


# --- nobody gives what they do not hold ------------------------------------------------------------------------------------


@pytest.mark.parametrize("holds", SCOPES)
@pytest.mark.parametrize("wanted", SCOPES)
async def test_no_scope_is_given_that_is_not_held(place: Place, holds: str, wanted: str) -> None:
    new = NewKey(name="K", scopes=[wanted])
    async with place.db.tx(place.workspace.id) as tx:
        if wanted in held([holds]):
            assert (await commands.create_key(tx, with_scopes(place, holds), new, most_a_minute=600)).scopes == [wanted]
        else:
            with pytest.raises(CannotGrant, match=wanted):
                await commands.create_key(tx, with_scopes(place, holds), new, most_a_minute=600)


async def test_only_admin_makes_keys_over_http(client: Client, place: Place) -> None:
    everything_else = await place.new_key(*(scope for scope in SCOPES if scope != "admin"))
    for wanted in ("customers:read", "admin"):
        answer = await client.as_key(everything_else, "POST", "/api/keys", json={"name": "More", "scopes": [wanted]})
        assert (answer.status_code, answer.json()["type"]) == (403, "https://supover.dev/problems/not-allowed")
    assert (await client.as_key(place.key, "GET", "/api/keys", params={"count": "true"})).json()["total"] == 2


async def test_a_limited_key_makes_no_faster_one(place: Place) -> None:
    by = with_scopes(place, "admin", rate_limit=100)
    async with place.db.tx(place.workspace.id) as tx:
        made = await commands.create_key(tx, by, NewKey(name="K", scopes=["admin"]), most_a_minute=600)
        assert made.rate_limit == 100
        with pytest.raises(Invalid, match="at most 100"):
            await commands.create_key(tx, by, NewKey(name="K", scopes=["admin"], rate_limit=101), most_a_minute=600)


async def test_a_key_that_ends_makes_none_that_lives_longer(place: Place) -> None:
    end = clock.now() + timedelta(days=1)
    by = with_scopes(place, "admin", expires_at=end)
    async with place.db.tx(place.workspace.id) as tx:
        made = await commands.create_key(tx, by, NewKey(name="K", scopes=["admin"]), most_a_minute=600)
        assert made.expires_at == end
        later = NewKey(name="K", scopes=["admin"], expires_at=end + timedelta(seconds=1))
        with pytest.raises(CannotGrant):
            await commands.create_key(tx, by, later, most_a_minute=600)


async def test_the_operator_makes_keys_without_a_limit(place: Place) -> None:
    assert (await place.new_key("admin")).rate_limit is None
    assert (await place.new_key("admin", rate_limit=5_000)).rate_limit == 5_000


async def test_a_workspace_has_at_most_a_hundred_living_keys_unless_the_operator_adds(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await owner.execute(
        """insert into data.api_key (workspace_id, id, name, prefix, token_hash, scopes, created_by, expires_at, revoked_at)
           select $1, gen_random_uuid(), 'K', 'sk_', sha256(n::text::bytea), '{admin}', 'cli',
                  case when n = 100 then now() end, case when n = 101 then now() end
             from generate_series(2, 101) n""",
        place.workspace.id,
    )
    body = {"name": "K", "scopes": ["customers:read"]}
    made = await client.as_key(place.key, "POST", "/api/keys", json=body)
    assert made.status_code == 201
    refused = await client.as_key(place.key, "POST", "/api/keys", json=body)
    assert (refused.status_code, refused.json()["type"]) == (409, "https://supover.dev/problems/too-many-keys")
    await place.new_key("admin")
    for id in (made.json()["id"], (await place.new_key("admin")).id):
        assert (await client.as_key(place.key, "DELETE", f"/api/keys/{id}")).status_code == 204
    assert (await client.as_key(place.key, "POST", "/api/keys", json=body)).status_code == 409


# --- lists and ends --------------------------------------------------------------------------------------------------------


async def test_keys_are_listed_page_by_page_in_both_directions(client: Client, place: Place) -> None:
    made = [str(place.key.id), *[str((await place.new_key("admin")).id) for _ in range(4)]]
    for sort, expected in (("-createdAt", list(reversed(made))), ("createdAt", made), (None, list(reversed(made)))):
        found: list[str] = []
        cursor: str | None = None
        while True:
            asked = {"limit": "2", "sort": sort, "cursor": cursor}
            answer = await client.as_key(
                place.key, "GET", "/api/keys", params={k: v for k, v in asked.items() if v is not None}
            )
            page = answer.json()
            found += [key["id"] for key in page["data"]]
            cursor = page["nextCursor"]
            if cursor is None:
                assert "link" not in answer.headers
                break
            assert 'rel="next"' in answer.headers["link"]
        assert found == expected
    second = (await client.as_key(place.key, "GET", "/api/keys", params={"limit": "2", "page": "2"})).json()
    assert [key["id"] for key in second["data"]] == [made[2], made[1]]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"limit": "0"}, 422),
        ({"limit": "201"}, 422),
        ({"sort": "name"}, 422),
        ({"cursor": "x"}, 400),
        ({"include": "all"}, 422),
    ],
)
async def test_a_list_is_asked_for_properly(client: Client, place: Place, asked: dict[str, str], status: int) -> None:
    assert (await client.as_key(place.key, "GET", "/api/keys", params=asked)).status_code == status


async def test_revoked_keys_are_shown_when_asked_for(client: Client, place: Place) -> None:
    other = await place.new_key("admin")
    await client.as_key(place.key, "DELETE", f"/api/keys/{other.id}")
    assert len((await client.as_key(place.key, "GET", "/api/keys")).json()["data"]) == 1
    shown = (await client.as_key(place.key, "GET", "/api/keys", params={"include": "revoked"})).json()["data"]
    assert [(key["id"], key["revokedAt"] is not None) for key in shown] == [
        (str(other.id), True),
        (str(place.key.id), False),
    ]


async def test_another_workspaces_key_is_not_there(client: Client, db: Database, place: Place) -> None:
    other = await make_place(db)
    for id in (other.key.id, ids.new()):
        answer = await client.as_key(place.key, "DELETE", f"/api/keys/{id}")
        assert (answer.status_code, answer.json()["type"]) == (404, "https://supover.dev/problems/key-not-found")
    assert (await client.as_key(other.key, "GET", "/api/workspace")).status_code == 200
    async with db.reader(place.workspace.id) as reader:
        with pytest.raises(KeyNotFound):
            await queries.find_key(reader, other.key.id)


async def test_one_key_is_read_also_when_it_has_ended(client: Client, place: Place) -> None:
    body = {"name": "Back end", "scopes": ["orders:read"], "rateLimit": 9}
    answer = await client.as_key(place.key, "POST", "/api/keys", json=body)
    address = answer.headers["location"]
    found = (await client.as_key(place.key, "GET", address)).json()
    assert found == {
        **{name: value for name, value in answer.json().items() if name != "apiKey"},
        **{"createdBy": f"key:{place.key.id}", "lastUsedAt": None, "revokedAt": None},
    }
    await client.as_key(place.key, "DELETE", address)
    assert (await client.as_key(place.key, "GET", address)).json()["revokedAt"] is not None
    assert (await client.as_key(place.key, "GET", f"/api/keys/{ids.new()}")).status_code == 404


async def test_a_key_is_renamed_and_its_end_brought_forward_so_that_another_takes_its_place(
    client: Client, place: Place, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    old = await place.new_key("customers:read")
    path = f"/api/keys/{old.id}"

    async def change(**body: Any) -> httpx.Response:
        return await client.as_key(place.key, "PATCH", path, json=body)

    assert (await change(name="The old one")).json()["name"] == "The old one"
    soon = (clock.now() + timedelta(hours=1)).replace(microsecond=0)
    assert (await change(expiresAt=soon.isoformat())).json()["expiresAt"] == soon.strftime("%Y-%m-%dT%H:%M:%SZ")
    for body, pointer in (
        ({"expiresAt": (soon + timedelta(seconds=1)).isoformat()}, "/expiresAt"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "/expiresAt"),
        ({"expiresAt": None}, "/expiresAt"),
        ({"name": " "}, "/name"),
        ({"scopes": ["admin"]}, "/scopes"),
        ({"rateLimit": None}, "/rateLimit"),
    ):
        answer = await change(**body)
        assert (answer.status_code, [e["pointer"] for e in answer.json()["errors"]]) == (422, [pointer])
    assert (await client.as_key(old, "GET", "/api/workspace")).status_code == 200
    entries = (
        await client.as_key(place.key, "GET", "/api/audit", params={"subjectId": str(old.id), "sort": "at"})
    ).json()
    assert [[(c["field"], c["old"]) for c in e["changes"]] for e in entries["data"]] == [
        [("name", "A key")],
        [("expiresAt", None)],
    ]
    # Its end holds for a key that is remembered, too.
    await owner.execute("update data.api_key set expires_at = now() where id = $1", old.id)
    client.authenticator.doubt(old.id)
    assert (await client.as_key(old, "GET", "/api/workspace")).status_code == 401
    ended = await change(name="Too late")
    assert (ended.status_code, ended.json()["type"]) == (409, "https://supover.dev/problems/key-ended")
    await client.as_key(place.key, "DELETE", path)
    assert (await change(name="Too late")).status_code == 409


async def test_a_key_that_ends_lets_no_other_live_longer_by_changing_it(place: Place) -> None:
    end = clock.now() + timedelta(days=1)
    by, other = with_scopes(place, "admin", expires_at=end), await place.new_key("admin")
    async with place.db.tx(place.workspace.id) as tx:
        with pytest.raises(CannotGrant):
            await commands.change_key(tx, by, other.id, KeyChange(expires_at=end + timedelta(seconds=1)))
        changed = await commands.change_key(tx, by, other.id, KeyChange(name="Renamed"))
        assert (changed.name, changed.expires_at) == ("Renamed", None)


async def test_a_misspelt_filter_of_keys_is_refused(client: Client, place: Place) -> None:
    answer = await client.as_key(place.key, "GET", "/api/keys", params={"includes": "revoked"})
    assert answer.json()["errors"][0]["message"] == "is not a parameter here; did you mean 'include'?"
