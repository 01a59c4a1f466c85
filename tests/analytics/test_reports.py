"""Reports: cohorts, the overview and where was sold to, by hand and beside a recount of a real shop by polars."""

import csv
import gzip
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate, islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import polars as pl
import pytest

from supover.analytics import report_rules
from supover.analytics.report_model import Cell, Grain
from supover.channels.model import ChannelRefund, PostalAddress
from supover.kit import clock
from supover.kit.db import Database
from tests import makers
from tests.analytics.arrange import score
from tests.makers import Workspace, pointers, settle, told
from tests.orders.arrange import an_order, take
from tests.segments.arrange import segment
from tests.segments.arrange import settle as settle_segments
from tests.stories.test_real_shops import DATA, UCI, UCI_OPTIONS, bring

Answer = Any


def at(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC)


@pytest.fixture
async def sold(db: Database, shop: Workspace) -> None:
    """Three customers who came in January 2024 and February, and what they bought until April; one order is nobody's."""
    de, us = PostalAddress(country="DE", state="BE"), PostalAddress(country="US", state="CA")
    back = [ChannelRefund(external_id="r", amount=Decimal("4.00"), refunded_at=at("2024-05-01"))]
    orders = [
        ("a", "10.00", "2024-01-31", "SHOPIFY", de, None),
        ("a", "20.00", "2024-02-01", "ETSY", us, None),
        ("a", "5.00", "2024-04-30", "SHOPIFY", de, None),
        ("b", "30.00", "2024-01-02", "ETSY", de, back),
        ("c", "40.00", "2024-02-29", "SHOPIFY", us, None),
        ("c", "1.00", "2024-03-01", "SHOPIFY", us, None),
        ("c", "2.00", "2024-03-31", "SHOPIFY", us, None),
    ]
    await take(
        db,
        shop,
        *(
            an_order(str(n), total, email=f"{who}@mail.example", placed_at=at(day), source=source, shipping_address=place, refunds=given)
            for n, (who, total, day, source, place, given) in enumerate(orders)
        ),
        an_order("nobody", "7.00", placed_at=at("2024-02-10"), source="POS", shipping_address=de),
        an_order("cancelled", "99.00", email="a@mail.example", status="cancelled", placed_at=at("2023-12-31")),
    )  # fmt: skip
    await settle(db, shop)


async def cohorts(api: httpx.AsyncClient, **asked: Any) -> Mapping[str, tuple[int, list[float | None]]]:
    answer = told(await api.get("/api/analytics/cohorts", params={"to": "2024-04-30", **asked}))
    return {one["cohort"]: (one["size"], one["values"]) for one in answer["cohorts"]}


# --- cohorts -------------------------------------------------------------------------------------------------------------


async def test_cohorts_of_months_by_all_four_metrics(api: httpx.AsyncClient, sold: None) -> None:
    assert await cohorts(api) == {"2024-01": (2, [1.0, 0.5, 0.0, 0.5]), "2024-02": (1, [1.0, 1.0, 0.0])}
    assert await cohorts(api, metric="rolling") == {
        "2024-01": (2, [1.0, 0.5, 0.5, 0.5]),
        "2024-02": (1, [1.0, 1.0, 0.0]),
    }
    assert await cohorts(api, metric="revenue") == {
        "2024-01": (2, [36.0, 20.0, 0.0, 5.0]),
        "2024-02": (1, [40.0, 3.0, 0.0]),
    }
    assert await cohorts(api, metric="cumulativeLtv") == {
        "2024-01": (2, [18.0, 28.0, 28.0, 30.5]),
        "2024-02": (1, [40.0, 43.0, 43.0]),
    }


async def test_cohorts_of_weeks_and_quarters_have_iso_names(api: httpx.AsyncClient, sold: None) -> None:
    weeks = await cohorts(api, period="week", to="2024-02-04")
    assert weeks == {"2024-W01": (1, [1.0, 0.0, 0.0, 0.0, 0.0]), "2024-W05": (1, [1.0])}
    assert await cohorts(api, period="quarter") == {"2024-Q1": (3, [1.0, 1 / 3])}


async def test_from_and_to_choose_whole_periods(api: httpx.AsyncClient, sold: None) -> None:
    found = await cohorts(api, **{"from": "2024-02-15", "to": "2024-03-01"})
    assert found == {"2024-02": (1, [1.0, 1.0])}
    assert await cohorts(api, **{"from": "2024-03-01"}) == {}


async def test_cohorts_by_channel_country_segment_and_two_at_once(
    api: httpx.AsyncClient, db: Database, shop: Workspace, sold: None
) -> None:
    assert await cohorts(api, channel="ETSY") == {"2024-01": (1, [1.0, 0.0, 0.0, 0.0])}
    assert await cohorts(api, country="Germany") == {"2024-01": (2, [1.0, 0.5, 0.0, 0.5])}
    assert await cohorts(api, country="DE", channel="SHOPIFY", metric="revenue") == {
        "2024-01": (1, [10.0, 20.0, 0.0, 5.0])
    }
    assert await cohorts(api, channel="SHOPIFY", country="US", metric="rolling") == {"2024-02": (1, [1.0, 1.0, 0.0])}
    made = await segment(api, "often", "number_of_orders >= 3")
    await settle_segments(db, shop)
    often = {"segment": made["id"]}
    assert await cohorts(api, **often) == {"2024-01": (1, [1.0, 1.0, 0.0, 1.0]), "2024-02": (1, [1.0, 1.0, 0.0])}
    assert await cohorts(api, **often, country="DE", metric="cumulativeLtv") == {
        "2024-01": (1, [10.0, 30.0, 30.0, 35.0])
    }
    assert await cohorts(api, **often, country="DE", channel="ETSY") == {}
    assert await cohorts(api, channel="POS") == {}


async def test_the_running_period_and_those_to_come_are_null(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    today = clock.now().date()
    this, before = (
        report_rules.begin(today, "month"),
        report_rules.begin(report_rules.begin(today, "month") - timedelta(1), "month"),
    )
    for number, day in enumerate((before, this)):
        await take(
            db, shop, an_order(str(number), "1.00", email=f"{number}@mail.example", placed_at=at(day.isoformat()))
        )
    await settle(db, shop)
    found = told(await api.get("/api/analytics/cohorts"))
    assert [(one["cohort"], one["size"], one["values"]) for one in found["cohorts"]] == [
        (report_rules.name(before, "month"), 1, [1.0, None]),
        (report_rules.name(this, "month"), 1, [None]),
    ]
    following = report_rules.following(this, "month")
    found = told(await api.get("/api/analytics/cohorts", params={"to": following.isoformat()}))
    assert [one["values"] for one in found["cohorts"]] == [[1.0, None, None], [None, None]]


async def test_nothing_is_no_cohort(api: httpx.AsyncClient) -> None:
    assert told(await api.get("/api/analytics/cohorts")) == {
        "period": "month", "metric": "retention", "currency": "USD", "channel": None, "country": None, "segment": None, "cohorts": [],
    }  # fmt: skip


async def test_cohorts_as_csv(api: httpx.AsyncClient, sold: None) -> None:
    asked = {"to": "2024-04-30", "metric": "cumulativeLtv"}
    answer = await api.get(
        "/api/analytics/cohorts", params=asked, headers={"Accept": "text/csv, application/json;q=0.5"}
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="cohorts-cumulativeLtv-month.csv"'
    assert answer.text == "cohort,size,0,1,2,3\n2024-01,2,18.0,28.0,28.0,30.5\n2024-02,1,40.0,43.0,43.0\n"
    again = await api.get(
        "/api/analytics/cohorts", params={**asked, "format": "csv"}, headers={"Accept": "application/json"}
    )
    assert again.text == answer.text
    assert told(
        await api.get("/api/analytics/cohorts", params={**asked, "format": "json"}, headers={"Accept": "text/csv"})
    )["cohorts"]


@pytest.mark.parametrize(
    ("path", "asked", "pointer"),
    [
        ("cohorts", {"from": "2024-02-01", "to": "2024-01-31"}, "from"),
        ("cohorts", {"period": "year"}, "period"),
        ("cohorts", {"metric": "churn"}, "metric"),
        ("cohorts", {"to": "tomorrow"}, "to"),
        ("cohorts", {"from": "0001-01-01"}, "from"),
        ("cohorts", {"channel": ""}, "channel"),
        ("cohorts", {"channel": "x" * 41}, "channel"),
        ("cohorts", {"country": " "}, "country"),
        ("cohorts", {"segment": "01934f2a-7c1e-7b32-9a10-5f0c8f7e4d21"}, "segment"),
        ("cohorts", {"segment": "mine"}, "segment"),
        ("cohorts", {"chanel": "ETSY"}, "chanel"),
        ("cohorts", {"format": "xlsx"}, "format"),
        ("overview", {"from": "2024-02-01", "to": "2024-01-31"}, "from"),
        ("overview", {"compare": "budget"}, "compare"),
        ("overview", {"interval": "day", "from": "2010-01-01"}, "interval"),
        ("overview", {"from": "1900-01-01", "to": "2999-12-31"}, "from"),
        ("overview", {"since": "2010-01-01"}, "since"),
        ("geography", {"from": "2024-02-01", "to": "2024-01-31"}, "from"),
        ("geography", {"country": ""}, "country"),
        ("geography", {"region": "CA"}, "region"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_named(api: httpx.AsyncClient, path: str, asked: Any, pointer: str) -> None:
    assert pointers(await api.get(f"/api/analytics/{path}", params=asked)) == [pointer]


def test_more_cohorts_than_can_be_shown_are_the_last_ones_unless_the_first_is_asked_for() -> None:
    first, last = date(1990, 1, 1), date(2024, 1, 1)
    cells = {day: {day: Cell(day, 1, 1, Decimal(1))} for day in (first, last)}
    shown: dict[str, Any] = {"step": "week", "metric": "retention", "today": date(2024, 2, 1), "until": None}
    assert [one.cohort for one in report_rules.cohorts(cells, since=None, **shown)] == ["2024-W01"]
    with pytest.raises(report_rules.Invalid):
        report_rules.cohorts(cells, since=first, **shown)
    # Those to come would push out those that are.
    later: dict[str, Any] = {**shown, "until": date(2999, 12, 31)}
    with pytest.raises(report_rules.Invalid):
        report_rules.cohorts(cells, since=None, **later)


# --- the overview --------------------------------------------------------------------------------------------------------

FIGURES = (
    "revenue", "gross", "refunded", "orders", "customers", "newCustomers", "returningCustomers", "repeatRate", "averageOrderValue",
    "refundRate",
)  # fmt: skip


def figures(answer: Answer) -> dict[str, Any]:
    return {name: answer[name] for name in FIGURES}


async def test_the_overview_of_a_month_beside_the_one_before(api: httpx.AsyncClient, sold: None) -> None:
    found = told(await api.get("/api/analytics/overview", params={"from": "2024-02-01", "to": "2024-02-29"}))
    assert (found["from"], found["to"], found["currency"], found["interval"]) == (
        "2024-02-01",
        "2024-02-29",
        "USD",
        "day",
    )
    assert figures(found) == {
        "revenue": "67.00", "gross": "67.00", "refunded": "0.00", "orders": 3, "customers": 2, "newCustomers": 1,
        "returningCustomers": 1, "repeatRate": 0.0, "averageOrderValue": "22.33", "refundRate": 0.0,
    }  # fmt: skip
    before = found["comparison"]
    assert (before["from"], before["to"]) == ("2024-01-03", "2024-01-31")
    assert figures(before) == {
        "revenue": "10.00", "gross": "10.00", "refunded": "0.00", "orders": 1, "customers": 1, "newCustomers": 1,
        "returningCustomers": 0, "repeatRate": 0.0, "averageOrderValue": "10.00", "refundRate": 0.0,
    }  # fmt: skip
    assert found["change"] == {
        "revenue": 5.7, "gross": 5.7, "refunded": None, "orders": 2.0, "customers": 1.0, "newCustomers": 0.0,
        "returningCustomers": None, "repeatRate": None, "averageOrderValue": 1.233, "refundRate": None,
    }  # fmt: skip
    assert found["byChannel"] == [
        {"channel": "SHOPIFY", "revenue": "40.00", "gross": "40.00", "refunded": "0.00", "orders": 1, "newCustomers": 1,
         "averageOrderValue": "40.00", "share": 40 / 67},
        {"channel": "ETSY", "revenue": "20.00", "gross": "20.00", "refunded": "0.00", "orders": 1, "newCustomers": 0,
         "averageOrderValue": "20.00", "share": 20 / 67},
        {"channel": "POS", "revenue": "7.00", "gross": "7.00", "refunded": "0.00", "orders": 1, "newCustomers": 0,
         "averageOrderValue": "7.00", "share": 7 / 67},
    ]  # fmt: skip
    assert len(found["series"]) == 29
    assert [(one["date"], one["revenue"]) for one in found["series"] if one["orders"]] == [
        ("2024-02-01", "20.00"), ("2024-02-10", "7.00"), ("2024-02-29", "40.00"),
    ]  # fmt: skip


async def test_a_year_earlier_and_nothing_to_compare_with(api: httpx.AsyncClient, sold: None) -> None:
    asked = {"from": "2025-01-01", "to": "2025-02-28", "compare": "year", "interval": "month"}
    found = told(await api.get("/api/analytics/overview", params=asked))
    before = found["comparison"]
    assert (before["from"], before["to"], before["revenue"], before["refundRate"]) == (
        "2024-01-01",
        "2024-02-28",
        "63.00",
        4 / 67,
    )
    assert (before["customers"], before["repeatRate"]) == (2, 0.5)
    assert [(one["date"], one["revenue"], one["newCustomers"]) for one in before["series"]] == [
        ("2024-01-01", "36.00", 2), ("2024-02-01", "27.00", 0),
    ]  # fmt: skip
    assert (found["revenue"], found["repeatRate"], found["averageOrderValue"]) == ("0.00", None, None)
    assert (found["change"]["revenue"], found["change"]["averageOrderValue"]) == (-1.0, None)
    alone = told(await api.get("/api/analytics/overview", params={**asked, "compare": "none"}))
    assert (alone["comparison"], alone["change"]) == (None, None)


async def test_unless_told_it_is_of_the_last_thirty_days_of_the_workspace(api: httpx.AsyncClient) -> None:
    found = told(await api.get("/api/analytics/overview"))
    today = clock.now().date()
    assert (found["from"], found["to"]) == (str(today - timedelta(days=29)), str(today))
    assert (found["comparison"]["from"], found["comparison"]["to"]) == (
        str(today - timedelta(days=59)),
        str(today - timedelta(days=30)),
    )
    assert len(found["series"]) == 30
    assert set(found["change"].values()) == {None}


async def test_the_overview_as_csv(api: httpx.AsyncClient, sold: None) -> None:
    asked = {"from": "2024-01-01", "to": "2024-03-31", "interval": "month", "format": "csv"}
    rows = list(csv.DictReader((await api.get("/api/analytics/overview", params=asked)).text.splitlines()))
    assert [
        (row["part"], row["from"], row["to"], row["channel"], row["revenue"], row["customers"]) for row in rows
    ] == [
        ("period", "2024-01-01", "2024-03-31", "", "106.00", "3"),
        ("comparison", "2023-10-02", "2023-12-31", "", "0.00", "0"),
        ("channel", "2024-01-01", "2024-03-31", "SHOPIFY", "53.00", ""),
        ("channel", "2024-01-01", "2024-03-31", "ETSY", "46.00", ""),
        ("channel", "2024-01-01", "2024-03-31", "POS", "7.00", ""),
        ("month", "2024-01-01", "2024-01-31", "", "36.00", ""),
        ("month", "2024-02-01", "2024-02-29", "", "67.00", ""),
        ("month", "2024-03-01", "2024-03-31", "", "3.00", ""),
    ]


async def test_a_channel_that_a_spreadsheet_would_run_is_guarded_and_numbers_are_not(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    day = clock.now() - timedelta(days=1)
    await take(db, shop, an_order("1", "1.00", email="a@mail.example", source="=1+1", placed_at=day))
    await settle(db, shop)
    text = (await api.get("/api/analytics/overview", params={"format": "csv", "compare": "none"})).text
    assert ",'=1+1,1.00," in text


async def test_days_begin_where_the_workspace_is(db: Database) -> None:
    shop = await makers.make_workspace(db, timezone="Asia/Kolkata")
    late = datetime(2024, 1, 31, 19, tzinfo=UTC)
    await take(
        db, shop, an_order("1", "1.00", email="a@mail.example", placed_at=late), an_order("2", "2.00", placed_at=late)
    )
    await settle(db, shop)
    async with makers.client(db, shop.key) as api:
        found = told(await api.get("/api/analytics/overview", params={"from": "2024-02-01", "to": "2024-02-01"}))
        assert (found["orders"], found["revenue"]) == (2, "3.00")
        assert found["comparison"]["orders"] == 0
        assert await cohorts(api) == {"2024-02": (1, [1.0, 0.0, 0.0])}


async def test_where_clocks_go_back_over_midnight_the_day_has_both_of_its_first_hours(db: Database) -> None:
    """In Havana it was half past midnight twice on 1 November 2026; an order of nobody came at the first of them."""
    shop = await makers.make_workspace(db, timezone="America/Havana")
    await take(db, shop, an_order("1", "5.00", placed_at=datetime(2026, 11, 1, 4, 30, tzinfo=UTC)))
    async with makers.client(db, shop.key) as api:
        for name in ("overview", "geography"):
            for day, revenue in (("2026-10-31", "0.00"), ("2026-11-01", "5.00")):
                found = told(await api.get(f"/api/analytics/{name}", params={"from": day, "to": day}))
                sold = found["series"] if name == "overview" else found["data"] or [{"revenue": "0.00"}]
                assert [one["revenue"] for one in sold] == [revenue]


# --- where was sold to ---------------------------------------------------------------------------------------------------


async def test_countries_and_the_regions_of_one(api: httpx.AsyncClient, sold: None) -> None:
    found = told(await api.get("/api/analytics/geography"))
    assert (found["from"], found["to"], found["currency"]) == (None, None, "USD")
    assert found["data"] == [
        {"country": "US", "region": None, "customers": 2, "newCustomers": 1, "orders": 4, "revenue": "63.00",
         "averageOrderValue": "15.75", "share": 63 / 111},
        {"country": "DE", "region": None, "customers": 2, "newCustomers": 2, "orders": 4, "revenue": "48.00",
         "averageOrderValue": "12.00", "share": 48 / 111},
    ]  # fmt: skip
    asked = {"country": "United States", "from": "2024-03-01", "to": "2024-03-31"}
    found = told(await api.get("/api/analytics/geography", params=asked))
    assert found["data"] == [
        {"country": "US", "region": "CA", "customers": 1, "newCustomers": 0, "orders": 2, "revenue": "3.00",
         "averageOrderValue": "1.50", "share": 1.0},
    ]  # fmt: skip
    text = (await api.get("/api/analytics/geography", params={"country": "DE", "format": "csv"})).text
    assert text.splitlines() == [
        "country,region,customers,newCustomers,orders,revenue,averageOrderValue,share,currency", "DE,BE,2,2,4,48.00,12.00,1.0,USD",
    ]  # fmt: skip


async def test_reports_need_their_permission(db: Database, shop: Workspace) -> None:
    for scopes, status in ((("analytics:read",), 200), (("customers:read", "orders:read"), 403)):
        async with makers.client(db, await makers.make_key(db, shop.id, *scopes)) as api:
            for name in ("cohorts", "overview", "geography"):
                assert (await api.get(f"/api/analytics/{name}")).status_code == status


# --- a British gift shop (UCI Online Retail II, Daqing Chen, CC BY 4.0), recounted by polars -----------------------------

EVERY: Mapping[Grain, str] = {"week": "1w", "month": "1mo", "quarter": "1q"}


def recounted(orders: pl.DataFrame, grain: Grain) -> dict[str, dict[str, tuple[int, list[float]]]]:
    """Metric → cohort → its size, and its values until December 2011."""
    own = orders.with_columns(period=pl.col("day").dt.truncate(EVERY[grain]))
    own = own.join(
        own.group_by("customer_id").agg(cohort=pl.col("period").min(), last=pl.col("period").max()), on="customer_id"
    )
    cells = own.group_by("cohort", "period").agg(
        active=pl.col("customer_id").n_unique(),
        spent=pl.col("total").sum(),
        last=pl.col("customer_id").filter(pl.col("last") == pl.col("period")).n_unique(),
    )
    by_cell = {(cohort, period): (active, spent, last) for cohort, period, active, spent, last in cells.iter_rows()}
    steps = list(report_rules.periods(min(cohort for cohort, _ in by_cell), date(2011, 12, 31), grain))
    found: dict[str, dict[str, tuple[int, list[float]]]] = {
        m: {} for m in ("retention", "rolling", "revenue", "cumulativeLtv")
    }
    for n, cohort in enumerate(steps):
        if (cohort, cohort) not in by_cell:
            continue
        lived = [by_cell.get((cohort, step), (0, Decimal(0), 0)) for step in steps[n:]]
        size, name = lived[0][0], report_rules.name(cohort, grain)
        assert name.startswith(f"{cohort.isocalendar().year}-W" if grain == "week" else str(cohort.year))
        found["retention"][name] = size, [active / size for active, _, _ in lived]
        found["rolling"][name] = size, [sum(last for _, _, last in lived[k:]) / size for k in range(len(lived))]
        found["revenue"][name] = size, [float(spent) for _, spent, _ in lived]
        found["cumulativeLtv"][name] = (
            size,
            [float(spent / size) for spent in accumulate(spent for _, spent, _ in lived)],
        )
    return found


GROUPS = {
    5: ((4, "CHAMPIONS"), (2.5, "ACTIVE"), (1.5, "PROMISING"), (1, "NEW")),
    4: ((4, "LOYAL"), (2.5, "ACTIVE"), (1, "PROMISING")),
    3: ((4, "LOYAL"), (2.5, "NEEDS_ATTENTION"), (1, "ALMOST_LOST")),
    2: ((2.5, "AT_RISK"), (1, "ALMOST_LOST")),
    1: ((4, "PREVIOUSLY_LOYAL"), (1, "DORMANT")),
}
"""By recency: from which mean of the two others on."""


def groups(orders: pl.DataFrame) -> dict[str, tuple[int, Decimal]]:
    """RFM group → how many are in it, and what they spent: fifths of ranks, of equal ones the last rank."""
    own = orders.group_by("customer_id").agg(last=pl.col("at").max(), often=pl.len(), spent=pl.col("total").sum())
    r, f, m = ((pl.col(what).rank("max") * 5 / pl.len()).ceil() for what in ("last", "often", "spent"))
    scores = own.select(r.alias("r"), f.alias("f"), m.alias("m"), "spent")
    found: dict[str, tuple[int, Decimal]] = {}
    for recency, frequency, monetary, spent in scores.iter_rows():
        name = next(group for least, group in GROUPS[int(recency)] if (frequency + monetary) / 2 >= least)
        customers, revenue = found.get(name, (0, Decimal(0)))
        found[name] = customers + 1, revenue + spent
    return found


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the shop's data is not in {DATA}")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("orders", [10_000, pytest.param(44_876, marks=pytest.mark.soak)])
async def test_a_gift_shops_cohorts_groups_and_months_are_what_polars_counts(
    db: Database, tmp_path: Path, orders: int
) -> None:
    file = tmp_path / "orders.csv"
    with gzip.open(DATA / UCI, "rt", encoding="utf-8") as whole:
        file.write_text("".join(islice(whole, orders + 1)), encoding="utf-8")
    shop = await makers.make_workspace(db, "GBP", "Europe/London")
    await bring(db, shop, file, UCI_OPTIONS)
    await score(db, shop)
    told_of = pl.read_csv(file, infer_schema=False).filter(pl.col("is_cancel") == "false")
    counted = told_of.select(
        "customer_id",
        at=pl.col("ordered_at").str.to_datetime(),
        day=pl.col("ordered_at").str.to_datetime().dt.date(),
        total=pl.col("total_gbp").cast(pl.Decimal(19, 4)),
    )
    async with makers.client(db, shop.key) as api:
        for grain in EVERY:
            for metric, expected in recounted(counted, grain).items():
                asked = {"period": grain, "metric": metric, "from": "2009-12-01", "to": "2011-12-31"}
                answer = told(await api.get("/api/analytics/cohorts", params=asked))
                found = {one["cohort"]: (one["size"], one["values"]) for one in answer["cohorts"]}
                assert found == expected, (grain, metric)
        asked = {"from": "2009-12-01", "to": "2011-12-31", "interval": "month", "compare": "none"}
        series = told(await api.get("/api/analytics/overview", params=asked))["series"]
        rfm = told(await api.get("/api/analytics/rfm"))["groups"]
    assert {one["group"]: (one["customers"], Decimal(one["revenue"])) for one in rfm if one["revenueShare"]} == {
        group: (customers, spent.quantize(Decimal("0.01"))) for group, (customers, spent) in groups(counted).items()
    }
    by_month = counted.group_by(pl.col("day").dt.truncate("1mo")).agg(pl.col("total").sum(), pl.len())
    assert {one["date"]: (Decimal(one["revenue"]), one["orders"]) for one in series if one["orders"]} == {
        str(month): (total.quantize(Decimal("0.01")), count) for month, total, count in by_month.iter_rows()
    }
    assert ZoneInfo("Europe/London")
