"""How a workspace did in a period: from its sales by day, and who bought."""

from datetime import date
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import asdict

from supover.analytics import report_rules
from supover.analytics.report_model import Bought, Compare, Comparison, Figures, Interval, Overview, Row
from supover.kit import clock
from supover.kit.db import Reader

WORKSPACE: Final = "select w.currency, w.timezone from workspace w where w.workspace_id = $1"


class Place(NamedTuple):
    """What reports of a workspace are told in."""

    currency: str
    today: date


async def place(db: Reader) -> Place:
    """The currency of the workspace, and what day it is there."""
    [(currency, timezone)] = await db.rows(WORKSPACE)
    return Place(currency, clock.now().astimezone(ZoneInfo(timezone)).date())


# Orders of nobody are in no roll-up: they are few, and stand together in an index. Its range is a day wider on either side: where
# clocks go back over midnight, a day has begun before the moment that its midnight is taken for.
# $5 is a channel, $6 a country.
SALES: Final = """
    select date_trunc($4, s.day::timestamp)::date, s.channel, sum(s.orders)::integer, sum(s.gross), sum(s.refunded), sum(s.net),
           sum(s.newcomers)::integer
      from (select d.day, d.channel, d.orders, d.gross, d.refunded, d.net, d.newcomers
              from sales_day d
             where d.workspace_id = $1 and d.day between $2 and $3 and ($5::text is null or d.channel = $5)
               and ($6::text is null or d.country = $6)
             union all
            select (o.placed_at at time zone w.timezone)::date, o.source, 1, round(o.total * o.exchange_rate, 4),
                   round(o.total * o.exchange_rate, 4) - o.net_value, o.net_value, 0
              from workspace w
              join "order" o on o.workspace_id = w.workspace_id and o.customer_id is null
                            and o.placed_at >= (($2::date - 1)::timestamp at time zone w.timezone)
                            and o.placed_at < (($3::date + 2)::timestamp at time zone w.timezone)
                            and (o.placed_at at time zone w.timezone)::date between $2 and $3
             where w.workspace_id = $1 and o.workspace_id = $1 and o.status = any(w.counting_statuses)
               and o.exchange_rate is not null and ($5 is null or o.source = $5)
               and ($6 is null or left(case when o.shipping_address ->> 'country' <> '' then o.shipping_address ->> 'country'
                                            else o.billing_address ->> 'country' end, 100) = $6)) as s
     group by 1, 2
     order by 1, 2"""
BOUGHT: Final = """
    select count(*)::integer, (count(*) filter (where b.orders >= 2))::integer, (count(*) filter (where b.is_new))::integer
      from (select d.customer_id, sum(d.orders) as orders, bool_or(d.is_first) as is_new
              from customer_day d
             where d.workspace_id = $1 and d.day between $2 and $3 and ($4::text is null or d.channel = $4)
               and ($5::text is null or d.country = $5)
             group by d.customer_id) as b"""


async def overview(
    db: Reader,
    *,
    since: date | None,
    until: date | None,
    compare: Compare,
    interval: Interval | None,
    channel: str | None = None,
    country: str | None = None,
) -> Overview:
    """What was sold and who bought from one day to another, both in, and how that is beside an earlier period.

    By a channel or to a country alone where one is told. Raises Invalid.
    """
    currency, today = await place(db)
    since, until = report_rules.whole(since, until, today)
    step = report_rules.interval(since, until, interval)
    rows, figures = await _sold(db, since, until, step, currency, channel, country)
    comparison = None
    if earlier := report_rules.compared(since, until, compare):
        before, were = await _sold(db, *earlier, step, currency, channel, country)
        comparison = Comparison(
            **asdict(were),
            since=earlier[0],
            until=earlier[1],
            series=report_rules.series(before, *earlier, step, currency),
        )
    return Overview(
        **asdict(figures),
        since=since,
        until=until,
        currency=currency,
        comparison=comparison,
        change=None if comparison is None else report_rules.change(figures, comparison),
        by_channel=report_rules.by_channel(rows, currency),
        interval=step,
        series=report_rules.series(rows, since, until, step, currency),
    )


async def _sold(
    db: Reader, since: date, until: date, step: Interval, currency: str, channel: str | None, country: str | None
) -> tuple[list[Row], Figures]:
    rows = await db.all(Row, SALES, since, until, step, channel, country)
    [bought] = await db.all(Bought, BOUGHT, since, until, channel, country)
    return rows, report_rules.figures(report_rules.total(rows), bought, currency)
