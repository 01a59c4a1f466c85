"""A shop that has one of everything, all of it called what somebody who means harm would call it, by every way in."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

import httpx

from supover.kit.db import Database
from tests.inbox.arrange import SECRET, Connected, payload
from tests.makers import Json, Workspace, make_address, make_customer, make_order, settle, told
from tests.privacy.arrange import work
from tests.web.payloads import PAYLOADS

if TYPE_CHECKING:
    import asyncpg

    Owner = asyncpg.Connection[asyncpg.Record]

EACH: Final = range(len(PAYLOADS))


def text(n: int, most: int = 200) -> str:
    """One of the payloads, each in its turn."""
    return PAYLOADS[n % len(PAYLOADS)][:most]


def mailbox(n: int) -> str:
    """An email address with as much of a payload as may stand in one."""
    return re.sub(r'[\s"(),:;<>\[\]\\@]', "", text(n))[:50] + f".{n}@shop.com"


# --- by the API --------------------------------------------------------------------------------------------------------------


async def fill(api: httpx.AsyncClient, db: Database, shop: Workspace) -> list[Json]:
    """Customers with every text that they can have, their orders, notes, tags, segments, views, fields and merges."""
    told(await api.patch("/api/workspace", json={"name": text(0, 80)}))
    field = {"key": "motto", "label": text(1, 60), "type": "text", "description": text(2, 100)}
    told(await api.post("/api/custom-fields", json=field), 201)
    choices = {"key": "size", "label": text(9, 60), "type": "choice", "choices": [text(n, 60) for n in range(9, 15)]}
    told(await api.post("/api/custom-fields", json=choices), 201)
    people: list[Json] = []
    for n in EACH:
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
    await _name_everything(api)
    told(await api.post(f"/api/customers/{people[3]['id']}/block", json={"reason": text(7)}))
    told(await api.post("/api/customers/merge", json={"primaryId": people[1]["id"], "duplicateIds": [people[2]["id"]]}))
    await settle(db, shop)
    return people


async def _name_everything(api: httpx.AsyncClient) -> None:
    """Names of what staff make: segments, groups, views, keys, members of staff."""
    for n in EACH:
        new = {"name": text(n, 70) + str(n), "description": text(n + 1), "filter": "number_of_orders > 0"}
        told(await api.post("/api/segments", json=new), 201)
    for n in range(3):
        told(await api.post("/api/segments", json={"name": f"Group {n}", "kind": "manual"}), 201)
    for n in range(0, len(PAYLOADS), 4):
        told(await api.post("/api/views", json={"name": text(n, 60), "query": "status=VIP", "isShared": True}), 201)
        told(await api.post("/api/keys", json={"name": text(n + 1, 60), "scopes": ["customers:read"]}), 201)
        member = {"email": f"who{n}@shop.com", "name": text(n + 2, 60), "role": "viewer"}
        told(await api.post("/api/staff", json=member), 201)


# --- by files ----------------------------------------------------------------------------------------------------------------


async def bring(api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace) -> None:
    """Files of customers and orders, called and filled so, with rows that are refused; one file waits to be looked at."""
    customers = [
        {
            "externalId": f"file{n} {text(n, 80)}", "source": text(n + 1, 40), "email": mailbox(n), "name": text(n),
            "gender": text(n + 2, 50), "tags": text(n + 3, 100), "note": text(n + 4), "customFields.motto": text(n + 5),
            text(n + 6): "its header", "recipientName": text(n, 100), "line1": text(n + 1, 100), "line2": text(n + 2, 100),
            "city": text(n + 3, 60), "state": text(n + 4, 60), "postalCode": text(n + 5, 20), "addressCountry": "US",
        }
        for n in EACH
    ]  # fmt: skip
    refused = [{"externalId": f"odd{n}", "email": text(n), "dateOfBirth": text(n + 1)} for n in EACH]
    orders = [
        {
            "externalId": f"file{n} {text(n, 80)}", "number": text(n + 1, 100), "placedAt": "2026-03-01", "total": "10.00",
            "status": "delivered", "email": f"filed{n}@shop.com", "name": text(n + 2), "shop": text(n + 3, 100), "sku": text(n + 4, 80),
            "title": text(n + 5), "tags": text(n + 6, 100), "note": text(n + 7), "line1": text(n, 100), "line2": text(n + 1, 100),
            "city": text(n + 2, 60), "state": text(n + 3, 60), "postalCode": text(n + 4, 20), "country": text(n + 5, 60),
        }
        for n in EACH
    ]  # fmt: skip
    odd = [
        {"externalId": text(n, 80), "placedAt": text(n + 1), "total": text(n + 2), "status": text(n + 3)} for n in EACH
    ]
    for kind, rows, name in (("customers", [*customers, *refused], text(9)), ("orders", [*orders, *odd], text(11))):
        file = {"file": (name + ".csv", _table(rows))}
        told(await api.post(f"/api/{kind}/import", files=file), 202)
    await work(db, owner, shop, "imports.%")
    waiting = await web.post(
        "/imports", data={"kind": "customers"}, files={"file": (text(13) + ".csv", _table(customers))}
    )
    assert waiting.status_code == 303, waiting.text
    await work(db, owner, shop)


def _table(rows: Sequence[Mapping[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


# --- by webhooks -------------------------------------------------------------------------------------------------------------


async def deliver(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    """What a connected shop tells of its customers and orders, signed as Shopify signs; some of it cannot be read."""
    new = {"platform": "SHOPIFY", "shop": f"s{shop.id.hex[:10]}.myshopify.com", "secret": SECRET, "name": text(10, 100)}
    made = told(await api.post("/api/channels", json=new), 201)
    shopify = Connected(db, shop, api, UUID(made["id"]), made["shop"])
    for n in EACH:
        for topic, body in (
            ("customers/create", _customer(n)),
            ("orders/create", _order(n)),
            ("refunds/create", _refund(n)),
            ("orders/updated", _order(n) | {"total_price": text(n)}),
            (f"x{n}/{text(n + 1)}", {"id": n, "note": text(n)}),
            ("orders/create", text(n).encode()),
        ):
            answer = await shopify.send(topic, body)
            assert answer.status_code == 202, answer.text
    await shopify.work()


def _place(n: int) -> Json:
    return {
        "name": text(n, 100), "first_name": text(n, 100), "last_name": text(n + 1, 100), "company": text(n + 2, 100),
        "address1": text(n + 3, 100), "address2": text(n + 4, 100), "city": text(n + 5, 60), "province": text(n + 6, 60),
        "province_code": text(n + 7, 60), "zip": text(n + 8, 20), "country": text(n + 9, 60), "country_code": text(n + 10, 60),
    }  # fmt: skip


def _customer(n: int) -> Json:
    return payload(
        "customer_created", id=8_000 + n, email=f"hook{n}@shop.com", phone=None, first_name=text(n, 90), last_name=text(n + 1, 90),
        tags=text(n + 2), note=text(n + 3), default_address=_place(n),
    )  # fmt: skip


def _order(n: int) -> Json:
    line = {
        "id": n, "sku": text(n, 80), "title": text(n + 1), "variant_title": text(n + 2), "quantity": 1, "price": "10.00",
        "vendor": text(n + 3), "properties": [{"name": text(n), "value": text(n + 1)}],
    }  # fmt: skip
    return payload(
        "order_created", id=9_000 + n, name=text(n + 1, 60), email=f"hook{n}@shop.com", contact_email=None, note=text(n + 2),
        tags=text(n + 3), financial_status=text(n + 4, 40), customer=_customer(n), shipping_address=_place(n),
        billing_address=_place(n + 1), line_items=[line],
    )  # fmt: skip


def _refund(n: int) -> Json:
    return payload("refund_created", id=7_000 + n, order_id=9_000 + n, note=text(n))
