"""What the segment language can ask of a customer's figures; orders that count unless it says delivered."""

from decimal import Decimal
from typing import Final, get_args

from supover.analytics import rules
from supover.analytics.prediction_model import Risk
from supover.kit.filters import Field

_PREDICTED: Final = (
    "exists (select 1 from customer_prediction p where p.workspace_id = $1 and p.customer_id = c.id and {})"
)
_NONE: Final = Decimal(0)
"""Who has not been counted yet has ordered nothing that we know of."""

_SCORED: Final = "exists (select 1 from customer_rfm x where x.workspace_id = $1 and x.customer_id = c.id and {})"


def _score(name: str, words: str, sql: str) -> Field:
    return Field(name=name, kind="whole", words=words, sql=sql, within=_SCORED, example=f"{name} >= 4")


FIELDS: Final = (
    Field(
        name="amount_spent",
        kind="number",
        words="amount spent",
        sql="m.total_spent",
        absent=_NONE,
        aka=("totalspent", "total_spent", "spent", "revenue"),
        example="amount_spent BETWEEN 100 AND 499.99",
    ),
    Field(
        name="number_of_orders",
        kind="whole",
        words="number of orders",
        sql="m.order_count",
        absent=_NONE,
        aka=("ordercount", "order_count", "orders", "orders_count"),
        example="number_of_orders >= 2",
    ),
    Field(
        name="average_order_value",
        kind="number",
        words="average order value",
        sql="m.average_order_value",
        absent=_NONE,
        aka=("averageordervalue", "aov"),
        example="average_order_value > 80",
    ),
    Field(
        name="first_order_date",
        kind="moment",
        words="first order date",
        sql="m.first_order_at",
        example="first_order_date >= -30d",
    ),
    Field(
        name="last_order_date",
        kind="moment",
        words="last order date",
        sql="m.last_order_at",
        example="last_order_date < -180d",
    ),
    Field(
        name="lifetime_value",
        kind="number",
        words="lifetime value (delivered orders)",
        sql="m.lifetime_value",
        absent=_NONE,
        aka=("lifetimevalue", "ltv", "clv"),
        example="lifetime_value > 1000",
    ),
    Field(
        name="delivered_orders",
        kind="whole",
        words="number of delivered orders",
        sql="m.total_orders",
        absent=_NONE,
        aka=("totalorders", "total_orders"),
        example="delivered_orders > 1",
    ),
    Field(
        name="rfm_group",
        kind="choice",
        words="RFM group",
        sql="x.rfm_group",
        within=_SCORED,
        absent=rules.PROSPECTS,
        choices=tuple(rules.GROUPS),
        aka=("rfmgroup", "rfm"),
        example="rfm_group = 'AT_RISK'",
    ),
    _score("rfm_recency", "RFM score of recency", "x.recency"),
    _score("rfm_frequency", "RFM score of frequency", "x.frequency"),
    _score("rfm_monetary", "RFM score of monetary value", "x.monetary"),
    Field(
        name="churn_probability",
        kind="number",
        words="churn probability",
        sql="p.churn_probability",
        within=_PREDICTED,
        aka=("churnprobability", "churn"),
        example="churn_probability > 0.7",
    ),
    Field(
        name="churn_risk",
        kind="choice",
        words="churn risk",
        sql="p.churn_risk",
        within=_PREDICTED,
        choices=get_args(Risk),
        aka=("churnrisk", "risk"),
        example="churn_risk = 'high'",
    ),
    Field(
        name="predicted_value",
        kind="number",
        words="predicted value of the next 365 days",
        sql="p.predicted_value",
        within=_PREDICTED,
        aka=("predictedvalue", "predicted_clv"),
        example="predicted_value >= 250",
    ),
    Field(
        name="expected_orders",
        kind="number",
        words="expected orders in the next 365 days",
        sql="p.expected_orders",
        within=_PREDICTED,
        aka=("expectedorders",),
        example="expected_orders > 2",
    ),
)
