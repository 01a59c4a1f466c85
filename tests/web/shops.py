"""A shop that has one of everything, all of it called what somebody who means harm would call it."""

import httpx
import msgspec

from supover.kit.db import Database
from tests.makers import Json, Workspace, make_address, make_customer, make_order, settle, told
from tests.web.payloads import PAYLOADS


def text(n: int, most: int = 200) -> str:
    """One of the payloads, each in its turn."""
    return PAYLOADS[n % len(PAYLOADS)][:most]


async def fill(api: httpx.AsyncClient, db: Database, shop: Workspace) -> list[Json]:
    """Customers with every text that they can have, their orders, notes, tags, segments, views, fields and merges."""
    told(await api.patch("/api/workspace", json={"name": text(0, 80)}))
    field = {"key": "motto", "label": text(1, 60), "type": "text", "description": text(2, 100)}
    told(await api.post("/api/custom-fields", json=field), 201)
    people: list[Json] = []
    for n in range(len(PAYLOADS)):
        people.append(
            await make_customer(
                api, name=text(n), source="SHOPIFY", external_id=text(n + 1, 100), gender=text(n + 2, 20), country="US",
                tags=[text(n + 3, 50)], custom_fields={"motto": text(n + 4)}, email=f"buyer{n}@shop.com",
            )
        )  # fmt: skip
    first = people[0]
    for n, person in enumerate(people):
        await make_address(
            api, first, line1=text(n, 100), line2=text(n + 1, 100), city=text(n + 2, 60), recipient_name=text(n + 3, 100),
            country="ZW", postal_code="00263",
        )  # fmt: skip
        told(await api.post(f"/api/customers/{first['id']}/notes", json={"note": text(n)}), 201)
        place = {
            "recipientName": text(n, 80),
            "line1": text(n + 1, 80),
            "city": text(n + 2, 50),
            "state": text(n + 3, 20),
        }
        await make_order(
            api, person, number=text(n, 50), external_id=text(n + 1, 80), source="ETSY", shop=text(n + 2, 60), status="delivered",
            note=text(n + 3), tags=[text(n + 4, 40)], shipping_address={**place, "country": "US"},
            lines=[{"sku": text(n, 40), "title": text(n + 1, 100), "quantity": 1, "unitPrice": "10.00",
                    "properties": {text(n): text(n + 1)}}],
        )  # fmt: skip
    for n in range(3):
        new = {"name": text(n * 3, 80), "description": text(n + 1), "filter": "number_of_orders > 0"}
        told(await api.post("/api/segments", json=new), 201)
        told(await api.post("/api/views", json={"name": text(n * 3, 60), "query": "status=VIP", "isShared": True}), 201)
        group = {"name": f"Group {n}", "kind": "manual"}
        told(await api.post("/api/segments", json=group), 201)
    told(await api.post("/api/keys", json={"name": text(5, 60), "scopes": ["customers:read"]}), 201)
    told(await api.post("/api/staff", json={"email": "who@shop.com", "name": text(6, 60), "role": "viewer"}), 201)
    told(await api.post(f"/api/customers/{people[3]['id']}/block", json={"reason": text(7)}))
    told(await api.post("/api/customers/merge", json={"primaryId": people[1]["id"], "duplicateIds": [people[2]["id"]]}))
    await settle(db, shop)
    return people


def sent(value: object) -> bytes:
    """A body as a channel sends it."""
    return msgspec.json.encode(value)
