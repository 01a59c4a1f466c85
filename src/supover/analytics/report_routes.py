"""The web addresses of reports: the overview, cohorts, and where was sold to."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import QueryParameter

from supover.analytics import cohorts as cohorts_of
from supover.analytics import geography as places
from supover.analytics import overview as sales
from supover.analytics import report_rules
from supover.analytics.report_model import (
    Cohorts,
    Compare,
    Figures,
    Geography,
    Grain,
    Interval,
    Metric,
    Overview,
    Sales,
)
from supover.customers.queries import has_segment
from supover.kit import reports
from supover.kit.api import Raw, Routes
from supover.kit.db import Reader
from supover.kit.problems import Invalid
from supover.kit.reports import Format

routes = Routes("analytics")

AnyRequest = Request[Any, Any, Any]


def _asked(name: str, description: str) -> Any:
    return QueryParameter(name=name, required=False, description=description)


Since = Annotated[date | None, _asked("from", "This day and later ones.")]
Until = Annotated[date | None, _asked("to", "This day and earlier ones.")]


def _counts(request: AnyRequest) -> bool:
    asked = request.query_params
    return "segment" in asked or ("channel" in asked and "country" in asked)


@routes.get("/api/analytics/cohorts", search=_counts)
async def cohorts(
    db: Reader,
    request: AnyRequest,
    period: Annotated[Grain | None, _asked("period", "month unless told.")] = None,
    metric: Annotated[Metric | None, _asked("metric", "retention unless told.")] = None,
    since: Annotated[date | None, _asked("from", "Cohorts from the period of this day on; all unless told.")] = None,
    until: Annotated[
        date | None, _asked("to", "Cohorts and periods until that of this day; today unless told.")
    ] = None,
    channel: Annotated[str | None, _asked("channel", "Customers whose first order came by it.")] = None,
    country: Annotated[
        str | None, _asked("country", "Customers whose first order went there: a code or a name.")
    ] = None,
    segment: Annotated[UUID | None, _asked("segment", "Members of this segment.")] = None,
    format: Format = None,
) -> Cohorts | Raw:
    """Show cohorts.

    Customers by the week, month or quarter of their first order that counts, and what they did in each period since: weeks
    begin on Monday, in the workspace's zone. Values are not rounded, and null from the running period on; `revenue` and
    `cumulativeLtv` are numbers of `currency`.
    """
    reports.known(request, "period", "metric", "from", "to", "channel", "country", "segment")
    report_rules.span(since, until)
    if segment is not None and not await has_segment(db, segment):
        raise Invalid.at("segment", "unknown", "is no segment here")
    found = await cohorts_of.matrix(
        db,
        period=period or "month",
        metric=metric or "retention",
        since=since,
        until=until,
        channel=report_rules.channel(channel),
        country=report_rules.country(country),
        segment=segment,
    )
    if not reports.wants_csv(request, format):
        return found
    columns = max((len(one.values) for one in found.cohorts), default=0)
    rows = ([one.cohort, one.size, *one.values] for one in found.cohorts)
    return reports.file(f"cohorts-{found.metric}-{found.period}", ["cohort", "size", *map(str, range(columns))], rows)


@routes.get("/api/analytics/overview", search=True)
async def overview(
    db: Reader,
    request: AnyRequest,
    since: Annotated[date | None, _asked("from", "The first day; 29 days before the last unless told.")] = None,
    until: Annotated[date | None, _asked("to", "The last day; today unless told.")] = None,
    compare: Annotated[
        Compare | None,
        _asked(
            "compare", "With as many days right before (`previous`, unless told), the same a year earlier, or none."
        ),
    ] = None,
    interval: Annotated[
        Interval | None, _asked("interval", "Steps of `series`; by the length of the period unless told.")
    ] = None,
    channel: Annotated[str | None, _asked("channel", "Orders that came by it.")] = None,
    country: Annotated[str | None, _asked("country", "Orders that went there: a code or a name.")] = None,
    format: Format = None,
) -> Overview | Raw:
    """Show how the workspace did.

    Orders that count, by the day they were placed in the workspace's zone, less what was given back of them since. As CSV each
    row says in `part` what it is of.
    """
    reports.known(request, "from", "to", "compare", "interval", "channel", "country")
    found = await sales.overview(
        db,
        since=since,
        until=until,
        compare=compare or "previous",
        interval=interval,
        channel=report_rules.channel(channel),
        country=report_rules.country(country),
    )
    if not reports.wants_csv(request, format):
        return found
    return reports.file(f"overview-{found.since}-{found.until}", _COLUMNS, _parts(found))


@routes.get("/api/analytics/geography", search=True)
async def geography(
    db: Reader,
    request: AnyRequest,
    since: Since = None,
    until: Until = None,
    country: Annotated[str | None, _asked("country", "Its regions: a code or a name.")] = None,
    channel: Annotated[str | None, _asked("channel", "Orders that came by it.")] = None,
    format: Format = None,
) -> Geography | Raw:
    """Show where was sold to.

    By country, or with `country` by its regions: where orders that count were sent, else billed, else where the customer lives.
    """
    reports.known(request, "from", "to", "country", "channel")
    found = await places.geography(
        db,
        since=since,
        until=until,
        country=report_rules.country(country),
        channel=report_rules.channel(channel),
    )
    if not reports.wants_csv(request, format):
        return found
    columns = [
        "country",
        "region",
        "customers",
        "newCustomers",
        "orders",
        "revenue",
        "averageOrderValue",
        "share",
        "currency",
    ]
    rows = (
        [
            one.country,
            one.region,
            one.customers,
            one.new_customers,
            one.orders,
            reports.number(one.revenue),
            reports.number(one.average_order_value),
            one.share,
            found.currency,
        ]
        for one in found.data
    )
    return reports.file("geography", columns, rows)


# --- the overview as a file ----------------------------------------------------------------------------------------------

_COLUMNS: Final = (
    "part", "from", "to", "channel", "revenue", "gross", "refunded", "orders", "customers", "newCustomers", "returningCustomers",
    "repeatRate", "averageOrderValue", "refundRate", "currency",
)  # fmt: skip


def _parts(found: Overview) -> Iterator[Sequence[object]]:
    yield "period", found.since, found.until, None, *_whole(found), found.currency
    if found.comparison is not None:
        yield (
            "comparison",
            found.comparison.since,
            found.comparison.until,
            None,
            *_whole(found.comparison),
            found.currency,
        )
    for one in found.by_channel:
        yield "channel", found.since, found.until, one.channel, *_sold(one), found.currency
    starts = [one.date for one in found.series]
    for one, following in zip(found.series, [*starts[1:], None], strict=True):
        until = found.until if following is None else report_rules.day_before(following)
        yield found.interval, one.date, until, None, *_sold(one), found.currency


def _whole(one: Figures) -> Sequence[object]:
    return (
        *map(reports.number, (one.revenue, one.gross, one.refunded)),
        *(one.orders, one.customers, one.new_customers, one.returning_customers, one.repeat_rate),
        *(reports.number(one.average_order_value), one.refund_rate),
    )


def _sold(one: Sales) -> Sequence[object]:
    return (
        *map(reports.number, (one.revenue, one.gross, one.refunded)),
        *(one.orders, None, one.new_customers, None, None, reports.number(one.average_order_value), None),
    )
