"""The pages of insights: every number is the API's, and every address leads somewhere."""

import csv
import gzip
import io
import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from supover import web as screens
from supover.analytics import rules
from supover.analytics.report_model import Cohort, Cohorts
from supover.channels.model import PostalAddress
from supover.kit import clock
from supover.kit.db import Database
from supover.web import findings
from supover.web.findings import Period
from tests.makers import Workspace, client, settle, told
from tests.orders.arrange import an_order, take
from tests.segments.arrange import segment
from tests.web import insight_shops, sites

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

PAGES = ("", "/cohorts", "/rfm", "/churn", "/ltv", "/map")
STATIC = Path(screens.__file__).parent.parent / "static"


@pytest.fixture
async def sold(db: Database, shop: Workspace) -> None:
    await insight_shops.sell(db, shop)


async def page(web: httpx.AsyncClient, path: str, **asked: Any) -> str:
    answer = await web.get(f"/insights{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.text


def plain(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def part(text: str, begin: str, end: str) -> str:
    _, _, rest = text.partition(begin)
    found, _, _ = rest.partition(end)
    assert found, begin
    return found


def table(text: str, after: str) -> list[list[str]]:
    """The rows of the first table body after some text."""
    body = part(text[text.index(after) :], "<tbody", "</tbody>")
    rows = re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    return [[plain(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]


def money(amount: str | Decimal) -> str:
    value = Decimal(amount)
    return f"{'-' if value < 0 else ''}${abs(value):,.2f}"


def share(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    rounded = round(Decimal(str(value)), digits + 2) * 100
    return f"{rounded:.{digits}f}%"


# --- the overview --------------------------------------------------------------------------------------------------------

ASKED: Sequence[dict[str, str]] = (
    {},
    {"period": "90d", "compare": "year"},
    {"period": "12m", "compare": "none"},
    {"period": "all"},
    {"channel": "ETSY", "period": "12m"},
    {"country": "US", "period": "12m"},
    {"country": "DE", "channel": "TIKTOK_SHOP", "period": "ytd"},
)


@pytest.mark.usefixtures("sold")
async def test_the_overview_has_the_numbers_of_the_report(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    for asked in ASKED:
        await _compare_overview(web, api, asked)


async def _compare_overview(web: httpx.AsyncClient, api: httpx.AsyncClient, asked: dict[str, str]) -> None:
    text = await page(web, "", **asked)
    link = unescape(part(text, 'href="/api/analytics/overview?', '"'))
    given = {name: value for name, value in parse_qsl(link) if name != "format"}
    report = told(await api.get("/api/analytics/overview", params=given))
    figures = {name: plain(part(text, f'id="figure-{name}"', "</div>")) for name in _NAMES}
    assert f" {money(report['revenue'])}" in figures["revenue"]
    for name, key in _NAMES.items():
        value = report[key]
        expected = (
            share(value) if key.endswith("Rate") else money(value or "0") if isinstance(value, str) else f"{value:,}"
        )
        assert f" {expected}" in f" {figures[name]}", (name, figures[name])
    rows = table(text, 'class="as-table"')
    assert [row[1] for row in rows] == [money(one["revenue"]) for one in report["series"]]
    assert [row[2] for row in rows] == [str(one["orders"]) for one in report["series"]]
    channels = table(text, ">By channel<")
    assert [row[1] for row in channels] == [money(one["revenue"]) for one in report["byChannel"]]
    places = {name: value for name, value in given.items() if name != "compare"}
    geography = told(await api.get("/api/analytics/geography", params=places))
    countries = table(text, "By region<" if "country" in asked else "By country<")
    assert [row[1] for row in countries] == [money(one["revenue"]) for one in geography["data"]]
    assert ("line before" in text) == (asked.get("compare") != "none")


_NAMES = {
    "revenue": "revenue",
    "orders": "orders",
    "customers": "customers",
    "average_order_value": "averageOrderValue",
    "new_customers": "newCustomers",
    "returning_customers": "returningCustomers",
    "repeat_rate": "repeatRate",
    "refund_rate": "refundRate",
}


@pytest.mark.usefixtures("sold")
async def test_channels_and_countries_add_up_to_the_whole(api: httpx.AsyncClient) -> None:
    days = {"from": (clock.now().date() - timedelta(days=300)).isoformat()}
    whole = told(await api.get("/api/analytics/overview", params=days))
    for name, values in (("channel", insight_shops.CHANNELS), ("country", ("US", "DE", "VN"))):
        parts = [told(await api.get("/api/analytics/overview", params={**days, name: one})) for one in values]
        assert sum(Decimal(one["revenue"]) for one in parts) == Decimal(whole["revenue"])
        assert sum(one["orders"] for one in parts) == whole["orders"]
        assert sum(one["newCustomers"] for one in parts) == whole["newCustomers"]
    by_channel = [
        told(await api.get("/api/analytics/geography", params={**days, "channel": one}))["data"]
        for one in insight_shops.CHANNELS
    ]
    everywhere = told(await api.get("/api/analytics/geography", params=days))["data"]
    for place in everywhere:
        found = [one["orders"] for listed in by_channel for one in listed if one["country"] == place["country"]]
        assert sum(found) == place["orders"]


async def test_orders_of_nobody_are_narrowed_by_channel_and_country_too(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    now, de = clock.now(), PostalAddress(country="DE")
    await take(
        db,
        shop,
        an_order("1", "7.00", placed_at=now, source="POS", shipping_address=de),
        an_order("2", "9.00", placed_at=now, source="POS", billing_address=PostalAddress(country="US")),
        an_order("3", "20.00", placed_at=now, source="ETSY"),
    )

    async def revenue(**asked: str) -> str:
        return told(await api.get("/api/analytics/overview", params=asked))["revenue"]

    assert await revenue() == "36.00"
    assert await revenue(channel="POS") == "16.00"
    assert await revenue(country="Germany") == "7.00"
    assert await revenue(country="US", channel="POS") == "9.00"
    assert await revenue(country="US", channel="ETSY") == "0.00"


def test_a_period_is_told_by_name_or_by_its_days() -> None:
    today, first = date(2024, 2, 29), date(2022, 5, 1)

    def meant(period: Period, since: date | None = None, until: date | None = None) -> tuple[str, str, str]:
        found = findings.window(period, since, until, today, first)
        return found.period, str(found.since), str(found.until)

    assert meant("30d") == ("30d", "2024-01-31", "2024-02-29")
    assert meant("90d") == ("90d", "2023-12-02", "2024-02-29")
    assert meant("12m") == ("12m", "2023-03-01", "2024-02-29")
    assert meant("ytd") == ("ytd", "2024-01-01", "2024-02-29")
    assert meant("all") == ("all", "2022-05-01", "2024-02-29")
    assert meant("custom") == ("custom", "2024-01-31", "2024-02-29")
    assert meant("custom", date(2023, 1, 1)) == ("custom", "2023-01-01", "2024-02-29")
    assert meant("custom", None, date(2023, 1, 30)) == ("custom", "2023-01-01", "2023-01-30")
    assert meant("custom", date(2025, 1, 1)) == ("custom", "2025-01-01", "2025-01-01")
    assert meant("30d", date(2023, 1, 1), date(2023, 1, 2)) == meant("30d")


@pytest.mark.usefixtures("sold")
async def test_what_fell_is_told_by_its_sign_and_fewer_refunds_are_good(web: httpx.AsyncClient) -> None:
    today = clock.now().date()
    asked = {"from": (today - timedelta(days=9)).isoformat(), "to": today.isoformat()}
    text = await page(web, "", **asked)
    for name in _NAMES:
        figure = part(text, f'id="figure-{name}"', "</div>")
        if moved := re.search(r'class="delta (up|down)".*?([+-])[\d.]', figure, re.DOTALL):
            is_up = moved[2] == "+"
            assert moved[1] == ("up" if is_up != (name == "refund_rate") else "down"), name


# --- cohorts -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sold")
async def test_the_heatmap_has_the_values_of_the_report(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    for metric in ("retention", "rolling", "revenue", "cumulativeLtv"):
        for grain in ("month", "quarter", "week"):
            await _compare_cohorts(web, api, metric, grain)


async def _compare_cohorts(web: httpx.AsyncClient, api: httpx.AsyncClient, metric: str, grain: str) -> None:
    text = await page(web, "/cohorts", metric=metric, grain=grain, period="12m", channel="ETSY")
    link = dict(parse_qsl(unescape(part(text, 'href="/api/analytics/cohorts?', '"'))))
    report = told(await api.get("/api/analytics/cohorts", params={**link, "format": "json"}))
    average, *rows = table(text, 'class="heat"')
    assert [int(row[1]) for row in rows] == [one["size"] for one in report["cohorts"]]
    over = max(n + 1 for one in report["cohorts"] for n, value in enumerate(one["values"]) if value is not None)
    for row, one in zip(rows, report["cohorts"], strict=True):
        assert row[2:] == [_told(value, metric) for value in one["values"][:over]]
    assert len(average) == 2 + over, "a period that is over for nobody has no column"
    assert int(average[1]) == sum(one["size"] for one in report["cohorts"])
    if metric in ("retention", "rolling"):
        known = [(one["size"], one["values"][1]) for one in report["cohorts"] if len(one["values"]) > 1]
        lived = [(n, value) for n, value in known if value is not None]
        whole = sum(n for n, _ in lived)
        assert average[3:4] == ([_told(sum(n * v for n, v in lived) / whole, metric)] if whole else [])


def _told(value: float | None, metric: str) -> str:
    if value is None:
        return ""
    if metric in ("retention", "rolling"):
        return share(value, 1 if 0 < value < 0.0995 else 0)
    return f"{round(Decimal(str(value))):,}"


def test_the_average_weighs_cohorts_by_their_size_and_the_running_period_is_blank() -> None:
    cohorts = [Cohort("2026-01", 100, [1.0, 0.1, None]), Cohort("2026-02", 300, [1.0, None])]
    heat = findings.heat(Cohorts("month", "retention", "USD", None, None, None, cohorts))
    assert heat.columns == 2
    assert [cell.value for cell in heat.average.cells] == [1.0, 0.1]
    assert heat.average.size == 400
    assert [(cell.value, cell.fill) for cell in heat.rows[0].cells] == [(1.0, 100), (0.1, 80)]
    assert [cell.value for cell in heat.rows[1].cells] == [1.0, None]
    money = Cohorts("month", "revenue", "USD", None, None, None, [Cohort("a", 1, [10.0]), Cohort("b", 3, [30.0])])
    assert [cell.value for cell in findings.heat(money).average.cells] == [20.0]
    each = Cohorts("month", "cumulativeLtv", "USD", None, None, None, [Cohort("a", 1, [10.0]), Cohort("b", 3, [30.0])])
    assert [cell.value for cell in findings.heat(each).average.cells] == [25.0]
    assert findings.heat(Cohorts("month", "retention", "USD", None, None, None, [])).columns == 0


@pytest.mark.usefixtures("sold")
async def test_cohorts_are_narrowed_by_a_segment(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    made = await segment(api, "Often <b>", "number_of_orders >= 3")
    text = await page(web, "/cohorts", segment=made["id"])
    assert "Often &lt;b&gt;</option>" in text
    assert f"segment={made['id']}" in unescape(part(text, 'href="/api/analytics/cohorts?', '"'))
    assert (await web.get("/insights/cohorts?segment=00000000-0000-0000-0000-000000000001")).status_code == 422


# --- groups --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sold")
async def test_each_group_has_its_size_and_leads_to_its_customers(
    web: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    text = await page(web, "/rfm")
    report = told(await api.get("/api/analytics/rfm"))
    assert {one["group"] for one in report["groups"]} == set(rules.GROUPS)
    rows = {row[0].split(" ")[0]: row for row in table(text, ">The groups<")}
    for one in report["groups"]:
        asked = f"rfm_group = '{one['group']}'"
        link = f"/customers?{urlencode({'filter': asked})}"
        tile = plain(part(text, f'href="{link}"', "</a>").partition(">")[2])
        assert re.search(rf"\b{one['customers']:,}\b", tile), tile
        row = next(row for name, row in rows.items() if one["group"].lower().startswith(name.lower()))
        assert row[1] == f"{one['customers']:,}"
    most = max(report["groups"], key=lambda one: one["customers"])
    listed = await web.get("/customers", params={"filter": f"rfm_group = '{most['group']}'"})
    assert f"{most['customers']} customer" in listed.text


# --- churn ---------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sold")
async def test_below_the_gate_the_page_says_what_is_missing(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    assert "A first model" in plain(await page(web, "/churn"))
    await insight_shops.fit(db, shop)
    text = await page(web, "/churn")
    report = told(await api.get("/api/analytics/churn"))
    assert report["missing"]
    for one in report["missing"]:
        assert one in plain(text)
    rows = table(text, "who orders again")
    assert rows[0][1:] == [
        share(report["model"]["parameters"]["repeats"][0][1] / report["model"]["parameters"]["repeats"][0][0], 0),
        f"{report['model']['parameters']['repeats'][0][1]} of {report['model']['parameters']['repeats'][0][0]}",
    ]
    assert "plot-svg" not in text


async def test_who_may_leave_is_listed_as_the_report_has_it_and_why(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    await insight_shops.predict(db, shop, owner)
    text = await page(web, "/churn")
    report = told(await api.get("/api/analytics/churn"))
    rows = table(text, '<div class="list cards dense">')
    assert [row[2] for row in rows] == [money(one["valueAtStake"]) for one in report["data"]]
    assert [row[1].split(" ")[0] for row in rows] == [share(one["churnProbability"], 0) for one in report["data"]]
    for row, one in list(zip(rows, report["data"], strict=True))[:5]:
        prediction = told(await api.get(f"/api/customers/{one['id']}/analytics"))["prediction"]
        numbers = [set(re.findall(r"\d+(?:\.\d)?", text)) for text in (row[3], " ".join(prediction["reasons"][:2]))]
        assert numbers[0] <= numbers[1] | {"1"}, (row[3], prediction["reasons"])
    [link] = re.findall(r'href="(/insights/churn\?[^"]*cursor=[^"]*)"', text)
    second = await web.get(unescape(link))
    more = told(await api.get("/api/analytics/churn", params={"cursor": report["nextCursor"]}))
    assert [row[2] for row in table(second.text, '<div class="list cards dense">')] == [
        money(one["valueAtStake"]) for one in more["data"]
    ]
    high = told(await api.get("/api/analytics/churn?risk=high"))
    assert [row[2] for row in table(await page(web, "/churn", risk="high"), '<div class="list cards dense">')] == [
        money(one["valueAtStake"]) for one in high["data"]
    ]
    counted = [
        told(await api.get(f"/api/analytics/churn?risk={risk}&count=true"))["total"]
        for risk in ("high", "medium", "low")
    ]
    stats = part(text, '<dl class="stats three">', "</dl>")
    assert [int(n.replace(",", "")) for n in re.findall(r"<dd>([\d,]+)</dd>", stats)] == counted


async def test_the_backtest_is_drawn_with_its_numbers(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    await insight_shops.predict(db, shop, owner)
    text = await page(web, "/churn")
    model = told(await api.get("/api/analytics/churn"))["model"]
    served = model["backtest"]["logistic" if model["serving"] == "logistic" else "bgnbd"]
    rows = table(text, 'class="as-table"')
    assert rows == [
        [share(one["predicted"]), share(one["actual"]), str(one["customers"])]
        for one in served["bins"]
        if one["customers"]
    ]
    assert text.count('class="dot"') == len(rows)
    ways = {row[0]: row[1] for row in table(text, "Does it find who comes back?</h2>")}
    assert ways["Rule: who ordered last comes back"] == share(model["backtest"]["baselines"]["recencyAuc"])
    assert ways["Buying rhythm (BG/NBD)"] == share(model["backtest"]["bgnbd"]["auc"])
    off = table(text, ">How far off is it?<")
    assert off[0][1:] == [
        f"{served['brier']:.3f}".rstrip("0"),
        f"{model['backtest']['baselines']['baseBrier']:.3f}".rstrip("0"),
    ]
    assert off[1][1] == share(served["ece"])
    history = table(text, ">Earlier fits<")
    assert [row[0] for row in history] == ["1"]


# --- lifetime value ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sold")
async def test_lifetime_value_is_spread_as_the_report_says(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    for basis in ("delivered", "counting"):
        await _compare_ltv(web, api, basis)


async def _compare_ltv(web: httpx.AsyncClient, api: httpx.AsyncClient, basis: str) -> None:
    text = await page(web, "/ltv", basis=basis)
    report = told(await api.get(f"/api/analytics/ltv?basis={basis}"))
    spread = report["distribution"]
    assert plain(part(text, '<dl class="stats">', "</div>")).split(" ")[-3:-2] == [money(spread["average"])]
    bins = table(text, 'class="as-table"')
    assert [int(row[2]) for row in bins] == [one["customers"] for one in spread["histogram"]]
    assert [row[1] for row in table(text, ">Quantiles<")] == [money(one["value"]) for one in spread["percentiles"]]
    assert [row[1] for row in table(text, ">Who brings the revenue<")] == [
        share(one["share"], 0) for one in spread["top"]
    ]
    for title, key in (("By channel", "byChannel"), ("By country", "byCountry")):
        assert [row[1] for row in table(text, f">{title}<")] == [money(one["average"]) for one in report[key]]
    sort = "-lifetimeValue" if basis == "delivered" else "-totalSpent"
    best = told(await api.get("/api/customers", params={"sort": sort, "limit": 10}))["data"]
    value = "lifetimeValue" if basis == "delivered" else "totalSpent"
    assert [(row[0], row[2]) for row in table(text, ">Top customers<")] == [
        (one["name"], money(one[value])) for one in best
    ]


async def test_what_the_next_year_brings_is_the_sum_of_predictions(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    await insight_shops.predict(db, shop, owner)
    rows = list(csv.DictReader(io.StringIO((await api.get("/api/analytics/churn?format=csv")).text)))
    whole = sum(Decimal(row["predictedValue"]) for row in rows)
    text = await page(web, "/ltv", basis="counting")
    shown = re.findall(r"\$([\d,]+\.\d\d)", plain(part(text, "Expected in the next 365 days", "</div>")))[0]
    assert abs(Decimal(shown.replace(",", "")) - whole) < Decimal("0.01") * len(rows)


# --- the map -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sold")
async def test_the_map_is_coloured_by_the_numbers_of_the_report(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    for shown in ("customers", "orders", "revenue"):
        await _compare_map(web, api, shown)


async def _compare_map(web: httpx.AsyncClient, api: httpx.AsyncClient, shown: str) -> None:
    text = await page(web, "/map", show=shown, period="12m")
    days = dict(parse_qsl(unescape(part(text, 'href="/api/analytics/geography?', '"'))))
    report = told(await api.get("/api/analytics/geography", params={**days, "format": "json"}))["data"]
    rows = table(text, ">Countries<")
    assert [row[1:4] for row in rows] == [
        [str(one["customers"]), str(one["orders"]), money(one["revenue"])] for one in report
    ]
    labels = re.findall(r'<a href="([^"]+)" aria-label="([^"]+)"><path', text)
    assert len(labels) == len(report) == 3
    [(link, label)] = [one for one in labels if "country=VN" in one[0]]
    [vietnam] = [one for one in report if one["country"] == "VN"]
    value = vietnam[shown]
    told_as = money(value) if shown == "revenue" else f"{value} {shown if value != 1 else shown[:-1]}"
    assert label == f"Vietnam: {told_as}"
    regions = await web.get(unescape(link))
    assert "Vietnam by region" in regions.text
    assert 'class="map"' not in regions.text


@pytest.mark.usefixtures("sold")
async def test_the_states_are_a_map_however_they_were_written(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    text = await page(web, "/map", country="US", show="orders", period="12m")
    days = dict(parse_qsl(unescape(part(text, 'href="/api/analytics/geography?', '"'))))
    report = told(await api.get("/api/analytics/geography", params={**days, "format": "json"}))["data"]
    orders = {one["region"]: one["orders"] for one in report}
    assert orders.keys() == {"CA", "New York"}
    labels = re.findall(r'role="img" aria-label="([^"]+)"><title>', text)
    assert sorted(labels) == [f"California: {orders['CA']} orders", f"New York: {orders['New York']} orders"]
    assert [row[0] for row in table(text, "United States by region")] == [
        {"CA": "California"}.get(one["region"], one["region"]) for one in report
    ]


def test_places_are_coloured_in_steps_that_differ() -> None:
    legend = findings.legend([100, 101, 102, 103, 104, 0])
    assert legend.steps == [(100, 22), (101, 40), (102, 58), (103, 78), (104, 100)]
    assert [legend.fill(value) for value in (0, 100, 104, 500)] == [0, 22, 100, 100]
    assert findings.legend([7, 7]).steps == [(7, 100)]
    assert findings.legend([]).steps == []
    assert findings.legend([]).fill(3) == 0


# --- all of them ---------------------------------------------------------------------------------------------------------


async def test_an_empty_shop_is_told_what_will_be_there(web: httpx.AsyncClient) -> None:
    for path in PAGES:
        text = await page(web, path)
        assert "will appear here" in text, path
        assert 'href="/imports/new?kind=orders"' in text, path
        assert "plot-svg" not in text, path
        assert "format=csv" not in text, path


@pytest.mark.usefixtures("sold")
async def test_viewers_see_every_page_and_strangers_none(db: Database, shop: Workspace) -> None:
    async with sites.signed_in(db, shop, "viewer") as viewer, client(db) as stranger:
        for path in PAGES:
            assert "will appear here" not in await page(viewer, path), path
            answer = await stranger.get(f"/insights{path}")
            assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (303, "/sign-in"), path


@pytest.mark.usefixtures("sold")
async def test_the_file_of_a_page_is_the_reports_own(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    for path in ("", "/cohorts", "/rfm", "/ltv", "/map", "/map?country=US"):
        text = (await web.get(f"/insights{path}")).text
        link = unescape(re.findall(r'href="(/api/analytics/[^"]+)" download', text)[0])
        file = await web.get(link)
        assert (file.status_code, file.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        assert file.text == (await api.get(link)).text
        assert len(list(csv.reader(io.StringIO(file.text)))) > 1


async def test_what_cannot_be_asked_is_refused(web: httpx.AsyncClient) -> None:
    for path in (
        "?from=2026-02-01&to=2026-01-01",
        "?from=yesterday",
        "?from=0002-01-01",
        "?period=fortnight",
        "/cohorts?metric=love",
        f"/map?country={'x' * 200}",
        f"?channel={'x' * 50}",
        "/churn?risk=none",
        "/churn?cursor=broken",
        "/ltv?basis=wishes",
    ):
        assert (await web.get(f"/insights{path}")).status_code in (400, 422), path


@pytest.mark.usefixtures("sold")
async def test_what_was_chosen_goes_on_to_the_next_page(web: httpx.AsyncClient) -> None:
    text = await page(web, "", period="90d", channel="ETSY", country="US")
    assert 'href="/insights/cohorts?period=90d&amp;channel=ETSY&amp;country=US"' in text
    assert '<option value="ETSY" selected>' in text
    assert '<option value="90d" selected>' in text
    chosen = await page(web, "", period="custom")
    assert 'type="date" name="from"' in chosen
    days = {"from": "2026-01-01", "to": "2026-01-31"}
    text = await page(web, "", **days)
    assert '<option value="custom" selected>' in text
    assert 'name="from" value="2026-01-01"' in text


async def test_what_is_not_counted_yet_is_said(db: Database, shop: Workspace, web: httpx.AsyncClient) -> None:
    await take(db, shop, an_order("1", email="a@mail.example"))
    await settle(db, shop)
    assert "Up to date" in await page(web, "")
    await take(db, shop, an_order("2", email="a@mail.example"))
    assert "Updating: complete up to" in await page(web, "")


async def test_what_orders_say_is_text_in_charts_and_on_maps(
    db: Database, shop: Workspace, web: httpx.AsyncClient
) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    place = PostalAddress(country=evil, state=evil)
    known: dict[str, Any] = {"status": "delivered", "placed_at": clock.now(), "shipping_address": place}
    await take(db, shop, an_order("1", email="a@mail.example", name=evil, **known))
    await settle(db, shop)
    for path in PAGES:
        text = await page(web, path)
        assert "<img src=x" not in text, path
    text = (await web.get("/insights/map", params={"country": evil})).text
    assert "<img src=x" not in text


async def test_a_page_with_everything_it_needs_is_small(
    db: Database, shop: Workspace, owner: "Connection", web: httpx.AsyncClient
) -> None:
    await insight_shops.predict(db, shop, owner)
    await insight_shops.sell(db, shop)
    files = sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in ("app.css", "app.js", "theme.js"))
    for path in (*PAGES, "?period=all&compare=year", "/cohorts?grain=week&period=all", "/map?country=US"):
        text = await page(web, path) if "?" not in path else (await web.get(f"/insights{path}")).text
        assert len(gzip.compress(text.encode(), 5)) + files < 150_000, path
