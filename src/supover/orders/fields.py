"""What the segment language can ask of a customer's orders that count, and of what was bought with them."""

from typing import Final

from supover.kit.filters import Field, Function

_COUNTS: Final = """o.workspace_id = $1 and o.net_value is not null
           and o.status = any((select w.counting_statuses from workspace w where w.workspace_id = $1)::text[])"""
_DATE: Final = Field(name="date", kind="moment", words="date", sql="o.placed_at", example="date >= -90d")
_SOURCE: Final = Field(
    name="source", kind="text", words="source", sql="o.source", vocabulary="source", example="source = 'SHOPIFY'"
)

FIELDS: Final = (
    Function(
        name="products_purchased",
        words="bought a product",
        many="products bought",
        rows=f"""order_line l
           join "order" o on o.workspace_id = $1 and o.id = l.order_id
          where l.workspace_id = $1 and {_COUNTS}""",
        customer="o.customer_id",
        fields=(
            # As it is written: the index of article numbers knows no other case.
            Field(name="sku", kind="text", words="SKU", sql="l.sku", equals="l.sku = {0}", example="sku = 'MUG-1'"),
            Field(name="title", kind="text", words="title", sql="l.title", example="title CONTAINS 'mug'"),
            Field(name="quantity", kind="whole", words="quantity", sql="l.quantity", example="quantity > 5"),
            Field(name="price", kind="number", words="unit price", sql="l.unit_price", example="price >= 20"),
            _DATE,
            _SOURCE,
        ),
        sums=(
            Field(
                name="count", kind="whole", words="number of orders", sql="count(distinct o.id)", example="count >= 2"
            ),
            Field(
                name="sum_quantity",
                kind="whole",
                words="quantity in all",
                sql="coalesce(sum(l.quantity), 0)",
                example="sum_quantity >= 10",
            ),
        ),
    ),
    Function(
        name="orders_placed",
        words="placed an order",
        many="orders placed",
        rows=f""""order" o
          where {_COUNTS}""",
        customer="o.customer_id",
        fields=(
            _DATE,
            Field(name="amount", kind="number", words="amount", sql="o.net_value", example="amount > 200"),
            _SOURCE,
            Field(name="shop", kind="text", words="shop", sql="o.shop", example="shop = 'demo.myshopify.com'"),
        ),
        sums=(
            Field(name="count", kind="whole", words="number of orders", sql="count(*)", example="count >= 3"),
            Field(
                name="sum_amount",
                kind="number",
                words="amount in all",
                sql="coalesce(sum(o.net_value), 0)",
                example="sum_amount > 500",
            ),
        ),
    ),
)
