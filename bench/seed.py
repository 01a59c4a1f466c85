"""What a run's house holds: customers with an order each, written set-based, and files and bodies of further orders."""

import base64
import csv
import hashlib
import hmac
import random
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

FIRST = "Anna Bob Carla Dinh Eve Farid Grace Hugo Iris Jon".split()
HEADER = ("externalId", "placedAt", "status", "total", "currency", "customerExternalId", "email", "name")
CHUNK = 50_000

# One statement a table and chunk, as the owner; what the rows mean is what an import of orders_file leaves.
ROWS = """
    create temporary table row_ as
    select n, gen_random_uuid() as id, gen_random_uuid() as order_id, 's' || n as buyer,
           'seed' || n || '@example' || n % 97 || '.com' as email,
           (array['Anna','Bob','Carla','Dinh','Eve','Farid','Grace','Hugo','Iris','Jon'])[1 + n % 10]
               || ' ' || left(md5(n::text), 12) as name,
           timestamptz '2026-01-01' + n % 280 * interval '1 day' as placed_at, (500 + n::bigint * 7919 % 19500)::numeric / 100 as total
      from generate_series($1::integer, $2::integer) as n"""
CUSTOMERS = """
    insert into data.customer (workspace_id, id, source, external_id, email, name)
    select $1::uuid, id, 'SEED', buyer, email, name from row_"""
IDENTITIES = """
    insert into data.customer_identity (workspace_id, id, customer_id, kind, source, value, key, quality, matched_by)
    select $1::uuid, gen_random_uuid(), id, 'channel', 'SEED', buyer, buyer, 'real', 'new' from row_
     union all
    select $1::uuid, gen_random_uuid(), id, 'email', '', email, email, 'real', 'new' from row_"""
ORDERS = """
    insert into data."order" (workspace_id, id, source, external_id, number, customer_id, status, currency, total, exchange_rate,
           placed_at)
    select $1::uuid, order_id, 'SEED', 'o' || n, '#' || n, id, 'delivered', 'USD', total, 1, placed_at from row_"""
DECISIONS = """
    insert into data.order_decision (workspace_id, order_id, id, customer_id, method, evidence)
    select $1::uuid, order_id, gen_random_uuid(), id, 'new', '{}' from row_"""
STALE = "insert into data.customer_stale (workspace_id, customer_id) select $1, id from row_"


async def customers(owner_url: str, workspace_id: UUID, count: int) -> None:
    """Customers with an order each; their figures wait to be counted."""
    con: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(owner_url)
    try:
        for start in range(0, count, CHUNK):
            async with con.transaction():
                await con.execute(ROWS.replace("$1", str(start)).replace("$2", str(min(start + CHUNK, count) - 1)))
                for statement in (CUSTOMERS, IDENTITIES, ORDERS, DECISIONS, STALE):
                    await con.execute(statement, workspace_id)
                await con.execute("drop table row_")
        await con.execute("vacuum analyze")
    finally:
        await con.close()


def orders_file(folder: Path, rows: int) -> Path:
    """Orders of as many new customers, each with a buyer id, an email and a name."""
    rnd = random.Random(5)
    file = folder / "orders.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        for i in range(rows):
            name = f"{FIRST[i % 10]} {hashlib.sha256(str(i).encode()).hexdigest()[:12]}"
            total = f"{rnd.randrange(500, 20000) / 100:.2f}"
            placed = f"2026-{1 + i % 10:02d}-{1 + i % 28:02d}T10:00:00Z"
            writer.writerow([f"o{i}", placed, "delivered", total, "USD", f"c{i}", f"user{i}@example{i % 97}.com", name])
    return file


def customer_body(n: int) -> bytes:
    """A customer to create."""
    name = f"{FIRST[n % 10]} {hashlib.sha256(str(n).encode()).hexdigest()[:12]}"
    return msgspec.json.encode({"email": f"new{n}@example{n % 97}.com", "name": name, "externalId": f"n{n}"})


def order_body(n: int) -> bytes:
    """An order of a buyer who is new in every tenth."""
    return msgspec.json.encode(
        {
            "externalId": f"a{n}",
            "source": "API",
            "customerExternalId": f"b{n // 10}",
            "email": f"buyer{n // 10}@example{n % 97}.com",
            "name": f"{FIRST[n // 10 % 10]} Buyer",
            "status": "confirmed",
            "total": "10.00",
            "currency": "USD",
            "placedAt": "2026-10-01T10:00:00Z",
            "lines": [{"sku": "TEE", "title": "Tee", "quantity": 1, "unitPrice": "10.00"}],
        }
    )


class Webhook(msgspec.Struct, frozen=True):
    """A signed delivery."""

    headers: dict[str, str]
    body: bytes


def webhooks(secret: str, shop: str, count: int, *, start: int = 0, a_buyer: int = 10) -> Iterator[Webhook]:
    """Deliveries of orders/create as Shopify sends them, each with ids of its own; so many orders a buyer."""
    for n in range(start, start + count):
        buyer = n // a_buyer
        name = FIRST[buyer % 10]
        body = msgspec.json.encode(
            {
                "id": 7_000_000_000 + n,
                "name": f"#{n}",
                "order_number": n,
                "created_at": "2026-10-01T10:00:00-04:00",
                "updated_at": "2026-10-01T10:00:00-04:00",
                "cancelled_at": None,
                "financial_status": "paid",
                "fulfillment_status": None,
                "currency": "USD",
                "total_price": "10.00",
                "subtotal_price": "10.00",
                "total_tax": "0.00",
                "total_discounts": "0.00",
                "email": f"hook{buyer}@example{buyer % 97}.com",
                "phone": None,
                "customer": {
                    "id": 900_000_000 + buyer,
                    "email": f"hook{buyer}@example{buyer % 97}.com",
                    "first_name": name,
                    "last_name": f"Hook{buyer}",
                },
                "shipping_address": {
                    "name": f"{name} Hook{buyer}",
                    "address1": f"{buyer} Main St",
                    "city": "Springfield",
                    "province_code": "IL",
                    "zip": "62701",
                    "country_code": "US",
                },
                "line_items": [{"id": n, "sku": "TEE", "title": "Tee", "quantity": 1, "price": "10.00"}],
                "shipping_lines": [],
                "refunds": [],
            }
        )
        signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
        id = f"{shop}-{n}"
        yield Webhook(
            {
                "X-Shopify-Topic": "orders/create",
                "X-Shopify-Shop-Domain": shop,
                "X-Shopify-Api-Version": "2026-10",
                "X-Shopify-Webhook-Id": id,
                "X-Shopify-Event-Id": id,
                "X-Shopify-Hmac-Sha256": signature,
            },
            body,
        )
