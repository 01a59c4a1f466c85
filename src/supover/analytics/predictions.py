"""Predictions as they are kept and read. What makes them is fitting.py, which nobody loads who only reads."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from supover.analytics import prediction_rules as rules
from supover.analytics.prediction_model import (
    AtRisk,
    Backtest,
    InsufficientData,
    Method,
    Model,
    Parameters,
    Prediction,
    Risk,
    Serving,
)
from supover.kit import clock
from supover.kit.db import Reader, Tx, json_bytes
from supover.kit.problems import worded
from supover.kit.sql import Page, Sort, Where

KEPT: Final = 400
"""So many versions of a workspace's model are kept: more than a year of nights."""
NO_MODEL: Final = worded("A first model: one is trained every night, and by `supover analytics refresh`.")

# --- kept ----------------------------------------------------------------------------------------------------------------

TODAY: Final = "select ($2::timestamptz at time zone w.timezone)::date from workspace w where w.workspace_id = $1"


async def today(db: Reader) -> date:
    """The day that it is in the workspace's zone."""
    return await db.value(TODAY, clock.now())


HOLD: Final = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 24))"
NEWEST: Final = "select max(m.version) from prediction_model m where m.workspace_id = $1"


async def hold(tx: Tx, version: int) -> bool:
    """Whether this version is the newest still; nobody stores another, or scores, until the transaction ends."""
    await tx.value(HOLD)
    return await tx.value(NEWEST) == version


ADD_MODEL: Final = """
    insert into prediction_model (workspace_id, version, serving, method, as_of, window_from, horizon_days, customers, missing,
           parameters, backtest, fitted_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"""
FORGET_OLD: Final = "delete from prediction_model where workspace_id = $1 and version <= $2"


async def add_model(
    tx: Tx,
    *,
    serving: Serving,
    method: Method,
    as_of: date,
    window_from: date | None,
    horizon_days: int,
    customers: int,
    missing: Sequence[str],
    parameters: Parameters,
    backtest: Backtest | None,
) -> int:
    """Keeps a fit as the newest version, which serves from now on; returns its number."""
    await tx.value(HOLD)
    version = (await tx.value(NEWEST) or 0) + 1
    await tx.run(
        ADD_MODEL, version, serving, method, as_of, window_from, horizon_days, customers, list(missing),
        json_bytes(parameters), None if backtest is None else json_bytes(backtest), clock.now(),
    )  # fmt: skip
    await tx.run(FORGET_OLD, version - KEPT)
    return version


REMOVE_RANGE: Final = """
    delete from customer_prediction where workspace_id = $1 and customer_id > $2 and customer_id <= $3"""
REMOVE_BEHIND: Final = "delete from customer_prediction where workspace_id = $1 and customer_id > $2"
WRITE: Final = """
    insert into customer_prediction (workspace_id, customer_id, version, churn_probability, churn_risk, expected_orders, predicted_value,
           next_order_on, value_at_stake)
    select $1, n.customer_id, $2, n.churn, n.risk, n.orders, n.value, n.next_on, n.stake
      from unnest($3::uuid[], $4::float8[], $5::text[], $6::float8[], $7::numeric[], $8::date[], $9::numeric[])
           as n (customer_id, churn, risk, orders, value, next_on, stake)"""


async def write(tx: Tx, csv: bytes, after: UUID, behind: UUID, version: int) -> None:
    """Puts these rows in the place of all in a range of ids: who is not among them has no prediction any more."""
    await tx.run(REMOVE_RANGE, after, behind)
    if csv:
        await tx.load(WRITE, csv, version)


async def remove_range(tx: Tx, after: UUID, behind: UUID) -> None:
    """Takes predictions away from a range of ids."""
    await tx.run(REMOVE_RANGE, after, behind)


async def remove_behind(tx: Tx, after: UUID) -> None:
    """Takes predictions away from all ids behind one."""
    await tx.run(REMOVE_BEHIND, after)


REMOVE: Final = "delete from customer_prediction where workspace_id = $1 and customer_id = any($2::uuid[])"


async def remove(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Forgets what was predicted of customers who are gone, or were made one with another."""
    if customer_ids:
        await tx.run(REMOVE, list(customer_ids))


async def fit_later(tx: Tx, *, from_history: bool = False) -> None:
    """Has a job fit and score the workspace once this is committed, and the figures are counted; one at a time.

    `from_history`: many orders came in from a file, so that nobody is told whose risk is another one by them.
    """
    # Only who defers it needs what runs it.
    from supover.analytics import jobs
    from supover.kit.jobs import defer

    await defer(tx, jobs.FIT, {"from_history": int(from_history)}, singleton=jobs.FIT)


# --- of a customer -------------------------------------------------------------------------------------------------------

NEWEST_MODEL: Final = """
           (select m.version from prediction_model m where m.workspace_id = $1 order by m.version desc limit 1)"""
OF: Final = f"""
    select m.version, m.serving, m.missing, m.horizon_days, m.as_of, m.parameters -> 'repeats',
           p.churn_probability, p.churn_risk, p.expected_orders, round(p.predicted_value, w.digits), p.next_order_on,
           round(coalesce(f.total_spent, 0), w.digits), w.currency, d.days, d.first, d.last, ($3::timestamptz at time zone w.timezone)::date
      from workspace w
      left join customer_prediction p on p.workspace_id = $1 and p.customer_id = $2
      left join prediction_model m on m.workspace_id = $1 and m.version = coalesce(p.version, {NEWEST_MODEL})
      left join customer_metrics f on f.workspace_id = $1 and f.customer_id = $2
     cross join lateral (select count(distinct d.day)::integer as days, min(d.day) as first, max(d.day) as last
                           from customer_day d where d.workspace_id = $1 and d.customer_id = $2) as d
     where w.workspace_id = $1"""


async def of(db: Reader, customer_id: UUID) -> Prediction | InsufficientData:
    """What is predicted of a customer, by the model that did so, or what that lacks; one statement."""
    [row] = await db.rows(OF, customer_id, clock.now())
    version, serving, missing, horizon_days, as_of, repeats = row[:6]
    churn, risk, orders, value, next_on, spent, currency, days, first, last, today = row[6:]
    repeats = cast("list[list[int]]", repeats or [])
    if version is None or churn is None or missing:
        lacking: list[str] = list(missing or [])
        if version is None:
            lacking = [NO_MODEL]
        elif not days:
            lacking.append(worded("An order of this customer that counts."))
        elif not lacking:
            old = f"A newer model: the last one, trained on orders up to {as_of}, does not know this customer yet."
            lacking = [worded(old)]
        return InsufficientData(missing=lacking, repeat_rate=rules.repeat_rate(repeats, days), model_version=version)
    return Prediction(
        churn_probability=churn,
        churn_risk=risk,
        horizon_days=horizon_days,
        expected_orders=orders,
        predicted_value=value,
        historic_value=spent,
        total_value=spent + value,
        currency=currency,
        expected_next_order_date=next_on,
        # Whose orders were all cancelled since the night has no day left to tell of.
        reasons=rules.reasons(days, first, last, today, repeats) if days else [],
        model=serving,
        model_version=version,
        as_of=as_of,
    )


# --- of a workspace ------------------------------------------------------------------------------------------------------

_MODEL: Final = """m.version, m.serving, m.method, m.as_of, m.window_from, m.horizon_days, m.customers, m.missing, m.parameters, m.backtest,
           m.fitted_at"""
CURRENT: Final = f"""
    select {_MODEL} from prediction_model m where m.workspace_id = $1 order by m.version desc limit 1"""


async def current(db: Reader) -> Model | None:
    """The model that serves now, or says what is missing; None before the first fit."""
    rows = await db.rows(CURRENT)
    return _model(rows[0]) if rows else None


def _model(row: Sequence[Any]) -> Model:
    version, serving, method, as_of, window_from, horizon_days, customers, missing, parameters, backtest, fitted_at = (
        row
    )
    return Model(
        version=version,
        serving=serving,
        method=method,
        as_of=as_of,
        window_from=window_from,
        horizon_days=horizon_days,
        customers=customers,
        missing=missing,
        parameters=msgspec.convert(parameters, Parameters),
        backtest=None if backtest is None else msgspec.convert(backtest, Backtest),
        fitted_at=fitted_at,
    )


MODEL_SORTS: Final = (Sort("version", "m.version", "m.workspace_id", int, descending_first=True),)
MODELS: Final = f"""
    select {_MODEL}
      from prediction_model m
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
COUNT_MODELS: Final = "select count(*) from prediction_model m where m.workspace_id = $1"


async def models(db: Reader, page: Page, *, count: bool = False) -> tuple[list[Model], str | None, int | None]:
    """A page of the versions, the cursor of the next, and how many there are where asked."""
    total = await db.value(COUNT_MODELS) if count else None
    where = Where("m.workspace_id = $1")
    page.seek(where)
    rows = await db.rows(MODELS.format(where=where.text(), order=page.order(), limit=page.rows()), *where.values)
    found = [_model(row) for row in rows[: page.limit]]
    following = page.cursor(found[-1].version, db.workspace_id) if len(rows) > page.limit else None
    return found, following, total


# Word for word the index customer_prediction_stake.
SORTS: Final = (Sort("valueAtStake", "p.value_at_stake", "p.customer_id", Decimal, descending_first=True),)
AT_RISK: Final = """
    select p.value_at_stake, c.id, c.name, c.email, p.churn_probability, p.churn_risk, round(p.value_at_stake, w.digits), p.expected_orders,
           round(p.predicted_value, w.digits), p.next_order_on, round(coalesce(m.total_spent, 0), w.digits), coalesce(m.order_count, 0),
           m.last_order_at
      from customer_prediction p
      join customer c on c.workspace_id = $1 and c.id = p.customer_id
      join workspace w on w.workspace_id = $1
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = p.customer_id
     where {where}
     order by {order}
     limit {limit}"""
COUNT_AT_RISK: Final = """
    select count(*)
      from customer_prediction p
      join customer c on c.workspace_id = $1 and c.id = p.customer_id
     where {where}"""
_MEMBER: Final = (
    "p.customer_id in (select s.customer_id from segment_member s where s.workspace_id = $1 and s.segment_id = {})"
)
CURRENCY: Final = "select w.currency from workspace w where w.workspace_id = $1"


async def at_risk(
    db: Reader,
    page: Page,
    *,
    risk: Sequence[Risk] = (),
    min_stake: Decimal | None = None,
    segment: UUID | None = None,
    count: bool = False,
) -> tuple[list[AtRisk], str | None, int | None]:
    """A page of those who may not come back, the most at stake first, the cursor of the next, and how many where asked."""
    where = Where("p.workspace_id = $1", "c.deleted_at is null")
    if risk:
        where.add("p.churn_risk = any({}::text[])", list(risk))
    if min_stake is not None:
        where.add("p.value_at_stake >= {}", min_stake)
    if segment is not None:
        where.add(_MEMBER, segment)
    total = await db.value(COUNT_AT_RISK.format(where=where.text()), *where.values) if count else None
    page.seek(where)
    statement = AT_RISK.format(where=where.text(), order=page.order(), limit=page.rows())
    rows = await db.rows(statement, *where.values)
    found = [_at_risk(row) for row in rows[: page.limit]]
    following = page.cursor(rows[page.limit - 1][0], found[-1].id) if len(rows) > page.limit else None
    return found, following, total


def _at_risk(row: Sequence[Any]) -> AtRisk:
    return AtRisk(**dict(zip(AtRisk.__struct_fields__, row[1:], strict=True)))
