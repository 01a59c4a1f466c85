"""Somebody with ten thousand orders is erased in one transaction, in seconds."""

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from supover.kit.db import Database
from tests.makers import Workspace, make_customer, told
from tests.privacy.arrange import ask, dump, mentions, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

ORDERS = 10_000


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_ten_thousand_orders_take_less_than_five_seconds(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    buyer = await make_customer(api, name="Zoë Quillfeather", email="zoe@mail-of-zoe.example", phone="+49 151 23456789")
    place = {"recipientName": "Zoë Quillfeather", "line1": "Nebelhornstr. 1", "postalCode": "81675", "country": "DE"}
    engraved = {"engraving": "for zoë quillfeather"}
    lines = [{"title": f"Thing {n}", "quantity": 1, "unitPrice": "5.00", "properties": engraved} for n in (1, 2)]
    for start in range(0, ORDERS, 500):
        orders = [
            {
                "externalId": f"m-{n}", "total": "10.00", "status": "confirmed", "email": "zoe@mail-of-zoe.example",
                "name": "Zoë Quillfeather", "shippingAddress": place, "note": "lilac ribbon", "lines": lines,
            }
            for n in range(start, start + 500)
        ]  # fmt: skip
        told(await api.post("/api/orders/batch", json={"orders": orders}))
    await work(db, owner, shop)
    await ask(api, buyer)
    started = time.monotonic()
    await work(db, owner, shop, "privacy.erase")
    seconds = time.monotonic() - started
    assert mentions(await dump(owner, shop.id), ("mail-of-zoe", "quillfeather", "nebelhorn", "lilac ribbon")) == []
    assert (
        await owner.fetchval(
            'select count(*) from data."order" where workspace_id = $1 and erased_at is not null', shop.id
        )
        == ORDERS
    )
    assert seconds < 5, seconds
    print(f"{seconds:.2f} s")
