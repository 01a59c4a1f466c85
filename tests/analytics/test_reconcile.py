"""Whatever stored figure drifts from the orders, a recount by other SQL names it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from supover.access import commands as access
from supover.access.model import WorkspaceChange
from supover.analytics import commands
from supover.channels.model import ChannelRefund
from supover.kit.db import Database
from supover.kit.proof import Difference
from supover.orders import rates
from supover.orders.rates import Rate
from tests.makers import Workspace, settle
from tests.orders.arrange import DAY, an_order, take

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def differences(db: Database, shop: Workspace) -> tuple[int, list[Difference]]:
    async with db.snapshot(shop.id) as reader:
        return await commands.reconcile(reader)


@pytest.fixture
async def buyer(db: Database, shop: Workspace) -> UUID:
    """Somebody with orders of every kind: counted, delivered, refunded, cancelled, in two currencies, without a rate."""
    async with db.tx(shop.id) as tx:
        await rates.keep(tx, [Rate("EUR", date(2026, 2, 20), Decimal("1.1"))])
    back = [ChannelRefund(external_id="r", amount=Decimal("2.50"), refunded_at=DAY)]
    orders = [
        an_order("1", "10.00", email="a@one.com", status="delivered", refunds=back),
        an_order("2", "20.00", email="a@one.com", currency="EUR", status="delivered", placed_at=datetime(2026, 3, 5, tzinfo=UTC)),
        an_order("3", "30.00", email="a@one.com", currency="EUR"),
        an_order("4", "40.00", email="a@one.com", status="cancelled"),
        an_order("5", "50.00", email="a@one.com", currency="JPY"),
    ]  # fmt: skip
    taken = await take(db, shop, *orders)
    await settle(db, shop)
    assert taken[0].customer_id is not None
    return taken[0].customer_id


async def test_what_is_right_is_found_right(db: Database, shop: Workspace, buyer: UUID) -> None:
    assert await differences(db, shop) == (6, [])


METRICS = "update data.customer_metrics set {} where workspace_id = $1 and customer_id = $2"


@pytest.mark.parametrize(
    ("change", "field", "stored", "recounted"),
    [
        ("orders_count = orders_count + 1", "ordersCount", "6", "5"),
        ("order_count = order_count - 1", "orderCount", "2", "3"),
        ("total_spent = total_spent + 0.0001", "totalSpent", "62.5001", "62.5"),
        ("average_order_value = 0", "averageOrderValue", "0", "20.8333"),
        ("first_order_at = first_order_at - interval '1 second'", "firstOrderDate", "2026-03-01 11:59:59+00", "2026-03-01 12:00:00+00"),
        ("last_order_at = null", "lastOrderDate", None, "2026-03-05 00:00:00+00"),
        ("total_orders = 0", "totalOrders", "0", "2"),
        ("lifetime_value = 29.5 + 0.01", "lifetimeValue", "29.51", "29.5"),
        ("by_currency = jsonb_set(by_currency, '{EUR,orders}', '3')", "byCurrency/EUR/orders", "3", "2"),
        ("by_currency = jsonb_set(by_currency, '{EUR,spent}', to_jsonb('50.01'::text))", "byCurrency/EUR/spent", "50.01", "50"),
        ("by_currency = jsonb_set(by_currency, '{USD,lifetimeValue}', to_jsonb('7.49'::text))",
         "byCurrency/USD/lifetimeValue", "7.49", "7.5"),
    ],
)  # fmt: skip
async def test_a_figure_that_drifted_is_named(
    db: Database,
    owner: "Connection",
    shop: Workspace,
    buyer: UUID,
    change: str,
    field: str,
    stored: Any,
    recounted: str,
) -> None:
    await owner.execute(METRICS.format(change), shop.id, buyer)
    assert await differences(db, shop) == (6, [Difference("customer", buyer, field, stored, recounted)])


async def test_a_currency_too_few_or_too_many_is_named(
    db: Database, owner: "Connection", shop: Workspace, buyer: UUID
) -> None:
    await owner.execute(METRICS.format("by_currency = by_currency - 'USD'"), shop.id, buyer)
    _, found = await differences(db, shop)
    assert [(d.field, d.stored, d.recounted) for d in found] == [
        ("byCurrency/USD/orders", None, "1"),
        ("byCurrency/USD/spent", None, "7.5"),
        ("byCurrency/USD/lifetimeValue", None, "7.5"),
    ]


async def test_missing_figures_are_named(db: Database, owner: "Connection", shop: Workspace, buyer: UUID) -> None:
    await owner.execute(
        "delete from data.customer_metrics where workspace_id = $1 and customer_id = $2", shop.id, buyer
    )
    _, found = await differences(db, shop)
    assert found[0] == Difference("customer", buyer, "metrics", None, "a row")


ORDER = 'update data."order" set {} where workspace_id = $1 and external_id = $2'


async def test_refunds_that_do_not_add_up_are_named(
    db: Database, owner: "Connection", shop: Workspace, buyer: UUID
) -> None:
    await owner.execute(ORDER.format("refunded = 2"), shop.id, "1")
    _, found = await differences(db, shop)
    assert [(d.what, d.field, d.stored, d.recounted) for d in found if d.what == "order"] == [
        ("order", "refunded", "2.0000", "2.5000")
    ]


async def test_a_rate_of_the_own_currency_that_is_not_one_is_named(
    db: Database, owner: "Connection", shop: Workspace, buyer: UUID
) -> None:
    await owner.execute(ORDER.format("exchange_rate = 1.5"), shop.id, "4")
    _, found = await differences(db, shop)
    assert [(d.what, d.field, d.stored, d.recounted) for d in found] == [("order", "exchangeRate", "1.5000000000", "1")]


async def test_an_order_whose_decision_says_somebody_else_is_named(
    db: Database, owner: "Connection", shop: Workspace, buyer: UUID
) -> None:
    await owner.execute(ORDER.format("customer_id = null"), shop.id, "4")
    _, found = await differences(db, shop)
    assert [(d.field, d.stored, d.recounted) for d in found] == [
        ("ordersCount", "5", "4"),
        ("customerId", "None", str(buyer)),
    ]


async def test_other_counting_statuses_are_counted_by(db: Database, shop: Workspace, buyer: UUID) -> None:
    async with db.tx(shop.id) as tx:
        await access.change_workspace(tx, WorkspaceChange(counting_statuses=["confirmed", "cancelled"]))
    _, waiting = await differences(db, shop)
    assert waiting != []
    await settle(db, shop)
    assert await differences(db, shop) == (6, [])


async def test_a_snapshot_sees_one_moment_and_cannot_write(db: Database, shop: Workspace, buyer: UUID) -> None:
    async with db.snapshot(shop.id) as reader:
        before, _ = await commands.reconcile(reader)
        await take(db, shop, an_order("6", email="b@one.com"))
        assert await commands.reconcile(reader) == (before, [])
        with pytest.raises(Exception, match="read-only transaction"):
            await reader.value("""update "order" set note = 'x' where workspace_id = $1""")
    assert (await differences(db, shop))[0] == before + 2
