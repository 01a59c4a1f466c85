"""The nouns of predictions."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec

from supover.analytics.predicting.model import Bin, Trial, Weights

Risk = Literal["low", "medium", "high"]
Method = Literal["map", "ml"]
Serving = Literal["bgnbd", "logistic", "repeat_rate", "nothing"]


# --- of a customer -------------------------------------------------------------------------------------------------------


class RepeatRate(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What is known below the gate: of the workspace's customers with at least as many orders as this one, who ordered again.

    A plain count over all time, no prediction: it knows nothing of a horizon or of how long the customer has been silent.
    """

    basis: Literal["repeat_rate"] = "repeat_rate"
    orders: int
    customers: int
    ordered_again: int
    share: float


class InsufficientData(
    msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag_field="status", tag="insufficient_data"
):
    """Nothing is predicted of this customer; `missing` says in words what that takes."""

    missing: Sequence[str]
    repeat_rate: RepeatRate | None = None
    model_version: int | None = None


class Prediction(msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag_field="status", tag="predicted"):
    """What is expected of a customer, as of the last night.

    `churnProbability` that no order comes within `horizonDays`; `churnRisk` low below 0.33, high above 0.66. `expectedOrders` and
    `predictedValue` are of the next 365 days; `totalValue` is `historicValue`, as `totalSpent`, and that. `expectedNextOrderDate`
    is the day by which an order is as likely as not; null where that is not so within two years. `reasons` says in words
    what drives it. Days with several orders count as one order.
    """

    churn_probability: float
    churn_risk: Risk
    horizon_days: int
    expected_orders: float
    predicted_value: Decimal
    historic_value: Decimal
    total_value: Decimal
    currency: str
    expected_next_order_date: date | None
    reasons: Sequence[str]
    model: Literal["bgnbd", "logistic"]
    model_version: int
    as_of: date


# --- what is stored of a fit ---------------------------------------------------------------------------------------------


class Parameters(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The parameters of a fit as they are kept: alpha in weeks, v and meanSpend in the workspace's currency.

    `priorShift` is by how much the prior moved ln(a + b) away from plain likelihood. `repeats` are, for 1, 2, … orders, how
    many customers have so many at least, and how many of them ordered again.
    """

    r: float | None = None
    alpha: float | None = None
    a: float | None = None
    b: float | None = None
    log_likelihood: float | None = None
    converged: bool = False
    prior_shift: float = 0.0
    p: float | None = None
    q: float | None = None
    v: float | None = None
    mean_spend: float = 0.0
    logistic: Weights | None = None
    repeats: Sequence[tuple[int, int]] = ()


# --- of a workspace ------------------------------------------------------------------------------------------------------


class AtRisk(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A customer with what would be lost: `valueAtStake` is what the last 365 days brought, times `churnProbability`."""

    id: UUID
    name: str | None
    email: str | None
    churn_probability: float
    churn_risk: Risk
    value_at_stake: Decimal
    expected_orders: float
    predicted_value: Decimal
    expected_next_order_date: date | None
    total_spent: Decimal
    order_count: int
    last_order_date: datetime | None


class Quality(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How good a model was over all origins, by their customers; null where it could not be judged. `bins` add up."""

    auc: float | None
    brier: float | None
    ece: float | None
    mae: float | None = None
    eo: float | None = None
    bins: Sequence[Bin]


class Baselines(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Rules that need no model: who ordered last orders next, everybody goes on as often as so far, the same chance for all."""

    recency_auc: float | None
    naive_mae: float | None
    base_brier: float | None


class Backtest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The models as they would have served on past days, judged by the orders that came within the horizon after each.

    `origins` has each day with its calibration; `bgnbd`, `logistic` and `baselines` are the means. `why` says which one serves.
    """

    horizon_days: int
    bgnbd: Quality | None
    logistic: Quality | None
    baselines: Baselines
    why: str
    origins: Sequence[Trial]


class Model(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What was fitted, on which orders, how it was judged, and what serves by it.

    Below the gate `serving` is repeat_rate, or nothing where nobody has ordered, and `missing` says what lacks.
    """

    version: int
    serving: Serving
    method: Method
    as_of: date
    window_from: date | None
    horizon_days: int
    customers: int
    missing: Sequence[str]
    parameters: Parameters
    backtest: Backtest | None
    fitted_at: datetime


class Churn(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Who may not come back, the most at stake first, with the model that says so and how good it was."""

    status: Literal["predicted", "insufficient_data"]
    missing: Sequence[str]
    currency: str
    model: Model | None
    data: Sequence[AtRisk]
    next_cursor: str | None = None
    total: int | None = None


# --- what the command line says ------------------------------------------------------------------------------------------


class FittedModel(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The parameters of a fit that is not stored."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    p: float | None
    q: float | None
    v: float | None
    time_unit: Literal["week"] = "week"
    customers: int
    method: Method
    converged: bool
    prior_shift: float


class FitReport(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A fit that is not stored, and how it was judged; `backtest` is null where the data do not reach beyond the horizon."""

    as_of: date
    horizon_days: int
    missing: Sequence[str]
    model: FittedModel
    backtest: dict[str, Any] | None
