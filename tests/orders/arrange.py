"""What the tests of order intake begin with: a workspace, orders as a channel would tell them, and a look at the figures."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from supover import wiring
from supover.analytics import commands as analytics
from supover.channels.model import ChannelOrder, Contact
from supover.kit.db import Database
from supover.orders import commands
from supover.orders.model import Taken
from tests.makers import Workspace, settle

wiring.load()
DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_order(external_id: str | None = None, total: str = "10.00", **over: Any) -> ChannelOrder:
    """An order of ten dollars; contact fields and order fields may be given."""
    contact = {
        name: over.pop(name)
        for name in ("external_id_of_buyer", "email", "phone", "name", "address", "country", "customer_id")
        if name in over
    }
    if "external_id_of_buyer" in contact:
        contact["external_id"] = contact.pop("external_id_of_buyer")
    values: dict[str, Any] = {"source": "SHOPIFY", "currency": "USD", "status": "confirmed", "placed_at": DAY} | over
    who = Contact(source=values["source"], shop=values.get("shop", ""), **contact)
    return ChannelOrder(contact=who, external_id=external_id, total=Decimal(total), **values)


async def take(db: Database, shop: Workspace, *orders: ChannelOrder) -> list[Taken]:
    """Takes orders in, in one transaction."""
    async with db.tx(shop.id) as tx:
        return await commands.take_in(tx, orders)


FIGURES = """
    select order_count, total_spent, total_orders, lifetime_value, orders_count, first_order_at, last_order_at, by_currency
      from customer_metrics where workspace_id = $1 and customer_id = $2"""


async def figures(db: Database, shop: Workspace, customer: UUID | None) -> tuple[Any, ...]:
    """order_count, total_spent, total_orders, lifetime_value, orders_count of a customer, after a refresh; nothing may differ."""
    await settle(db, shop)
    async with db.tx(shop.id) as tx:
        _, differences = await analytics.reconcile(tx)
        assert differences == []
        [row] = await tx.rows(FIGURES, customer)
        return tuple(row)
