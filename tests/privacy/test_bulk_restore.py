"""A bulk action does not bring anybody back who was erased, and says into whom a customer was merged."""

from typing import TYPE_CHECKING

import httpx

from supover.kit.db import Database
from tests.makers import Workspace, make_customer, told
from tests.privacy.arrange import ask, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def test_who_was_erased_is_not_restored_by_a_bulk_action(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    gone, put_away = await make_customer(api, name="Gone"), await make_customer(api, name="Put Away")
    for one in (gone, put_away):
        told(await api.delete(f"/api/customers/{one['id']}"), 204)
    await ask(api, gone)
    await work(db, owner, shop, "privacy.%")
    done = told(await api.post("/api/customers/bulk", json={"action": "restore", "ids": [gone["id"]]}))
    [row] = done["results"]
    assert (row["outcome"], row["code"]) == ("failed", "customer-erased")
    told(await api.post("/api/customers/bulk", json={"action": "restore", "filter": "number_of_orders = 0"}))
    assert [one["id"] for one in told(await api.get("/api/customers"))["data"]] == [put_away["id"]]


async def test_a_pick_of_one_who_was_merged_says_into_whom(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    told(await api.post("/api/customers/merge", json={"primaryId": ann["id"], "duplicateIds": [twin["id"]]}))
    group = told(await api.post("/api/segments", json={"name": "Panel", "kind": "manual"}), 201)
    done = told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [twin["id"]]}))
    [row] = done["rows"]
    assert row["error"] == f"Customer {ann['id']} has everything of it now."
