"""Orders come twice, late, in any order, or with what nobody expected."""

import itertools
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

from supover.channels.model import ChannelLine, ChannelRefund
from supover.kit.db import Database, Tx
from supover.orders import commands
from tests.makers import Workspace
from tests.orders.arrange import DAY, an_order, figures, take


async def test_the_same_order_twice_changes_nothing(db: Database, shop: Workspace) -> None:
    [first] = await take(db, shop, an_order("1", email="a@one.com"))
    [again] = await take(db, shop, an_order("1", email="a@one.com"))
    assert (again.outcome, again.order_id, again.customer_id) == ("unchanged", first.order_id, first.customer_id)
    assert (await figures(db, shop, first.customer_id))[:2] == (1, Decimal("10.0000"))


async def test_the_same_order_twice_in_one_batch_is_one_order(db: Database, shop: Workspace) -> None:
    first, second, third = await take(
        db,
        shop,
        an_order("1", email="a@one.com"),
        an_order("1", email="a@one.com"),
        an_order("1", "12.00", email="a@one.com"),
    )
    assert [first.outcome, second.outcome, third.outcome] == ["created", "unchanged", "updated"]
    assert first.order_id == second.order_id == third.order_id
    assert (await figures(db, shop, first.customer_id))[:2] == (1, Decimal("12.0000"))


async def test_an_older_version_after_a_newer_one_changes_nothing(db: Database, shop: Workspace) -> None:
    [new] = await take(db, shop, an_order("1", "20.00", email="a@one.com", updated_at=DAY + timedelta(days=2)))
    [old] = await take(db, shop, an_order("1", "15.00", email="a@one.com", updated_at=DAY + timedelta(days=1)))
    assert old.outcome == "unchanged"
    assert (await figures(db, shop, new.customer_id))[1] == Decimal("20.0000")


async def test_any_order_of_arrival_ends_in_the_same_figures(db: Database, shop: Workspace) -> None:
    versions: list[dict[str, Any]] = [
        {"total": "10.00", "updated_at": DAY},
        {"total": "15.00", "updated_at": DAY + timedelta(hours=1), "status": "shipped"},
        {"total": "15.00", "updated_at": DAY + timedelta(hours=2), "status": "delivered"},
    ]
    for n, way in enumerate(itertools.permutations(versions)):
        arriving = [*way, random.Random(n).choice(versions)]
        [taken] = await take(db, shop, an_order(f"o{n}", email=f"buyer{n}@one.com", **arriving[0]))
        for version in arriving[1:]:
            await take(db, shop, an_order(f"o{n}", email=f"buyer{n}@one.com", **version))
        assert (await figures(db, shop, taken.customer_id))[:4] == (1, Decimal("15.0000"), 1, Decimal("15.0000"))


async def test_a_channel_never_takes_an_order_back_to_an_earlier_status(db: Database, shop: Workspace) -> None:
    [taken] = await take(db, shop, an_order("1", email="a@one.com", status="delivered"))
    await take(db, shop, an_order("1", "11.00", email="a@one.com", status="confirmed"))
    assert (await figures(db, shop, taken.customer_id))[:4] == (1, Decimal("11.0000"), 1, Decimal("11.0000"))


async def test_history_is_taken_as_it_is_told(db: Database, shop: Workspace) -> None:
    [taken] = await take(db, shop, an_order("1", email="a@one.com", status="delivered", settled=True))
    await take(db, shop, an_order("1", email="a@one.com", status="cancelled", settled=True))
    assert (await figures(db, shop, taken.customer_id))[:5] == (0, Decimal(0), 0, Decimal(0), 1)


async def test_refunds_lower_the_value_and_the_same_refund_counts_once(db: Database, shop: Workspace) -> None:
    def refunded(*amounts: str, hour: int) -> object:
        refunds = [
            ChannelRefund(external_id=f"r{n}", amount=Decimal(a), refunded_at=DAY) for n, a in enumerate(amounts)
        ]
        return an_order(
            "1", "50.00", email="a@one.com", status="delivered", refunds=refunds, updated_at=DAY + timedelta(hours=hour)
        )

    [taken] = await take(db, shop, refunded("10.00", hour=1))  # pyright: ignore[reportArgumentType]
    await take(db, shop, refunded("10.00", "5.00", hour=2))  # pyright: ignore[reportArgumentType]
    assert (await figures(db, shop, taken.customer_id))[:4] == (1, Decimal("35.0000"), 1, Decimal("35.0000"))


async def test_a_credit_note_is_a_cancelled_order_with_a_negative_total_and_counts_nothing(
    db: Database, shop: Workspace
) -> None:
    [taken] = await take(db, shop, an_order("1", "-25.50", email="a@one.com", status="cancelled"))
    assert (await figures(db, shop, taken.customer_id))[:5] == (0, Decimal(0), 0, Decimal(0), 1)


async def test_amounts_are_kept_at_the_currencys_digits(db: Database, shop: Workspace) -> None:
    await take(
        db, shop, an_order("1", "10.005", email="a@one.com"), an_order("2", "1234.5", email="a@one.com", currency="JPY")
    )
    async with db.reader(shop.id) as reader:
        totals = await reader.column('select total from "order" where workspace_id = $1 order by external_id')
    assert totals == [Decimal("10.0100"), Decimal("1235.0000")]


async def test_lines_are_replaced_when_the_source_tells_them_anew(db: Database, shop: Workspace) -> None:
    tee, mug = (
        ChannelLine(sku="TEE", title="Tee", unit_price=Decimal("5.00")),
        ChannelLine(sku="MUG", title="Mug", quantity=2),
    )
    [taken] = await take(db, shop, an_order("1", email="a@one.com", lines=[tee, mug]))
    await take(db, shop, an_order("1", email="a@one.com", lines=[mug]))
    async with db.reader(shop.id) as reader:
        rows = await reader.rows(
            "select sku, quantity from order_line where workspace_id = $1 and order_id = $2", taken.order_id
        )
    assert [tuple(r) for r in rows] == [("MUG", 2)]


async def test_a_blocked_customers_new_order_is_held(db: Database, shop: Workspace) -> None:
    [first] = await take(db, shop, an_order("1", email="a@one.com"))
    async with db.tx(shop.id) as tx:
        await tx.run("update customer set status = 'BLOCKED' where workspace_id = $1 and id = $2", first.customer_id)
    [second] = await take(db, shop, an_order("2", email="a@one.com"))
    async with db.reader(shop.id) as reader:
        [row] = await reader.rows(
            'select on_hold, hold_reason from "order" where workspace_id = $1 and id = $2', second.order_id
        )
    assert tuple(row) == (True, "The customer is blocked.")


async def test_a_thousand_orders_take_as_many_statements_as_two(db: Database, shop: Workspace) -> None:
    async def statements(n: int) -> int:
        orders = [
            an_order(f"{n}-{i}", email=f"u{n}-{i}@one.com", name="Ann", external_id_of_buyer=f"{n}-{i}")
            for i in range(n)
        ]
        async with db.tx(shop.id) as tx:
            counted = Counted(tx)
            await commands.take_in(counted, orders)
        return counted.statements

    assert await statements(1_000) <= await statements(2)


class Counted(Tx):
    """A transaction that counts its statements."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx._con, tx.workspace_id, tx.actor)  # pyright: ignore[reportPrivateUsage]
        self.statements = 0

    async def rows(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        self.statements += 1
        return await super().rows(sql, *args)

    async def run(self, sql: str, *args: object) -> int:
        self.statements += 1
        return await super().run(sql, *args)

    async def value(self, sql: str, *args: object) -> Any:
        self.statements += 1
        return await super().value(sql, *args)
