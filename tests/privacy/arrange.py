"""What the tests of privacy begin with: somebody who has everything, jobs as a worker runs them, and a look at every byte."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import httpx

from supover.kit import jobs
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from tests.makers import Json, Workspace, make_address, make_customer, make_order, png, told

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

EMAIL: Final = "Zoë.Quillfeather@mail-of-zoe.example".replace("ë", "e")
PHONE: Final = "+49 151 2345-6789"
NAME: Final = "Zoë Quillfeather"
LINE: Final = "Nebelhornstraße 4711"
CANARIES: Final = (
    *(
        "zoe.quillfeather",
        "mail-of-zoe",
        "zoë quillfeather",
        "quillfeather",
        "nebelhorn",
        "4915123456789",
        "15123456789",
        "151 2345-6789",
    ),
    *(
        "81675",
        "1984-02-29",
        "left handed",
        "loves lilac",
        "lilac ribbon",
        "gift of aunt",
        "engrave-zq",
        "203.0.113.77",
    ),
)
"""Texts that stand for the person: email, phone in three spellings, name, street, postal code, birthday, and what was written."""

CLAIM = """
    update data.job set state = 'running', worker = 'tests', attempts = attempts + 1
     where id = (select id from data.job where workspace_id = $1 and kind like $2 and state = 'queued' and not waiting order by id limit 1)
    returning id, kind, args"""


async def work(db: Database, owner: "Connection", shop: Workspace, kinds: str = "%") -> int:
    """Runs what is queued in a workspace, as a worker does; how many jobs that was."""
    done = 0
    while (row := await owner.fetchrow(CLAIM, shop.id, kinds)) is not None:
        id, kind, args = row
        context = JobContext(db, shop.id, id, kind, "tests")
        context.is_last_attempt = True
        await jobs.jobs()[kind].call(context, json.loads(args))
        await owner.execute("update data.job set state = 'done', finished_at = now() where id = $1", id)
        done += 1
    return done


async def make_somebody(api: httpx.AsyncClient) -> Json:
    """A customer who has everything that can be had through the API."""
    key = {"Idempotency-Key": "make-zoe"}
    body = {
        "name": NAME, "email": EMAIL, "phone": PHONE, "dateOfBirth": "1984-02-29", "gender": "female", "country": "DE",
        "tags": ["left handed"], "customFields": {"hobby": "loves lilac"}, "source": "SHOPIFY", "externalId": "7700000000123",
    }  # fmt: skip
    zoe = told(await api.post("/api/customers", json=body, headers=key), 201)
    await make_address(api, zoe, line1=LINE, postal_code="81675", city="München", recipient_name=NAME, phone=PHONE)
    told(
        await api.post(
            f"/api/customers/{zoe['id']}/notes",
            json={"note": f"{NAME} wants a lilac ribbon"},
            headers={"Idempotency-Key": "n"},
        ),
        201,
    )
    told(await api.put(f"/api/customers/{zoe['id']}/avatar", files={"file": ("me.png", png())}))
    choice = {
        "channel": "email",
        "topic": "marketing",
        "state": "SUBSCRIBED",
        "source": "form of aunt",
        "proof": "ip 203.0.113.77",
    }
    told(await api.put(f"/api/customers/{zoe['id']}/communication-preferences", json=choice))
    address = {
        "recipientName": NAME,
        "line1": LINE,
        "postalCode": "81675",
        "city": "München",
        "country": "DE",
        "phone": PHONE,
    }
    await make_order(
        api, external_id="o-1", source="SHOPIFY", email=EMAIL.upper(), phone=PHONE, name=NAME, shipping_address=address,
        billing_address=address, note="a gift of aunt", tags=["left handed"], number="#77001", placed_at="2026-01-05T10:00:00Z",
        lines=[{"title": "Pen", "quantity": 1, "unitPrice": "10.00", "properties": {"engraving": "engrave-zq"}}],
    )  # fmt: skip
    order = (await api.get("/api/orders", params={"number": "#77001"})).json()["data"][0]
    assert order["customerId"] == zoe["id"]
    told(await api.patch(f"/api/orders/{order['id']}", json={"note": "the lilac ribbon, engrave-zq"}))
    told(
        await api.post(
            f"/api/orders/{order['id']}/refund", json={"amount": "2.00", "reason": f"{NAME} did not like it"}
        )
    )
    told(await api.patch(f"/api/customers/{zoe['id']}", json={"name": NAME + " II", "phone": "+4915123456789"}))
    told(await api.patch(f"/api/customers/{zoe['id']}", json={"name": NAME}))
    told(await api.post("/api/views", json={"name": "Hers", "query": f"search={EMAIL.lower()}", "isShared": True}), 201)
    told(await api.post("/api/segments", json={"name": "Hers", "filter": f"customer_email = '{EMAIL.lower()}'"}), 201)
    return zoe


async def make_others(api: httpx.AsyncClient) -> list[Json]:
    """Others, some of whom have to do with the first one."""
    twin = await make_customer(api, name="Zoe Q", phone="+49 30 555 12 34", email="other@person.example")
    lone = await make_customer(api, name="Nobody Atall")
    await make_order(
        api, twin, external_id="t-1", note="keep me", shipping_address={"line1": "Torstr. 1", "country": "DE"}
    )
    await make_order(api, external_id="alone-1", placed_at="2026-01-05T10:00:00Z")
    return [twin, lone]


DUMPED = """
    select c.relname, a.attname, t.typname
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      join pg_type t on t.oid = a.atttypid
     where c.relnamespace = 'data'::regnamespace and c.relkind = 'r'
     order by 1, a.attnum"""


async def dump(owner: "Connection", workspace_id: UUID) -> dict[str, list[str]]:
    """Every row of every table of a workspace as text in lower case, bytes as the text that they are."""
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in await owner.fetch(DUMPED):
        tables.setdefault(table, []).append((column, kind))
    found: dict[str, list[str]] = {}
    for table, columns in tables.items():
        if not any(name == "workspace_id" for name, _ in columns):
            continue
        shown = ", ".join(
            f"""coalesce(replace(encode(t."{n}", 'escape'), '\\303\\253', 'ë'), '')"""
            if kind == "bytea"
            else f"""coalesce(t."{n}"::text, '')"""
            for n, kind in columns
        )
        rows = await owner.fetch(
            f"""select lower(concat_ws(' | ', {shown})) from data."{table}" t where t.workspace_id = $1""", workspace_id
        )
        found[table] = [row[0] for row in rows]
    return found


def mentions(dumped: dict[str, list[str]], canaries: tuple[str, ...] = CANARIES) -> list[str]:
    """Where a text of the person still stands."""
    found: list[str] = []
    for table, rows in dumped.items():
        for row in rows:
            for canary in canaries:
                if (
                    canary.lower() in row
                    or canary.encode("unicode_escape").decode().replace("\\x", "\\u00").lower() in row
                ):
                    found.append(f"{table}: {canary}: {row[:300]}")
    return found


def stored(folder: Path) -> list[bytes]:
    """All files of the storage."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def ask(api: httpx.AsyncClient, customer: Json, **body: Any) -> Json:
    """Asks for an erasure that runs at once."""
    return told(await api.post(f"/api/customers/{customer['id']}/privacy/erase", json=body), 202)
