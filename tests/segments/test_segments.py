"""Segments over HTTP: made, changed, found, previewed, explained; groups; what every workspace begins with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from supover.customers import commands as customers
from supover.customers.model import NewCustomer
from supover.kit import migrate
from supover.kit.db import Database, Tx
from supover.segments import commands, jobs, preview, rules
from tests.makers import (
    Workspace,
    client,
    logged,
    make_customer,
    make_key,
    make_order,
    make_workspace,
    pointers,
    told,
)
from tests.segments.arrange import differences, found, members, named, segment, settle

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

# --- made, changed, deleted ------------------------------------------------------------------------------------------


async def test_a_segment_is_made_read_changed_and_deleted(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    body = {"name": "  Big   spenders ", "description": "For the gala.", "filter": "amount_spent > 1000"}
    answer = await api.post("/api/segments", json=body)
    made = told(answer, 201)
    assert answer.headers["location"] == f"/api/segments/{made['id']}"
    assert (made["name"], made["kind"], made["isRelative"], made["version"]) == ("Big spenders", "filter", False, 1)
    assert made["filterDescription"] == "Customers whose amount spent is more than 1,000."
    path = f"/api/segments/{made['id']}"
    etag = (await api.get(path)).headers["etag"]
    assert etag == '"1"'
    changed = told(await api.patch(path, json={"name": "Spenders"}, headers={"If-Match": etag}))
    assert (changed["name"], changed["version"], changed["filter"]) == ("Spenders", 2, "amount_spent > 1000")
    told(await api.patch(path, json={"name": "Other"}, headers={"If-Match": etag}), 412)
    told(await api.put(path, json={"name": "Other"}, headers={"If-Match": etag}), 412)
    told(await api.delete(path, headers={"If-Match": etag}), 412)
    replaced = told(await api.put(path, json={"name": "Recent", "filter": "last_order_date >= -30d"}))
    assert (replaced["description"], replaced["isRelative"], replaced["complete"]) == ("", True, False)
    assert told(await api.patch(path, json={"name": "Recent"}))["version"] == 3
    assert (await api.delete(path)).status_code == 204
    told(await api.get(path), 404)
    told(await api.delete(path), 404)


async def test_what_cannot_be_a_segment_is_refused_by_its_field(api: httpx.AsyncClient) -> None:
    async def refused(**body: Any) -> list[str]:
        return pointers(await api.post("/api/segments", json={"name": "A", "filter": "status = 'VIP'", **body}))

    assert await refused(name=" ") == ["/name"]
    assert await refused(name="x" * 201) == ["/name"]
    assert await refused(description="x" * 2001) == ["/description"]
    assert await refused(filter=None) == ["/filter"]
    assert await refused(kind="manual") == ["/filter"]
    assert await refused(kind="smart") == ["/kind"]
    [error] = told(await api.post("/api/segments", json={"name": "A", "kind": "group"}), 422)["errors"]
    assert error["message"] == "must be one of filter, manual"
    answer = await api.post("/api/segments", json={"name": "A", "filter": "status = 'VIP' AND shoe_size > 4"})
    [error] = told(answer, 422)["errors"]
    assert (error["pointer"], error["code"], error["position"]) == ("/filter", "unknown", 19)
    group = await segment(api, "Group", None)
    assert pointers(await api.patch(f"/api/segments/{group['id']}", json={"filter": "status = 'VIP'"})) == ["/filter"]


async def test_a_name_is_given_once_whatever_its_case(api: httpx.AsyncClient) -> None:
    one, other = await segment(api, "Panel", None), await segment(api, "Press", None)
    taken = told(await api.post("/api/segments", json={"name": "PANEL", "kind": "manual"}), 409)
    assert taken["segmentId"] == one["id"]
    told(await api.patch(f"/api/segments/{other['id']}", json={"name": "panel"}), 409)
    assert told(await api.patch(f"/api/segments/{one['id']}", json={"name": "panel"}))["name"] == "panel"


async def test_there_is_an_end_to_segments(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MOST_SEGMENTS", len(rules.BUILT_IN))
    told(await api.post("/api/segments", json={"name": "One more", "kind": "manual"}), 409)


async def test_segments_are_listed_by_name_members_and_age(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    await make_customer(api, name="Ann", status="VIP")
    await segment(api, "Äpfel", "status = 'VIP'")
    await settle(db, shop)

    async def names(**params: str) -> list[str]:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = told(await api.get("/api/segments", params={"limit": "3", **params, **cursor}))
            seen += [one["name"] for one in page["data"]]
            if page["nextCursor"] is None:
                return seen
            cursor = {"cursor": page["nextCursor"]}

    everything = await names()
    assert len(everything) == len(rules.BUILT_IN) + 1
    assert set(everything) == {"Äpfel", *(b.name for b in rules.BUILT_IN)}
    assert await names(sort="-name") == everything[::-1]
    assert set((await names(sort="-members"))[:3]) == {"Äpfel", "VIPs", "Never ordered"}
    assert (await names(sort="-createdAt"))[0] == "Äpfel"
    assert await names(search="apfel") == ["Äpfel"]
    assert await names(kind="manual") == []
    counted = told(await api.get("/api/segments", params={"search": "risk", "count": "true"}))
    assert (counted["total"], len(counted["data"])) == (1, 1)


async def test_what_was_in_a_deleted_segment_is_forgotten(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, owner: "Connection"
) -> None:
    group = await segment(api, "Panel", None)
    picked = [(await make_customer(api, name=f"Customer {n}"))["id"] for n in range(5)]
    told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": picked}))
    assert (await api.delete(f"/api/segments/{group['id']}")).status_code == 204
    rounds = 0
    async with db.tx(shop.id) as tx:
        while await commands.forget(tx, UUID(group["id"]), 2) == 2:
            rounds += 1
    assert rounds == 2
    for table in ("segment_member", "segment_pick", "segment_day"):
        assert not await owner.fetchval(f"select 1 from data.{table} where segment_id = $1", UUID(group["id"]))
    assert jobs.FORGET_AT_ONCE > 1000


# --- preview and explain ---------------------------------------------------------------------------------------------


async def test_a_preview_counts_and_shows_the_newest(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    vips = [await make_customer(api, name=f"VIP {n}", status="VIP") for n in range(12)]
    for n in range(4):
        await make_customer(api, name=f"Other {n}")
    await settle(db, shop)
    shown = told(await api.post("/api/segments/preview", json={"filter": "status = 'VIP'"}))
    assert (shown["count"], shown["share"], shown["isRelative"]) == (12, 0.75, False)
    assert shown["description"] == "Customers whose status is 'VIP'."
    assert [one["id"] for one in shown["sample"]] == [one["id"] for one in vips[::-1][:10]]
    assert shown["sample"][0] == told(await api.get(f"/api/customers/{vips[-1]['id']}"))
    rare = told(await api.post("/api/segments/preview", json={"filter": "customer_name = 'Other 1'"}))
    assert (rare["count"], rare["share"], [one["name"] for one in rare["sample"]]) == (1, 0.0625, ["Other 1"])
    none = told(await api.post("/api/segments/preview", json={"filter": "last_order_date >= -1d"}))
    assert (none["count"], none["share"], none["isRelative"], none["sample"]) == (0, 0.0, True, [])


async def test_a_preview_of_nobody_is_empty(api: httpx.AsyncClient) -> None:
    shown = told(await api.post("/api/segments/preview", json={"filter": "number_of_orders = 0"}))
    assert (shown["count"], shown["share"]) == (0, 0)
    refused = told(await api.post("/api/segments/preview", json={"filter": "number_of_orders = "}), 422)
    assert [(e["pointer"], type(e["position"])) for e in refused["errors"]] == [("/filter", int)]
    assert pointers(await api.post("/api/segments/preview", json={})) == ["/filter"]


async def test_a_sample_of_a_rare_filter_is_found_beyond_the_newest(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await make_customer(api, name=f"Customer {n}", status="VIP" if n % 2 else "ACTIVE") for n in range(15)]
    monkeypatch.setattr(preview, "NEWEST", preview.NEWEST.replace("limit 5000", "limit 4"))
    shown = told(await api.post("/api/segments/preview", json={"filter": "status = 'VIP'"}))
    sample = [one["name"] for one in shown["sample"]]
    assert (shown["count"], len(sample), sample[:2]) == (7, 7, ["Customer 13", "Customer 11"])
    assert set(sample) == {one["name"] for one in made if one["status"] == "VIP"}


async def test_a_filter_is_explained_condition_by_condition(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann", status="VIP")
    bob = await make_customer(api, name="Bob")
    await make_order(api, bob, total="25.00")
    await settle(db, shop)
    text = "status = 'VIP' OR (amount_spent > 20 AND customer_name = 'bob')"
    said = told(await api.post("/api/segments/explain", json={"filter": text, "customerId": bob["id"]}))
    assert [(c["text"], c["position"], c["matches"], c["holds"]) for c in said["conditions"]] == [
        ("status = 'VIP'", 0, 1, False),
        ("amount_spent > 20", 19, 1, True),
        ("customer_name = 'bob'", 41, 1, True),
    ]
    assert said["conditions"][1]["description"] == "Customers whose amount spent is more than 20."
    assert said["holds"] is True
    assert "$1" in said["statement"] and "'VIP'" not in said["statement"]
    assert said["parameters"] == ["VIP", "20", "bob"]
    assert any("customer" in line for line in said["plan"])
    alone = told(await api.post("/api/segments/explain", json={"filter": text}))
    assert (alone["holds"], alone["conditions"][0]["holds"]) == (None, None)
    told(await api.post("/api/segments/explain", json={"filter": text, "customerId": str(uuid4())}), 404)
    await api.delete(f"/api/customers/{ann['id']}")
    told(await api.post("/api/segments/explain", json={"filter": text, "customerId": ann["id"]}), 404)
    async with client(db, await make_key(db, shop.id, "customers:write")) as program:
        told(await program.post("/api/segments/explain", json={"filter": text}), 403)


# --- members ---------------------------------------------------------------------------------------------------------


async def test_members_are_shown_as_customers_the_last_to_enter_first(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    group = await segment(api, "Panel", None)
    made = [await make_customer(api, name=f"Customer {n}") for n in range(5)]
    for one in (made[3], made[0], made[4]):
        told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [one["id"]]}))
    path = f"/api/segments/{group['id']}/customers"

    async def names(**params: str) -> list[str]:
        return [one["name"] for one in told(await api.get(path, params=params))["data"]]

    assert await names() == ["Customer 4", "Customer 0", "Customer 3"]
    assert await names(sort="enteredAt") == ["Customer 3", "Customer 0", "Customer 4"]
    assert await names(sort="-createdAt") == ["Customer 4", "Customer 3", "Customer 0"]
    first = told(await api.get(path, params={"limit": "2", "count": "true", "sort": "createdAt"}))
    assert (first["total"], [one["name"] for one in first["data"]]) == (3, ["Customer 0", "Customer 3"])
    rest = told(await api.get(path, params={"limit": "2", "sort": "createdAt", "cursor": first["nextCursor"]}))
    assert ([one["name"] for one in rest["data"]], rest["nextCursor"]) == (["Customer 4"], None)
    assert first["data"][0] == told(await api.get(f"/api/customers/{made[0]['id']}"))
    assert pointers(await api.get(path, params={"sort": "name"})) == ["sort"]
    assert pointers(await api.get(path, params={"status": "VIP"})) == ["status"]


async def test_customers_are_put_into_a_group_and_taken_out(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    group = await segment(api, "Panel", None)
    assert (group["complete"], group["members"], group["filter"]) == (True, 0, None)
    path = f"/api/segments/{group['id']}/customers"
    ann, bob = await make_customer(api, name="Ann"), await make_customer(api, name="Bob")
    nobody = str(uuid4())
    said = told(await api.post(path, json={"ids": [ann["id"], nobody, bob["id"], ann["id"]]}))
    assert (said["added"], said["unchanged"], said["failed"], said["segment"]["members"]) == (2, 0, 1, 2)
    assert [(row["id"], row["outcome"]) for row in said["rows"]] == [
        (ann["id"], "added"),
        (nobody, "failed"),
        (bob["id"], "added"),
    ]
    assert said["rows"][1]["error"] == "No living customer has this id."
    again = told(await api.post(path, json={"ids": [ann["id"]]}))
    assert (again["added"], again["unchanged"]) == (0, 1)
    assert (await api.delete(f"{path}/{ann['id']}")).status_code == 204
    told(await api.delete(f"{path}/{ann['id']}"), 404)
    assert await members(api, group["id"]) == {bob["id"]}
    await settle(db, shop)
    assert await members(api, group["id"]) == {bob["id"]}
    assert (await found(api, group["id"]))["members"] == 1
    assert await differences(db, shop) == []
    days = told(await api.get(f"/api/segments/{group['id']}/growth"))["data"]
    assert [(d["members"], d["entered"], d["left"]) for d in days] == [(1, 2, 1)]
    told(await api.post(path, json={"ids": []}), 422)
    told(await api.post(path, json={"ids": [nobody] * 1001}), 422)


async def test_a_customer_tells_which_segments_they_are_in(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann", status="VIP")
    path = f"/api/customers/{ann['id']}/segments"
    assert told(await api.get(path))["data"] == []
    await settle(db, shop)
    group = await segment(api, "Panel", None)
    told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [ann["id"]]}))
    page = told(await api.get(path, params={"limit": "2", "count": "true"}))
    rest = told(await api.get(path, params={"limit": "2", "cursor": page["nextCursor"]}))
    assert (page["total"], rest["nextCursor"]) == (3, None)
    newest = page["data"][0]
    assert (newest["id"], newest["name"], newest["kind"], newest["enteredAt"] > ann["createdAt"]) == (
        group["id"], "Panel", "manual", True,
    )  # fmt: skip
    assert {one["name"] for one in (*page["data"], *rest["data"])} == {"Never ordered", "Panel", "VIPs"}
    assert [one["name"] for one in told(await api.get(path, params={"sort": "name"}))["data"]] == [
        "Never ordered", "Panel", "VIPs",
    ]  # fmt: skip
    told(await api.get(f"/api/customers/{uuid4()}/segments"), 404)
    other = await make_workspace(db)
    async with client(db, other.key) as stranger:
        told(await stranger.get(path), 404)


async def test_the_list_of_customers_knows_its_segments(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    ann, _ = await make_customer(api, name="Ann", status="VIP"), await make_customer(api, name="Bob")
    await settle(db, shop)
    vips = await named(api, "VIPs")
    listed = told(await api.get("/api/customers", params={"segment": vips["id"]}))["data"]
    assert [one["id"] for one in listed] == [ann["id"]]
    answer = await api.get("/api/customers", params={"segment": str(uuid4())})
    assert [(e["pointer"], e["code"]) for e in told(answer, 422)["errors"]] == [("segment", "unknown")]


async def test_only_groups_are_picked_by_hand(api: httpx.AsyncClient) -> None:
    one, ann = await segment(api, "VIPs of ours", "status = 'VIP'"), await make_customer(api, name="Ann")
    told(await api.post(f"/api/segments/{one['id']}/customers", json={"ids": [ann["id"]]}), 409)
    told(await api.delete(f"/api/segments/{one['id']}/customers/{ann['id']}"), 409)


async def test_a_timeline_says_who_entered_what(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    one, ann = await segment(api, "VIPs of ours", "status = 'VIP'"), await make_customer(api, name="Ann")
    await settle(db, shop)
    told(await api.patch(f"/api/customers/{ann['id']}", json={"status": "VIP"}))
    await settle(db, shop)
    timeline = told(await api.get(f"/api/customers/{ann['id']}/timeline", params={"type": "SegmentEntered"}))["data"]
    assert {"segmentId": one["id"], "name": "VIPs of ours"} in [entry["data"] for entry in timeline]
    assert timeline[0]["title"] == "Segment entered"
    # That figures were counted is the house's own business.
    for kind in ("CustomersRecounted", "WorkspaceCreated"):
        assert await logged(db, shop, kind) == []


async def test_growth_is_asked_for_by_days(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    one = await named(api, "Never ordered")
    day = """insert into data.segment_day (workspace_id, segment_id, day, members, entered, left_count)
             select $1, $2, date '2026-01-01' + n, n, 1, 0 from generate_series(0, 9) n"""
    await owner.execute(day, shop.id, UUID(one["id"]))
    path = f"/api/segments/{one['id']}/growth"
    some = told(await api.get(path, params={"from": "2026-01-03", "to": "2026-01-05"}))["data"]
    assert [d["day"] for d in some] == ["2026-01-05", "2026-01-04", "2026-01-03"]
    page = told(await api.get(path, params={"limit": "4", "sort": "day"}))
    following = told(await api.get(path, params={"limit": "4", "sort": "day", "cursor": page["nextCursor"]}))
    assert [d["day"][-2:] for d in (*page["data"], *following["data"])] == [f"{n:02}" for n in range(1, 9)]
    assert pointers(await api.get(path, params={"from": "2026-01-05", "to": "2026-01-03"})) == ["from"]
    assert len(told(await api.get(path, params={"from": "2026-01-05", "to": "2026-01-05"}))["data"]) == 1


# --- built in --------------------------------------------------------------------------------------------------------


async def test_a_new_workspace_has_the_built_in_segments_and_gets_them_back(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    data = told(await api.get("/api/segments"))["data"]
    assert {(s["builtIn"], s["filter"], s["isRelative"]) for s in data} == {
        (b.key, b.filter, b.is_relative) for b in rules.BUILT_IN
    }
    assert all(s["complete"] and not s["error"] and s["filterDescription"] for s in data)
    assert told(await api.post("/api/segments/built-in", json={}))["added"] == []
    assert told(await api.post("/api/segments/built-in", json={"keys": []}))["added"] == []
    assert pointers(await api.post("/api/segments/built-in", json={"keys": ["vip", "best"]})) == ["/keys/1"]
    lapsed = await named(api, "Lapsed")
    assert (await api.delete(f"/api/segments/{lapsed['id']}")).status_code == 204
    await segment(api, "LAPSED", None)
    assert told(await api.post("/api/segments/built-in", json={"keys": ["vip"]}))["added"] == []
    [back] = told(await api.post("/api/segments/built-in", json={"keys": ["lapsed"]}))["added"]
    assert (back["builtIn"], back["name"], back["complete"]) == ("lapsed", "Lapsed (built in)", False)
    await settle(db, shop)
    assert (await found(api, back["id"]))["complete"] is True


async def test_the_migration_gives_older_workspaces_the_same(owner: "Connection") -> None:
    [file] = migrate.folder().glob("0017_*.sql")
    statement = file.read_text("utf-8").partition("-- Every workspace begins with these")[2].partition("\n")[2]
    workspace = uuid4()
    transaction = owner.transaction()
    await transaction.start()
    try:
        await owner.execute("delete from data.segment")
        await owner.execute(
            "insert into data.workspace (workspace_id, name, currency, digits, timezone, counting_statuses)"
            " values ($1, 'Old', 'EUR', 2, 'UTC', '{delivered}')",
            workspace,
        )
        await owner.execute(statement)
        rows = await owner.fetch(
            "select built_in, name, description, filter, is_relative, id from data.segment where workspace_id = $1",
            workspace,
        )
    finally:
        await transaction.rollback()
    assert {rules.BuiltIn(*row[:5]) for row in rows} == set(rules.BUILT_IN)
    assert {row[5].version for row in rows} == {7}


# --- whose it is, and what it costs ----------------------------------------------------------------------------------


async def test_segments_are_ones_own(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    other = await make_workspace(db)
    async with client(db, other.key) as stranger:
        theirs, ann = await segment(stranger, "Panel", None), await make_customer(stranger, name="Ann")
        mine = await segment(api, "Panel", None)
        said = told(await api.post(f"/api/segments/{mine['id']}/customers", json={"ids": [ann["id"]]}))
        assert said["failed"] == 1
        path = f"/api/segments/{theirs['id']}"
        for answer in (
            await api.get(path),
            await api.put(path, json={"name": "Mine"}),
            await api.patch(path, json={"name": "Mine"}),
            await api.delete(path),
            await api.get(f"{path}/customers"),
            await api.get(f"{path}/growth"),
            await api.post(f"{path}/refresh"),
            await api.post(f"{path}/customers", json={"ids": [ann["id"]]}),
            await api.delete(f"{path}/customers/{ann['id']}"),
        ):
            told(answer, 404)
        assert theirs["id"] not in {s["id"] for s in told(await api.get("/api/segments"))["data"]}
        shown = told(await api.post("/api/segments/preview", json={"filter": "number_of_orders = 0"}))
        assert shown["count"] == 0


async def test_a_viewer_reads_and_an_agent_writes(db: Database, shop: Workspace) -> None:
    async with client(db, await make_key(db, shop.id, "customers:read")) as viewer:
        told(await viewer.get("/api/segments"))
        told(await viewer.post("/api/segments/preview", json={"filter": "number_of_orders = 0"}))
        told(await viewer.post("/api/segments", json={"name": "A", "kind": "manual"}), 403)
        told(await viewer.post("/api/segments/built-in", json={}), 403)


async def test_a_new_customer_costs_one_statement_more(
    db: Database, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    run = Tx.run

    async def counted(self: Tx, sql: str, *args: object) -> int:
        asked.append(sql)
        return await run(self, sql, *args)

    monkeypatch.setattr(Tx, "run", counted)
    async with db.tx(shop.id) as tx:
        await customers.create(tx, NewCustomer(name="Ann"))
    assert sum("segment" in sql for sql in asked) == 1


async def test_what_happens_to_a_customer_is_marked(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    await settle(db, shop)
    ann = await make_customer(api, name="Ann")
    path = f"/api/customers/{ann['id']}"

    async def marks() -> Sequence[UUID]:
        rows = await owner.fetch(
            "delete from data.segment_stale where workspace_id = $1 returning customer_id", shop.id
        )
        return [row[0] for row in rows]

    assert await marks() == [UUID(ann["id"])]
    for send in (
        lambda: api.patch(path, json={"name": "Anna"}),
        lambda: api.post(f"{path}/tags", json={"tags": ["a"]}),
        lambda: api.post(f"{path}/block"),
        lambda: api.post(f"{path}/unblock"),
        lambda: api.post(f"{path}/identities", json={"email": "ann@mail.example"}),
        lambda: api.post(
            f"{path}/addresses", json={"line1": "A", "city": "Berlin", "postalCode": "10119", "country": "DE"}
        ),
        lambda: api.delete(path),
        lambda: api.post(f"{path}/restore"),
    ):
        answer = await send()
        assert answer.status_code < 300, answer.text
        assert set(await marks()) == {UUID(ann["id"])}, answer.request.url
    # A workspace without any segment is spared.
    await owner.execute("delete from data.segment where workspace_id = $1", shop.id)
    told(await api.patch(path, json={"name": "Ann"}))
    assert await marks() == []


def test_every_built_in_filter_is_a_segment_that_can_be_made() -> None:
    assert len({b.key for b in rules.BUILT_IN}) == len(rules.BUILT_IN) == len({b.name for b in rules.BUILT_IN})
    for one in rules.BUILT_IN:
        assert rules.name(one.name) == one.name
        assert msgspec.structs.asdict(one)["filter"]
