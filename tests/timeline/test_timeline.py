"""A customer's timeline, newest first."""

from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from supover.kit import ids
from supover.kit.db import Database
from tests.imports.customer_files import imported
from tests.makers import (
    Json,
    Workspace,
    client,
    make_address,
    make_customer,
    make_order,
    make_workspace,
    png,
    pointers,
    told,
)

if TYPE_CHECKING:
    import asyncpg


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
        "orderNumber": None,
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


async def test_every_kind_is_told_with_what_a_person_needs_to_read_it(api: httpx.AsyncClient) -> None:
    ann, bo = await make_customer(api, name="Ann", email="ann@x.org"), await make_customer(api, name="Bo")
    path = f"/api/customers/{ann['id']}"

    async def post(below: str, **body: object) -> Json:
        return told(await api.post(path + below, json=body), 201)

    address = await make_address(api, ann)
    await api.put(
        f"{path}/addresses/{address['id']}",
        json={k: address[k] for k in ("line1", "postalCode", "country")} | {"city": "Bonn"},
    )
    await api.delete(f"{path}/addresses/{address['id']}")
    note = await post("/notes", note="Hi")
    await api.put(f"{path}/notes/{note['id']}", json={"note": "Ho"})
    await api.delete(f"{path}/notes/{note['id']}")
    identity = await post("/identities", email="ann@work.example.org")
    await api.post(f"{path}/identities/{identity['id']}/move", json={"customerId": bo["id"]})
    gone = await post("/identities", phone="+14155552671")
    await api.delete(f"{path}/identities/{gone['id']}")
    await api.post(f"{path}/tags", json={"tags": ["vip"]})
    await api.delete(f"{path}/tags/vip")
    await api.put(f"{path}/avatar", files={"file": ("me.png", png())})
    await api.delete(f"{path}/avatar")
    await api.post(f"{path}/block")
    order = await make_order(api, ann, number="#1001", total="10.00")
    await api.patch(f"/api/orders/{order['id']}", json={"onHold": False, "note": "x"})
    await api.post(f"{path}/unblock")
    await api.post(f"/api/orders/{order['id']}/deliver")
    await api.post(f"/api/orders/{order['id']}/refund", json={"amount": "4.00"})
    cancelled = await make_order(api, ann, number="#1002")
    await api.post(f"/api/orders/{cancelled['id']}/cancel", json={"reason": "Too late."})
    moved = await make_order(api, bo, number="#1003")
    await api.patch(f"/api/orders/{moved['id']}", json={"customerId": ann["id"]})
    await api.delete(path)
    await api.post(f"{path}/restore")
    entries = told(await api.get(f"{path}/timeline", params={"limit": 200}))["data"]
    first = {e["type"]: e for e in entries}
    said = {
        kind: {name: value for name, value in e["data"].items() if not name.endswith("Id")} for kind, e in first.items()
    }
    changes = said.pop("OrderChanged")["changes"]
    assert changes["onHold"] == [True, False]
    assert said.pop("CustomerChanged") == {"changes": {"phone": [None, "+14155552671"]}}
    assert said == {
        "CustomerCreated": {"by": "api", "source": "API"},
        "AddressAdded": {},
        "AddressChanged": {},
        "AddressRemoved": {},
        "NoteAdded": {"authorName": "A key"},
        "NoteChanged": {},
        "NoteRemoved": {},
        "IdentityAdded": {"identityKind": "email", "value": "ann@work.example.org"},
        "IdentityMoved": {"identityKind": "email", "value": "ann@work.example.org", "withOrders": False},
        "IdentityRemoved": {"identityKind": "phone", "value": "+14155552671"},
        "CustomerTagged": {"tags": ["vip"]},
        "CustomerUntagged": {"tags": ["vip"]},
        "AvatarChanged": {},
        "AvatarRemoved": {},
        "CustomerBlocked": {},
        "CustomerUnblocked": {},
        "OrderPlaced": {
            "number": "#1001", "source": "API", "status": "confirmed", "total": "10.00", "currency": "USD",
        },
        "OrderHeld": {"reason": "The customer is blocked."},
        "OrderReleased": {},
        "OrderDelivered": {},
        "OrderRefunded": {"amount": "4.00", "refunded": "4.00", "currency": "USD"},
        "OrderCancelled": {"reason": "Too late."},
        "OrderReassigned": {},
        "CustomerDeleted": {},
        "CustomerRestored": {},
    }  # fmt: skip
    assert {e["orderNumber"] for kind, e in first.items() if kind.startswith("Order")} == {"#1001", "#1002", "#1003"}
    assert first["OrderReassigned"]["data"] == {"formerId": bo["id"]}
    assert all(e["title"] and e["actor"].startswith("key:") for e in entries)


def _of(entry: Json) -> tuple[str, str, Json]:
    return entry["type"], entry["origin"], entry["data"]


async def test_whoever_came_with_a_file_was_created_by_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "asyncpg.Connection[asyncpg.Record]", kept: Path
) -> None:
    rows = "".join(f"c{n}@mail.example,Customer {n}\n" for n in range(3))
    run = await imported(api, db, shop, kept, "email,name\n" + rows)
    [ann, *_] = told(await api.get("/api/customers", params={"email": "c1@mail.example"}))["data"]
    path = f"/api/customers/{ann['id']}/timeline"
    created = {"by": "import", "source": "IMPORT", "importId": run["id"], "fileName": "customers.csv"}
    [entry] = told(await api.get(path))["data"]
    assert entry == {
        "id": ann["id"],
        "type": "CustomerCreated",
        "title": "Customer created",
        "at": ann["createdAt"],
        "customerId": ann["id"],
        "orderId": None,
        "actor": entry["actor"],
        "origin": "import",
        "data": created,
        "orderNumber": None,
    }
    assert entry["actor"].startswith("key:")
    # What later files and bulk actions do to a customer, their own events tell.
    await imported(api, db, shop, kept, "email,name\nc1@mail.example,Ann Lee\n")
    tag = {"action": "tag", "tags": ["fair"], "ids": [ann["id"]]}
    told(await api.post("/api/customers/bulk", json=tag))
    await make_order(api, ann, placed_at="2020-01-01T00:00:00Z")
    seen: list[Json] = []
    cursor = None
    while True:
        page = told(await api.get(path, params={"limit": "1"} | ({"cursor": cursor} if cursor else {})))
        seen += page["data"]
        if (cursor := page["nextCursor"]) is None:
            break
    assert [_of(e) for e in seen[:4]] == [
        ("CustomerTagged", "live", {"tags": ["fair"]}),
        ("CustomerChanged", "live", {"changes": {"tags": [[], ["fair"]]}}),
        ("CustomerChanged", "import", {"changes": {"name": ["Customer 1", "Ann Lee"]}}),
        ("CustomerCreated", "import", created),
    ]
    assert [e["type"] for e in seen[4:]] == ["OrderPlaced"]
    assert told(await api.get(path, params={"limit": 200}))["data"] == seen
    for types, found in ((["CustomerCreated"], [entry]), (["CustomerTagged"], seen[:1]), (["NoteAdded"], [])):
        assert told(await api.get(path, params={"type": types}))["data"] == found
    # It is still told when nobody knows any more whom the file made.
    await owner.execute(
        "update data.import_chunk set created_ids = '{}', added = '{}' where workspace_id = $1", shop.id
    )
    assert told(await api.get(path, params={"type": "CustomerCreated"}))["data"] == [entry]
    bo = await make_customer(api, name="Bo")
    [own] = told(await api.get(f"/api/customers/{bo['id']}/timeline"))["data"]
    assert own["data"] == {"by": "api", "source": "API"}
