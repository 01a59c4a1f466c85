"""The demo tells the same story every time, through the house's own doors; the first run can be had again."""

import stat
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from supover import settings
from supover.access import commands as access
from supover.access.model import NewWorkspace
from supover.analytics import commands as analytics
from supover.demo import commands, rules
from supover.demo.rules import Shape
from supover.kit import ids, money, text
from supover.kit.db import Database
from supover.orders.rules import errors_of
from supover.settings import Settings
from tests.conftest import clone

UNTIL = datetime(2026, 11, 21, tzinfo=UTC)

# --- the story -----------------------------------------------------------------------------------------------------------


def test_a_seed_tells_one_story() -> None:
    one, same, other = (list(rules.orders(Shape(until=UNTIL, customers=50, seed=seed))) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert rules.rates(Shape(until=UNTIL)) == rules.rates(Shape(until=UNTIL))


def test_the_story_is_of_a_shop_as_they_are() -> None:
    [block] = rules.orders(Shape(until=UNTIL))
    bought = Counter(told.person for told in block)
    orders = [told.order for told in block]
    assert len(bought) == 2_000
    assert 5_000 < len(orders) < 7_000
    assert sum(number == 1 for number in bought.values()) > 600
    assert max(bought.values()) > 20
    assert {order.source for order in orders} == {"SHOPIFY", "TIKTOK_SHOP", "ETSY", "API", "AMAZON"}
    assert {order.status for order in orders} == {
        "pending", "confirmed", "processing", "shipped", "delivered", "cancelled", "returned",
    }  # fmt: skip
    assert {order.currency for order in orders} == {"USD", "GBP", "EUR", "CAD", "AUD"}
    months = Counter(order.placed_at.strftime("%Y-%m") for order in orders)
    assert months["2025-12"] > 1.8 * months["2026-01"]
    assert [order.placed_at for order in orders] == sorted(order.placed_at for order in orders)
    assert UNTIL - timedelta(days=731) < orders[0].placed_at < orders[-1].placed_at < UNTIL + timedelta(days=1)
    assert len({(order.source, order.external_id) for order in orders}) == len(orders)


def test_every_order_of_the_story_can_be_taken_in() -> None:
    for told in next(rules.orders(Shape(until=UNTIL, customers=500))):
        order = told.order
        assert errors_of(order, UNTIL) == []
        assert order.lines
        parts = (order.subtotal or 0) + (order.shipping or 0) + (order.tax or 0) - (order.discount or 0)
        assert order.total == parts > 0
        assert sum((line.unit_price or 0) * line.quantity for line in order.lines) == order.subtotal
        assert money.at_digits(order.total, order.currency) == order.total


def test_nobody_in_the_story_can_be_written_to_or_called() -> None:
    for told in next(rules.orders(Shape(until=UNTIL, customers=500))):
        contact = told.order.contact
        assert contact.email is not None
        if text.email_quality(contact.email) == "real":
            assert contact.email.endswith(".example")
        if contact.phone is not None and text.phone_quality(contact.phone) == "real":
            made_up = ("555", "07700 900", "030 23125", "01 99 00", "02 5550")
            assert any(part in contact.phone for part in made_up), contact.phone


def test_marketplaces_hide_their_buyers() -> None:
    orders = [told.order for told in next(rules.orders(Shape(until=UNTIL, customers=500)))]
    for order in orders:
        relayed = text.email_quality(order.contact.email or "") == "relay"
        assert relayed == (order.source in ("TIKTOK_SHOP", "AMAZON"))
        assert ("*" in (order.contact.name or "")) == (order.source == "TIKTOK_SHOP")


def test_a_long_story_is_told_in_blocks() -> None:
    blocks = list(islice(rules.orders(Shape(until=UNTIL, customers=1_000_000)), 2))
    assert [max(told.person for told in block) for block in blocks] == [1_999, 3_999]
    assert blocks[0] == next(rules.orders(Shape(until=UNTIL)))


def test_rates_reach_from_before_the_first_order_to_the_last() -> None:
    found = rules.rates(Shape(until=UNTIL, currency="GBP"))
    assert {rate.currency for rate in found} == {"USD", "EUR", "CAD", "AUD"}
    assert min(rate.date for rate in found) <= (UNTIL - timedelta(days=730)).date()
    assert max(rate.date for rate in found) == UNTIL.date().replace(day=1)
    assert rules.rates(Shape(until=UNTIL, currency="JPY")) == []
    assert {told.order.currency for told in next(rules.orders(Shape(until=UNTIL, customers=20, currency="JPY")))} == {
        "JPY"
    }


# --- the first run -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def empty() -> AsyncGenerator[str]:
    """The owner's URL of a database without workspaces."""
    async with clone() as found:
        yield found


@pytest.fixture
def configured(tmp_path: Path) -> Settings:
    return settings.load({}, tmp_path, demo=False)


async def ask(url: str, sql: str, *args: object) -> Any:
    con = await asyncpg.connect(url)
    try:
        return await con.fetchval(sql, *args)
    finally:
        await con.close()


async def test_the_first_run_makes_an_empty_workspace_with_an_owner_and_a_key(empty: str, configured: Settings) -> None:
    first = await commands.first_run(empty, configured)
    assert first.api_key.startswith("sk_")
    assert (first.email, len(first.password)) == ("owner@supover.example", 24)
    made = await ask(
        empty,
        """select array[w.name, w.currency, w.timezone, m.role, p.email]
             from data.workspace w join data.membership m using (workspace_id) join data.staff p on p.id = m.staff_id
            where w.workspace_id = $1""",
        first.workspace_id,
    )
    assert made == ["My shop", "USD", "UTC", "owner", "owner@supover.example"]
    assert await ask(empty, "select array[scopes[1], rate_limit::text] from data.api_key") == ["admin", None]
    assert await ask(empty, "select count(*) from data.customer") == 0
    assert stat.S_IMODE((configured.data_dir / "first_run.json").stat().st_mode) == 0o600


async def test_a_second_run_finds_what_the_first_one_made(empty: str, configured: Settings) -> None:
    told: list[str] = []
    first = await commands.first_run(empty, configured, told.append)
    assert await commands.first_run(empty, configured, told.append) == first
    assert told == []
    assert await ask(empty, "select count(*) from data.api_key") == 1


@pytest.mark.parametrize("loss", ["gone", "garbled", "another database's"])
async def test_lost_credentials_give_one_more_key_and_change_nothing_else(
    empty: str, configured: Settings, loss: str
) -> None:
    first = await commands.first_run(empty, configured)
    file = configured.data_dir / "first_run.json"
    if loss == "gone":
        file.unlink()
    elif loss == "garbled":
        file.write_bytes(b'{"database": "\xff')
    else:
        file.write_bytes(file.read_bytes().replace(b'"database":"', b'"database":"1'))
    again = await commands.first_run(empty, configured)
    assert (again.workspace_id, again.email, again.password) == (first.workspace_id, "", "")
    assert again.api_key != first.api_key
    assert await ask(empty, "select array_agg(name order by id) from data.api_key where revoked_at is null") == [
        "local",
        "local",
    ]
    assert await ask(empty, "select count(*) from data.workspace") == 1
    assert await commands.first_run(empty, configured) == again


async def test_a_revoked_key_is_replaced_and_the_owner_kept(empty: str, configured: Settings) -> None:
    first = await commands.first_run(empty, configured)
    await ask(empty, "update data.api_key set revoked_at = now()")
    again = await commands.first_run(empty, configured)
    assert (again.workspace_id, again.email, again.password) == (first.workspace_id, first.email, first.password)
    assert again.api_key != first.api_key


async def test_a_database_that_somebody_set_up_keeps_its_workspaces(empty: str, configured: Settings) -> None:
    db = await Database.open(empty, size=1)
    older, newer = ids.new(), ids.new()
    for id in (older, newer):
        async with db.tx(id) as tx:
            await access.create_workspace(tx, NewWorkspace(name="Theirs", currency="EUR", timezone="UTC"))
    await db.close()
    first = await commands.first_run(empty, msgspec.structs.replace(configured, demo=True))
    assert (first.workspace_id, first.email, first.password) == (older, "", "")
    assert await ask(empty, "select count(*) from data.workspace") == 2
    assert await ask(empty, "select count(*) from data.customer") == 0


async def test_a_first_run_that_fails_leaves_nothing_behind(
    empty: str, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(commands, "_write", full)
    with pytest.raises(OSError, match="no space left"):
        await commands.first_run(empty, configured)
    assert await ask(empty, "select count(*) from data.workspace") == 0
    assert await ask(empty, "select count(*) from data.staff") == 0
    monkeypatch.undo()
    assert (await commands.first_run(empty, configured)).email == "owner@supover.example"


async def test_the_demo_is_there_whole_and_its_figures_right(empty: str, tmp_path: Path) -> None:
    told: list[str] = []
    first = await commands.first_run(empty, settings.load({}, tmp_path), told.append)
    assert told == [commands.FILLING]
    db = await Database.open(empty, size=1)
    async with db.snapshot(first.workspace_id) as reader:
        checked, differences = await analytics.reconcile(reader)
    await db.close()
    assert checked > 7_000
    assert differences == []
    expected = {
        "select count(*) from data.customer_stale": 0,
        'select count(*) from data."order" where exchange_rate is null': 0,
        "select count(*) from data.customer where status = 'VIP' and tags = '{vip}'": 25,
        "select count(*) from data.customer where status = 'BLOCKED'": 3,
        "select count(*) from data.\"order\" where on_hold and hold_reason = 'The customer is blocked.'": 3,
        "select count(*) from data.\"order\" where on_hold and hold_reason = 'The address looks incomplete.'": 4,
        "select count(*) from data.customer_note": 12,
        "select count(*) from data.job where kind = 'analytics.fit' and state = 'queued'": 1,
    }
    assert {sql: await ask(empty, sql) for sql in expected} == expected
    for table in ("customer", "customer_identity", "order", "duplicate_pair", "customer_day", "customer_rfm"):
        known = f"select count(*) > 0 from pg_stats where schemaname = 'data' and tablename = '{table}'"
        assert await ask(empty, known), f"the planner knows {table} before anybody asks"
    for table in ("duplicate_pair", "order_refund", "address", "exchange_rate"):
        assert await ask(empty, f"select count(*) > 20 from data.{table}"), table
    both = "select count(*) from (select from data.customer_identity where kind = 'channel' group by customer_id having count(*) > 1) x"
    assert await ask(empty, both) > 0
