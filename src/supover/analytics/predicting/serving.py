"""What a fitted workspace says of its customers, all at once, and how good that was."""

from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from supover.analytics.predicting import baselines, bgnbd, gamma_gamma, judging, logistic
from supover.analytics.predicting.model import Judged, Trial, Weights

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Serving = Literal["bgnbd", "logistic"]

YEAR: Final = 365
LIMIT_DAYS: Final = 730
"""An order that is not likelier than not within two years has no expected date."""
MOST: Final = 1e15
"""No value is predicted higher than money can be written."""
BETTER: Final = 0.005
"""By so much the mean calibration error of the logistic must be lower to be believed: plain BG/NBD holds its own from season to
season, and what learns from one quarter is wrong in the next."""


class Facts(msgspec.Struct, frozen=True):
    """Customers as of a day: x, tx and T as the model has them (days), `paid` repeat days on which something was paid, what
    such a day brought on average, what the last year brought, and on how many days of the horizon after it they ordered."""

    x: Ints
    tx: Ints
    t: Ints
    paid: Ints
    mean: Floats
    spent: Floats
    later: Ints

    def __len__(self) -> int:
        return len(self.x)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was fitted; `spend` stands in for customers' spend where no gamma-gamma model could be fitted."""

    ordering: bgnbd.Parameters
    spending: gamma_gamma.Parameters | None = None
    rival: Weights | None = None
    spend: float = 0.0


class Scores(msgspec.Struct, frozen=True):
    """A row a customer; `next_in` days an order is as likely as not, 0 where there is no telling."""

    churn: Floats
    orders: Floats
    value: Floats
    next_in: Ints
    at_stake: Floats


def features(facts: Facts) -> Floats:
    """What the logistic looks at, in weeks."""
    week = bgnbd.DAYS
    return logistic.features(facts.x.astype(float), facts.tx / week, facts.t / week, facts.mean)


def learn(facts: Facts) -> Weights | None:
    """The logistic by what happened after these facts; None where all or none ordered."""
    ordered = facts.later > 0
    return logistic.fit(features(facts), ordered) if 0 < int(ordered.sum()) < len(facts) else None


def spend(facts: Facts) -> tuple[gamma_gamma.Parameters | None, float]:
    """The gamma-gamma model of these customers, and what a paid repeat day brings on average."""
    paid = int(facts.paid.sum())
    mean = float((facts.paid * facts.mean).sum() / paid) if paid else 0.0
    return gamma_gamma.fit(facts.paid, facts.mean), mean


def predict(model: Model, facts: Facts, serving: Serving, horizon_days: int) -> Scores:
    """What the model says; all of it finite, whatever the facts."""
    p = model.ordering
    alive = bgnbd.active(p, facts.x, facts.tx, facts.t)
    if serving == "logistic" and model.rival is not None:
        back = logistic.chance(model.rival, features(facts))
    else:
        back = bgnbd.returns(p, facts.x, facts.t, alive, horizon_days)
    churn = np.clip(1 - back, 0.0, 1.0)
    orders = bgnbd.expected_orders(p, facts.x, facts.t, alive, YEAR)
    if model.spending is None:
        each = np.full(len(facts), model.spend)
    else:
        each = gamma_gamma.expected_spend(model.spending, facts.paid, facts.mean)
    value = np.clip(orders * each, 0.0, MOST)
    next_in = bgnbd.days_to_half(p, facts.x, facts.t, alive, LIMIT_DAYS)
    return Scores(churn, orders, value, next_in, np.clip(facts.spent, 0.0, MOST) * churn)


# --- how good it was -----------------------------------------------------------------------------------------------------


def judge(origin: str, model: Model, facts: Facts, horizon_days: int) -> Trial:
    """How good a model was that was fitted on what was known on the facts' day."""
    ordered, orders = facts.later > 0, facts.later.astype(float)
    alive = bgnbd.active(model.ordering, facts.x, facts.tx, facts.t)
    chance = bgnbd.returns(model.ordering, facts.x, facts.t, alive, horizon_days)
    expected = bgnbd.expected_orders(model.ordering, facts.x, facts.t, alive, horizon_days)
    rival = None
    if model.rival is not None:
        theirs = logistic.chance(model.rival, features(facts))
        rival = Judged(
            auc=judging.auc(theirs, ordered),
            brier=judging.brier(theirs, ordered),
            ece=judging.ece(theirs, ordered),
            bins=judging.bins(theirs, ordered),
        )
    share = np.full(len(facts), ordered.mean() if len(facts) else 0.0)
    naive = baselines.naive(facts.x.astype(float), facts.t / bgnbd.DAYS, horizon_days / bgnbd.DAYS)
    return Trial(
        origin=origin,
        customers=len(facts),
        ordered=int(ordered.sum()),
        orders=int(orders.sum()),
        bgnbd=Judged(
            auc=judging.auc(chance, ordered),
            brier=judging.brier(chance, ordered),
            ece=judging.ece(chance, ordered),
            mae=judging.mae(expected, orders),
            rmse=judging.rmse(expected, orders),
            correlation=judging.correlation(expected, orders),
            expected=float(expected.sum()),
            eo=judging.expected_to_observed(expected, orders),
            bins=judging.bins(chance, ordered),
        ),
        logistic=rival,
        recency_auc=judging.auc(baselines.recency(facts.tx.astype(float), facts.t.astype(float)), ordered),
        naive_mae=judging.mae(naive, orders),
        base_brier=judging.brier(share, ordered),
    )


def better(trials: list[Trial]) -> Serving:
    """Which model's chances were the nearer to what happened, over all trials by their customers; BG/NBD unless it is clear."""
    both = [one for one in trials if one.logistic is not None and one.logistic.ece is not None and one.customers]
    if not both or len(both) < len(trials):
        return "bgnbd"
    n = sum(one.customers for one in both)

    def off(of_bgnbd: bool, what: Literal["ece", "brier"]) -> float:
        return sum(one.customers * (getattr(one.bgnbd if of_bgnbd else one.logistic, what) or 0.0) for one in both) / n

    is_clear = off(False, "ece") < off(True, "ece") - BETTER and off(False, "brier") <= off(True, "brier")
    return "logistic" if is_clear else "bgnbd"
