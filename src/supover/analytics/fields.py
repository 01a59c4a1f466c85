"""What the segment language can ask of a customer's figures; orders that count unless it says delivered."""

from decimal import Decimal
from typing import Final

from supover.kit.filters import Field

_NONE: Final = Decimal(0)
"""Who has not been counted yet has ordered nothing that we know of."""

FIELDS: Final = (
    Field(
        name="amount_spent",
        kind="number",
        words="amount spent",
        sql="m.total_spent",
        absent=_NONE,
        aka=("totalspent", "total_spent", "spent", "revenue"),
        example="amount_spent BETWEEN 100 AND 499.99",
    ),
    Field(
        name="number_of_orders",
        kind="whole",
        words="number of orders",
        sql="m.order_count",
        absent=_NONE,
        aka=("ordercount", "order_count", "orders", "orders_count"),
        example="number_of_orders >= 2",
    ),
    Field(
        name="average_order_value",
        kind="number",
        words="average order value",
        sql="m.average_order_value",
        absent=_NONE,
        aka=("averageordervalue", "aov"),
        example="average_order_value > 80",
    ),
    Field(
        name="first_order_date",
        kind="moment",
        words="first order date",
        sql="m.first_order_at",
        example="first_order_date >= -30d",
    ),
    Field(
        name="last_order_date",
        kind="moment",
        words="last order date",
        sql="m.last_order_at",
        example="last_order_date < -180d",
    ),
    Field(
        name="lifetime_value",
        kind="number",
        words="lifetime value (delivered orders)",
        sql="m.lifetime_value",
        absent=_NONE,
        aka=("lifetimevalue", "ltv", "clv"),
        example="lifetime_value > 1000",
    ),
    Field(
        name="delivered_orders",
        kind="whole",
        words="number of delivered orders",
        sql="m.total_orders",
        absent=_NONE,
        aka=("totalorders", "total_orders"),
        example="delivered_orders > 1",
    ),
)
