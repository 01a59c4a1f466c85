"""The web addresses of churn and of the models that tell it."""

from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from supover.analytics import predictions
from supover.analytics.prediction_model import AtRisk, Churn, Model, Risk
from supover.customers import queries as customers
from supover.kit import reports, sql
from supover.kit.api import Count, Cursor, Limit, Listing, Raw, Routes, query_names
from supover.kit.db import Reader
from supover.kit.problems import Invalid
from supover.kit.reports import AnyRequest, Format

routes = Routes("analytics")

MOST_ROWS: Final = 10_000


@routes.get("/api/analytics/churn", search=True)
async def churn(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    count: Count = None,
    risk: Annotated[
        list[Risk] | None, QueryParameter(name="risk", required=False, description="Only these bands; repeatable.")
    ] = None,
    min_stake: Annotated[
        Decimal | None,
        QueryParameter(name="minStake", required=False, description="Only who has so much at stake, or more."),
    ] = None,
    segment: Annotated[
        UUID | None, QueryParameter(name="segment", required=False, description="Only members of this segment.")
    ] = None,
    format: Format = None,
) -> Churn | Raw:
    """List who may not come back, the most at stake first.

    With the model that says so, the orders that it knows, and its backtest: how good it would have been on past days, beside a
    logistic regression and rules that need no model. Where the workspace's orders say too little for predictions, `missing`
    says what lacks, and the list is empty. As CSV (`format=csv` or `Accept: text/csv`) it has the customers alone, up to 10,000.
    """
    sql.known(request.query_params.keys(), query_names(churn).values())
    if segment is not None and not await customers.has_segment(db, segment):
        raise Invalid.at("segment", "unknown", "is no segment here")
    is_csv = reports.wants_csv(request, format)
    page = sql.page(predictions.SORTS, limit=limit, sort=None, cursor=cursor)
    if is_csv and limit is None:
        page = msgspec.structs.replace(page, limit=MOST_ROWS)
    model = await predictions.current(db)
    found, following, total = await predictions.at_risk(
        db,
        page,
        risk=risk or (),
        min_stake=sql.amount(min_stake, "minStake"),
        segment=segment,
        count=bool(count),
    )
    if is_csv:
        return reports.table("churn", AtRisk, found)
    missing = [predictions.NO_MODEL] if model is None else model.missing
    return Churn(
        status="insufficient_data" if missing or model is None else "predicted",
        missing=missing,
        currency=await db.value(predictions.CURRENCY),
        model=model,
        data=found,
        next_cursor=following,
        total=total,
    )


@routes.get("/api/analytics/models")
async def models(db: Reader, limit: Limit = None, cursor: Cursor = None, count: Count = None) -> Listing[Model]:
    """List the models that were fitted, the newest first, with their parameters and backtests."""
    page = sql.page(predictions.MODEL_SORTS, limit=limit, sort=None, cursor=cursor)
    found, following, total = await predictions.models(db, page, count=bool(count))
    return Listing(found, following, total)
