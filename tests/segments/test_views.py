"""Saved views: one's own and shared ones, kept only when the list of customers takes them."""

from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from supover.customers import routes as customers
from supover.kit.api import query_names
from supover.kit.db import Database, Tx
from supover.segments import views
from tests.makers import Workspace, client, make_key, make_workspace, pointers, told


async def test_a_view_is_saved_read_changed_and_deleted(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/views", json={"name": " VIPs ", "query": "?status=VIP&sort=-totalSpent"})
    made = told(answer, 201)
    assert answer.headers["location"] == f"/api/views/{made['id']}"
    assert (made["name"], made["query"], made["isShared"], made["position"], made["version"]) == (
        "VIPs", "status=VIP&sort=-totalSpent", False, 0, 1,
    )  # fmt: skip
    path = f"/api/views/{made['id']}"
    assert told(await api.get(path)) == made
    changed = told(await api.patch(path, json={"position": 5}, headers={"If-Match": '"1"'}))
    assert (changed["position"], changed["query"], changed["version"]) == (5, made["query"], 2)
    told(await api.patch(path, json={"position": 6}, headers={"If-Match": '"1"'}), 412)
    assert told(await api.patch(path, json={"position": 5}))["version"] == 2
    replaced = told(await api.put(path, json={"name": "All", "query": ""}))
    assert (replaced["name"], replaced["query"], replaced["position"]) == ("All", "", 5)
    second = told(await api.post("/api/views", json={"name": "Second", "query": ""}), 201)
    assert second["position"] == 6
    told(await api.post("/api/views", json={"name": "SECOND", "query": ""}), 409)
    told(await api.patch(path, json={"name": "second"}), 409)
    assert (await api.delete(path)).status_code == 204
    told(await api.get(path), 404)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("statu=VIP", "statu: is not a parameter here; did you mean 'status'?"),
        ("status=FAMOUS", "status"),
        ("minSpent=much", "minSpent: invalid decimal"),
        ("minOrders=-1", "minOrders: must be a number of orders"),
        ("sort=shoes", "sort: cannot be 'shoes'"),
        ("cursor=abc", "cursor: is one page"),
        ("page=2", "page: is one page"),
        ("include=everything", "include: cannot be 'everything'"),
        ("filter=shoe_size%20%3E%204", "shoe_size is not a field"),
        ("createdFrom=soon", "createdFrom: must be a date"),
        ("isRepeat=perhaps", "isRepeat"),
        ("segment=1", "segment"),
        ("segment=018f0000-0000-7000-8000-000000000000", "segment: is no segment here"),
        ("count=perhaps", "count"),
        ("limit=201", "limit: must be from 1 to 200"),
        ("a", "must be a query string"),
        ("search=%00", "NUL"),
        ("search=%ff", "must be a query string"),
        ("x" * 4001, "at most 4000"),
    ],
)
async def test_a_view_that_the_list_does_not_take_is_refused(api: httpx.AsyncClient, query: str, said: str) -> None:
    answer = await api.post("/api/views", json={"name": "A view", "query": query})
    assert pointers(answer) == ["/query"]
    assert said in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "search=ann%20lee&tag=a&tag=b&status=VIP&status=ACTIVE&limit=50",
        "filter=amount_spent%20%3E%2010%20AND%20status%20%3D%20%27VIP%27&sort=name",
        "minSpent=10.50&maxSpent=99&minOrders=2&isRepeat=true&createdFrom=2026-01-01&country=DE&include=addresses",
        "count=true&status=VIP",
        "q=%22ann%40x.org%22&email=ann%40x.org&phone=555123&externalId=9&source=ETSY",
    ],
)
async def test_a_view_that_the_list_takes_is_kept(api: httpx.AsyncClient, query: str) -> None:
    kept = told(await api.post("/api/views", json={"name": "A view", "query": query}), 201)
    assert kept["query"] == query
    told(await api.get(f"/api/customers?{query}"))


async def test_what_a_view_asks_is_read_and_not_run(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    rows = Tx.rows

    async def heard(self: Tx, sql: str, *args: object) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return await rows(self, sql, *args)

    monkeypatch.setattr(Tx, "rows", heard)
    query = "filter=amount_spent%20%3E%2010&count=true&sort=-totalSpent"
    told(await api.post("/api/views", json={"name": "A view", "query": query}), 201)
    assert [sql for sql in asked if "customer_metrics" in sql] == []


def test_what_is_read_of_a_view_is_what_the_list_asks_for() -> None:
    assert {field.encode_name for field in msgspec.structs.fields(customers.Asked)} == set(
        query_names(customers.search).values()
    )


async def test_a_private_view_is_its_owners_and_a_shared_one_everybodys(db: Database, shop: Workspace) -> None:
    keys = [await make_key(db, shop.id, "customers:write") for _ in range(2)]
    async with client(db, keys[0]) as ann, client(db, keys[1]) as bob, client(db, shop.key) as boss:
        mine = told(await ann.post("/api/views", json={"name": "Mine", "query": "status=VIP"}), 201)
        ours = told(await ann.post("/api/views", json={"name": "Ours", "query": "", "isShared": True}), 201)
        # Another's views may have the same name.
        told(await bob.post("/api/views", json={"name": "Mine", "query": ""}), 201)
        for other in (bob, boss):
            told(await other.get(f"/api/views/{mine['id']}"), 404)
            told(await other.patch(f"/api/views/{mine['id']}", json={"name": "Not mine"}), 404)
            told(await other.delete(f"/api/views/{mine['id']}"), 404)
            assert told(await other.get(f"/api/views/{ours['id']}")) == ours
        listed = told(await bob.get("/api/views", params={"count": "true"}))
        assert ([v["name"] for v in listed["data"]], listed["total"]) == (["Ours", "Mine"], 2)
        told(await bob.patch(f"/api/views/{ours['id']}", json={"name": "Stolen"}), 403)
        told(await bob.delete(f"/api/views/{ours['id']}"), 403)
        hidden = told(await boss.patch(f"/api/views/{ours['id']}", json={"isShared": False}))
        assert hidden["isShared"] is False
        told(await bob.get(f"/api/views/{ours['id']}"), 404)
        assert told(await ann.get(f"/api/views/{ours['id']}"))["version"] == 2
    stranger = await make_workspace(db)
    async with client(db, stranger.key) as other:
        told(await other.get(f"/api/views/{mine['id']}"), 404)


SHARE = "update saved_view set is_shared = true where workspace_id = $1 and id = $2"


async def test_who_only_reads_keeps_views_and_shares_none(db: Database, shop: Workspace) -> None:
    async with client(db, await make_key(db, shop.id, "customers:read")) as viewer:
        mine = told(await viewer.post("/api/views", json={"name": "Mine", "query": ""}), 201)
        told(await viewer.post("/api/views", json={"name": "Ours", "query": "", "isShared": True}), 403)
        told(await viewer.patch(f"/api/views/{mine['id']}", json={"isShared": True}), 403)
        told(await viewer.put(f"/api/views/{mine['id']}", json={"name": "A", "query": "", "isShared": True}), 403)
        # What was shared before somebody only read is everybody's as it is; it can still be taken back.
        async with db.tx(shop.id) as tx:
            await tx.run(SHARE, UUID(mine["id"]))
        for body in ({"query": "status=VIP"}, {"name": "Yours"}):
            told(await viewer.patch(f"/api/views/{mine['id']}", json=body), 403)
        assert told(await viewer.get(f"/api/views/{mine['id']}"))["query"] == ""
        assert told(await viewer.patch(f"/api/views/{mine['id']}", json={"isShared": False}))["isShared"] is False
        told(await viewer.patch(f"/api/views/{mine['id']}", json={"query": "status=VIP"}))
        # What it may not see the view may not show.
        told(await viewer.post("/api/views", json={"name": "Orders", "query": "include=orders"}), 403)


async def test_views_are_listed_by_place_name_and_age(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, position in (("b", 2), ("a", 2), ("c", 0)):
        told(await api.post("/api/views", json={"name": name, "query": "", "position": position}), 201)

    async def names(sort: str) -> list[str]:
        first = told(await api.get("/api/views", params={"sort": sort, "limit": "2"}))
        rest = told(await api.get("/api/views", params={"sort": sort, "cursor": first["nextCursor"]}))
        return [v["name"] for v in (*first["data"], *rest["data"])]

    assert await names("position") == ["c", "b", "a"]
    assert await names("name") == ["a", "b", "c"]
    assert await names("-createdAt") == ["c", "a", "b"]
    monkeypatch.setattr(views, "MOST_VIEWS", 3)
    told(await api.post("/api/views", json={"name": "d", "query": ""}), 409)
