"""Filters over the database: the same members as a plain evaluation in Python of the same tree over the same rows."""

import random
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.customers import filtering
from supover.kit import clock, filters
from supover.kit.db import Database
from supover.kit.sql import Where
from supover.segments import how_many
from tests.makers import Json, Workspace, client, make_workspace, settle, told

ZONE: Final = ZoneInfo("Asia/Tokyo")
TAGS: Final = ("vip", "Wholesale", "o'neil", "100%", "a_b")
SKUS: Final = ("MUG-1", "mug-1", "CUP")
STATUSES: Final = ("ACTIVE", "INACTIVE", "BLOCKED", "VIP")
DOMAINS: Final = ("Gmail.com", "example.com")

MEMBERS: Final = """
    select c.id
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where {where}"""


class World:
    """A shop's customers, as rows of plain Python, and what makes the same question of both."""

    def __init__(self, db: Database, shop: Workspace, rows: Sequence[Json], today: date) -> None:
        self.db = db
        self.shop = shop
        self.rows = rows
        self.today = today

    async def members(self, text: str, only: Sequence[UUID] | None = None) -> set[str]:
        """Whom the database finds, by their names."""
        names = {UUID(row["id"]): row["name"] for row in self.rows}
        async with self.db.reader(self.shop.id, search=True) as db:
            where = Where("c.workspace_id = $1", "c.deleted_at is null")
            ids = None
            if only is not None:
                ids = where.arg(list(only))
                where.also(f"c.id = any({ids})")
            where.also(filters.condition(await filtering.read(db, text), where, ids))
            return {names[id] for id in await db.column(MEMBERS.format(where=where.text()), *where.values)}

    async def count(self, text: str) -> int:
        """How many the database counts, by whatever is quickest."""
        async with self.db.reader(self.shop.id, search=True) as db:
            return await how_many.fit(db, await filtering.read(db, text), await how_many.living(db))


def day_of(at: str | None) -> date | None:
    return None if at is None else datetime.fromisoformat(at).astimezone(ZONE).date()


async def make_world(db: Database, *, is_counted: bool) -> World:
    """Forty customers in all their variety: without orders, without figures, with places, tags, dates at midnight."""
    rnd = random.Random(7)
    shop = await make_workspace(db, "EUR", ZONE.key)
    today = clock.now().astimezone(ZONE).date()
    midnight = datetime.combine(today - timedelta(days=90), time.min, ZONE)
    places = [
        {"line1": "1 Main St", "city": "New York", "state": "NY", "postalCode": "10001", "country": "US"},
        {"line1": "1 Main St", "city": "Austin", "state": "TX", "postalCode": "78701", "country": "US"},
        {"line1": "Torstr. 1", "city": "Köln", "state": "", "postalCode": "50667", "country": "DE"},
    ]
    async with client(db, shop.key) as api:
        for n in range(40):
            new: Json = {
                "name": f"Person {n}",
                "status": rnd.choice(STATUSES),
                "tags": rnd.sample(TAGS, rnd.choice((0, 0, 1, 2))),
                "email": rnd.choice((None, f"P{n}@{rnd.choice(DOMAINS)}")),
                "dateOfBirth": rnd.choice((None, f"{1960 + n}-02-{1 + n % 28:02}")),
                "source": rnd.choice(("ETSY", "SHOPIFY")),
                "country": rnd.choice((None, "FR", "US")),
            }
            made = told(await api.post("/api/customers", json=new), 201)
            for place in rnd.sample(places, rnd.choice((0, 1, 2))):
                told(await api.post(f"/api/customers/{made['id']}/addresses", json=place), 201)
            orders = [
                {
                    "customerId": made["id"],
                    "total": str(Decimal(rnd.randrange(0, 30_000)) / 100),
                    "status": rnd.choice(("confirmed", "delivered", "delivered", "cancelled", "pending")),
                    "currency": rnd.choice(("EUR", "EUR", "EUR", "GBP")),  # of pounds no rate is known
                    "placedAt": (
                        midnight + rnd.choice((timedelta(0), timedelta(microseconds=-1), timedelta(days=rnd.randrange(-500, 89))))
                    ).isoformat(),
                    "lines": [
                        {"sku": rnd.choice((*SKUS, None)), "title": rnd.choice(("Blue Mug", "Cup")), "quantity": rnd.randrange(1, 5),
                         "unitPrice": "5.00"}
                        for _ in range(rnd.randrange(3))
                    ],
                }
                for _ in range(rnd.choice((0, 0, 1, 2, 3, 5)))
            ]  # fmt: skip
            if orders:
                told(await api.post("/api/orders/batch", json={"orders": orders}))
            if n % 20 == 7:
                gone = told(await api.post("/api/customers", json=new | {"email": None, "name": "Gone"}), 201)
                told(
                    await api.post(
                        "/api/orders", json={"customerId": gone["id"], "total": "9.00", "status": "delivered"}
                    ),
                    201,
                )
                told(await api.delete(f"/api/customers/{gone['id']}"), 204)
        await settle(db, shop)
        rows = told(await api.get("/api/customers?limit=200&include=addresses"))["data"]
        for row in rows:
            row["orders"] = [
                order | told(await api.get(f"/api/orders/{order['id']}"))
                for order in told(await api.get(f"/api/customers/{row['id']}/orders?limit=200"))["data"]
            ]
        if is_counted:
            return World(db, shop, rows, today)
        # From history, and not counted yet: nobody has figures of theirs.
        async with db.tx(shop.id, actor="cli") as tx:
            await tx.run(
                "delete from customer_metrics where workspace_id = $1 and customer_id = $2", UUID(rows[0]["id"])
            )
        rows[0] |= {"totalSpent": "0", "orderCount": 0, "averageOrderValue": "0", "lifetimeValue": "0",
                    "firstOrderDate": None, "lastOrderDate": None}  # fmt: skip
    return World(db, shop, rows, today)


@pytest.fixture(scope="module", params=["all are counted", "one is not counted"])
async def world(db: Database, request: pytest.FixtureRequest) -> World:
    return await make_world(db, is_counted=request.param == "all are counted")


# --- the other evaluation ------------------------------------------------------------------------------------------------
# A tree is a tuple: ("and" | "or", trees), ("not", tree), ("field", name, op, values), ("matches", name, negated, fields).

Tree = tuple[Any, ...]
COUNTING: Final = ("confirmed", "processing", "shipped", "delivered", "returned")
NUMBERS: Final[dict[str, Callable[[Json], Decimal]]] = {
    "amount_spent": lambda c: Decimal(c["totalSpent"]),
    "number_of_orders": lambda c: Decimal(c["orderCount"]),
    "average_order_value": lambda c: Decimal(c["averageOrderValue"]),
    "lifetime_value": lambda c: Decimal(c["lifetimeValue"]),
}
DATES: Final[dict[str, Callable[[Json], date | None]]] = {
    "first_order_date": lambda c: day_of(c["firstOrderDate"]),
    "last_order_date": lambda c: day_of(c["lastOrderDate"]),
    "customer_added_date": lambda c: day_of(c["createdAt"]),
    "date_of_birth": lambda c: date.fromisoformat(c["dateOfBirth"]) if c["dateOfBirth"] else None,
}
TEXTS: Final[dict[str, Callable[[Json], str | None]]] = {
    "customer_source": lambda c: c["source"],
    "customer_email_domain": lambda c: c["email"].split("@")[1] if c["email"] else None,
    "customer_email": lambda c: c["email"],
    "customer_name": lambda c: c["name"],
    "status": lambda c: c["status"],
}


def squeezed(text: str) -> str:
    return text.lower().replace(" ", "").replace("ö", "o")


LISTS: Final[dict[str, Callable[[Json], set[str]]]] = {
    "customer_tags": lambda c: {tag.lower() for tag in c["tags"]},
    "customer_countries": lambda c: {p.lower() for p in (c["country"], *(a["country"] for a in c["addresses"])) if p},
    "customer_regions": lambda c: {f"{a['country']}-{a['state']}".lower() for a in c["addresses"] if a["state"]},
    "customer_cities": lambda c: {
        name
        for a in c["addresses"]
        for name in (squeezed(a["city"]), squeezed(f"{a['country']}-{a['state']}-{a['city']}"))
    },
}


def compared(value: Any, op: str, values: Sequence[Any]) -> bool:
    """Two-valued: what is not there fits nothing but IS NULL and what is negated."""
    match op:
        case "IS NULL":
            return value is None
        case "IS NOT NULL":
            return value is not None
        case "!=" | "NOT IN" | "NOT BETWEEN" | "NOT CONTAINS":
            return not compared(value, {"!=": "="}.get(op, op.removeprefix("NOT ")), values)
        case _ if value is None:
            return False
        case "IN" if isinstance(value, set):
            return not value.isdisjoint(values)
        case "=" | "IN":
            return value in values
        case "BETWEEN":
            return values[0] <= value <= values[1]
        case "CONTAINS":
            return values[0] in value
        case "<":
            return value < values[0]
        case "<=":
            return value <= values[0]
        case ">":
            return value > values[0]
        case _:
            return value >= values[0]


def holds(tree: Tree, c: Json) -> bool:
    """Whether a customer fits, in plain Python."""
    kind, *rest = tree
    if kind == "and":
        return all(holds(part, c) for part in rest[0])
    if kind == "or":
        return any(holds(part, c) for part in rest[0])
    if kind == "not":
        return not holds(rest[0], c)
    if kind == "matches":
        return found(rest[0], rest[2], c) != rest[1]
    name, op, values = rest[0], rest[1], rest[2]
    if name in NUMBERS:
        return compared(NUMBERS[name](c), op, values)
    if name in DATES:
        return compared(DATES[name](c), op, values)
    if name in TEXTS:
        value = TEXTS[name](c)
        return compared(value and value.lower(), op, [v.lower() for v in values])
    return compared(
        LISTS[name](c) or None, op, [squeezed(v) if name == "customer_cities" else v.lower() for v in values]
    )


def found(name: str, fields: Sequence[tuple[str, str, Sequence[Any]]], c: Json) -> bool:
    """Whether one thing fits all conditions, or all that fit add up to what is asked."""
    orders = [o for o in c["orders"] if o["status"] in COUNTING and o["exchangeRate"] is not None]
    things: list[Json] = [{"date": day_of(o["placedAt"]), "source": o["source"].lower(), "amount": Decimal(o["total"]), "order": o["id"],
               **({"sku": line["sku"], "title": line["title"].lower(), "quantity": line["quantity"]} if line else {})}
              for o in orders for line in (o["lines"] if name == "products_purchased" else [None])]  # fmt: skip
    of_things = [f for f in fields if f[0] not in ("count", "sum_amount", "sum_quantity")]
    of_sums = [f for f in fields if f not in of_things]
    fit = [t for t in things if all(compared(t[field], op, values) for field, op, values in of_things)]
    if not of_sums:
        return bool(fit)
    sums = {
        "count": len({t["order"] for t in fit}),
        "sum_amount": sum((t["amount"] for t in fit), Decimal(0)) if name == "orders_placed" else 0,
        "sum_quantity": sum(t.get("quantity", 0) for t in fit),
    }
    return all(compared(sums[field], op, values) for field, op, values in of_sums)


# --- trees by chance -----------------------------------------------------------------------------------------------------

ORDERED: Final = ("=", "!=", "<", "<=", ">", ">=", "BETWEEN", "NOT BETWEEN", "IN", "NOT IN")
NULLS: Final = ("IS NULL", "IS NOT NULL")
LISTED: Final = ("CONTAINS", "NOT CONTAINS", "IN", "NOT IN", *NULLS)


def values_for(op: str, one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    if op in NULLS:
        return st.just(())
    if op in ("BETWEEN", "NOT BETWEEN"):
        return st.tuples(one, one).map(lambda ends: tuple(sorted(ends)))
    if op in ("IN", "NOT IN"):
        return st.lists(one, min_size=1, max_size=3).map(tuple)
    return st.tuples(one)


def asked(ops: Sequence[str], one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    return st.sampled_from(ops).flatmap(lambda op: values_for(op, one).map(lambda values: (op, values)))


AMOUNTS: Final = st.sampled_from(
    [Decimal(0), Decimal("0.5"), Decimal(100), Decimal("250.25"), Decimal(10**12)]
) | st.integers(0, 30_000).map(lambda n: Decimal(n) / 100)
COUNTS: Final = st.sampled_from([Decimal(n) for n in (-1, 0, 1, 2, 3, 5, 10**11)]) | st.just(Decimal("1.5"))
DAYS: Final = st.integers(-600, 5)


def fields(today: date) -> st.SearchStrategy[Tree]:
    days = DAYS.map(lambda n: today + timedelta(days=n))
    births = st.dates(date(1955, 1, 1), date(2005, 1, 1)) | days

    def field(names: Sequence[str], ops: Sequence[str], one: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
        return st.tuples(st.sampled_from(names), asked(ops, one)).map(lambda f: ("field", f[0], *f[1]))

    inner_lines = st.lists(
        st.one_of(
            asked(("=", "!=", "IN", *NULLS), st.sampled_from(SKUS)).map(lambda a: ("sku", *a)),
            asked(("=", "CONTAINS"), st.sampled_from(["mug", "cup", "blue mug"])).map(lambda a: ("title", *a)),
            asked(ORDERED, COUNTS).map(lambda a: ("quantity", *a)),
            asked(ORDERED, days).map(lambda a: ("date", *a)),
            asked(ORDERED, COUNTS).map(lambda a: ("count", *a)),
            asked(ORDERED, COUNTS).map(lambda a: ("sum_quantity", *a)),
        ),
        min_size=1,
        max_size=3,
    )
    inner_orders = st.lists(
        st.one_of(
            asked(ORDERED, days).map(lambda a: ("date", *a)),
            asked(ORDERED, AMOUNTS).map(lambda a: ("amount", *a)),
            asked(ORDERED, COUNTS).map(lambda a: ("count", *a)),
            asked(ORDERED, AMOUNTS).map(lambda a: ("sum_amount", *a)),
        ),
        min_size=1,
        max_size=3,
    )
    return st.one_of(
        field(["amount_spent", "average_order_value", "lifetime_value"], ORDERED, AMOUNTS),
        field(["number_of_orders"], ORDERED, COUNTS),
        field(["first_order_date", "last_order_date", "customer_added_date"], (*ORDERED, *NULLS), days),
        field(["date_of_birth"], (*ORDERED, *NULLS), births),
        field(["status"], ("=", "!=", "IN", "NOT IN", *NULLS), st.sampled_from(STATUSES)),
        field(["customer_source"], ("=", "!=", "IN", *NULLS), st.sampled_from(["etsy", "SHOPIFY", "x"])),
        field(["customer_email_domain"], ("=", "!=", "IN", *NULLS), st.sampled_from(["gmail.com", "EXAMPLE.com"])),
        field(["customer_email", "customer_name"], ("CONTAINS", "NOT CONTAINS"), st.sampled_from(["p1", "@g", "on 2", "%"])),
        field(["customer_tags"], LISTED, st.sampled_from([*TAGS, "VIP", "none"])),
        field(["customer_countries"], LISTED, st.sampled_from(["US", "de", "FR"])),
        field(["customer_regions"], LISTED, st.sampled_from(["US-NY", "us-tx", "NY"])),
        field(
            ["customer_cities"],
            LISTED,
            st.sampled_from(["US-NY-NewYork", "new york", "koln", "DE--Köln", "York"]),
        ),
        st.tuples(st.just("products_purchased"), st.booleans(), inner_lines).map(lambda f: ("matches", *f)),
        st.tuples(st.just("orders_placed"), st.booleans(), inner_orders).map(lambda f: ("matches", *f)),
    )  # fmt: skip


def trees(today: date) -> st.SearchStrategy[Tree]:
    return st.recursive(
        fields(today),
        lambda below: st.one_of(
            st.tuples(st.just("and"), st.lists(below, min_size=2, max_size=3)),
            st.tuples(st.just("or"), st.lists(below, min_size=2, max_size=3)),
            st.tuples(st.just("not"), below),
        ),
        max_leaves=6,
    )


def written(tree: Tree, today: date) -> str:
    """The tree as text."""
    kind, *rest = tree
    if kind in ("and", "or"):
        return f" {kind.upper()} ".join(f"({written(part, today)})" for part in rest[0])
    if kind == "not":
        return f"NOT ({written(rest[0], today)})"
    if kind == "matches":
        inner = ", ".join(_condition(name, op, values, today) for name, op, values in rest[2])
        return f"{rest[0]} {'NOT ' * rest[1]}MATCHES ({inner})"
    return _condition(rest[0], rest[1], rest[2], today)


def _condition(name: str, op: str, values: Sequence[Any], today: date) -> str:
    shown = [_value(v, today, n) for n, v in enumerate(values)]
    if op.endswith("BETWEEN"):
        return f"{name} {op} {shown[0]} AND {shown[1]}"
    if op.endswith("IN"):
        return f"{name} {op} ({', '.join(shown)})"
    return f"{name} {op} {''.join(shown)}"


def _value(value: Any, today: date, n: int) -> str:
    if isinstance(value, date):
        # Every other one by how far away it is.
        return value.isoformat() if (value.day + n) % 2 else f"{(value - today).days:+}d"
    return f"{value}" if isinstance(value, Decimal) else "'" + value.replace("'", "''") + "'"


SIZES: Final[list[int]] = []


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees(clock.now().astimezone(ZONE).date()))
async def test_three_hundred_expressions_give_the_members_that_plain_python_gives(world: World, tree: Tree) -> None:
    """Also for a few customers alone, as when changes are worked off."""
    text = written(tree, world.today)
    wanted = {row["name"] for row in world.rows if holds(tree, row)}
    assert await world.members(text) == wanted, text
    assert await world.count(text) == len(wanted), text
    few = world.rows[::3]
    assert await world.members(text, [UUID(row["id"]) for row in few]) == wanted & {row["name"] for row in few}, text
    SIZES.append(len(wanted))


def test_the_expressions_were_not_all_of_nobody_or_everybody() -> None:
    assert not SIZES or len([n for n in SIZES if 0 < n < 40]) > len(SIZES) // 3
