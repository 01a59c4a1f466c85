"""The report of recency, frequency and monetary value."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from supover.analytics import rules
from supover.analytics.model import RfmCuts, RfmFlow, RfmGroup, RfmMovement, RfmReport, RfmSquare
from supover.analytics.rules import RfmCell
from supover.kit import money
from supover.kit.db import Reader

RUN: Final = """
    select w.currency, r.scored_at, r.recency_cuts, r.frequency_cuts, r.monetary_cuts,
           (select count(*) from customer c where c.workspace_id = $1 and c.deleted_at is null)
      from workspace w
      left join rfm_run r on r.workspace_id = $1
     where w.workspace_id = $1"""
CELLS: Final = """
    select k.recency, k.frequency, k.monetary, k.rfm_group, k.former_group, count(*), coalesce(sum(m.total_spent), 0),
           coalesce(sum(m.order_count), 0)
      from customer_rfm k
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = k.customer_id
     where k.workspace_id = $1
     group by k.recency, k.frequency, k.monetary, k.rfm_group, k.former_group"""
LAST_MONTH: Final = """
    select o.month, o.rfm_group, o.customers
      from rfm_month o
     where o.workspace_id = $1
       and o.month = (select max(l.month) from rfm_month l where l.workspace_id = $1)"""


async def report(db: Reader) -> RfmReport:
    """The living customers by group and by scores, and who changed groups since the end of last month."""
    [(currency, scored_at, recency, frequency, monetary, living)] = await db.rows(RUN)
    if scored_at is None:
        nothing = money.at_digits(Decimal(0), currency)
        return RfmReport(None, currency, 0, nothing, [], [], None, None)
    cells = await db.all(RfmCell, CELLS)
    before = await db.rows(LAST_MONTH)
    scored = sum(cell.customers for cell in cells)
    whole = sum((cell.revenue for cell in cells), Decimal(0))
    sums = rules.by_group(cells)
    # Somebody may have come between two statements.
    sums[rules.PROSPECTS].customers = max(living - scored, 0)
    former = {group: customers for _, group, customers in before}
    everybody = sum(one.customers for one in sums.values())
    return RfmReport(
        as_of=scored_at,
        currency=currency,
        customers=scored,
        revenue=money.at_digits(whole, currency),
        groups=[
            _group(name, one, former.get(name, 0) if before else None, everybody, whole, currency)
            for name, one in sums.items()
        ],
        grid=[
            RfmSquare(r, f, customers, rules.share(customers, scored), money.at_digits(revenue, currency))
            for (r, f), (customers, revenue) in rules.grid(cells).items()
        ],
        cuts=_cuts(recency, frequency, monetary, currency),
        movement=_movement(cells, before[0][0]) if before else None,
    )


def _group(name: str, sums: rules.Sums, before: int | None, everybody: int, whole: Decimal, currency: str) -> RfmGroup:
    n = sums.customers
    is_scored = n > 0 and name != rules.PROSPECTS
    return RfmGroup(
        group=name,
        words=rules.GROUPS[name],
        customers=n,
        share=rules.share(n, everybody),
        revenue=money.at_digits(sums.revenue, currency),
        revenue_share=rules.share(sums.revenue, whole),
        average_order_value=money.at_digits(sums.revenue / sums.orders, currency) if sums.orders else None,
        recency=sums.recency / n if is_scored else None,
        frequency=sums.frequency / n if is_scored else None,
        monetary=sums.monetary / n if is_scored else None,
        customers_last_month=before,
    )


def _cuts(
    recency: Sequence[datetime | None],
    frequency: Sequence[int | None],
    monetary: Sequence[Decimal | None],
    currency: str,
) -> RfmCuts:
    return RfmCuts(recency, frequency, [None if cut is None else money.at_digits(cut, currency) for cut in monetary])


def _movement(cells: Sequence[RfmCell], month: date) -> RfmMovement:
    flows = [RfmFlow(customers, now, was) for was, now, customers in rules.flows(cells)]
    return RfmMovement(f"{month:%Y-%m}", flows)
