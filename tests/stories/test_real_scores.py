"""A real shop's RFM table and what its customers are worth, recounted by polars from the file.

The data lies beside the repository; where it is not there, this story is skipped.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from supover.analytics import rules
from supover.kit.db import Database
from supover.kit.worker import Worker
from tests.analytics.arrange import roll_up
from tests.conftest import clone
from tests.makers import Workspace, client, make_workspace, told
from tests.stories.test_real_shops import DATA, UCI, UCI_OPTIONS, bring

pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the shop's data is not in {DATA}"),
    pytest.mark.timeout(400),
]

SCORES = """
    select c.external_id, k.recency, k.frequency, k.monetary, k.rfm_group
      from customer_rfm k
      join customer c on c.workspace_id = $1 and c.id = k.customer_id
     where k.workspace_id = $1"""


def bought(file: Path) -> pl.DataFrame:
    """What each customer bought: the file's orders that were not cancelled."""
    orders = pl.read_csv(file, infer_schema=False).filter(pl.col("is_cancel") == "false")
    return (
        orders.with_columns(
            # To the penny, as whole numbers: no float has anything to do with money.
            pl.col("total_gbp").map_elements(lambda t: int(Decimal(t).scaleb(4)), pl.Int64).alias("spent"),
            pl.col("ordered_at")
            .str.to_datetime()
            .dt.replace_time_zone("Europe/London", ambiguous="earliest")
            .alias("at"),
        )
        .group_by("customer_id")
        .agg(pl.col("at").max(), pl.len().alias("orders"), pl.col("spent").sum())
    )


def scored(of: pl.DataFrame) -> pl.DataFrame:
    """Scores by the definition: the rank of the last of equal values, in fifths of all."""

    def fifth(column: str) -> pl.Expr:
        return (5 * pl.col(column).rank("max").cast(pl.Int64) + pl.len() - 1) // pl.len()

    return of.with_columns(fifth("at").alias("r"), fifth("orders").alias("f"), fifth("spent").alias("m"))


@pytest.mark.parametrize("most", [6_000, pytest.param(44_876, marks=pytest.mark.soak)])
async def test_a_gift_shops_customers_are_scored_as_polars_scores_them(tmp_path: Path, most: int) -> None:
    file = tmp_path / "orders.csv"
    pl.read_csv(DATA / UCI, infer_schema=False, n_rows=most).write_csv(file)
    expected = scored(bought(file))
    async with clone() as url:
        db = await Database.open(url)
        try:
            shop = await make_workspace(db, "GBP", "Europe/London")
            await bring(db, shop, file, UCI_OPTIONS)
            await Worker(db, kinds=["analytics.score"], names=["analytics.refresh"], poll_s=0.02).drain()
            async with db.reader(shop.id) as reader:
                found = {row[0]: tuple(row[1:]) for row in await reader.rows(SCORES)}
            await roll_up(db, shop)
            async with client(db, shop.key) as api:
                rfm = told(await api.get("/api/analytics/rfm"))
                ltv = told(await api.get("/api/analytics/ltv"))
                by_hand = await one_by_one(db, shop, api, expected)
        finally:
            await db.close()
    assert found == {id: (r, f, m, rules.group(r, f, m)) for id, _, _, _, r, f, m in expected.iter_rows()}
    the_report_says_so(rfm, expected)
    worth = sorted(Decimal(spent).scaleb(-4) for spent in expected["spent"])
    the_distribution_says_so(ltv["distribution"], worth)
    assert by_hand == []


def the_report_says_so(rfm: Any, expected: pl.DataFrame) -> None:
    groups = Counter(rules.group(*row) for row in expected.select("r", "f", "m").iter_rows())
    revenue: dict[str, Decimal] = {}
    for r, f, m, spent in expected.select("r", "f", "m", "spent").iter_rows():
        group = rules.group(r, f, m)
        revenue[group] = revenue.get(group, Decimal(0)) + Decimal(spent).scaleb(-4)
    said = {one["group"]: one for one in rfm["groups"] if one["group"] != "PROSPECTS"}
    assert {name: one["customers"] for name, one in said.items() if one["customers"]} == groups
    assert {n: Decimal(one["revenue"]) for n, one in said.items() if one["customers"]} == {
        name: round(amount, 2) for name, amount in revenue.items()
    }
    assert sum(one["revenueShare"] for one in said.values()) == pytest.approx(1)
    grid = Counter(expected.select("r", "f").iter_rows())
    assert {(s["recency"], s["frequency"]): s["customers"] for s in rfm["grid"] if s["customers"]} == grid


def the_distribution_says_so(found: Any, worth: list[Decimal]) -> None:
    n, whole = len(worth), sum(worth, Decimal(0))
    assert (found["customers"], Decimal(found["revenue"])) == (n, whole)
    for one in found["percentiles"]:
        place = -(-int(one["percentile"]) * n // 100)
        assert Decimal(one["value"]) == round(worth[place - 1], 2), one
    for one in found["top"]:
        best = worth[-one["customers"] :]
        assert one["share"] == float(sum(best, Decimal(0)) / whole)
    assert [one["customers"] for one in found["histogram"]] == [
        sum(
            (one["from"] is None or value >= Decimal(one["from"])) and (one["to"] is None or value < Decimal(one["to"]))
            for value in worth
        )
        for one in found["histogram"]
    ]
    assert sum(one["customers"] for one in found["histogram"]) == n


PEOPLE = "select c.external_id, c.id from customer c where c.workspace_id = $1 and c.external_id is not null order by c.external_id"


async def one_by_one(db: Database, shop: Workspace, api: Any, expected: pl.DataFrame) -> list[Any]:
    """Every fiftieth customer's own page, where it says otherwise than the table."""
    rows = {row["customer_id"]: row for row in expected.iter_rows(named=True)}
    spent = sorted(expected["spent"])
    async with db.reader(shop.id) as reader:
        people = [(external, id) for external, id in await reader.rows(PEOPLE) if external in rows]
    wrong: list[Any] = []
    for external, id in people[::50]:
        said, row = told(await api.get(f"/api/customers/{id}/analytics")), rows[external]
        as_much = sum(other <= row["spent"] for other in spent)
        told_of = (
            said["value"]["orderCount"],
            sum(Decimal(month["amount"]) for month in said["value"]["monthly"]),
            said["value"]["percentile"],
            said["rfm"]["recency"],
            datetime.fromisoformat(said["frequency"]["lastOrderDate"]),
        )
        right = (
            row["orders"],
            Decimal(row["spent"]).scaleb(-4),
            -(-100 * as_much // len(spent)),
            row["r"],
            row["at"].astimezone(UTC),
        )
        if told_of != right:
            wrong.append((external, told_of, right))
        await asyncio.sleep(0)
    return wrong
