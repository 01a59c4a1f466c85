"""What shops really send: refunds told twice, no times, guests with an id, enormous amounts, and everything at once."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest

from supover.analytics import commands as analytics
from supover.channels.model import ChannelOrder, ChannelRefund
from supover.customers import commands as customers
from supover.customers.contacts import HUB_NAMES
from supover.kit.db import Database
from tests.makers import Json, Workspace, make_customer, make_order, pointers, settle, told
from tests.orders.arrange import DAY, an_order, figures, take
from tests.orders.test_mapping import NAMES


async def test_a_refund_made_here_and_told_by_the_source_is_one_refund(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    body: Json = {
        "externalId": "1",
        "email": "a@one.com",
        "status": "delivered",
        "total": "100.00",
        "placedAt": "2026-03-01T10:00:00Z",
    }
    order = told(await api.post("/api/orders", json=body), 201)
    await api.post(f"/api/orders/{order['id']}/refund", json={"amount": "100.00"})
    assert told(await api.post("/api/orders", json=body | {"refunded": "100.00"}))["refunded"] == "100.00"
    await settle(db, shop)
    assert told(await api.get(f"/api/customers/{order['customerId']}"))["lifetimeValue"] == "0.00"


async def test_what_the_source_tells_beyond_the_known_refunds_is_the_rest(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    body: Json = {"externalId": "1", "total": "100.00", "status": "delivered", "placedAt": "2026-03-01T10:00:00Z"}
    order = told(await api.post("/api/orders", json=body), 201)
    await api.post(f"/api/orders/{order['id']}/refund", json={"amount": "30.00"})
    assert told(await api.post("/api/orders", json=body | {"refunded": "45.00"}))["refunded"] == "45.00"
    assert told(await api.post("/api/orders", json=body | {"refunded": "40.00"}))["refunded"] == "40.00"
    async with db.reader(shop.id) as reader:
        found = await reader.column(
            "select data ->> 'amount' from event_log where workspace_id = $1 and kind = 'OrderRefunded' order by tx"
        )
    assert found == ["30.00", "15.00"]


async def test_what_the_source_lists_says_nothing_of_a_refund_recorded_here_until_it_lists_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    def listing(hour: int, **amounts: str) -> ChannelOrder:
        refunds = [ChannelRefund(external_id=n, amount=Decimal(a), refunded_at=DAY) for n, a in amounts.items()]
        return an_order("1", "50.00", status="delivered", refunds=refunds, updated_at=DAY + timedelta(hours=hour))

    [taken] = await take(db, shop, listing(1, r1="10.00"))
    path = f"/api/orders/{taken.order_id}"
    assert told(await api.post(f"{path}/refund", json={"amount": "5.00", "externalId": "ours"}))["refunded"] == "15.00"
    await take(db, shop, listing(2, r1="10.00", r2="1.00"))
    assert told(await api.get(path))["refunded"] == "16.00"
    await take(db, shop, listing(3, r1="10.00", ours="5.00"))
    assert told(await api.get(path))["refunded"] == "15.00"
    await take(db, shop, listing(4, r1="10.00"))
    assert told(await api.get(path))["refunded"] == "10.00"


async def test_a_total_lowered_below_its_refunds_never_makes_a_negative_value(db: Database, shop: Workspace) -> None:
    [taken] = await take(db, shop, an_order("1", "50.00", email="a@one.com", status="delivered", refunded=Decimal(40)))
    await take(db, shop, an_order("1", "30.00", email="a@one.com", status="delivered"))
    assert (await figures(db, shop, taken.customer_id))[:4] == (1, Decimal(0), 1, Decimal(0))


async def test_an_email_that_became_a_hub_blocks_no_order(db: Database, shop: Workspace) -> None:
    for n, name in enumerate(NAMES[: HUB_NAMES + 1]):
        await take(db, shop, an_order(f"h{n}", email="orders@myshop.com", name=f"{name} Smith"))
    [first] = await take(db, shop, an_order("1", external_id_of_buyer="b1", name="Zelda Fitz"))
    [second] = await take(
        db, shop, an_order("2", external_id_of_buyer="b1", name="Zelda Fitz", email="orders@myshop.com")
    )
    assert second.customer_id == first.customer_id
    async with db.reader(shop.id) as reader:
        assert (
            await reader.value("select email from customer where workspace_id = $1 and id = $2", first.customer_id)
            is None
        )


async def test_enormous_amounts_and_rates_are_summed_and_stop_nobody(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    rich, poor = await make_customer(api, name="Rich"), await make_customer(api, name="Poor")
    rows = [{"externalId": str(n), "customerId": rich["id"], "total": "99999999999999.99", "status": "delivered", "currency": "EUR",
             "exchangeRate": "999999999.9"} for n in range(12)]  # fmt: skip
    assert told(await api.post("/api/orders/batch", json={"orders": rows}))["created"] == 12
    await make_order(api, poor, total="7.00")
    await settle(db, shop)
    assert told(await api.get(f"/api/customers/{poor['id']}"))["totalSpent"] == "7.00"
    assert Decimal(told(await api.get(f"/api/customers/{rich['id']}"))["totalSpent"]) > Decimal("1.1e24")


@pytest.mark.parametrize("rate", ["0", "-1", "0.00000000001", "1000000000", "NaN", "Infinity"])
async def test_a_rate_that_cannot_be_one_is_refused(api: httpx.AsyncClient, rate: str) -> None:
    body = {"total": "5", "currency": "EUR", "exchangeRate": rate}
    assert pointers(await api.post("/api/orders", json=body)) == ["/exchangeRate"]
    order = await make_order(api, currency="EUR")
    assert pointers(await api.patch(f"/api/orders/{order['id']}", json={"exchangeRate": rate})) == ["/exchangeRate"]


async def test_the_same_order_without_a_time_changes_nothing(api: httpx.AsyncClient) -> None:
    body = {"externalId": "1", "email": "a@one.com", "total": "5.00"}
    first = told(await api.post("/api/orders", json=body), 201)
    await asyncio.sleep(0.01)
    assert told(await api.post("/api/orders", json=body)) == first
    changed = told(await api.post("/api/orders", json=body | {"total": "6.00"}))
    assert (changed["placedAt"], changed["version"]) == (first["placedAt"], 2)


async def test_content_confirmed_later_is_not_undone_by_what_was_said_in_between(db: Database, shop: Workspace) -> None:
    def said(total: str, hour: int) -> object:
        return an_order("1", total, email="a@one.com", updated_at=DAY + timedelta(hours=hour))

    [taken] = await take(db, shop, said("10.00", 1))  # pyright: ignore[reportArgumentType]
    assert [t.outcome for t in await take(db, shop, said("10.00", 3))] == ["unchanged"]  # pyright: ignore[reportArgumentType]
    assert [t.outcome for t in await take(db, shop, said("20.00", 2))] == ["unchanged"]  # pyright: ignore[reportArgumentType]
    assert (await figures(db, shop, taken.customer_id))[1] == Decimal("10.0000")


@pytest.mark.parametrize("guest", ["0", "null", "Guest", "undefined"])
async def test_a_guests_id_is_nobodys(db: Database, shop: Workspace, guest: str) -> None:
    al, zoe = await take(
        db,
        shop,
        an_order("1", external_id_of_buyer=guest, email="al@one.com"),
        an_order("2", external_id_of_buyer=guest, email="zoe@one.com"),
    )
    assert al.customer_id != zoe.customer_id


@pytest.mark.parametrize(("a", "b", "same"), [("Ann Lee", "Ann Mary Lee", True), ("Smith, John", "John Smith", True),
                                              ("John Smith Jr", "John Smith Sr", False)])  # fmt: skip
async def test_a_phone_matches_by_the_whole_name(db: Database, shop: Workspace, a: str, b: str, same: bool) -> None:
    [first] = await take(db, shop, an_order("1", phone="+12125550123", name=a))
    [second] = await take(db, shop, an_order("2", phone="+12125550123", name=b))
    assert (first.customer_id == second.customer_id) == same


async def test_a_live_delivery_without_a_time_is_still_told(api: httpx.AsyncClient) -> None:
    body: Json = {
        "externalId": "1",
        "email": "a@one.com",
        "total": "5.00",
        "status": "shipped",
        "placedAt": "2026-03-01T10:00:00Z",
    }
    told(await api.post("/api/orders", json=body), 201)
    order = told(
        await api.post("/api/orders", json=body | {"status": "delivered", "updatedAt": "2026-03-04T10:00:00Z"})
    )
    assert order["deliveredAt"] == "2026-03-04T10:00:00Z"
    kinds = [e["type"] for e in told(await api.get(f"/api/customers/{order['customerId']}/timeline"))["data"]]
    assert "OrderDelivered" in kinds


async def test_an_order_never_goes_to_a_customer_who_is_being_deleted(db: Database, shop: Workspace) -> None:
    [first] = await take(db, shop, an_order("1", email="a@one.com", name="Ann"))
    assert first.customer_id is not None
    async with db.tx(shop.id) as deleting:
        await customers.delete(deleting, first.customer_id)
        waiting = asyncio.create_task(take(db, shop, an_order("2", email="a@one.com", name="Ann")))
        by_id = asyncio.create_task(take(db, shop, an_order("3", customer_id=first.customer_id)))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    [second] = await waiting
    assert second.customer_created and second.customer_id != first.customer_id
    [third] = await by_id
    assert third.outcome == "failed"


async def test_orders_edits_and_recounts_at_once_end_in_the_right_figures(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, email="ann@one.com")

    async def buy(n: int) -> None:
        order = await make_order(api, ann, external_id=str(n), total="10.00")
        if n % 3 == 0:
            told(await api.post(f"/api/orders/{order['id']}/refund", json={"amount": "1.00"}))
        if n % 4 == 0:
            told(await api.post(f"/api/orders/{order['id']}/cancel", json={}))

    async def recount() -> None:
        for _ in range(10):
            async with db.tx(shop.id) as tx:
                await analytics.refresh(tx)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(buy(n) for n in range(24)), recount(), recount())
    await settle(db, shop)
    found = told(await api.get(f"/api/customers/{ann['id']}"))
    kept = [n for n in range(24) if n % 4]
    assert found["orderCount"] == len(kept)
    assert Decimal(found["totalSpent"]) == 10 * len(kept) - sum(n % 3 == 0 for n in kept)
