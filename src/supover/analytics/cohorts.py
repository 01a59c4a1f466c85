"""Cohorts: from cells that are kept, or counted from customers' days where no cell tells it."""

from datetime import date
from decimal import Decimal
from itertools import repeat
from typing import Final
from uuid import UUID

from supover.analytics import report_rules
from supover.analytics.report_model import Cell, Cohorts, Grain, Metric
from supover.kit import clock
from supover.kit.db import Reader

_NOTHING: Final = Decimal(0)

# A row a cohort, and one of nothing but the workspace where there is none: it says what day it is. Money is sent where it is told.
_OF_COHORTS: Final = """
    w.currency, ($6::timestamptz at time zone w.timezone)::date, k.cohort, k.periods, k.customers, k.last_customers, k.net
      from workspace w
      left join (select c.cohort, array_agg(c.period order by c.period) as periods,
                        array_agg(c.customers order by c.period) as customers,
                        array_agg(c.last_customers order by c.period) as last_customers,
                        array_agg(c.net order by c.period) filter (where $7::boolean) as net"""
CELLS: Final = f"""
    select {_OF_COHORTS}
                   from cohort_cell c
                  where c.workspace_id = $1 and c.grain = $2 and c.dimension = $3 and c.value = $4 and c.cohort >= $5
                  group by c.cohort) as k on true
     where w.workspace_id = $1
     order by k.cohort"""
_FIRSTS: Final = """
    firsts as (
        select f.customer_id, date_trunc($2, f.day::timestamp)::date as cohort
          from customer_day f"""
_OF_FIRSTS: Final = f"""
         where f.workspace_id = $1 and f.is_first and ($3::text is null or f.channel = $3) and ($4::text is null or f.country = $4)
           and f.day >= $5),
    lived as (
        select f.cohort, date_trunc($2, d.day::timestamp)::date as period, d.customer_id, sum(d.net) as net,
               lead(1) over (partition by d.customer_id order by date_trunc($2, d.day::timestamp)) is null as is_last
          from firsts f
          join customer_day d on d.workspace_id = $1 and d.customer_id = f.customer_id
         group by f.cohort, date_trunc($2, d.day::timestamp), d.customer_id),
    cells as (
        select l.cohort, l.period, count(*)::integer as customers, sum(l.net) as net,
               (count(*) filter (where l.is_last))::integer as last_customers
          from lived l
         group by l.cohort, l.period)
    select {_OF_COHORTS}
                   from cells c
                  group by c.cohort) as k on true
     where w.workspace_id = $1
     order by k.cohort"""
OF_BOTH: Final = f"""
    with {_FIRSTS}{_OF_FIRSTS}"""
OF_SEGMENT: Final = f"""
    with {_FIRSTS}
          join segment_member s on s.workspace_id = $1 and s.segment_id = $8 and s.customer_id = f.customer_id{_OF_FIRSTS}"""


async def matrix(
    db: Reader,
    *,
    period: Grain,
    metric: Metric,
    since: date | None,
    until: date | None,
    channel: str | None,
    country: str | None,
    segment: UUID | None,
) -> Cohorts:
    """Cohorts whose first period lies between two days, with what they did since; one statement.

    All of them, or those of one channel or one country, are told by a few hundred cells. Of a segment, or of a channel and a
    country at once, they are counted from the days of those customers.
    """
    begins = report_rules.begin(report_rules.EARLIEST if since is None else since, period)
    of_money = metric in ("revenue", "cumulativeLtv")
    if segment is not None:
        rows = await db.rows(OF_SEGMENT, period, channel, country, begins, clock.now(), of_money, segment)
    elif channel is not None and country is not None:
        rows = await db.rows(OF_BOTH, period, channel, country, begins, clock.now(), of_money)
    else:
        dimension = "channel" if channel is not None else "country" if country is not None else "all"
        rows = await db.rows(CELLS, period, dimension, channel or country or "", begins, clock.now(), of_money)
    currency, today = rows[0][:2]
    lives = {
        cohort: {cell[0]: Cell(*cell) for cell in zip(periods, customers, last, net or repeat(_NOTHING), strict=False)}
        for _, _, cohort, periods, customers, last, net in rows
        if cohort is not None
    }
    found = report_rules.cohorts(lives, step=period, metric=metric, today=today, since=since, until=until)
    return Cohorts(period, metric, currency, channel, country, segment, found)
