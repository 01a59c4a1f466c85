"""A workspace's orders become a model, its backtest, and a prediction for each customer.

The database groups what the models need; numbers are crunched in a thread. Nothing here is imported by what answers requests.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, timedelta
from typing import Any, Final, Literal, cast
from uuid import UUID

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from supover.analytics import prediction_rules as rules
from supover.analytics import predictions
from supover.analytics.events import ChurnRiskChanged, PredictionsRenewed
from supover.analytics.predicting import bgnbd, serving
from supover.analytics.predicting.model import Bin, Judged, Trial, Weights
from supover.analytics.prediction_model import (
    Backtest,
    Baselines,
    FitReport,
    FittedModel,
    Method,
    Parameters,
    Quality,
    Risk,
)
from supover.kit.db import Database, Reader, Tx
from supover.kit.events import publish

Told = Callable[[str, int], bool]
"""Hears what is being done and how many customers are; true when somebody asked to stop."""

Begin = Callable[[], AbstractAsyncContextManager[Tx]]

ORIGINS: Final = 3
LEAST_CUSTOMERS: Final = 100
LEAST_DAYS: Final = 90
"""A past day is judged from where so many customers, and so many days of orders, were known before it."""
SAMPLE: Final = 100_000
"""So many customers are enough to judge by, and to learn what an order is worth; who they are goes by the end of their ids."""
WRITTEN_AT_ONCE: Final = 50_000
SLACK_DAYS: Final = 7
"""A horizon whose last week brought no order is over all the same."""


class Cancelled(Exception):
    """Somebody asked to stop."""


class Overtaken(Exception):
    """Another fit has stored its model meanwhile, and scores by it."""


# --- what the database groups --------------------------------------------------------------------------------------------

# A day with several orders is one order, as the published figures have it; one of nothing is an order, too.
SEEN: Final = """
    select count(*), min(f.first), max(f.last), count(*) filter (where f.orders >= $3)
      from (select sum(d.orders) as orders, min(d.day) as first, max(d.day) as last
              from customer_day d
             where d.workspace_id = $1 and d.day <= $2 and d.net > 0
             group by d.customer_id) as f"""
LAST: Final = "select max(d.day) from customer_day d where d.workspace_id = $1"


async def seen(db: Reader, as_of: date) -> rules.Seen:
    """What the gate looks at: customers with an order of more than nothing."""
    [row] = await db.rows(SEEN, as_of, rules.ORDERS)
    return rules.Seen(*row)


STATISTICS: Final = """
    select coalesce(string_agg(int4send(g.x) || int4send(g.tx) || int4send(g.t) || int4send(g.n), ''::bytea), ''::bytea)
      from (select f.x, f.tx, f.t, count(*)::integer as n
              from (select count(distinct d.day)::integer - 1 as x, max(d.day) - min(d.day) as tx, $2::date - min(d.day) as t
                      from customer_day d
                     where d.workspace_id = $1 and d.day <= $2
                     group by d.customer_id) as f
             group by f.x, f.tx, f.t) as g"""
_FOUR: Final = np.dtype([("x", ">i4"), ("tx", ">i4"), ("t", ">i4"), ("n", ">i4")])


async def statistics(db: Reader, as_of: date) -> bgnbd.Statistics:
    """The sufficient statistics of all customers as of the end of a day."""
    rows = np.frombuffer(cast("bytes", await db.value(STATISTICS, as_of)), _FOUR)
    return bgnbd.Statistics(*(rows[name].astype(np.int64) for name in ("x", "tx", "t", "n")))


_OF_A_DAY: Final = "d.customer_id, d.day, sum(d.net) as net, bool_or(d.is_first) as is_first"
_OF_ALL_DAYS: Final = """d.customer_id,
                   count(*) filter (where d.day <= $2)::integer - 1 as x,
                   max(d.day) filter (where d.day <= $2) - min(d.day) as tx,
                   $2::date - min(d.day) as t,
                   count(*) filter (where d.day <= $2 and d.net > 0 and not d.is_first)::integer as paid,
                   coalesce(avg(d.net) filter (where d.day <= $2 and d.net > 0 and not d.is_first), 0)::double precision as mean,
                   coalesce(sum(d.net) filter (where d.day <= $2 and d.day > $2::date - 365), 0)::double precision as spent,
                   count(*) filter (where d.day > $2)::integer as later"""
_PACKED: Final = """int4send(f.x) || int4send(f.tx) || int4send(f.t) || int4send(f.paid) || float8send(f.mean)
               || float8send(f.spent) || int4send(f.later)"""
FACTS: Final = f"""
    select coalesce(string_agg({_PACKED}, ''::bytea order by f.customer_id), ''::bytea)
      from (select {_OF_ALL_DAYS}
              from (select {_OF_A_DAY}
                      from customer_day d
                     where d.workspace_id = $1 and d.day <= $2::date + $3::integer and get_byte(uuid_send(d.customer_id), 15) < $4
                     group by d.customer_id, d.day) as d
             group by d.customer_id
            having min(d.day) <= $2) as f"""
_KINDS: Final = [
    ("x", ">i4"),
    ("tx", ">i4"),
    ("t", ">i4"),
    ("paid", ">i4"),
    ("mean", ">f8"),
    ("spent", ">f8"),
    ("later", ">i4"),
]
_FACT: Final = np.dtype(_KINDS)


async def facts(db: Reader, as_of: date, horizon_days: int, share: int = 256) -> serving.Facts:
    """Customers as of the end of a day, in the order of their ids, with what came within the horizon; of 256 a `share`."""
    return _facts(np.frombuffer(cast("bytes", await db.value(FACTS, as_of, horizon_days, share)), _FACT))


def _facts(rows: NDArray[Any]) -> serving.Facts:
    whole = {name: rows[name].astype(np.int64) for name in ("x", "tx", "t", "paid", "later")}
    return serving.Facts(mean=rows["mean"].astype(np.float64), spent=rows["spent"].astype(np.float64), **whole)


def _share(customers: int) -> int:
    return 256 if customers <= SAMPLE else max(1, 256 * SAMPLE // customers)


class _Past:
    """Customers as of past days, each read once: what one trial is judged by another one has learnt from."""

    def __init__(self, db: Reader, horizon_days: int, share: int) -> None:
        self._db = db
        self._share = share
        self._known: dict[date, serving.Facts] = {}
        self.horizon_days = horizon_days

    async def at(self, day: date) -> serving.Facts:
        """As of the end of a day, with what came within the horizon."""
        if day not in self._known:
            self._known[day] = await facts(self._db, day, self.horizon_days, self._share)
        return self._known[day]


# --- fits ----------------------------------------------------------------------------------------------------------------


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A fit: what serves, by what, and the statistics that the parameters come from."""

    as_of: date
    horizon_days: int
    method: Method
    seen: rules.Seen
    missing: list[str]
    fit: bgnbd.Fit
    model: serving.Model
    repeats: list[tuple[int, int]]
    backtest: Backtest | None
    serving: Literal["bgnbd", "logistic", "repeat_rate", "nothing"]

    def parameters(self) -> Parameters:
        """As they are kept."""
        p, spend = self.fit.parameters, self.model.spending
        is_known = self.fit.customers > 0
        return Parameters(
            r=p.r if is_known else None,
            alpha=p.alpha if is_known else None,
            a=p.a if is_known else None,
            b=p.b if is_known else None,
            log_likelihood=self.fit.log_likelihood if is_known else None,
            converged=self.fit.converged,
            prior_shift=self.fit.shift,
            p=spend.p if spend else None,
            q=spend.q if spend else None,
            v=spend.v if spend else None,
            mean_spend=self.model.spend,
            logistic=self.model.rival,
            repeats=self.repeats,
        )


def _quiet(what: str, customers: int) -> bool:
    del what, customers
    return False


def _go_on(told: Told, what: str, customers: int) -> None:
    if told(what, customers):
        raise Cancelled


async def fit(
    db: Reader,
    as_of: date,
    horizon_days: int = rules.HORIZON_DAYS,
    method: Method = "map",
    told: Told = _quiet,
) -> Fitted:
    """Fits a workspace as of the end of a day and tries the models on past days; nothing is stored.

    Reads in one snapshot. Raises Cancelled.
    """
    found = await seen(db, as_of)
    missing = rules.missing(found, as_of)
    given = await statistics(db, as_of)
    _go_on(told, "fitting", given.customers)
    fitted = await asyncio.to_thread(bgnbd.fit, given, method)
    share = _share(given.customers)
    now = await facts(db, as_of, 0, share)
    spend, mean = await asyncio.to_thread(serving.spend, now)
    past = _Past(db, horizon_days, share)
    learnt = await _learnt(past, as_of, found.first)
    model = serving.Model(ordering=fitted.parameters, spending=spend, rival=learnt, spend=mean)
    backtest = await _tried(past, as_of, found.first, method, told, ORIGINS)
    orders = given.x + 1
    repeats = [
        (int(given.n[orders >= n].sum()), int(given.n[orders > n].sum())) for n in range(1, rules.COUNTED_ORDERS + 1)
    ]
    what = "repeat_rate" if missing else serving.better(list(backtest.origins)) if backtest else "bgnbd"
    if what == "logistic" and learnt is None:
        what = "bgnbd"
    return Fitted(
        as_of=as_of,
        horizon_days=horizon_days,
        method=method,
        seen=found,
        missing=missing,
        fit=fitted,
        model=model,
        repeats=repeats,
        backtest=backtest,
        serving=what if given.customers else "nothing",
    )


async def _learnt(past: _Past, as_of: date, first: date | None) -> Weights | None:
    """The logistic that has learnt from the last whole horizon; None where too little was known before it."""
    before = as_of - timedelta(days=past.horizon_days)
    if first is None or (before - first).days < LEAST_DAYS:
        return None
    then = await past.at(before)
    return await asyncio.to_thread(serving.learn, then) if len(then) >= LEAST_CUSTOMERS else None


# --- backtests -----------------------------------------------------------------------------------------------------------


async def try_out(
    db: Reader,
    as_of: date,
    first: date | None,
    horizon_days: int,
    method: Method = "map",
    told: Told = _quiet,
    origins: int = ORIGINS,
) -> Backtest | None:
    """The models as they would have served one, two, … horizons before a day, judged by what came; None without such a day."""
    customers = (await seen(db, as_of)).customers
    return await _tried(_Past(db, horizon_days, _share(customers)), as_of, first, method, told, origins)


async def _tried(
    past: _Past, as_of: date, first: date | None, method: Method, told: Told, origins: int
) -> Backtest | None:
    trials: list[Trial] = []
    for back in range(1, origins + 1):
        origin = as_of - timedelta(days=back * past.horizon_days)
        if first is None or (origin - first).days < LEAST_DAYS:
            break
        then = await past.at(origin)
        if len(then) < LEAST_CUSTOMERS:
            break
        _go_on(told, f"trying {origin}", len(then))
        learnt = await _learnt(past, origin, first)
        trials.append(await asyncio.to_thread(_try_on, origin, then, learnt, past.horizon_days, method))
    return _summed(trials, past.horizon_days) if trials else None


def _try_on(origin: date, then: serving.Facts, learnt: Weights | None, horizon_days: int, method: Method) -> Trial:
    """The models by what was known at the end of one day, judged by the horizon after it."""
    fitted = bgnbd.fit(bgnbd.group(then.x, then.tx, then.t), method)
    model = serving.Model(ordering=fitted.parameters, rival=learnt)
    return serving.judge(origin.isoformat(), model, then, horizon_days)


def _mean(trials: Sequence[Trial], of: Callable[[Trial], float | None]) -> float | None:
    told = [(one.customers, value) for one in trials if (value := of(one)) is not None]
    n = sum(customers for customers, _ in told)
    return sum(customers * value for customers, value in told) / n if n else None


def _quality(trials: Sequence[Trial], of: Callable[[Trial], Judged | None]) -> Quality | None:
    judged = [(one, found) for one in trials if (found := of(one)) is not None]
    if not judged:
        return None

    def mean(name: Literal["auc", "brier", "ece", "mae", "eo"]) -> float | None:
        by_origin = {one.origin: getattr(found, name) for one, found in judged}
        return _mean([one for one, _ in judged], lambda one: by_origin[one.origin])

    return Quality(
        auc=mean("auc"),
        brier=mean("brier"),
        ece=mean("ece"),
        mae=mean("mae"),
        eo=mean("eo"),
        bins=_added([found.bins for _, found in judged]),
    )


def _added(many: Sequence[Sequence[Bin]]) -> list[Bin]:
    """The bins of several trials as of one."""
    of_tenth: dict[int, list[Bin]] = {}
    for bins in many:
        for one in bins:
            of_tenth.setdefault(min(int(one.predicted * 10), 9), []).append(one)
    found: list[Bin] = []
    for _, bins in sorted(of_tenth.items()):
        n = sum(one.customers for one in bins)
        found.append(
            Bin(
                n,
                sum(one.customers * one.predicted for one in bins) / n,
                sum(one.customers * one.actual for one in bins) / n,
            )
        )
    return found


def _summed(trials: list[Trial], horizon_days: int) -> Backtest:
    ours, theirs = _quality(trials, lambda one: one.bgnbd), _quality(trials, lambda one: one.logistic)
    if theirs is None or ours is None or ours.ece is None or theirs.ece is None:
        why = "BG/NBD serves: there is too little history for the logistic to learn from."
    else:
        name = "The logistic" if serving.better(trials) == "logistic" else "BG/NBD"
        why = f"{name} serves: calibration error {ours.ece:.3f} of BG/NBD, {theirs.ece:.3f} of the logistic."
    return Backtest(
        horizon_days=horizon_days,
        bgnbd=ours,
        logistic=theirs,
        baselines=Baselines(
            recency_auc=_mean(trials, lambda one: one.recency_auc),
            naive_mae=_mean(trials, lambda one: one.naive_mae),
            base_brier=_mean(trials, lambda one: one.base_brier),
        ),
        why=why,
        origins=trials,
    )


async def report(db: Reader, as_of: date, horizon_days: int = rules.HORIZON_DAYS, method: Method = "map") -> FitReport:
    """A fit as of a day, judged by the horizon after it where the orders reach so far; nothing is stored."""
    found = await seen(db, as_of)
    given = await statistics(db, as_of)
    fitted = await asyncio.to_thread(bgnbd.fit, given, method)
    share = _share(given.customers)
    spend, _ = await asyncio.to_thread(serving.spend, await facts(db, as_of, 0, share))
    last: date | None = await db.value(LAST)
    trial = None
    if given.customers and last is not None and (last - as_of).days >= horizon_days - SLACK_DAYS and last > as_of:
        past = _Past(db, horizon_days, share)
        then = await past.at(as_of)
        learnt = await _learnt(past, as_of, found.first)
        model = serving.Model(ordering=fitted.parameters, rival=learnt)
        trial = await asyncio.to_thread(serving.judge, as_of.isoformat(), model, then, horizon_days)
    p = fitted.parameters
    return FitReport(
        as_of=as_of,
        horizon_days=horizon_days,
        missing=rules.missing(found, as_of),
        model=FittedModel(
            r=p.r,
            alpha=p.alpha,
            a=p.a,
            b=p.b,
            log_likelihood=fitted.log_likelihood,
            p=spend.p if spend else None,
            q=spend.q if spend else None,
            v=spend.v if spend else None,
            customers=fitted.customers,
            method=method,
            converged=fitted.converged,
            prior_shift=fitted.shift,
        ),
        backtest=None if trial is None else _flat(trial),
    )


def _flat(trial: Trial) -> dict[str, Any]:
    """A trial as `supover analytics fit` tells it: BG/NBD's figures first, the others beside."""
    return {
        "origin": trial.origin,
        "customers": trial.customers,
        "ordered": trial.ordered,
        "orders": trial.orders,
        **msgspec.to_builtins(trial.bgnbd),
        "logistic": None if trial.logistic is None else msgspec.to_builtins(trial.logistic),
        "baselines": {
            "recency": {"auc": trial.recency_auc},
            "naive": {"mae": trial.naive_mae},
            "base": {"brier": trial.base_brier},
        },
    }


# --- refreshed -----------------------------------------------------------------------------------------------------------


class Refreshed(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a refresh did: the version that it stored, whom it scored, and of how many the risk is another one now."""

    version: int
    serving: Literal["bgnbd", "logistic", "repeat_rate", "nothing"]
    as_of: date
    customers: int
    scored: int
    changed: int
    missing: Sequence[str]


async def refresh(
    database: Database,
    workspace_id: UUID,
    begin: Begin,
    *,
    as_of: date | None = None,
    horizon_days: int = rules.HORIZON_DAYS,
    method: Method = "map",
    told: Told = _quiet,
) -> Refreshed:
    """Fits, tries, stores the model as a new version and scores every customer by it; `begin` opens the transactions.

    Killed at any time it leaves whole rows, some of the version before; run again it does all anew. Raises Cancelled and
    Overtaken between steps.
    """
    async with database.snapshot(workspace_id) as db:
        day = as_of or await predictions.today(db)
        fitted = await fit(db, day, horizon_days, method, told)
    _go_on(told, "storing", fitted.fit.customers)
    async with begin() as tx:
        version = await predictions.add_model(
            tx,
            serving=fitted.serving,
            method=method,
            as_of=day,
            window_from=fitted.seen.first,
            horizon_days=horizon_days,
            customers=fitted.fit.customers,
            missing=fitted.missing,
            parameters=fitted.parameters(),
            backtest=fitted.backtest,
        )
    scored = changed = 0
    after: UUID | None = UUID(int=0)
    while after is not None:
        _go_on(told, "scoring", scored)
        async with begin() as tx:
            n, moved, after = await _score(tx, fitted, version, after)
        scored, changed = scored + n, changed + moved
    async with begin() as tx:
        await publish(tx, [PredictionsRenewed()])
    return Refreshed(
        version=version,
        serving=fitted.serving,
        as_of=day,
        customers=fitted.fit.customers,
        scored=scored,
        changed=changed,
        missing=fitted.missing,
    )


# Of living customers only, from an id on; the range of ids is bounded by the customers' own, so that each is read once.
BOUND: Final = """
    select b.id
      from (select c.id from customer c where c.workspace_id = $1 and c.id > $2 order by c.id limit $3) as b
     order by b.id desc
     limit 1"""
_RISKS: Final[tuple[Risk, ...]] = ("low", "medium", "high")
LIVING: Final = f"""
    select coalesce(string_agg(uuid_send(f.customer_id)
               || int4send(coalesce(array_position(array['low', 'medium', 'high'], p.churn_risk), 0))
               || {_PACKED}, ''::bytea order by f.customer_id), ''::bytea)
      from (select {_OF_ALL_DAYS}
              from (select {_OF_A_DAY}
                      from customer_day d
                     where d.workspace_id = $1 and d.day <= $2 and d.customer_id > $3 and d.customer_id <= $4
                     group by d.customer_id, d.day) as d
             group by d.customer_id) as f
      join customer c on c.workspace_id = $1 and c.id = f.customer_id and c.deleted_at is null
      left join customer_prediction p on p.workspace_id = $1 and p.customer_id = f.customer_id"""
_SCORED: Final = np.dtype([("id", "S16"), ("former", ">i4"), *_KINDS])


async def _score(tx: Tx, fitted: Fitted, version: int, after: UUID) -> tuple[int, int, UUID | None]:
    """Scores the next customers by their ids: how many, of how many the risk changed, and after whom to go on."""
    if not await predictions.hold(tx, version):
        raise Overtaken(f"Another fit than version {version} is stored by now.")
    behind: UUID | None = await tx.value(BOUND, after, WRITTEN_AT_ONCE)
    if behind is None:
        await predictions.remove_behind(tx, after)
        return 0, 0, None
    if fitted.serving not in ("bgnbd", "logistic"):
        await predictions.remove_range(tx, after, behind)
        return 0, 0, behind
    raw = cast("bytes", await tx.value(LIVING, fitted.as_of, after, behind))
    rows = np.frombuffer(raw, _SCORED)
    csv, moved = await asyncio.to_thread(_written, fitted, raw, rows)
    await predictions.write(tx, csv, after, behind, version)
    events = [
        ChurnRiskChanged(customer_id=id, former=former, risk=now, horizon_days=fitted.horizon_days)
        for id, former, now in moved
    ]
    await publish(tx, events)
    return len(rows), len(events), behind


def _written(fitted: Fitted, raw: bytes, rows: NDArray[Any]) -> tuple[bytes, list[tuple[UUID, Risk, Risk]]]:
    """The rows of customer_prediction as CSV, and whose risk is another than it was."""
    found = _facts(rows)
    what = "logistic" if fitted.serving == "logistic" else "bgnbd"
    scores = serving.predict(fitted.model, found, what, fitted.horizon_days)
    risk = 1 + (scores.churn >= rules.LOW).astype(np.int64) + (scores.churn > rules.HIGH)
    size = _SCORED.itemsize
    ids = [raw[at : at + 16].hex() for at in range(0, len(raw), size)]
    frame = pl.DataFrame(
        {
            "id": ids,
            "churn": scores.churn,
            "risk": np.array(("", *_RISKS))[risk],
            "orders": scores.orders,
            "value": np.round(scores.value, 4),
            "next": (np.datetime64(fitted.as_of, "D") + scores.next_in).astype("datetime64[D]"),
            "has_next": scores.next_in > 0,
            "stake": np.round(scores.at_stake, 4),
        }
    )
    csv = frame.select(
        "id",
        "churn",
        "risk",
        "orders",
        pl.col("value"),
        pl.when(pl.col("has_next")).then(pl.col("next")).otherwise(None).alias("next"),
        "stake",
    ).write_csv(include_header=False)
    former = rows["former"].astype(np.int64)
    moved = np.flatnonzero((former > 0) & (former != risk))
    return csv.encode(), [(UUID(hex=ids[at]), _RISKS[former[at] - 1], _RISKS[risk[at] - 1]) for at in moved.tolist()]
