"""A customer's timeline, newest first."""

import httpx

from supover.kit import ids
from supover.kit.db import Database
from tests.makers import client, make_customer, make_order, make_workspace, pointers, told


async def test_everything_that_happened_is_there_newest_first(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org")
    path = f"/api/customers/{ann['id']}"
    order = await make_order(api, ann, placed_at="2020-01-01T00:00:00Z")
    await api.post(f"{path}/notes", json={"note": "Hi"})
    await api.post(f"{path}/block")
    entries = told(await api.get(f"{path}/timeline"))["data"]
    assert [e["type"] for e in entries] == [
        "CustomerBlocked",
        "CustomerChanged",
        "NoteAdded",
        "CustomerCreated",
        "OrderPlaced",
    ]
    placed, created = entries[-1], entries[-2]
    assert (placed["at"], placed["orderId"], placed["title"]) == ("2020-01-01T00:00:00Z", order["id"], "Order placed")
    assert created == {
        "id": created["id"],
        "type": "CustomerCreated",
        "title": "Customer created",
        "at": created["at"],
        "customerId": ann["id"],
        "orderId": None,
        "actor": created["actor"],
        "origin": "live",
        "data": {"by": "api", "source": "API"},
    }
    assert created["actor"].startswith("key:")


async def test_it_is_narrowed_by_type_and_paged(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    path = f"/api/customers/{ann['id']}"
    for n in range(5):
        await api.patch(path, json={"name": f"Ann {n}"})
        await api.post(f"{path}/notes", json={"note": "Hi"})
    asked = {"type": ["CustomerChanged", "CustomerCreated"], "limit": 2}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = told(await api.get(f"{path}/timeline", params=asked | ({"cursor": cursor} if cursor else {})))
        seen += [e["type"] for e in page["data"]]
        if (cursor := page["nextCursor"]) is None:
            break
    assert seen == ["CustomerChanged"] * 5 + ["CustomerCreated"]
    wrong = await api.get(f"{path}/timeline", params={"type": "CustomerChange"})
    assert pointers(wrong) == ["type"]
    assert "CustomerChanged" in wrong.text


async def test_a_strangers_timeline_is_404(api: httpx.AsyncClient, db: Database) -> None:
    ann = await make_customer(api, name="Ann")
    async with client(db, (await make_workspace(db)).key) as stranger:
        assert (await stranger.get(f"/api/customers/{ann['id']}/timeline")).status_code == 404
    assert (await api.get(f"/api/customers/{ids.new()}/timeline")).status_code == 404
