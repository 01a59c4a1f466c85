"""Days of orders as the roll-up has them: written for many made-up customers at once."""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from supover.kit import ids

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

Day = tuple[str, date, float]
"""Whose, when, and what it brought."""


async def write(owner: "Connection", workspace_id: UUID, days: Iterable[Day]) -> dict[str, UUID]:
    """Customers with these days, a row each; who has which id."""
    of_whom: dict[str, dict[date, float]] = {}
    for who, day, net in days:
        of = of_whom.setdefault(who, {})
        of[day] = round(of.get(day, 0.0) + net, 4)
    known = dict(zip(of_whom, ids.many(len(of_whom)), strict=True))
    await owner.copy_records_to_table(
        "customer",
        schema_name="data",
        columns=("workspace_id", "id", "source", "external_id", "name"),
        records=[(workspace_id, id, "MANUAL", who, f"Buyer {who}") for who, id in known.items()],
    )
    rows = [
        (workspace_id, known[who], day, "MANUAL", "", "", 1, net, 0, net, day == min(of))
        for who, of in of_whom.items()
        for day, net in of.items()
    ]
    columns = (
        "workspace_id",
        "customer_id",
        "day",
        "channel",
        "country",
        "region",
        "orders",
        "gross",
        "refunded",
        "net",
    )
    await owner.copy_records_to_table("customer_day", schema_name="data", columns=(*columns, "is_first"), records=rows)
    await owner.execute(
        "insert into data.customer_metrics (workspace_id, customer_id, order_count, total_spent)"
        " select $1, d.customer_id, sum(d.orders), sum(d.net) from data.customer_day d where d.workspace_id = $1 group by d.customer_id",
        workspace_id,
    )
    return known
