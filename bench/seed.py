"""What a run's house holds: customers with an order each, written set-based, and files and bodies of further orders."""

import base64
import csv
import hashlib
import hmac
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

from supover.channels.model import ChannelLine, ChannelOrder, Contact
from supover.kit import clock

FIRST = "Anna Bob Carla Dinh Eve Farid Grace Hugo Iris Jon".split()
HEADER = ("externalId", "placedAt", "status", "total", "currency", "customerExternalId", "email", "name")
CHUNK = 50_000

# One statement a table and chunk, as the owner; what the rows mean is what an import of orders_file leaves.
ROWS = """
    create temporary table row_ as
    select n, uuidv7() as id, uuidv7() as order_id, 's' || n as buyer,
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
    select $1::uuid, uuidv7(), id, 'channel', 'SEED', buyer, buyer, 'real', 'new' from row_
     union all
    select $1::uuid, uuidv7(), id, 'email', '', email, email, 'real', 'new' from row_"""
ORDERS = """
    insert into data."order" (workspace_id, id, source, external_id, number, customer_id, status, currency, total, exchange_rate,
           placed_at)
    select $1::uuid, order_id, 'SEED', 'o' || n, '#' || n, id, 'delivered', 'USD', total, 1, placed_at from row_"""
DECISIONS = """
    insert into data.order_decision (workspace_id, order_id, id, customer_id, method, evidence)
    select $1::uuid, order_id, uuidv7(), id, 'new', '{}' from row_"""
STALE = "insert into data.customer_stale (workspace_id, customer_id) select $1, id from row_"
# What segments ask about beside the first order: places, tags, wishes, and two more orders a customer on average, which are
# unevenly spread over them, each with one to three lines of two hundred articles.
PROFILES = """
    create temporary table profile_ as
    select c.id, (hashtext(c.id::text) & 2147483647) % 1000 as lot
      from data.customer c
     where c.workspace_id = $1::uuid and c.source = 'SEED'"""
PLACES = """
    insert into data.address (workspace_id, id, customer_id, type, is_default, line1, city, state, postal_code, country, match_key)
    select $1::uuid, uuidv7(), id, 'BOTH', true, lot || ' Main Street',
           (array['Springfield','New York','Austin','Berlin','Paris','Hanoi','London','Oslo'])[1 + lot % 8],
           (array['IL','NY','TX','BE','','HN','',''])[1 + lot % 8], '', (array['US','US','US','DE','FR','VN','GB','NO'])[1 + lot % 8], ''
      from profile_"""
TAGS = """
    update data.customer c
       set tags = array_remove(array[case when lot < 300 then 'newsletter' end, case when lot < 5 then 'Wholesale' end,
                                     case when lot % 7 = 0 then 'gift' end], null),
           status = case when lot = 7 then 'VIP' else 'ACTIVE' end
      from profile_ p
     where c.workspace_id = $1::uuid and c.id = p.id and (lot < 300 or lot % 7 = 0)"""
MORE_ORDERS = """
    create temporary table more_ as
    select uuidv7() as id, p.id as customer_id,
           '2024-01-01'::timestamptz + (n * 37 + p.lot * 11) % 1000 * interval '1 day' as placed_at,
           (500 + (n * 6151 + p.lot * 31) % 19500)::numeric / 100 as total
      from profile_ p
     cross join lateral generate_series(1, case when lot < 500 then 0 when lot < 800 then 1 when lot < 950 then 4 else 22 end) as n"""
MORE = (
    """
    insert into data."order" (workspace_id, id, source, external_id, number, customer_id, status, currency, total, exchange_rate,
           placed_at)
    select $1::uuid, id, 'SEED', id::text, null, customer_id, 'delivered', 'USD', total, 1, placed_at from more_""",
    """
    insert into data.order_line (workspace_id, order_id, position, id, sku, title, quantity, unit_price)
    select $1::uuid, m.id, k, uuidv7(), 'SKU-' || (hashtext(m.id::text || k) & 2147483647) % 200, 'Article', 1 + k, 10
      from more_ m
     cross join lateral generate_series(1, 1 + (hashtext(m.id::text) & 3) % 3) as k""",
    "insert into data.customer_stale (workspace_id, customer_id) select $1::uuid, id from profile_",
)


async def histories(owner_url: str, workspace_id: UUID) -> None:
    """Places, tags and further orders for the customers that are there; their figures wait to be counted."""
    con: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(owner_url)
    try:
        async with con.transaction():
            for statement in (PROFILES, PLACES, TAGS, MORE_ORDERS, *MORE):
                await con.execute(statement.replace("$1", f"'{workspace_id}'"))
        await con.execute("vacuum analyze")
    finally:
        await con.close()


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


def channel_order(n: int, customer_id: UUID) -> ChannelOrder:
    """One more order of a customer who is known."""
    return ChannelOrder(
        contact=Contact(source="SEED", customer_id=customer_id),
        source="SEED",
        external_id=f"later{n}",
        status="delivered",
        currency="USD",
        total=Decimal(20),
        placed_at=clock.now(),
        lines=[ChannelLine(sku=f"SKU-{n % 200}", title="Article", quantity=2, unit_price=Decimal(10))],
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
