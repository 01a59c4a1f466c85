"""The published figures of CDNOW, and real shops' past days, predicted.

The data lies beside the repository; where it is not there, these are skipped.
"""

import csv
import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from supover.analytics import fitting
from supover.kit.db import Database
from tests.analytics import days
from tests.makers import Workspace

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the shops' data is not in {DATA}"),
    pytest.mark.timeout(240),
]


def read(name: str) -> Iterator[dict[str, str]]:
    file = DATA / name
    text = gzip.decompress(file.read_bytes()) if name.endswith(".gz") else file.read_bytes()
    yield from csv.DictReader(text.decode().splitlines())


def cdnow() -> Iterator[days.Day]:
    for row in read("cdnow/cdnow_sample_transactions.csv"):
        yield row["customer_id"], date.fromisoformat(row["date"]), float(row["amount_usd"])


def gift_shop() -> Iterator[days.Day]:
    for row in read("uci_online_retail/orders_2009_2011.csv.gz"):
        if row["is_cancel"] == "false":
            yield row["customer_id"], date.fromisoformat(row["ordered_at"][:10]), float(row["total_gbp"])


def marketplace() -> Iterator[days.Day]:
    person = {r["customer_id"]: r["customer_unique_id"] for r in read("olist/olist_customers_dataset.csv.gz")}
    paid: dict[str, float] = {}
    for row in read("olist/olist_order_payments_dataset.csv.gz"):
        paid[row["order_id"]] = paid.get(row["order_id"], 0.0) + float(row["payment_value"])
    for row in read("olist/olist_orders_partial.csv.gz"):
        if row["order_status"] not in ("canceled", "unavailable"):
            at = date.fromisoformat(row["order_purchase_timestamp"][:10])
            # Half of the people, by their ids.
            if (who := person[row["customer_id"]]) < "8":
                yield who, at, paid.get(row["order_id"], 0.0)


def finite(told: Any) -> None:
    """msgspec writes what is no number as null, which nothing here may be by that."""
    match told:
        case dict():
            for value in told.values():  # pyright: ignore[reportUnknownVariableType]
                finite(value)
        case list():
            for value in told:  # pyright: ignore[reportUnknownVariableType]
                finite(value)
        case float():
            assert abs(told) < float("inf")
        case _:
            pass


ODD = """
    select count(*) from customer_prediction p
     where p.workspace_id = $1
       and not (p.churn_probability between 0 and 1 and p.expected_orders >= 0 and p.expected_orders < 'infinity'
                and p.predicted_value >= 0 and p.predicted_value < 'infinity' and p.value_at_stake >= 0
                and p.value_at_stake < 'infinity')"""
SCORED = "select count(*) from customer_prediction p where p.workspace_id = $1 and p.version = $2"


async def scored(db: Database, shop: Workspace, as_of: date) -> fitting.Refreshed:
    """A refresh as of a day, with nothing in it that is no number."""
    done = await fitting.refresh(db, shop.id, lambda: db.tx(shop.id), as_of=as_of)
    async with db.reader(shop.id) as reader:
        assert await reader.value(ODD) == 0
        assert await reader.value(SCORED, done.version) == done.scored
        rows = await reader.rows("select m.parameters, m.backtest from prediction_model m where m.workspace_id = $1")
    finite([list(row) for row in rows])
    return done


async def test_cdnow_comes_out_as_published(db: Database, owner: "Connection", shop: Workspace) -> None:
    """Fader, Hardie & Lee (2005): r .243, alpha 4.414, a .793, b 2.426, LL -9582.4; p 6.25, q 3.74, v 15.44; weeks 40-78."""
    await days.write(owner, shop.id, cdnow())
    async with db.snapshot(shop.id) as reader:
        told = await fitting.report(reader, date(1997, 9, 30), 273, "ml")
    model = told.model
    assert model.customers == 2_357
    assert [round(one, 3) for one in (model.r, model.alpha, model.a, model.b)] == [0.243, 4.414, 0.793, 2.426]
    assert round(model.log_likelihood, 1) == -9582.4
    assert model.converged
    assert [round(one or 0, 2) for one in (model.p, model.q, model.v)] == [6.25, 3.74, 15.44]
    assert told.backtest is not None
    judged = told.backtest
    assert judged["orders"] == 1_882
    assert round(judged["expected"], 1) == 1653.4
    assert round(judged["mae"], 4) == 0.7855
    assert round(judged["rmse"], 3) == 1.608
    assert round(judged["correlation"], 3) == 0.626
    assert told.missing == []
    finite(msgspec.to_builtins(told))
    # By the prior hardly anything moves where orders say enough.
    async with db.snapshot(shop.id) as reader:
        held = (await fitting.report(reader, date(1997, 9, 30), 90)).model
    assert [held.r, held.alpha, held.a, held.b] == pytest.approx([model.r, model.alpha, model.a, model.b], rel=0.01)
    assert held.prior_shift == pytest.approx(-0.0023, abs=0.0005)
    done = await scored(db, shop, date(1998, 6, 30))
    assert (done.serving, done.scored) in [("bgnbd", 2_357), ("logistic", 2_357)]


async def test_a_gift_shops_churn_is_told_better_than_by_rules(
    db: Database, owner: "Connection", shop: Workspace
) -> None:
    """UCI Online Retail II at 2011-06-09, half a year ahead."""
    await days.write(owner, shop.id, gift_shop())
    origin = date(2011, 6, 9)
    async with db.snapshot(shop.id) as reader:
        told = await fitting.report(reader, origin, 182)
    assert told.backtest is not None
    judged = told.backtest
    assert judged["customers"] == 4_971
    assert judged["auc"] == pytest.approx(0.811, abs=0.001)
    assert judged["auc"] >= judged["baselines"]["recency"]["auc"] + 0.02
    assert judged["brier"] == pytest.approx(0.177, abs=0.001)
    assert judged["brier"] <= judged["baselines"]["base"]["brier"] - 0.03
    assert judged["ece"] < 0.03
    assert 0.75 <= judged["eo"] <= 1.25
    assert judged["mae"] < judged["baselines"]["naive"]["mae"]
    assert judged["logistic"]["auc"] > 0.79
    finite(msgspec.to_builtins(told))
    # What is known later changes nothing of what was known then.
    async with db.snapshot(shop.id) as reader:
        backtest = await fitting.try_out(reader, origin + timedelta(days=182), date(2009, 12, 1), 182)
    assert backtest is not None
    assert [one.origin for one in backtest.origins] == ["2011-06-09", "2010-12-09", "2010-06-10"]
    assert backtest.origins[0].bgnbd.auc == judged["auc"]
    done = await scored(db, shop, date(2011, 12, 9))
    assert (done.serving, done.missing) == ("bgnbd", [])
    assert done.scored > 5_800


async def test_a_marketplace_of_single_orders_gives_numbers(db: Database, owner: "Connection", shop: Workspace) -> None:
    """Olist: of a hundred buyers three came again, so that plain likelihood hardly knows who stops."""
    await days.write(owner, shop.id, marketplace())
    done = await scored(db, shop, date(2018, 8, 31))
    assert done.scored > 8_000
    async with db.snapshot(shop.id) as reader:
        plain = await fitting.report(reader, date(2018, 2, 28), 90, "ml")
        held = await fitting.report(reader, date(2018, 2, 28), 90, "map")
    finite(msgspec.to_builtins([plain, held]))
    assert held.model.a + held.model.b < 100
