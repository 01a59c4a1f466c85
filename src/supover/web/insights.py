"""What customers are worth, who comes back, and who will leave: the reports of analytics, drawn.

Each page is asked by its address alone, as the report of the API that it shows, and has its table as CSV from there.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from jinja2 import pass_context
from jinja2.runtime import Context

from supover.analytics import cohorts as cohorts_of
from supover.analytics import geography, ltv, overview, predictions, report_rules, rfm
from supover.analytics.model import Basis
from supover.analytics.prediction_model import Risk
from supover.analytics.report_model import Cohorts, Compare, Geography, Grain, Metric, PlaceSales
from supover.customers import queries as customers
from supover.customers.routes import Asked as List
from supover.customers.routes import understood
from supover.kit import api, clock, sql
from supover.kit.db import Reader
from supover.kit.problems import Invalid
from supover.web import charts, findings, maps, rendering
from supover.web.findings import Period, Window
from supover.web.frame import Asked, Pages, asked, show

pages = Pages()

# --- what all pages ask and tell ---------------------------------------------------------------------------------------------


class Narrowed(msgspec.Struct, frozen=True, kw_only=True):
    """What the bar above each page says; a page passes over what does not touch it."""

    period: Period | None = None
    since: date | None = msgspec.field(default=None, name="from")
    until: date | None = msgspec.field(default=None, name="to")
    compare: Compare | None = None
    channel: str | None = None
    country: str | None = None


class About(msgspec.Struct, frozen=True):
    """A workspace's reports: what is told in, the first day of them, what waits to be counted, and where orders came from."""

    currency: str
    today: date
    first: date | None
    waiting: datetime | None
    channels: Sequence[str]
    countries: Sequence[str]


# The channels and countries of first orders, by how many customers began there: a few dozen cells tell them.
ABOUT: Final = """
    select w.currency, ($2::timestamptz at time zone w.timezone)::date,
           (select min(d.day) from sales_day d where d.workspace_id = $1),
           (select s.marked_at from customer_stale s where s.workspace_id = $1 order by s.id limit 1),
           array(select k.value
                   from cohort_cell k
                  where k.workspace_id = $1 and k.grain = 'quarter' and k.dimension = 'channel' and k.period = k.cohort
                  group by k.value
                  order by sum(k.customers) desc, k.value
                  limit 100),
           array(select k.value
                   from cohort_cell k
                  where k.workspace_id = $1 and k.grain = 'quarter' and k.dimension = 'country' and k.period = k.cohort
                    and k.value <> ''
                  group by k.value
                  order by sum(k.customers) desc, k.value
                  limit 250)
      from workspace w
     where w.workspace_id = $1"""


async def about(db: Reader) -> About:
    """What every page of a workspace tells."""
    [found] = await db.all(About, ABOUT, clock.now())
    return found


class Bar(msgspec.Struct, frozen=True):
    """What stands above a page: what was asked for, the days that are meant, and what can be chosen."""

    given: Narrowed
    window: Window
    channel: str | None
    country: str | None
    channels: Sequence[str]
    countries: Sequence[str]
    kept: str

    def days(self) -> dict[str, str]:
        """The days, as the API takes them."""
        return {"from": self.window.since.isoformat(), "to": self.window.until.isoformat()}


def bar(request: Asked, shop: About, period: Period) -> Bar:
    """The bar above a page that is of this period unless told. Raises Invalid."""
    given = asked(request, Narrowed)
    report_rules.span(given.since, given.until)
    channel, country = report_rules.channel(given.channel), report_rules.country(given.country)
    meant = given.period or ("custom" if given.since or given.until else period)
    known = _KEPT if meant == "custom" else _KEPT - {"from", "to"}
    kept = [(name, value) for name, value in request.query_params.items() if name in known and value]
    return Bar(
        given=given,
        window=findings.window(meant, given.since, given.until, shop.today, shop.first),
        channel=channel,
        country=country,
        channels=_with(shop.channels, channel),
        countries=_with(shop.countries, country),
        kept=f"?{urlencode(kept)}" if kept else "",
    )


_KEPT: Final = {"period", "from", "to", "compare", "channel", "country"}
"""What goes on to the next page."""


def _with(known: Sequence[str], chosen: str | None) -> Sequence[str]:
    return known if chosen is None or chosen in known else [*known, chosen]


def csv(report: str, **parameters: object) -> str:
    """Where the API sends a report as a file."""
    told = {name: str(value) for name, value in parameters.items() if value is not None and value != ""}
    return f"/api/analytics/{report}?{urlencode({**told, 'format': 'csv'})}"


# --- the overview --------------------------------------------------------------------------------------------------------

TOLD_PLACES: Final = 8


@pages.get("/insights", of="analytics.overview", search=True)
async def show_overview(db: Reader, request: Asked) -> api.Raw:
    """How the shop did in a period, beside an earlier one."""
    shop = await about(db)
    at = bar(request, shop, "30d")
    compare = at.given.compare or "previous"
    since, until = at.window.since, at.window.until
    found = await overview.overview(
        db, since=since, until=until, compare=compare, interval=None, channel=at.channel, country=at.country
    )
    places = await geography.geography(db, since=since, until=until, country=at.country, channel=at.channel)
    return await show(
        request,
        db,
        "insights/overview.html",
        shop=shop,
        bar=at,
        charts=charts,
        found=found,
        compare=compare,
        figures=findings.figures(found),
        places=_named(places),
        region_name=maps.region_name,
        csv=csv("overview", **at.days(), compare=compare, channel=at.channel, country=at.country),
    )


def _named(found: Geography) -> Sequence[PlaceSales]:
    return [one for one in found.data if one.orders][:TOLD_PLACES]


# --- cohorts -------------------------------------------------------------------------------------------------------------


class OfCohorts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of cohorts is asked for beside the bar."""

    grain: Grain = "month"
    metric: Metric = "retention"
    segment: UUID | None = None


SEGMENTS: Final = """
    select g.id, g.name from segment g where g.workspace_id = $1 order by lower(g.name), g.id limit 200"""


@pages.get("/insights/cohorts", of="analytics.cohorts", search=True)
async def show_cohorts(db: Reader, request: Asked) -> api.Raw:
    """What those who came in a week, a month or a quarter did since."""
    shop = await about(db)
    at, more = bar(request, shop, "12m"), asked(request, OfCohorts)
    if more.segment is not None and not await customers.has_segment(db, more.segment):
        raise Invalid.at("segment", "unknown", "is no segment here")
    since = findings.shown_since(at.window, more.grain)
    found = await cohorts_of.matrix(
        db,
        period=more.grain,
        metric=more.metric,
        since=since,
        until=at.window.until,
        channel=at.channel,
        country=at.country,
        segment=more.segment,
    )
    return await show(
        request,
        db,
        "insights/cohorts.html",
        shop=shop,
        bar=at,
        more=more,
        found=found,
        heat=findings.heat(found),
        is_cut=since > at.window.since,
        cohort_name=cohort_name,
        segments=await db.rows(SEGMENTS),
        csv=_cohorts_csv(at, found),
    )


def _cohorts_csv(at: Bar, found: Cohorts) -> str:
    return csv(
        "cohorts", **at.days(), period=found.period, metric=found.metric, channel=at.channel, country=at.country, segment=found.segment
    )  # fmt: skip


@pass_context
def cohort_name(context: Context, cohort: str) -> str:
    """A cohort as people say it: 'Feb 2026' of 2026-02, 'Feb 2, 2026' of the week 2026-W06, 'Q1 2026' of 2026-Q1."""
    year, _, part = cohort.partition("-")
    if part.startswith("W"):
        return rendering.on_day(context, date.fromisocalendar(int(year), int(part[1:]), 1))
    if part.startswith("Q"):
        return rendering.dated(context, date(int(year), int(part[1:]) * 3 - 2, 1), "yQQQ")
    return rendering.dated(context, date(int(year), int(part), 1), "yMMM")


# --- groups --------------------------------------------------------------------------------------------------------------


@pages.get("/insights/rfm", of="analytics.rfm", search=True)
async def show_rfm(db: Reader, request: Asked) -> api.Raw:
    """The customers' groups by how recently, how often and for how much they ordered."""
    shop = await about(db)
    found = await rfm.report(db)
    return await show(
        request,
        db,
        "insights/rfm.html",
        shop=shop,
        bar=bar(request, shop, "30d"),
        found=found,
        groups={one.group: one for one in found.groups},
        tones=findings.TONES,
        month=None if found.movement is None else date.fromisoformat(f"{found.movement.month}-01"),
        csv=csv("rfm"),
    )


# --- churn ---------------------------------------------------------------------------------------------------------------


class OfChurn(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of who may leave is asked for."""

    risk: Risk | None = None
    segment: UUID | None = None
    cursor: str | None = None


class Band(msgspec.Struct, frozen=True):
    """How many are at a risk, and what is at stake with them."""

    risk: Risk
    customers: int
    stake: Decimal


BANDS: Final = """
    select p.churn_risk, count(*), coalesce(sum(p.value_at_stake), 0)
      from customer_prediction p
      join customer c on c.workspace_id = $1 and c.id = p.customer_id and c.deleted_at is null
     where p.workspace_id = $1
     group by p.churn_risk"""
HABITS: Final = """
    select d.customer_id, count(distinct d.day)::integer, min(d.day), max(d.day)
      from customer_day d
     where d.workspace_id = $1 and d.customer_id = any($2::uuid[])
     group by d.customer_id"""
SHOWN_MODELS: Final = 30


@pages.get("/insights/churn", of="analytics.churn", search=True)
async def show_churn(db: Reader, request: Asked) -> api.Raw:
    """Who may not come back, the most at stake first, and how far that can be believed."""
    shop = await about(db)
    more = asked(request, OfChurn)
    if more.segment is not None and not await customers.has_segment(db, more.segment):
        raise Invalid.at("segment", "unknown", "is no segment here")
    newest = sql.page(predictions.MODEL_SORTS, limit=SHOWN_MODELS, sort=None, cursor=None)
    models, _, _ = await predictions.models(db, newest)
    page = sql.page(predictions.SORTS, limit=None, sort=None, cursor=more.cursor)
    risks: tuple[Risk, ...] = (more.risk,) if more.risk else ()
    found, following, _ = await predictions.at_risk(db, page, risk=risks, segment=more.segment)
    bands = await db.all(Band, BANDS)
    model = models[0] if models else None
    backtest = None if model is None else model.backtest
    served = None if model is None or backtest is None else _judged(model.serving, backtest)
    return await show(
        request,
        db,
        "insights/churn.html",
        shop=shop,
        bar=bar(request, shop, "30d"),
        more=more,
        charts=charts,
        model=model,
        models=models,
        missing=[predictions.NO_MODEL] if model is None else model.missing,
        found=found,
        following=following,
        habits=await _habits(db, [one.id for one in found], shop.today),
        bands={one.risk: one for one in bands},
        backtest=backtest,
        served=served,
        rankings=[] if backtest is None else findings.rankings(backtest),
        chances=[] if served is None else findings.chances(served.bins),
        segments=await db.rows(SEGMENTS),
        csv=csv("churn", risk=more.risk, segment=more.segment),
    )


def _judged(serving: str, found: Any) -> Any:
    return found.logistic if serving == "logistic" else found.bgnbd


async def _habits(db: Reader, ids: Sequence[UUID], today: date) -> Mapping[UUID, findings.Habit]:
    if not ids:
        return {}
    return {id: findings.habit(days, first, last, today) for id, days, first, last in await db.rows(HABITS, list(ids))}


# --- lifetime value ------------------------------------------------------------------------------------------------------


class OfLtv(msgspec.Struct, frozen=True, kw_only=True):
    """Of which orders lifetime value is told."""

    basis: Basis = "delivered"


class Expected(msgspec.Struct, frozen=True):
    """What the next 365 days are expected to bring, and by how many customers."""

    customers: int
    value: Decimal
    orders: float


EXPECTED: Final = """
    select count(*), coalesce(sum(p.predicted_value), 0), coalesce(sum(p.expected_orders), 0)
      from customer_prediction p
      join customer c on c.workspace_id = $1 and c.id = p.customer_id and c.deleted_at is null
     where p.workspace_id = $1"""
PREDICTED: Final = """
    select p.customer_id, p.predicted_value, p.churn_risk
      from customer_prediction p
     where p.workspace_id = $1 and p.customer_id = any($2::uuid[])"""
BEST: Final = 10
LTV_COHORTS: Final = 12


@pages.get("/insights/ltv", of="analytics.ltv", search=True)
async def show_ltv(db: Reader, request: Asked) -> api.Raw:
    """What customers are worth, how that is spread, and where those come from who are worth it."""
    shop = await about(db)
    more = asked(request, OfLtv)
    found = await ltv.report(db, more.basis)
    sort = "-lifetimeValue" if more.basis == "delivered" else "-totalSpent"
    filters, page, _ = await understood(db, request, List(sort=sort, limit=BEST))
    best, _, _ = await customers.search(db, filters, page)
    [expected] = await db.all(Expected, EXPECTED)
    rows = await db.rows(PREDICTED, [one.id for one in best])
    return await show(
        request,
        db,
        "insights/ltv.html",
        shop=shop,
        bar=bar(request, shop, "30d"),
        more=more,
        charts=charts,
        found=found,
        cohorts=found.by_cohort[-LTV_COHORTS:][::-1],
        cohort_name=cohort_name,
        best=[one for one in best if one.order_count],
        expected=expected,
        predicted={id: (value, risk) for id, value, risk in rows},
        csv=csv("ltv", basis=more.basis),
    )


# --- the map -------------------------------------------------------------------------------------------------------------

Shown = Literal["customers", "orders", "revenue"]


class OfMap(msgspec.Struct, frozen=True, kw_only=True):
    """What places are coloured by."""

    show: Shown = "customers"


@pages.get("/insights/map", of="analytics.geography", search=True)
async def show_map(db: Reader, request: Asked) -> api.Raw:
    """Where was sold to: the world, or the regions of a country."""
    shop = await about(db)
    at, more = bar(request, shop, "12m"), asked(request, OfMap)
    found = await geography.geography(
        db, since=at.window.since, until=at.window.until, country=at.country, channel=at.channel
    )
    values = _values(found.data, more.show, at.country)
    drawn = maps.world() if at.country is None else maps.states() if at.country == "US" else None
    return await show(
        request,
        db,
        "insights/map.html",
        shop=shop,
        bar=at,
        more=more,
        found=found,
        places=[one for one in found.data if one.orders],
        drawn=drawn,
        values=values,
        legend=findings.legend(values.values()),
        region_name=maps.region_name,
        csv=csv("geography", **at.days(), channel=at.channel, country=at.country),
    )


def _values(found: Sequence[PlaceSales], shown: Shown, country: str | None) -> Mapping[str, float]:
    """What is shown of each place, by its code: a region may be written in several ways."""
    values: dict[str, float] = {}
    for one in found:
        code = one.country if country is None else maps.region_code(country, one.region or "")
        values[code] = values.get(code, 0.0) + float(getattr(one, shown))
    return values
