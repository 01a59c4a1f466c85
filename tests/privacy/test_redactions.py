"""What a shop's platform wants forgotten, besides those who are known: orders of nobody, files, and a shop with many customers."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from supover.customers import contacts
from supover.kit import storage
from supover.kit.db import Database
from supover.privacy import replaying
from tests.inbox.arrange import Connected, connected, payload
from tests.makers import Json, told
from tests.privacy.arrange import ask, dump, mentions, stored, work
from tests.privacy.test_channels import ADA, DEMO

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def _requests(shopify: Connected) -> list[Json]:
    return told(await shopify.api.get("/api/privacy/requests"))["data"]


PLACE = {"address1": "77 Wharfinger Lane", "city": "Portland", "zip": "97205", "country_code": "US"}


async def _told_twice(shopify: Connected) -> tuple[Json, Json]:
    """Somebody who is known, and to be erased in a week, and an order that leads to nobody."""
    await shopify.take("customers/create", payload("customer_created"))
    [ada] = await shopify.customers()
    await shopify.take("orders/create", payload("order_guest", shipping_address=PLACE))
    order = await shopify.order(5500000001002)
    assert (order["customerId"], order["shippingAddress"]["line1"]) == (None, "77 Wharfinger Lane")
    return ada, await ask(shopify.api, ada, delayDays=7)


async def _run_at_once(owner: "Connection", shopify: Connected) -> None:
    await owner.execute("update data.job set waiting = false where workspace_id = $1", shopify.workspace.id)
    await work(shopify.db, owner, shopify.workspace, "privacy.%")


async def test_orders_that_a_redaction_names_go_with_an_erasure_that_staff_had_asked_for(
    db: Database, owner: "Connection"
) -> None:
    async with connected(db, shop=DEMO) as shopify:
        ada, asked = await _told_twice(shopify)
        redaction = payload("customer_redact", orders_to_redact=[5500000001002])
        await shopify.take("customers/redact", redaction)
        [request] = await _requests(shopify)
        assert (request["id"], request["runAt"], request["origin"]) == (asked["id"], asked["runAt"], "staff")
        await shopify.take("customers/redact", redaction)
        assert len(await _requests(shopify)) == 1
        await _run_at_once(owner, shopify)
        certificate = told(await shopify.api.get(f"/api/privacy/erasures/{asked['id']}"))
        assert (certificate["status"], certificate["customerIds"]) == ("completed", [ada["id"]])
        assert certificate["ordersKept"] == 1
        assert mentions(await dump(owner, shopify.workspace.id), (*ADA, "wharfinger")) == []


async def test_orders_that_another_shop_names_are_erased_by_themselves(db: Database, owner: "Connection") -> None:
    async with connected(db, shop=DEMO) as shopify:
        _, asked = await _told_twice(shopify)
        await owner.execute(
            "update data.privacy_request set connection_id = gen_random_uuid() where id = $1::text::uuid", asked["id"]
        )
        await shopify.take("customers/redact", payload("customer_redact", orders_to_redact=[5500000001002]))
        second, first = await _requests(shopify)
        assert (first["id"], first["status"]) == (asked["id"], "pending")
        assert (second["customerId"], second["origin"]) == (None, "channel")
        await work(db, owner, shopify.workspace, "privacy.%")
        assert mentions(await dump(owner, shopify.workspace.id), ("wharfinger",)) == []


async def test_files_in_which_a_named_order_of_nobody_stands_go(
    db: Database, owner: "Connection", folder: Path
) -> None:
    async with connected(db, shop=DEMO) as shopify:
        await shopify.take("orders/create", payload("order_guest", shipping_address=PLACE))
        place = await owner.fetchval(
            'select shipping_address from data."order" where workspace_id = $1', shopify.workspace.id
        )
        await _export_orders(owner, shopify)
        [file] = stored(folder)
        assert b"Wharfinger" in file
        unknown = {"id": 1, "email": "no.body@unknown.example"}
        await shopify.take(
            "customers/redact", payload("customer_redact", customer=unknown, orders_to_redact=[5500000001002])
        )
        await work(db, owner, shopify.workspace, "privacy.%")
        assert stored(folder) == []
        kept = [line async for line in replaying.lines(db, shopify.workspace.id)]
        # A backup is restored, and what was made of it then.
        await owner.execute(
            'update data."order" set erased_at = null, shipping_address = $2 where workspace_id = $1',
            shopify.workspace.id,
            place,
        )
        await _export_orders(owner, shopify)
        assert len(stored(folder)) == 1
        await replaying.replay(db, shopify.workspace.id, storage.of(folder.as_uri()), kept, lambda _: None)
        await work(db, owner, shopify.workspace, "privacy.%")
        assert stored(folder) == []


async def _export_orders(owner: "Connection", shopify: Connected) -> None:
    asked = await shopify.api.post("/api/orders/export", json={"format": "jsonl"}, headers={"Prefer": "respond-async"})
    told(asked, 202)
    await work(shopify.db, owner, shopify.workspace, "export%")


async def test_orders_come_in_while_a_shop_is_forgotten(db: Database, owner: "Connection") -> None:
    async with connected(db, shop=DEMO) as shopify:
        for n in range(20):
            known = payload(
                "customer_created", id=7300000001000 + n, email=f"k{n}@known.example", phone=f"+1503555{1000 + n}"
            )
            known["default_address"] |= {"phone": None}
            await shopify.send("customers/create", known)
            guest = {
                "email": f"g{n}@guest.example",
                "contact_email": f"g{n}@guest.example",
                "phone": f"+1503556{1000 + n}",
            }
            for order in (n, 500 + n):
                await shopify.send("orders/create", payload("order_guest", id=5500000002000 + order, **guest))
            lone = {
                "email": f"h{n}@guest.example",
                "contact_email": f"h{n}@guest.example",
                "phone": f"+1503557{1000 + n}",
            }
            await shopify.send("orders/create", payload("order_guest", id=5500000003000 + n, **lone))
        await shopify.work()
        assert len(await shopify.customers()) == 60
        await shopify.take("shop/redact", payload("shop_redact"))
        # As an order does that is just being taken in.
        async with db.tx(shopify.workspace.id) as order, asyncio.timeout(20):
            await contacts.lock(order, [])
            await work(db, owner, shopify.workspace, "privacy.%")
        [request] = await _requests(shopify)
        assert request["status"] == "completed"
        certificate = told(await shopify.api.get(f"/api/privacy/erasures/{request['id']}"))
        assert (len(certificate["customerIds"]), certificate["ordersKept"]) == (60, 60)
        assert mentions(await dump(owner, shopify.workspace.id), ("known.example", "guest.example", "+150355")) == []
