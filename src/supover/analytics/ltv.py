"""The report of what customers are worth: how it is spread, and where those come from who are worth it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from supover.analytics import rules
from supover.analytics.model import (
    Basis,
    LtvBin,
    LtvCohort,
    LtvDistribution,
    LtvOrigin,
    LtvPercentile,
    LtvReport,
    LtvRow,
    LtvTop,
)
from supover.kit import clock, money
from supover.kit.db import Reader

PERCENTILES: Final = (1, 5, 10, 25, 50, 75, 90, 95, 99)
TOP: Final = (1, 5, 10, 20, 50)

ABOUT: Final = """
    select w.currency, w.timezone, (select s.marked_at from customer_stale s where s.workspace_id = $1 order by s.id limit 1)
      from workspace w
     where w.workspace_id = $1"""
# $2: delivered orders, else those that count. $3 and $4: per cent of the customers, from the best and from the least. Each place
# has its value and what all down to it are worth. Few customers are deleted: an index of their own takes them out.
SPREAD: Final = """
    with worth as (
        select case when $2 then m.lifetime_value else m.total_spent end as value
          from customer_metrics m
         where m.workspace_id = $1 and case when $2 then m.total_orders else m.order_count end > 0
           and not exists (select 1 from customer d
                            where d.workspace_id = $1 and d.id = m.customer_id and d.deleted_at is not null)),
    counted as (
        select count(*) as n, coalesce(sum(w.value), 0) as whole from worth w),
    placed as (
        select w.value, row_number() over down as place, sum(w.value) over down as running
          from worth w
        window down as (order by w.value desc rows unbounded preceding)),
    wanted as (
        select (c.n * best.percent + 99) / 100 as place from counted c, unnest($3::integer[]) as best (percent)
         union
        select c.n + 1 - (c.n * least.percent + 99) / 100 from counted c, unnest($4::integer[]) as least (percent))
    select c.n, c.whole, p.place, p.value, p.running
      from counted c
      left join (placed p join wanted a on a.place = p.place) on true"""
HISTOGRAM: Final = """
    select width_bucket(case when $2 then m.lifetime_value else m.total_spent end, $3::numeric[]) as bin, count(*),
           sum(case when $2 then m.lifetime_value else m.total_spent end)
      from customer_metrics m
     where m.workspace_id = $1 and case when $2 then m.total_orders else m.order_count end > 0
       and not exists (select 1 from customer d
                        where d.workspace_id = $1 and d.id = m.customer_id and d.deleted_at is not null)
     group by bin"""
ORIGINS: Final = """
    select d.channel, d.country, count(*), sum(case when $2 then m.lifetime_value else m.total_spent end),
           count(*) filter (where case when $2 then m.total_orders else m.order_count end > 1)
      from customer_day d
      join customer_metrics m on m.workspace_id = $1 and m.customer_id = d.customer_id
     where d.workspace_id = $1 and d.is_first and case when $2 then m.total_orders else m.order_count end > 0
       and not exists (select 1 from customer x
                        where x.workspace_id = $1 and x.id = d.customer_id and x.deleted_at is not null)
     group by d.channel, d.country"""
COHORTS: Final = """
    select k.cohort, k.period, k.customers, k.net
      from cohort_cell k
     where k.workspace_id = $1 and k.grain = 'month' and k.dimension = 'all' and k.value = ''
     order by k.cohort, k.period"""


async def report(db: Reader, basis: Basis) -> LtvReport:
    """What customers are worth, by orders of this basis."""
    is_delivered = basis == "delivered"
    [(currency, timezone, waiting)] = await db.rows(ABOUT)
    now = clock.now()
    origins = await db.rows(ORIGINS, is_delivered)
    today = now.astimezone(ZoneInfo(timezone)).date()
    return LtvReport(
        as_of=min(waiting or now, now),
        currency=currency,
        basis=basis,
        distribution=await _distribution(db, is_delivered, currency),
        by_cohort=_cohorts(await db.rows(COHORTS), today, currency),
        by_channel=_origins(((channel, *rest) for channel, _, *rest in origins), currency),
        by_country=_origins(((country, *rest) for _, country, *rest in origins), currency),
    )


async def _distribution(db: Reader, is_delivered: bool, currency: str) -> LtvDistribution:
    rows = await db.rows(SPREAD, is_delivered, list(TOP), list(PERCENTILES))
    n, whole = rows[0][:2]
    if not n:
        return LtvDistribution(0, money.at_digits(Decimal(0), currency), None, None, [], [], [])
    at: dict[int, tuple[Decimal, Decimal]] = {place: (value, running) for _, _, place, value, running in rows}
    # The percentile p is the least value that p % of all do not exceed (percentile_disc): so many from below.
    found = {p: at[n + 1 - rules.at_top(n, p)][0] for p in PERCENTILES}
    begins = rules.bins(found[1], found[95], money.digits(currency))
    counted = {bin: (customers, revenue) for bin, customers, revenue in await db.rows(HISTOGRAM, is_delivered, begins)}
    return LtvDistribution(
        customers=n,
        revenue=money.at_digits(whole, currency),
        average=money.at_digits(whole / n, currency),
        median=money.at_digits(found[50], currency),
        percentiles=[LtvPercentile(p, money.at_digits(value, currency)) for p, value in found.items()],
        histogram=_histogram(begins, counted, currency),
        top=[
            LtvTop(percent, place, money.at_digits(at[place][1], currency), rules.share(at[place][1], whole))
            for percent in TOP
            for place in (rules.at_top(n, percent),)
        ],
    )


def _histogram(begins: Sequence[Decimal], counted: dict[int, tuple[int, Decimal]], currency: str) -> list[LtvBin]:
    """The bins from the first that has anybody below it, which is there only then."""
    edges = [None, *(money.at_digits(edge, currency) for edge in begins), None]
    nobody = (0, Decimal(0))
    return [
        LtvBin(customers, money.at_digits(revenue, currency), edges[number], edges[number + 1])
        for number in range(0 if 0 in counted else 1, len(begins) + 1)
        for customers, revenue in (counted.get(number, nobody),)
    ]


def _origins(rows: Iterable[tuple[Any, ...]], currency: str) -> list[LtvOrigin]:
    customers: dict[str, int] = defaultdict(int)
    repeated: dict[str, int] = defaultdict(int)
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    for value, n, spent, again in rows:
        customers[value] += n
        revenue[value] += spent
        repeated[value] += again
    return [
        LtvOrigin(value, n, money.at_digits(revenue[value], currency), money.at_digits(revenue[value] / n, currency), repeated[value] / n)
        for value, n in sorted(customers.items(), key=lambda one: (-revenue[one[0]], one[0]))
    ]  # fmt: skip


def _cohorts(rows: Sequence[tuple[Any, ...]], today: date, currency: str) -> list[LtvCohort]:
    sizes: dict[date, int] = defaultdict(int)
    cells: dict[date, list[tuple[date, Decimal]]] = defaultdict(list)
    for cohort, period, customers, net in rows:
        if period == cohort:
            sizes[cohort] = customers
        cells[cohort].append((period, net))
    running = rules.month_of(today)
    found: list[LtvCohort] = []
    for cohort, months in cells.items():
        n, revenue = sizes[cohort], sum((net for _, net in months), Decimal(0))
        lasting = rules.cumulative(months, cohort, n, running)
        found.append(
            LtvCohort(
                f"{cohort:%Y-%m}",
                n,
                money.at_digits(revenue, currency),
                money.at_digits(revenue / n, currency) if n else money.at_digits(Decimal(0), currency),
                [money.at_digits(value, currency) for value in lasting],
            )
        )
    return found


def rows(found: LtvReport) -> list[LtvRow]:
    """The report as one table: all customers, then by cohort, channel and country."""
    whole = found.distribution
    return [
        LtvRow("all", "", whole.customers, whole.revenue, whole.average, None),
        *(LtvRow("cohort", one.cohort, one.customers, one.revenue, one.average, None) for one in found.by_cohort),
        *(LtvRow("channel", one.value, one.customers, one.revenue, one.average, one.repeat_rate) for one in found.by_channel),
        *(LtvRow("country", one.value, one.customers, one.revenue, one.average, one.repeat_rate) for one in found.by_country),
    ]  # fmt: skip
